"""The numbers that paper presets give their networks: AlexNet's N(0, 0.01²) and α belong to 0..255 minus the mean."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.classification import alexnet, googlenet, vgg
from experiments.classification import yolo as yolo_classifier
from experiments.detection import fast_rcnn, faster_rcnn, lineage, rcnn, yolo
from experiments.segmentation import deconvnet, fcn
from jaxvision.channels import IMAGENET_MEAN, IMAGENET_STD
from jaxvision.data import sources
from jaxvision.data.pixel_scale import AS_DATA
from jaxvision.models.alexnet import AlexNet
from jaxvision.ops.dispatch import plain_forms
from jaxvision.ops.images import normalise

CAFFE_TRUNKS = [
    (alexnet, "paper"),
    (vgg, "paper"),
    (googlenet, "paper"),
    (rcnn, "paper"),
    (fast_rcnn, "paper"),
    (faster_rcnn, "paper"),
    (faster_rcnn, "alternating"),
    (fcn, "paper"),
    (fcn, "staged"),
    (deconvnet, "paper"),
]


@pytest.mark.parametrize(("experiment", "preset"), CAFFE_TRUNKS)
def test_networks_on_caffes_trunks_take_pixels_of_255_minus_the_mean(experiment: Any, preset: str):
    mean, std = experiment.PRESETS[preset].pixels.of(IMAGENET_MEAN, IMAGENET_STD)
    assert std == (1.0, 1.0, 1.0)
    np.testing.assert_allclose(mean, IMAGENET_MEAN, atol=1.0)  # red first: Caffe's lists have blue first


@pytest.mark.parametrize(
    ("experiment", "preset"), [(yolo, "paper"), (yolo, "fast"), (yolo, "darknet"), (yolo_classifier, "paper")]
)
def test_darknets_networks_take_pixels_of_0_to_1(experiment: Any, preset: str):
    assert experiment.PRESETS[preset].pixels.of(IMAGENET_MEAN, IMAGENET_STD) == ((0.0,) * 3, (255.0,) * 3)


def test_the_comparison_gives_all_detectors_the_same_numbers():
    for method in lineage.MODULES:
        assert lineage.settings(method, lineage.PRESETS["paper"]).pixels == AS_DATA


def test_images_make_a_difference_to_alexnet_at_its_own_start():
    records = sources.load("scenes:count=4,size=80")["train"]
    images = jnp.asarray(np.stack([records[i]["image"] for i in range(4)]))
    model = AlexNet(10, "paper", width=1 / 8)
    look = jax.jit(lambda pixels: model.init_with_output(jax.random.key(0), pixels, train=False)[0])
    varied, summed = {}, {}
    for scale in (alexnet.PRESETS["paper"].pixels, AS_DATA):
        with plain_forms():
            outputs = look(normalise(images, *scale.of(IMAGENET_MEAN, IMAGENET_STD)))
        logits = outputs["logits"]
        varied[scale] = float(jnp.std(logits, axis=0).mean() / jnp.sqrt(jnp.mean(logits**2)))
        summed[scale] = 1e-4 * 5 * float(jnp.square(outputs["conv1"]).mean())  # of five channels
    paper = alexnet.PRESETS["paper"].pixels
    assert varied[paper] > max(0.001, 20 * varied[AS_DATA])
    assert summed[paper] > max(0.01, 1000 * summed[AS_DATA])  # beside k = 2
