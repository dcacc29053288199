"""The encoder of another run, as its checkpoint and its config.json have it."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.models.resnet import ResNet
from jaxvision.train.checkpoint import Checkpoints
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import init_state
from jaxvision.weights import load
from jaxvision.weights.imported import merge


def variables_of(seed: int, width: float = 1 / 16, classes: int | None = None) -> dict:
    net = ResNet(classes, 18, stem="cifar", width=width)
    return jax.jit(lambda key: net.init(key, jnp.zeros((1, 8, 8, 3)), train=False))(jax.random.PRNGKey(seed))


def write(workdir: Path, variables: dict, step: int = 2, stage: str = "train", **config) -> Path:
    """A run's workdir, with a checkpoint as the loop leaves it: the optimizer's state in it, too."""
    opt_state = Optimizer(momentum=0.9).make(3).init(variables["params"])
    state = init_state(jax.random.PRNGKey(0), variables, opt_state, {"queue": jnp.zeros((3, 2))})
    checkpoints = Checkpoints(workdir / "checkpoints" / stage)
    checkpoints.save(step, state.replace(step=jnp.array(step)), {"data": None})
    checkpoints.close()
    settings = {"backbone.depth": 18, "backbone.width": 0.0625}
    (workdir / "config.json").write_text(json.dumps({"experiment": "ssl/simclr", "config": settings, **config}))
    return workdir


def within(variables: dict, **others) -> dict:
    """The variables of an encoder as those of a run without labels."""
    tree = {name: {"encoder": part} for name, part in variables.items()}
    return {**tree, "params": {**tree["params"], **others}}


def test_the_newest_checkpoints_encoder_goes_into_a_probe_and_its_head_does_not(tmp_path: Path):
    old, new, start = variables_of(1), variables_of(2), variables_of(3)
    head = {"kernel": jnp.ones((32, 4))}
    write(tmp_path, within(old, head=head), step=1)
    write(tmp_path, within(new, head=head), step=3)
    write(tmp_path, within(old, head=head), step=9, stage="train-best")
    imported = load.load(f"workdir:{tmp_path}")
    assert imported.mean is None
    merged = merge(within(start, head={"kernel": jnp.zeros((1, 1, 32, 7))}), imported)
    for name in ("params", "batch_stats"):
        jax.tree.map(np.testing.assert_array_equal, merged[name]["encoder"], new[name])
    assert merged["params"]["head"]["kernel"].shape == (1, 1, 32, 7)


def test_the_pixels_that_the_run_itself_learned_from_come_before_those_of_the_weights_it_began_with(tmp_path: Path):
    began, own = {"mean": [1.0] * 3, "std": [2.0] * 3}, {"mean": [3.0] * 3, "std": [1.0] * 3}
    imported = load.load(f"workdir:{write(tmp_path, variables_of(1), normalise=began, learned=own)}")
    assert imported.mean == (3.0,) * 3 and imported.std == (1.0,) * 3


def test_a_classifiers_last_layer_is_left_out(tmp_path: Path):
    trained = variables_of(1, classes=5)
    imported = load.load(f"workdir:{write(tmp_path, trained)}")
    assert imported.variables["params"].keys() == trained["params"].keys() - {"fc"}
    merged = merge(within(variables_of(2)), imported)
    np.testing.assert_array_equal(merged["params"]["encoder"]["conv1"]["kernel"], trained["params"]["conv1"]["kernel"])


def test_the_last_of_three_fully_connected_layers_is_left_out(tmp_path: Path):
    def network(classes: int) -> dict:
        sizes = {"conv1": (3, 4), "fc6": (4, 6), "fc7": (6, 6), "fc8": (6, classes)}
        return {"params": {name: {"kernel": jnp.full(size, float(classes))} for name, size in sizes.items()}}

    imported = load.load(f"workdir:{write(tmp_path, network(5))}")
    merged = merge(network(3), imported)["params"]  # as R-CNN starts from an AlexNet for other classes
    assert {name: float(layer["kernel"][0, 0]) for name, layer in merged.items()} == {
        "conv1": 5.0,
        "fc6": 5.0,
        "fc7": 5.0,
        "fc8": 3.0,
    }


def test_the_fully_connected_layers_of_a_classifier_go_into_a_detectors_head(tmp_path: Path):
    def layers(value: float, **shapes: tuple[int, ...]) -> dict:
        return {name: {"kernel": jnp.full(shape, value)} for name, shape in shapes.items()}

    trained = {"params": layers(5.0, conv1_1=(3, 4), fc6=(4, 6), fc7=(6, 6), fc8=(6, 5))}
    imported = load.load(f"workdir:{write(tmp_path, trained)}")
    head = layers(0.0, fc6=(4, 6), fc7=(6, 6), predictor=(6, 3))
    merged = merge({"params": {"backbone": layers(0.0, conv1_1=(3, 4)), "box_head": head}}, imported)["params"]
    assert [float(merged["box_head"][name]["kernel"].max()) for name in ("fc6", "fc7", "predictor")] == [5.0, 5.0, 0.0]
    trunk = merge({"params": {"backbone": layers(0.0, conv1_1=(3, 4))}}, imported)["params"]["backbone"]
    assert trunk.keys() == {"conv1_1"} and float(trunk["conv1_1"]["kernel"].max()) == 5.0


def test_the_normalisation_of_imported_weights_goes_along(tmp_path: Path):
    seen = {"mean": [1.0, 2.0, 3.0], "std": [4.0, 5.0, 6.0]}
    imported = load.load(f"workdir:{write(tmp_path, within(variables_of(1)), normalise=seen)}")
    assert (imported.mean, imported.std) == ((1.0, 2.0, 3.0), (4.0, 5.0, 6.0))


def test_another_architecture_is_named_beside_this_one(tmp_path: Path):
    imported = load.load(f"workdir:{write(tmp_path, within(variables_of(1)))}")
    with pytest.raises(ValueError) as error:
        merge(within(variables_of(2, width=1 / 8)), imported)
    said = str(error.value)
    assert "ssl/simclr with depth 18, width 0.0625" in said and "\n" not in said
    assert "in the file" in said and "in the network" in said


def test_a_folder_without_a_run_or_a_checkpoint_is_named(tmp_path: Path):
    with pytest.raises(ValueError, match=f"--init_from=workdir:{tmp_path}: no config.json there"):
        load.load(f"workdir:{tmp_path}")
    (tmp_path / "config.json").write_text(json.dumps({"experiment": "ssl/simclr", "config": {}}))
    with pytest.raises(ValueError, match=f"--init_from=workdir:{tmp_path}: no checkpoint there; let that run train"):
        load.load(f"workdir:{tmp_path}")
    with pytest.raises(ValueError, match="no such file or folder"):
        load.load(f"workdir:{tmp_path}/nowhere")
