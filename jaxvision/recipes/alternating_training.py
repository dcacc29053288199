"""Alternating training of a network that makes its own proposals (Ren et al. 2015, section 3.2)."""

import dataclasses
from collections.abc import Callable, Mapping

from jaxvision.recipes.detection import DetectorSetup
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import Experiment, Hook, Stage, Task, TrainState

WarmStart = Callable[[TrainState, Mapping[str, TrainState]], TrainState]


def alternating(setup: DetectorSetup, *last_hooks: Hook) -> Experiment:
    """Return the experiment of the four steps of Ren et al. (2015, section 3.2), each of `--steps` training steps.

    1. The RPN learns.
    2. The heads learn on its proposals, with a backbone of their own.
    3. The RPN learns again, on the backbone of step 2, which is fixed from here on.
    4. The heads learn again, on the proposals of step 3.

    Args:
        setup: the detector and its data.
        last_hooks: hooks of the last step, beside those that the setup has.

    Returns:
        The experiment; its checkpoint with the best AP50 is kept.
    """
    recall = (evaluate((setup.recall(),), setup.val()),)

    def stage(name: str, task: Task, hooks: tuple[Hook, ...], warm_start: WarmStart | None = None) -> Stage:
        return Stage(name, task, setup.train(), setup.config.steps, hooks, warm_start)

    return Experiment(
        (
            stage("proposals", setup.task(("proposals",), _not_heads), recall),
            stage("regions", setup.task(("regions",), _not_rpn, origin="proposer"), setup.hooks(), _take_proposals),
            stage("shared-proposals", setup.task(("proposals",), _rpn), recall, _take_backbone),
            stage("shared-regions", setup.task(("regions",), _heads), (*setup.hooks(), *last_hooks), _take_network),
        ),
        setup.presentation(),
        "val/AP50",
    )


def _take_proposals(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Step 2: keep the network of step 1 beside the one that is trained, for its proposals."""
    proposer = done["proposals"]
    return dataclasses.replace(state, aux={"proposer": {"params": proposer.params, **proposer.model_state}})


def _take_backbone(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Step 3: start from the network of step 2 with a new RPN."""
    before = done["regions"]
    params = {**before.params, "rpn": state.params["rpn"]}
    return dataclasses.replace(state, params=params, model_state=before.model_state)


def _take_network(state: TrainState, done: Mapping[str, TrainState]) -> TrainState:
    """Step 4: start from the network of step 3."""
    before = done["shared-proposals"]
    return dataclasses.replace(state, params=before.params, model_state=before.model_state)


def _heads(path: str) -> bool:
    return path.startswith(("box_head/", "mask_head/"))


def _not_heads(path: str) -> bool:
    return not _heads(path)


def _rpn(path: str) -> bool:
    return path.startswith("rpn/")


def _not_rpn(path: str) -> bool:
    return not _rpn(path)
