"""Settings of XLA and of the C library that pay on a CPU, and that of `--deterministic` for GPUs.

None of them touches what the user set.
"""

import mmap
import os
import sys
from importlib.util import find_spec
from pathlib import Path

# The YNN library gets the kinds of operation named here; convolutions, left out, run on Eigen. ResNet-18, 224 pixels, a
# training step of 16 images on two cores, in CPU seconds a core: 1.33 by default, 1.26 with the flag, 1.14 with huge
# pages too, 0.70 with `ops.convolution` and `ops.pooling` on top.
_FLAGS = {"xla_cpu_experimental_ynn_fusion_type": ("LIBRARY_FUSION_TYPE_DOT", "LIBRARY_FUSION_TYPE_REDUCE")}
_DETERMINISTIC = "xla_gpu_deterministic_ops"
_HUGE_PAGES = "glibc.malloc.hugetlb=1"
_THP = Path("/sys/kernel/mm/transparent_hugepage/enabled")


def configure(deterministic: bool = False) -> None:
    """Set XLA_FLAGS and the directory of jax's compilation cache (~/.cache/jaxvision/xla) where the user has not.

    With `deterministic` a GPU takes only operations that give the same bits each time. Raises RuntimeError once jax is
    imported: from then on they would be read too late.
    """
    if "jax" in sys.modules:
        raise RuntimeError("xla.configure(): jax is already imported, call it before")
    given = os.environ.get("XLA_FLAGS", "")
    wanted = {**_FLAGS, _DETERMINISTIC: ("true",)} if deterministic else _FLAGS
    added = [
        f"--{name}={','.join(value)}" for name, value in wanted.items() if name not in given and known(name, *value)
    ]
    if added:
        os.environ["XLA_FLAGS"] = " ".join([given, *added]).strip()
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(Path.home() / ".cache" / "jaxvision" / "xla"))


def check_determinism(wanted: bool) -> None:
    """Raise ValueError where `--deterministic` is asked for on a GPU and was not set before jax started."""
    import jax

    if wanted and jax.default_backend() == "gpu" and _DETERMINISTIC not in os.environ.get("XLA_FLAGS", ""):
        raise ValueError(f"--deterministic: this jaxlib has no setting {_DETERMINISTIC}; leave it out, or take another")


def reexec_with_huge_pages() -> None:
    """Start this process again, from its command line, with large buffers on huge pages; does nothing in the new one.

    The C library reads the setting only when a process starts. A step allocates its buffers anew, so ordinary pages
    cost 180,000 page faults, a fifth of the time, in a ResNet-18 step of 16 images. Does nothing where Linux
    does not offer huge pages on request, or the user set glibc.malloc.hugetlb.
    """
    given = os.environ.get("GLIBC_TUNABLES", "")
    if "glibc.malloc.hugetlb" in given or not _THP.exists() or "[madvise]" not in _THP.read_text():
        return
    os.environ["GLIBC_TUNABLES"] = ":".join(filter(None, [given, _HUGE_PAGES]))
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def known(flag: str, *values: str) -> bool:
    """Return whether the installed jaxlib has this flag and these values: XLA aborts the process at one it has not.

    A flag is a C string, with a zero byte at either end. Without them the name may be that of a field whose flag
    was taken away, as `xla_cpu_use_fusion_emitters` is in jaxlib 0.11.
    """
    library = _library()
    if library is None:
        return False
    words = [f"\0{flag}\0".encode(), *(value.encode() for value in values)]
    with library.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        return all(content.find(word) >= 0 for word in words)


def _library() -> Path | None:
    """jaxlib's largest shared object, hundreds of megabytes, is the one with XLA in it."""
    spec = find_spec("jaxlib")
    folders = spec.submodule_search_locations if spec and spec.submodule_search_locations else []
    files = [file for folder in folders for file in Path(folder).glob("*.so")]
    return max(files, key=lambda file: file.stat().st_size, default=None)
