"""Reader of the encoder that another run of this library has learned: `--init_from=workdir:runs/ssl-simclr`.

The encoder of a run without labels is the part "encoder" of its parameters; that of a classifier is everything but the
last layer, "fc" or "fc8".
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from etils import epath

from jaxvision.files import read_object
from jaxvision.weights.imported import MOVABLE, Imported, encoder_of

_SETTINGS = ("depth", "stem", "width", "version")  # of a network, which describe it in messages


def read(workdir: str) -> Imported:
    """Read the encoder from the newest checkpoint of any stage of the run; ValueError where there is none."""
    config = _config(workdir)
    newest = _newest(workdir)
    state = _restore(newest)
    variables = encoder_of({"params": state["params"], **state["model_state"]})
    # What the run's own network was given; "normalise" is of the weights that it began with, and of older runs.
    seen = config.get("learned") or config.get("normalise") or {"mean": None, "std": None}
    mean, std = (tuple(seen[k]) if seen[k] else None for k in ("mean", "std"))
    return Imported(variables, mean, std, f"{newest} ({_network(config)})", movable=MOVABLE)


def _config(workdir: str) -> dict[str, Any]:
    path = Path(workdir) / "config.json"
    if not path.is_file():
        raise ValueError(f"--init_from=workdir:{workdir}: no config.json there; give the --workdir of a run")
    return read_object(path, {"experiment": str, "config": dict})


def _newest(workdir: str) -> Path:
    """Return the folder of the checkpoint that was written last, those of the best metrics excepted."""
    stages = [path for path in Path(workdir).glob("checkpoints/*") if not path.name.endswith("-best")]
    steps = [path for stage in stages for path in stage.glob("*") if path.name.isdecimal()]
    if not steps:
        raise ValueError(f"--init_from=workdir:{workdir}: no checkpoint there; let that run train first")
    return max(steps, key=lambda path: (path.stat().st_mtime, int(path.name)))


def _restore(step: Path) -> dict[str, Any]:
    """Read the saved state as NumPy arrays, from whatever devices it was saved."""
    path = epath.Path(step.absolute() / "state")
    reader = ocp.PyTreeCheckpointHandler()
    as_numpy = jax.tree.map(lambda _: ocp.RestoreArgs(restore_type=np.ndarray), reader.metadata(path).tree)
    return reader.restore(path, args=ocp.args.PyTreeRestore(restore_args=as_numpy))


def _network(config: Mapping[str, Any]) -> str:
    """Describe the network, such as "ssl/simclr with depth 18, stem cifar, width 0.25"."""
    settings = {name.rpartition(".")[2]: value for name, value in config["config"].items()}
    described = ", ".join(f"{name} {settings[name]}" for name in _SETTINGS if name in settings)
    return f"{config['experiment']} with {described}" if described else config["experiment"]
