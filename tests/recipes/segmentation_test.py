"""A segmenter's shared settings give the data, the task and the presets that their fields say."""

import dataclasses

import flax.linen as nn
import numpy as np
import pytest

from jaxvision.data.inputs import Inputs
from jaxvision.ops.looks import whole
from jaxvision.recipes.segmentation import (
    PHOTOS,
    SMALL,
    SegmenterConfig,
    SegmenterSetup,
    SegmenterTest,
    SegmenterView,
    photos,
    smoke,
)
from jaxvision.train.devices import first_batch
from jaxvision.train.types import TrainState

SCENES = smoke(SegmenterConfig())


def setup(config: SegmenterConfig = SCENES, *, borders: bool = False) -> SegmenterSetup:
    inputs = Inputs()
    return SegmenterSetup(inputs.source(config.data, "label_maps"), config, inputs, borders)


def test_training_crops_and_test_canvases_have_the_sizes_of_the_view():
    config = dataclasses.replace(SCENES, view=SegmenterView((32, 48), (80, 64)))
    train, val = first_batch(setup(config).train()), first_batch(setup(config).val())
    assert train["image"].shape == (4, 32, 48, 3) and train["label_map"].shape == (4, 32, 48)
    assert val["image"].shape == (4, 80, 64, 3)
    assert "weight_map" in first_batch(setup(borders=True).train()) and "weight_map" not in train


def test_distances_are_measured_where_they_are_asked_for():
    found = {}
    for distances in (False, True):
        config = dataclasses.replace(SCENES, test=SegmenterTest(distances=distances))
        hook = setup(config).hooks()[0]
        state = TrainState(0, {}, {}, {}, {}, None)
        found[distances] = hook.run(lambda state, batch: {"classes": batch["label_map"]}, state)
    assert found[True]["val/accuracy_to_1px"] == 1.0
    assert {key for key in found[True] if key not in found[False]} >= {"val/accuracy_to_1px", "val/accuracy_to_4px"}


def test_class_weights_are_added_to_those_of_borders():
    config = dataclasses.replace(SCENES, class_weights="balanced")
    parts = setup(config, borders=True)
    weights = np.asarray(parts._class_weights)
    batch = first_batch(parts.train())
    assert weights[0] < 1 < weights[1:].max()
    for label in np.unique(batch["label_map"])[1:]:
        inside = batch["label_map"] == label
        np.testing.assert_allclose(batch["weight_map"][inside], weights[label], rtol=1e-6)
    background = batch["weight_map"][batch["label_map"] == 0]
    assert background.min() == pytest.approx(weights[0]) and background.max() > weights[0] + 0.01


def test_a_crop_can_be_larger_than_its_labelled_middle_and_is_mirrored():
    view = SegmenterView((92, 92), (80, 80), border="mirror")
    config = dataclasses.replace(SCENES, view=view)
    parts = dataclasses.replace(setup(config), inner=(52, 52))
    batch = first_batch(parts.train())
    assert (batch["label_map"][:, 20:72, 20:72] != 255).all() and (batch["label_map"] == 255).any()
    grey = np.rint(np.array(parts.source.mean)).astype(np.uint8)
    for found in (batch, first_batch(parts.val())):
        assert not (found["image"] == grey).all(axis=-1)[found["label_map"] == 255].mean() > 0.5


def test_sizes_are_two_numbers():
    with pytest.raises(ValueError, match="--view.size=32: give two numbers"):
        setup(dataclasses.replace(SCENES, view=SegmenterView((32,)))).train()


def test_a_sliding_window_needs_a_size():
    assert SegmenterTest().make() is whole
    with pytest.raises(ValueError, match="--test.look=sliding needs --test.window"):
        SegmenterTest("sliding").make()


def test_proposals_are_of_an_experiment_that_has_them_and_of_square_windows():
    with pytest.raises(ValueError, match="--test.look=proposals: only segmentation/deconvnet"):
        setup(dataclasses.replace(SCENES, test=SegmenterTest("proposals", (64, 64)))).task(nn.Module())
    with pytest.raises(ValueError, match="--test.window=64,32: with proposals it is a square"):
        SegmenterTest("proposals", (64, 32)).make()


def test_presets_change_the_data_and_keep_the_network():
    config = SegmenterConfig(width=0.5, val_split="val[:7]")
    assert photos(config).width == smoke(config).width == 0.5
    assert photos(config).view == PHOTOS and smoke(config).view == SMALL
    assert (smoke(config).steps, photos(config).val_split) == (2, "val")


def test_predictions_are_described_by_the_fraction_of_each_class():
    parts = setup()
    batch = first_batch(parts.val())
    classes = np.zeros(batch["image"].shape[:3], np.uint8)
    classes[:, :16] = 1
    presentation = parts.presentation()
    fractions = presentation.describe({"classes": classes}, batch, 0)["fractions"]
    assert fractions == {parts.source.class_names[0]: 0.75, parts.source.class_names[1]: 0.25}
    assert presentation.label_map is not None
    np.testing.assert_array_equal(presentation.label_map({"classes": classes}, batch, 0), classes[0])


def test_hooks_have_the_names_that_reports_read():
    assert [(hook.name, hook.every) for hook in setup().hooks()] == [("val", 1), ("predictions", 1)]
