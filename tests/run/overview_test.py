"""An overview reads the first rows of the first batches of each stage that can be read before training."""

from types import SimpleNamespace

import jax
import numpy as np

from jaxvision.data import crops
from jaxvision.data.inputs import Inputs
from jaxvision.data.source_log import SourceLog
from jaxvision.run.overview import collect
from jaxvision.train.types import Batch, Experiment, Stage, Task, TrainState

TASK = Task(*[lambda *args: None] * 3)  # is not called


def stage(name: str, data=None, steps: int = 1, make=None) -> Stage:
    return Stage(name, TASK, data, steps if data else 0, make=make)


def test_stages_that_differ_are_drawn_and_those_behind_a_make_are_not():
    inputs = Inputs(log=SourceLog())
    source = inputs.source("digits:count=64", "labels")
    small, large = (inputs.train(source["train"], crops.center_crop(n, n), 64) for n in (8, 16))
    experiment = Experiment(
        (stage("a", small), stage("b", small), stage("c", large), stage("d", make=lambda *a: a), stage("e", large))
    )
    assert inputs.log is not None
    config = SimpleNamespace(data="digits:count=64", train_split="train[:32]", val_split="val")
    found = collect(experiment, inputs, config, inputs.log)
    assert set(found.pictures) == {"a-1.png", "c-1.png"}
    assert [each["caption"] for each in found.document["pictures"]] == [
        "a, batch 1: 32 images on 8×8 pixels",
        "c, batch 1: 32 images on 16×16 pixels",
    ]
    (counted,) = found.document["sources"]
    assert [(split["name"], split["images"]) for split in counted["splits"]] == [("train[:32]", 32), ("val", 64)]
    assert found.document["remark"] == ""


def test_images_are_drawn_as_annotated_where_batches_depend_on_a_stage():
    inputs = Inputs(log=SourceLog())
    assert inputs.log is not None
    inputs.source("scenes:count=8,size=64", "boxes")
    found = collect(
        Experiment((stage("search", make=lambda *a: a),)),
        inputs,
        SimpleNamespace(data="scenes:count=8,size=64"),
        inputs.log,
    )
    assert set(found.pictures) == {"images-1.png"} and np.ptp(found.pictures["images-1.png"]) > 0
    assert "as they are annotated" in found.document["remark"]


def test_inputs_that_a_step_makes_of_images_are_drawn_beside_them():
    def see(state: TrainState, batch: Batch) -> jax.Array:
        lighter = jax.random.bits(state.key, (), "uint8") // 4 + state.step.astype("uint8")
        return jax.numpy.stack([batch["image"][:, :4, :4] // 2 + lighter] * 3, axis=1)

    inputs = Inputs(log=SourceLog())
    source = inputs.source("digits:count=32", "labels")
    data = inputs.train(source["train"], crops.center_crop(8, 8), 16)
    experiment = Experiment((stage("a", data)._replace(task=TASK._replace(see=see)),))
    assert inputs.log is not None
    found = collect(experiment, inputs, SimpleNamespace(data="digits:count=32"), inputs.log)
    (caption,) = [each["caption"] for each in found.document["pictures"]]
    assert caption == "a, batch 1: 8 images on 8×8 pixels, each with the 3 inputs of 4×4 that a step makes of it"
    assert found.pictures["a-1.png"].shape[1] > found.pictures["a-1.png"].shape[0]


def test_without_data_there_is_nothing_to_show():
    assert collect(Experiment(()), Inputs(), SimpleNamespace(), SourceLog()).pictures == {}
