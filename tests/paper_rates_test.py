"""Learning rates and decays of each parameter in paper presets, as in the released definitions of the networks."""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.classification import alexnet, googlenet, vgg
from experiments.detection import fast_rcnn, faster_rcnn, lineage, mask_rcnn, rcnn, yolo
from experiments.segmentation import deconvnet, fcn, segnet
from jaxvision.data.inputs import Inputs
from jaxvision.models import faster_rcnn as detectors
from jaxvision.models.alexnet import AlexNet
from jaxvision.models.deconvnet import DeconvNet
from jaxvision.models.fcn import FCN
from jaxvision.models.fcn_resnet import FCNResNet
from jaxvision.models.googlenet import GoogLeNet
from jaxvision.models.segnet import SegNet
from jaxvision.models.vgg import VGG
from jaxvision.models.yolo import YOLO
from jaxvision.train.optim import Optimizer
from jaxvision.train.path_scales import factor_of, parse
from jaxvision.train.steps import path_name

WIDTH = 1 / 64
Rates = dict[str, tuple[float, float]]


def rates(optimizer: Optimizer, model: nn.Module, size: int) -> Rates:
    """The factors of lr and of weight_decay of each parameter, measured on the first update."""
    image = jnp.zeros((1, size, size, 3))
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), image, train=False))["params"]
    ones, zeros = (jax.tree.map(lambda p, fill=fill: fill(p.shape), params) for fill in (jnp.ones, jnp.zeros))
    tx = dataclasses.replace(optimizer, accumulate=1, momentum=0.0, warmup_steps=0).make(1000)

    def first(grads: Any, weights: Any) -> Rates:
        updates, _ = tx.update(grads, tx.init(weights), weights)
        return {path_name(path): -float(u.ravel()[0]) for path, u in jax.tree_util.tree_leaves_with_path(updates)}

    moved, decayed = first(ones, zeros), first(zeros, ones)
    unit = optimizer.lr * optimizer.weight_decay
    factors = {
        path: (moved[path] / optimizer.lr, decayed[path] / unit / max(moved[path] / optimizer.lr, 1)) for path in moved
    }
    return {path: (round(lr, 4), round(decay, 4)) for path, (lr, decay) in factors.items()}


def factors_by_path(optimizer: Optimizer, model: nn.Module, size: int) -> Rates:
    """The same factors, read off the settings: large networks have many updates."""
    image = jnp.zeros((1, size, size, 3))
    params = jax.eval_shape(lambda: model.init(jax.random.key(0), image, train=False))["params"]
    lr, decay = (parse(flag, getattr(optimizer, flag)) for flag in ("lr_scale", "decay_scale"))
    leaves = [(path_name(path), leaf.ndim) for path, leaf in jax.tree_util.tree_leaves_with_path(params)]
    decays = {path: optimizer.decay_norms or ndim > 1 for path, ndim in leaves}
    return {path: (factor_of(path, lr), factor_of(path, decay) * decays[path]) for path, _ in leaves}


def split(factors: Rates) -> tuple[set, set]:
    """The distinct factors of kernels, and of biases."""
    kernels = {value for path, value in factors.items() if path.endswith("kernel")}
    return kernels, {value for path, value in factors.items() if path.endswith("bias")}


def test_alexnets_biases_learn_twice_as_fast_and_do_not_decay():
    factors = rates(alexnet.PRESETS["paper"].optimizer, AlexNet(10, "caffenet", WIDTH), 227)
    assert split(factors) == ({(1, 1)}, {(2, 0)})


def test_the_biases_of_vgg_and_googlenet_learn_twice_as_fast_and_do_not_decay():
    for optimizer, model in (
        (vgg.PRESETS["paper"].optimizer, VGG(10, "D", width=WIDTH, dense=True, window=1)),
        (googlenet.PRESETS["paper"].optimizer, GoogLeNet(10, "paper", WIDTH)),
    ):
        assert split(factors_by_path(optimizer, model, 32)) == ({(1, 1)}, {(2, 0)})


@pytest.mark.parametrize(("experiment", "norms_decay"), [(segnet, 0), (deconvnet, 1)])
def test_convolutions_biases_of_the_mirrored_networks_have_caffes_factors_and_norms_have_not(
    experiment: Any, norms_decay: int
):
    model = SegNet(11, WIDTH) if experiment is segnet else DeconvNet(21, 1, WIDTH)
    factors = factors_by_path(experiment.PRESETS["paper"].optimizer, model, 32)
    norms = {path: value for path, value in factors.items() if path.startswith("bn")}
    rest = {path: value for path, value in factors.items() if path not in norms}
    assert split(rest) == ({(1, 1)}, {(2, 0)})
    assert {value for path, value in norms.items() if path.endswith("scale")} == {(1, 1)}
    assert {value for path, value in norms.items() if path.endswith("bias")} == {(1, norms_decay)}


def test_rcnns_new_layer_learns_ten_times_as_fast():
    factors = rates(rcnn.PRESETS["paper"].optimizer, AlexNet(21, "caffenet", WIDTH), 227)
    assert (factors.pop("fc8/kernel"), factors.pop("fc8/bias")) == ((10, 1), (20, 0))
    assert split(factors) == ({(1, 1)}, {(2, 0)})


@pytest.mark.parametrize(
    ("experiment", "preset"), [(fast_rcnn, "paper"), (faster_rcnn, "paper"), (faster_rcnn, "alternating")]
)
def test_the_first_blocks_of_detectors_are_frozen_and_biases_learn_twice_as_fast(experiment: Any, preset: str):
    model = detectors.vgg16(21, width=WIDTH)
    factors = rates(experiment.PRESETS[preset].optimizer, model, 64)
    frozen = {path for path, value in factors.items() if value == (0, 0)}
    assert {path.split("/")[1] for path in frozen} == {"conv1_1", "conv1_2", "conv2_1", "conv2_2"}
    bias_decay = 0 if experiment is fast_rcnn else 1
    rest = {path: value for path, value in factors.items() if path not in frozen}
    assert split(rest) == ({(1, 1)}, {(2, bias_decay)})


def test_faster_rcnn_takes_the_released_codes_number_of_updates():
    paper, alternating = (faster_rcnn.PRESETS[name] for name in ("paper", "alternating"))
    assert paper.steps // paper.optimizer.accumulate == 70_000 and paper.optimizer.accumulate * paper.batch_size == 2
    assert alternating.alternation.steps == (80_000, 40_000, 80_000, 40_000) and alternating.optimizer.accumulate == 1
    assert (alternating.batch_size, alternating.alternation.heads_batch) == (1, 2)
    assert paper.network.legacy_anchors and alternating.network.legacy_anchors


def test_other_sets_have_the_schedules_of_the_code_that_trained_them():
    voc, coco = (faster_rcnn.PRESETS[name] for name in ("voc0712", "coco"))
    assert voc.data.count("voc:") == 2 and (voc.steps, voc.optimizer.accumulate, voc.batch_size) == (110_000, 1, 1)
    assert round(voc.steps * voc.optimizer.milestones[0]) == 80_000
    updates = coco.steps // coco.optimizer.accumulate
    assert (updates, round(updates * coco.optimizer.milestones[0])) == (490_000, 350_000)
    assert coco.optimizer.accumulate * coco.batch_size == 2 and len(coco.network.anchor_sizes) == 4


def test_mask_rcnn_on_one_map_samples_64_rois_and_is_tested_on_300():
    c4, fpn = (mask_rcnn.PRESETS[name] for name in ("c4", "paper"))
    assert (c4.detecting.samples, c4.detecting.positives, c4.proposing.test_after_nms) == (64, 16, 300)
    assert (fpn.detecting.samples, fpn.proposing.test_after_nms) == (512, 1000)
    assert c4.batch_size == fpn.batch_size == 16 and c4.optimizer == fpn.optimizer


@pytest.mark.parametrize("preset", ["paper", "staged"])
def test_fcns_biases_learn_twice_as_fast_and_do_not_decay(preset: str):
    factors = rates(fcn.PRESETS[preset].optimizer, FCN(21, 8, WIDTH, window=7), 32)
    assert split(factors) == ({(1, 1)}, {(2, 0)})


def test_torchvisions_side_classifier_learns_ten_times_as_fast():
    factors = rates(fcn.PRESETS["resnet50"].optimizer, FCNResNet(21, 50, width=WIDTH), 33)
    kernels = {path: value for path, value in factors.items() if path.endswith("kernel")}
    assert {value for path, value in kernels.items() if path.startswith("aux_head/")} == {(10, 1)}
    assert {value for path, value in kernels.items() if not path.startswith("aux_head/")} == {(1, 1)}


@pytest.mark.parametrize("preset", ["paper", "fast", "darknet", "tiny"])
def test_yolos_biases_and_norms_do_not_decay(preset: str):
    factors = rates(yolo.PRESETS[preset].optimizer, YOLO(20, yolo.PRESETS[preset].network.net, width=WIDTH), 448)
    kernels = {path for path in factors if path.endswith("kernel")}
    assert {value[1] for path, value in factors.items() if path in kernels} == {1}
    assert {value[1] for path, value in factors.items() if path not in kernels} == {0}


def test_fcns_stages_learn_at_rates_of_their_own(monkeypatch: pytest.MonkeyPatch):
    made = []
    monkeypatch.setattr(
        Optimizer, "make", lambda self, steps, make=Optimizer.make: made.append(self.lr) or make(self, steps)
    )
    staged = fcn.PRESETS["staged"]
    config = dataclasses.replace(
        fcn.PRESETS["smoke"], schedule="staged", stage_lr=staged.stage_lr, optimizer=staged.optimizer
    )
    assert [stage.name for stage in fcn.build(config, Inputs()).stages] == ["fcn32s", "fcn16s", "fcn8s"]
    np.testing.assert_allclose(made, [1e-10, 1e-12, 1e-14])
    with pytest.raises(ValueError, match="--stage_lr=1.0: give three factors"):
        fcn.build(dataclasses.replace(config, stage_lr=(1.0,)), Inputs())


def test_the_comparison_on_resnets_has_no_factors_of_other_networks():
    for method, updates in (("rcnn", 70_000), ("fast_rcnn", 40_000), ("faster_rcnn", 70_000)):
        settings = lineage.settings(method, lineage.PRESETS["paper"])
        assert (settings.steps, settings.optimizer.accumulate) == (updates, 1)
        assert not settings.optimizer.freeze and not settings.optimizer.lr_scale
