"""What both sides of `twins` train: an experiment of ours with its settings, whose data and evaluation the twin shares.

jax is imported by the functions, in the process of the side that needs it.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

JUDGE = "judge"


class Case(NamedTuple):
    """A training and its final figure."""

    flag: str  # that names the data: fashion, cifar10, bccd or camvid
    experiment: str  # module of ours
    config: Callable[[Any], Any]  # from the module's presets to the settings, without data and steps
    steps: int  # that are taken unless --steps says otherwise
    figure: str  # beginning of the metric's key
    learner: str  # of the twin, see `twin_learners`


def _fashion_resnet20(presets: dict[str, Any]) -> Any:
    quick = presets["quick"]
    optimizer = dataclasses.replace(quick.optimizer, nesterov=True, warmup_steps=200)
    network = {"depth": 20, "shortcut": "A", "width": 1.0, "image_size": 28}
    augment = dataclasses.replace(quick.augment, flip=True)
    return dataclasses.replace(quick, **network, augment=augment, optimizer=optimizer)


def _cifar10_resnet20(presets: dict[str, Any]) -> Any:
    """He et al. 2016, section 4.2; what is held out is a part of the training images, where there are no others."""
    return dataclasses.replace(presets["cifar20"], val_split="val")


def _bccd_faster_rcnn(presets: dict[str, Any]) -> Any:
    return presets["photos"]  # 320×240 pixels


def _camvid_fcn(presets: dict[str, Any]) -> Any:
    return dataclasses.replace(presets["photos"], class_weights="median_frequency")


def _fashion_dcgan(presets: dict[str, Any]) -> Any:
    return presets["quick"]


CASES = {
    "fashion_resnet20": Case("fashion", "classification/resnet", _fashion_resnet20, 6000, "val/accuracy", "Classifier"),
    "cifar10_resnet20": Case(
        "cifar10", "classification/resnet", _cifar10_resnet20, 64_000, "val/accuracy", "Classifier"
    ),
    "bccd_faster_rcnn": Case("bccd", "detection/faster_rcnn", _bccd_faster_rcnn, 2400, "val/AP50", "Detector"),
    "camvid_fcn": Case("camvid", "segmentation/fcn", _camvid_fcn, 2400, "val/mean_iou", "Segmenter"),
    "fashion_dcgan": Case("fashion", "gan/dcgan", _fashion_dcgan, 1500, "val/fid_", "Gan"),
}


class Task(NamedTuple):
    """One training of one case."""

    name: str  # of the case
    data: str  # as --data has it
    steps: int
    seed: int
    folder: pathlib.Path  # of the case at this number of steps

    @property
    def case(self) -> Case:
        """The case of that name."""
        return CASES[self.name]

    def settings(self) -> Any:
        """Return the experiment's Config."""
        from jaxvision.run.experiments import load

        config = self.case.config(load(self.case.experiment).PRESETS)
        return dataclasses.replace(config, data=self.data, steps=self.steps, eval_every=self.steps)

    def inputs(self) -> Any:
        """Return how both sides open their data; a judge's own figures lie in the workdir."""
        from jaxvision.data.inputs import Inputs

        return Inputs(seed=self.seed, workdir=self.folder / JUDGE)

    def stages(self) -> dict[str, Any]:
        """Build the experiment; return its stages by name, which are evaluated at their end alone, by figures alone."""
        from jaxvision.run.experiments import load

        experiment = load(self.case.experiment).build(self.settings(), self.inputs())
        kept = {
            stage.name: [h._replace(every=0) for h in stage.hooks if h.name in ("val", JUDGE)]
            for stage in experiment.stages
        }
        return {stage.name: stage._replace(hooks=tuple(kept[stage.name])) for stage in experiment.stages}


def figure_of(result: dict[str, Any], case: Case) -> float:
    """Return the case's figure among the metrics of an evaluation."""
    values = [value for key, value in result.items() if key.startswith(case.figure) and isinstance(value, float)]
    if not values:
        raise ValueError(f"{case.experiment}: no {case.figure} was measured: {result.get('judge', sorted(result))}")
    return values[0]
