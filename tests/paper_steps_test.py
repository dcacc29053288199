"""Every preset that names a paper takes a step at its full batch, by shapes alone: nothing is compiled or computed."""

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.data.batches import Rows
from jaxvision.data.inputs import Inputs
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import INDEX, Record, Records, Source, fetch
from jaxvision.data.transforms import FromFile
from jaxvision.ops.dispatch import plain_forms
from jaxvision.run.experiments import experiments, load
from jaxvision.train.types import Stage, TrainState
from tests.wiring import table
from tests.wiring.doubles import Reading, without_data
from tests.wiring.wording import readings

OWN = ("quick", *table.LEFT_OUT)  # presets of this project, which name no paper
CLASSES = {  # with the background, of the sets that presets name
    "tfds:imagenet2012": 1000,
    "tfds:cifar10": 10,
    "tfds:celeb_a": 0,
    "tfds:oxford_iiit_pet": 3,
    "voc": 1 + len(VOC_NAMES),
    "sbd": 1 + len(VOC_NAMES),
    "coco": 81,
    "masks:camvid": 11,
    "masks:cells": 2,
    "mixture": 8,
}
CHANGED = {"ssl/compare": {"shares": (0.5, 1.0)}}  # as many images as here are too few for a hundredth of them
QUICK = (("classification/alexnet", "paper"), ("detection/fast_rcnn", "paper"))  # seconds, of minutes for all
SIZE = 375, 500  # height and width of an image


def presets() -> Iterator[Any]:
    """Yield each preset once, those that take long marked."""
    for name in experiments():
        for preset in table.presets(name, OWN):
            compares = name.endswith("/compare") or name in ("detection/pooling", "detection/lineage")
            long = pytest.mark.exhaustive if compares else pytest.mark.long  # their variants are presets of others
            marks = [] if (name, preset) in QUICK else [long]
            yield pytest.param(name, preset, marks=marks, id=f"{name}:{preset}")


class Drawn:
    """Many records of one image with the content that an experiment needs."""

    def __init__(self, split: str, needs: str | None, classes: int) -> None:
        self.split, self.needs, self.classes = split, needs, classes
        point = classes == CLASSES["mixture"]
        self.image = np.zeros(2, np.float32) if point else np.full((*SIZE, 3), (0, 90, 200), np.uint8)

    def __len__(self) -> int:
        return 4096

    def __getitem__(self, index: int) -> Record:
        boxes = np.array([[10, 20, 200, 300], [100, 50, 450, 350]], np.float32)
        objects = {"boxes": boxes, "labels": np.array([1, 2], np.int32)}
        content: Record = {
            "labels": {"label": index % max(self.classes, 1)},
            "boxes": objects,
            "masks": {**objects, "masks": np.ones((2, *SIZE), np.bool_)},
            "label_maps": {"label_map": np.ones(SIZE, np.uint8), "proposals": boxes},  # DeconvNet searches for these
            None: {"label": index % self.classes} if self.classes else {},
        }[self.needs]
        return {"image": self.image, **content}

    def name(self, index: int) -> str:
        return f"image {index}"

    def extent(self, index: int) -> tuple[int, int]:
        return SIZE[1], SIZE[0]


def source(spec: str, needs: str | None = None, **settings: Any) -> Source:
    known = [count for name, count in CLASSES.items() if spec.startswith(name)]
    assert known, f"{spec}: say in CLASSES how many classes it has"
    names = tuple(map(str, range(known[0])))
    splits: dict[str, Records] = {name: Drawn(name, needs, known[0]) for name in ("train", "val", "trainval", "test")}
    return Source(splits, names)


@pytest.fixture(scope="module", autouse=True)
def _nothing_is_read() -> Iterator[None]:
    with without_data(source) as patch, plain_forms():
        patch.setattr("experiments.ssl.colorization.frequencies", lambda setup, bins: jnp.ones(len(bins)))
        yield


def batch(reading: Reading) -> dict[str, jax.ShapeDtypeStruct]:
    """The shapes of a full batch, from one record."""
    record = {**fetch(reading.records, 0, encoded=isinstance(reading.transform, FromFile)), INDEX: 0}
    record = dict(reading.transform(record, np.random.default_rng(0)))
    record.pop(INDEX, None)
    rows = Rows(1)
    rows.put(0, record)
    if reading.kind == "evaluate":
        rows.arrays["_mask"] = np.ones(1, np.bool_)
    return {k: jax.ShapeDtypeStruct((reading.batch_size, *v.shape[1:]), v.dtype) for k, v in rows.arrays.items()}


def steps(stage: Stage) -> TrainState:
    """Trace a step of a stage, and its prediction on what its hooks read; return the state's shapes."""
    given = batch(stage.data(0, 1)) if stage.data else {}  # type: ignore[arg-type]
    state = jax.eval_shape(stage.task.init, jax.random.PRNGKey(0), given)
    if stage.steps:
        after, metrics = jax.eval_shape(stage.task.step, state, given)
        assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
        assert metrics and all(metric.shape == () for metric in metrics.values())
    shown = {str(shapes): shapes for hook in stage.hooks for one in readings(hook.run) if (shapes := batch(one))}
    for shapes in shown.values():
        if stage.steps:  # what a stage without steps predicts with, an earlier one has made
            outputs = jax.eval_shape(stage.task.predict, state, shapes)
            rows = {leaf.shape[0] for leaf in jax.tree.leaves(outputs)}
            assert rows == {next(iter(shapes.values())).shape[0]}
    return state


@pytest.mark.parametrize(("name", "preset"), list(presets()))
def test_a_paper_preset_takes_a_step_at_its_full_batch(name: str, preset: str, tmp_path: Path):
    module = load(name)
    config = dataclasses.replace(module.PRESETS[preset], **CHANGED.get(name, {}))
    trained = [stage for stage in module.build(config, Inputs(workdir=tmp_path)).stages if stage.steps]
    assert trained or config.steps == 0
    for stage in trained:
        state = steps(stage)
        assert all(np.prod(leaf.shape) < 2**31 for leaf in jax.tree.leaves(state.params))
