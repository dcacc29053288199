"""How two-stage detectors with proposals of their own are trained: both stages at once, or in turn."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from jaxvision.recipes.detection import Setup
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import Experiment, Hook, Stage, Task, TrainState


def joint(setup: Setup, *more: Hook) -> Experiment:
    """Both stages of the network at once (Ren et al. 2015, section 3.2, approximate joint training).

    `more` is looked at beside the setup's own hooks.
    """
    return Experiment.single(
        setup.task(),
        setup.train(),
        setup.config.steps,
        (*setup.hooks(), *more),
        presentation=setup.presentation(),
        best="val/mask_AP50" if setup.masks else "val/AP50",
    )


def alternating(setup: Setup, *more: Hook) -> Experiment:
    """The four steps of Ren et al. (2015, section 3.2); each takes `steps` of training.

    Proposals; regions, on proposals of that network but with convolutions of their own; proposals again, on the
    convolutions of the second, which stay from then on; regions again, on the proposals of the third. At that last step
    `more` is looked at too.
    """
    recall = (evaluate((setup.recall(),), setup.val()),)

    def borrow(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        proposer = done["proposals"]
        return dataclasses.replace(state, aux={"proposer": {"params": proposer.params, **proposer.model_state}})

    def share(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        before = done["regions"]
        params = {**before.params, "rpn": state.params["rpn"]}
        return dataclasses.replace(state, params=params, model_state=before.model_state)

    def join(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
        before = done["shared-proposals"]
        return dataclasses.replace(state, params=before.params, model_state=before.model_state)

    def stage(name: str, task: Task, hooks: tuple[Hook, ...], warm_start: Any = None) -> Stage:
        return Stage(name, task, setup.train(), setup.config.steps, hooks, warm_start)

    return Experiment(
        (
            stage("proposals", setup.task(("proposals",), _not_heads), recall),
            stage("regions", setup.task(("regions",), _not_rpn, origin="proposer"), setup.hooks(), borrow),
            stage("shared-proposals", setup.task(("proposals",), _rpn), recall, share),
            stage("shared-regions", setup.task(("regions",), _heads), (*setup.hooks(), *more), join),
        ),
        setup.presentation(),
        "val/AP50",
    )


def _heads(path: str) -> bool:
    return path.startswith(("box_head/", "mask_head/"))


def _not_heads(path: str) -> bool:
    return not _heads(path)


def _rpn(path: str) -> bool:
    return path.startswith("rpn/")


def _not_rpn(path: str) -> bool:
    return not _rpn(path)
