"""R-CNN (Girshick, Donahue, Darrell & Malik 2014, arXiv:1311.2524), a stage after the other.

python launch.py --experiment=detection/rcnn  # scenes: AP50 0.923, 2.4 minutes, two CPU cores
python launch.py --experiment=detection/rcnn --from_stage=svm --svm.c=0.01
python launch.py --experiment=detection/rcnn --data=voc:/data/VOC2007 --preset=paper --workers=8

Stages: proposals, finetune, features, svm or softmax, regression, test. What they leave is in artefacts/ and
checkpoints/.
"""

import dataclasses
from collections.abc import Mapping
from functools import partial

import jax

from jaxvision.data.inputs import Inputs
from jaxvision.data.pixel_scale import CAFFE_IMAGENET
from jaxvision.recipes.detection_outputs import presentation
from jaxvision.recipes.detector_config import PHOTOS_VIEW, VOC07, DetectorView
from jaxvision.recipes.rcnn import RCNNConfig, RCNNSetup
from jaxvision.recipes.rcnn_networks import FeatureFlags, WindowNetwork
from jaxvision.recipes.rcnn_pictures import draw_windows
from jaxvision.recipes.searched_proposals import SelectiveSearchFlags
from jaxvision.tasks import rcnn
from jaxvision.tasks.rcnn import Reported, Warping
from jaxvision.train.hooks import picture
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import nothing
from jaxvision.train.types import Experiment, Stage, TrainState


@dataclasses.dataclass(frozen=True)
class Config(RCNNConfig):
    """Fields are flags; `quick` is the default preset."""


PRESETS = {
    "quick": Config(),
    "photos": Config(  # a few hundred photographs of one's own, from random weights
        data="voc:photos",
        proposals=SelectiveSearchFlags(most=1000),
        network=WindowNetwork(width=0.5),
        view=PHOTOS_VIEW,
        steps=2000,
        features=FeatureFlags(images=2),
    ),
    # VOC07 with AlexNet; the paper starts from ImageNet's weights, and its code has these factors. It keeps 100 windows
    # of each class in an image before suppression, and 40 an image over the whole set.
    "paper": Config(
        **VOC07,
        pixels=CAFFE_IMAGENET,
        proposals=SelectiveSearchFlags("rcnn"),
        network=WindowNetwork("alexnet"),
        warping=Warping(),
        view=DetectorView(500, 500, flip=0.5),
        steps=70_000,
        optimizer=Optimizer(
            lr=0.001,
            rate_in_velocity=True,
            weight_decay=5e-4,
            schedule="step",
            milestones=(2 / 7, 4 / 7, 6 / 7),
            lr_scale=("bias$=2", "fc8/=10"),
        ),
        features=FeatureFlags(images=1, windows=128),
        test=Reported(of_class=100, of_set=40, detections=2000),
    ),
    "smoke": Config(
        data="scenes:count=8,size=64",
        proposals=SelectiveSearchFlags(most=16),
        network=WindowNetwork(depth=10, width=0.0625),
        warping=Warping(32, 2),
        view=DetectorView(64, 64),
        batch_size=8,
        steps=2,
        features=FeatureFlags(windows=8, per_shard=2),
        test=Reported(detections=8),
    ),
}


def build(config: Config, inputs: Inputs) -> Experiment:
    """Train and test R-CNN in six stages: only `finetune` takes training steps, the others make what it needs."""
    if jax.process_count() > 1:
        raise ValueError("detection/rcnn runs in one process: leave --num_processes out")
    setup = RCNNSetup(config, inputs, inputs.source(config.data, "boxes", config.pixels))
    setup.check()
    names, classes, (machine_width, regressor_width) = setup.source.class_names, setup.classes, setup.look.widths()
    windows = setup.windows()
    shown = picture("windows", windows, partial(draw_windows, class_names=names))
    regression = rcnn.regressors(regressor_width, classes)
    test = rcnn.rcnn(setup.look, classes, config.test, config.classifier)
    if config.classifier == "svm":
        classify = Stage("svm", rcnn.machines(machine_width, classes), None, 0, make=setup.make_svms)
    else:
        classify = Stage("softmax", rcnn.softmax(machine_width, classes), None, 0, warm_start=_classifier)
    return Experiment(
        (
            Stage("proposals", nothing(), None, 0, make=setup.find_proposals),
            Stage("finetune", setup.classifier(), windows, config.steps, (shown,)),
            Stage("features", rcnn.features(setup.look), None, 0, warm_start=_finetuned, make=setup.make_features),
            classify,
            Stage("regression", regression, None, 0, make=setup.make_regressors),
            Stage("test", test, setup.val(), 0, setup.test_hooks(), _detector),
        ),
        presentation(names, setup.read, min_score=setup.least_score),
    )


def _finetuned(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Take the fine-tuned network without its classifier."""
    tuned = done["finetune"]
    params = {name: tuned.params[name] for name in state.params}
    return dataclasses.replace(state, params=params, model_state=tuned.model_state)


def _classifier(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Take the layer of the fine-tuned network that its features lack."""
    (name,) = done["finetune"].params.keys() - done["features"].params.keys()
    return dataclasses.replace(state, params=done["finetune"].params[name])


def _detector(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Put the network, its classifier and the regressors together."""
    network, classifier = done["features"], "svm" if "svm" in done else "softmax"
    params = {name: done[name].params for name in (classifier, "regression")} | {"network": network.params}
    return dataclasses.replace(state, params=params, model_state=network.model_state)
