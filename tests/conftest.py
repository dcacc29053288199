"""Four fake CPU devices, strict numerics, annotations checked at run time, one compilation cache for all workers."""

import ctypes
import gc
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from jaxvision.run import xla  # noqa: E402

# Tests compile much and run little: without optimisation, with XLA's older emitters of fused operations and in one
# piece a program compiles in half of the time.
QUICK = {
    "xla_backend_optimization_level": "0",
    "xla_cpu_use_fusion_emitters": "false",
    "xla_cpu_parallel_codegen_split_count": "1",
}
os.environ.setdefault(
    "XLA_FLAGS",
    " ".join(
        ["--xla_force_host_platform_device_count=4", *(f"--{flag}={QUICK[flag]}" for flag in QUICK if xla.known(flag))]
    ),
)
os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", os.path.join(tempfile.gettempdir(), "jaxvision-test-cache"))
os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.3")
os.environ["JAX_PLATFORMS"] = "cpu"

from jaxtyping import install_import_hook  # noqa: E402

install_import_hook("jaxvision", "beartype.beartype")

import flax.linen as nn  # noqa: E402
import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402
from absl import flags  # noqa: E402

from jaxvision.ops.dispatch import plain_forms  # noqa: E402
from tests import drawing  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")
LARGE = 700 * 2**20  # bytes that a worker may keep from one module to the next
gc.set_threshold(100_000, 20, 20)  # tracing makes many objects and little garbage
flags.FLAGS.mark_as_parsed()  # grain's worker processes read absl flags


def pytest_xdist_auto_num_workers() -> int:
    """`-n auto`: a worker for each core that has 2 GB of memory, of which it needs 1.6, and eight at most."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    known = hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else 2**32
    return max(1, min(cores, memory // 2**31, 8))


@pytest.fixture(autouse=True, scope="module")
def _forget_what_was_compiled() -> Iterator[None]:
    """After each module: else a worker that runs a thousand tests holds gigabytes of programs."""
    yield
    jax.clear_caches()
    if resident() > LARGE:
        gc.collect()
        if sys.platform == "linux":  # the C library keeps what programs left free between them
            ctypes.CDLL(None).malloc_trim(0)


def resident() -> int:
    """Return the bytes of memory that this process holds, or 0 where the system does not say."""
    statm = Path("/proc/self/statm")
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") if statm.exists() else 0


@pytest.fixture(scope="module")
def plain() -> Iterator[None]:
    """Ops in their plain forms, which compile sooner, for a module whose subject they are not."""
    with plain_forms():
        yield


@pytest.fixture
def filled() -> Callable[[nn.Module, jax.Array], dict]:
    """`filled(model, x)`: the network's variables as `drawing.drawn` makes them; no initialiser is run."""
    generator = np.random.default_rng(0)

    def fill(model: nn.Module, x: jax.Array, *, train: bool = False) -> dict:
        init = partial(model.init, train=train)
        shapes = jax.eval_shape(lambda key: init({"params": key, "dropout": key}, x), jax.random.PRNGKey(0))
        return drawing.drawn(shapes, generator)

    return fill
