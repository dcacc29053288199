"""The versions of what made a run: this project with its commit, Python, jax and its helpers."""

import platform
import subprocess
from importlib import metadata

from jaxvision import __version__
from jaxvision.run.experiments import ROOT

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")


def versions() -> dict[str, str]:
    """Return the versions by name; the commit is left out where the project is no checkout of git."""
    found = {"jaxvision": __version__, "python": platform.python_version()}
    if commit := _commit():
        found["commit"] = commit
    for name in _PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _commit() -> str:
    """Return the commit that is checked out, with a + behind it where files differ from it."""
    if not (ROOT / ".git").exists():
        return ""
    try:
        done = subprocess.run(
            ["git", "-C", str(ROOT), "describe", "--always", "--dirty=+", "--abbrev=9"],
            capture_output=True,
            text=True,
            timeout=10,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.strip()
