"""Settings of XLA and of the C library that pay on a CPU; to be called before jax is imported."""

import contextlib
import ctypes
import importlib.util
import mmap
import os
import sys
from pathlib import Path

# Naming what goes to the YNN library leaves convolutions to Eigen: a ResNet-18 step takes 0.6 of the time.
_FLAGS = {
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT,LIBRARY_FUSION_TYPE_REDUCE",
}


def configure() -> None:
    """Set XLA_FLAGS and the directory of the compilation cache where the user has not; harmless on an accelerator.

    Raises RuntimeError when jax is already imported, since XLA reads its flags only once.
    """
    if "jax" in sys.modules:
        raise RuntimeError("xla.configure(): jax is already imported, call it first")
    given = os.environ.get("XLA_FLAGS", "")
    wanted = {name: value for name, value in _FLAGS.items() if name not in given}
    flags = [f"--{name}={value}" for name, value in wanted.items() if _known(name)]
    os.environ["XLA_FLAGS"] = " ".join([given, *flags]).strip()
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "jaxvision" / "xla"))


def _known(flag: str) -> bool:
    """Whether the installed jaxlib has this flag: an unknown one aborts the process. Its library holds the name."""
    spec = importlib.util.find_spec("jaxlib")
    if spec is None or spec.origin is None:
        return False
    for library in Path(spec.origin).parent.glob("libjax_common*"):
        with open(library, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return content.find(flag.encode()) >= 0
    return False
