"""What the comparisons compare: each variant has the setting that its name says, and the rest of its base."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import launch
from experiments.detection import lineage, pooling
from experiments.gan import compare as gans
from experiments.gan import dcgan
from experiments.segmentation import compare as segmenters
from experiments.ssl import compare as encoders
from jaxvision.data.inputs import Inputs
from jaxvision.models.dcgan import Rules
from jaxvision.recipes.comparison_table import Ran
from jaxvision.run.config import to_dict
from jaxvision.train.types import TrainState
from tests.wiring.doubles import recording


def settings_of(build: Any) -> dict[str, Any]:
    """Return the flags that a variant's builder was given."""
    return to_dict(build.args[0])


def ran(*rows: dict[str, Any], **stages: str) -> Ran:
    return Ran(stages, rows)


@pytest.mark.parametrize("module", [gans, pooling, segmenters], ids=lambda module: module.__name__)
def test_a_variant_that_does_not_exist_is_named(module: Any):
    with recording(), pytest.raises(ValueError, match="--variants: there is no u-net; known are "):
        module.build(dataclasses.replace(module.PRESETS["quick"], variants=("u-net",)), Inputs())


def test_gans_differ_in_what_their_names_say():
    found = {name: settings_of(build) for name, build in gans.variants(gans.PRESETS["quick"]).items()}
    base, points = found["dcgan"], found["toy"]
    assert set(found) == set(gans.PRESETS["quick"].variants)
    for name, changes in {**gans.ON_IMAGES, **gans.ON_POINTS}.items():
        own = base if name in gans.ON_IMAGES else points
        changed = {flag.replace("__", ".") for flag in changes}
        assert {flag for flag, value in found[name].items() if value != own[flag]} == changed, name
    for name in gans.CONDITIONS:
        same = [
            flag for flag in base if flag.startswith(("network.", "play.", "generator.", "judge")) or flag == "steps"
        ]
        assert all(found[name][flag] == base[flag] for flag in same)


def test_other_networks_have_no_rules_to_break():
    config = dcgan.PRESETS["cifar10"]
    broken = dataclasses.replace(config.network, rules=Rules(leaky=False))
    with recording(), pytest.raises(ValueError, match="--network.rules are those of DCGAN's networks"):
        dcgan.build(dataclasses.replace(config, network=broken), Inputs())


def test_a_generator_that_stays_as_it_is_has_a_gradient_all_the_same():
    """What does not learn has no updates, but the length of its gradient is told."""
    config = gans.variants(gans.PRESETS["smoke"])["toy_minimax_alone"].args[0]
    assert config.generator.freeze == (".",) and config.discriminator.freeze == ()


def test_gradients_are_told_of_losses_that_have_a_probability():
    row = {"train/fake_probability": 0.02, "train/gradient_generator": 3.0}
    result = gans.gradients({"minimax": [ran(row)], "hinge": [ran({"train/gradient_generator": 3.0})]})
    assert "minimax" in result["generator_gradients"] and "hinge" not in result["generator_gradients"]
    assert result["generator_gradients_figure"].dtype == np.uint8
    assert gans.gradients({"hinge": [ran({})]}) == {}


def test_detectors_differ_in_their_anchors_and_proposals():
    config = lineage.PRESETS["ideas"]
    fast = lineage.settings("fast_rcnn", config)
    for name, anchors in (("rpn_k1", 1), ("rpn_k3", 3), ("rpn_k9", 9), ("rpn_k9_four_steps", 9)):
        own = lineage._changed(name, config)[1]
        network = own.network.make(3)
        assert network.rpn.anchors.per_cell == anchors
        assert network.rois == fast.network.make(3).rois and own.view == fast.view and own.detecting == fast.detecting
        assert network.box_head == fast.network.make(3).box_head
    assert lineage._changed("rpn_k9_four_steps", config)[1].steps * 4 == lineage._changed("rpn_k9", config)[1].steps
    softmax, svms = lineage._changed("rcnn_softmax", config)[1], lineage.settings("rcnn", config)
    assert dataclasses.replace(softmax, classifier="svm") == svms


def test_the_first_of_four_steps_is_no_search_that_detectors_share():
    config = dataclasses.replace(lineage.PRESETS["smoke"], methods=("fast_rcnn", "rpn_k9_four_steps"))
    with recording():
        stages = {stage.name: stage for stage in lineage.build(config, Inputs()).stages}
    names = [name.removeprefix("rpn_k9_four_steps-0-") for name in stages if name.startswith("rpn")]
    assert names == ["rpn", "regions", "shared-proposals", "shared-regions"] and stages["proposals"].make
    state = TrainState(0, {"new": 0}, {}, {}, {}, None)
    done = {"rpn_k9_four_steps-0-rpn": dataclasses.replace(state, params={"own": 1})}
    started = stages["rpn_k9_four_steps-0-regions"].warm_start(state, done)
    assert started.aux["proposer"]["params"] == {"own": 1}


def test_segmenters_have_one_budget():
    config = segmenters.PRESETS["quick"]
    for name in segmenters.NETWORKS:
        own = segmenters.settings(name, config)
        assert (own.data, own.steps, own.batch_size, own.view, own.optimizer) == (
            *(config.data, config.steps, config.batch_size, config.view, config.optimizer),
        )
        assert own.test.distances and own.test.look == ("sliding" if name == "deconvnet" else "whole")
    assert segmenters.settings("deconvnet", config).window == 3
    assert segmenters.settings("unet", segmenters.PRESETS["paper"]).width == 1.0
    assert segmenters.settings("unet", config).width == launch.load("segmentation/unet").PRESETS["quick"].width


def test_accuracy_by_distance_is_told_of_every_network():
    rows = [{"val/accuracy_to_1px": 0.5, "val/accuracy_farther": 0.75}]
    result = segmenters.by_distance({"unet": [ran(*rows)], "fcn8s": [ran(*rows)]})
    line = result["accuracy_by_distance"].splitlines()[-1]
    assert line.startswith("| fcn8s") and "0.5000" in line and "0.7500" in line
    assert result["accuracy_by_distance_figure"].ndim == 3


def test_masks_and_regions_are_those_of_the_names():
    found = pooling.settings(pooling.PRESETS["quick"])
    network = found.network.make(3, masks=True)
    assert network.rois.strides == {"layer3": 8} and network.mask_head is not None
    with recording():
        stages = pooling.build(pooling.PRESETS["quick"], Inputs()).stages
    assert [stage.name for stage in stages] == [*(f"{name}-0-train" for name in pooling.CHANGES), "comparison"]


def test_changes_of_simclr_and_moco_stand_beside_them(tmp_path: Path):
    methods = ("simclr", "simclr_batch_16", "moco", "moco_unshuffled", "simclr_no_jitter")
    config = dataclasses.replace(encoders.PRESETS["smoke"], methods=methods)
    with recording():
        source = Inputs().source(config.data)
        assert encoders.encoders(config, source) == ["random", *methods, "supervised"]
        of_stage = {name: encoders._pretraining(name, config, Inputs(workdir=tmp_path)) for name in methods}
        assert of_stage["simclr_batch_16"].data(0, 1).batch_size == 16
        assert of_stage["simclr"].data(0, 1).batch_size == config.batch_size
        given = {}
        for name, stage in of_stage.items():
            aux: dict[str, Any] = {"given": []}
            stage.task.step(TrainState(np.int32(0), {}, {}, {}, aux, None), {})
            given[name] = aux["given"][0][1]
    assert given["moco"]["shuffle"] and not given["moco_unshuffled"]["shuffle"]
    assert given["simclr_no_jitter"]["augment"] != given["simclr"]["augment"]


def test_the_accuracy_of_a_methods_own_task_is_that_of_its_training():
    train, probe = {"stage": "moco-0-train"}, {"stage": "moco-0-probe", "train/accuracy": 0.9}
    rows = [{**train, "train/accuracy": 0.25}, {**train, "train/accuracy": 0.5}, {**train, "knn/x": 1.0}, probe]
    runs = {
        "moco": [ran(*rows, train="moco-0-train", probe="moco-0-probe")],
        "random": [ran(probe, probe="moco-0-probe")],
    }
    assert encoders._columns((0.5,), runs) == {"own task": ["0.500", "–"]}
