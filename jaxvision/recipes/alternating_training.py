"""Alternating training of a network that makes its own proposals (Ren et al. 2015, section 3.2)."""

import dataclasses
from collections.abc import Callable, Mapping

from jaxvision.recipes.detection import DetectorSetup
from jaxvision.train.hooks import evaluate
from jaxvision.train.types import Experiment, Hook, Stage, Task, TrainState

WarmStart = Callable[[TrainState, Mapping[str, TrainState]], TrainState]


@dataclasses.dataclass(frozen=True)
class Alternation:
    """Flags of the four steps of alternating training."""

    steps: tuple[int, ...] = ()  # training steps of each of the four; empty: `steps` for each
    heads_batch: int = 0  # images in a training step of the two that train the heads; 0: batch_size


def alternating(setup: DetectorSetup, alternation: Alternation, *last_hooks: Hook) -> Experiment:
    """Return the experiment of the four steps of Ren et al. (2015, section 3.2).

    1. The RPN learns.
    2. The heads learn on its proposals, with a backbone of their own.
    3. The RPN learns again, on the backbone of step 2, which is fixed from here on.
    4. The heads learn again, on the proposals of step 3.

    Args:
        setup: the detector and its data.
        alternation: training steps of each of the four.
        last_hooks: hooks of the last step, beside those that the setup has.

    Returns:
        The experiment; its checkpoint with the best AP50 is kept.

    Raises:
        ValueError: the number of steps is given for other than four.
    """
    first, second, third, fourth = _setups(setup, alternation)
    recall, whole = (evaluate((setup.recall(),), setup.val()),), setup.hooks()

    def stage(name: str, of: DetectorSetup, task: Task, hooks: tuple[Hook, ...], start: WarmStart | None) -> Stage:
        return Stage(name, task, of.train(), of.config.steps, hooks, start)

    second_task = second.task(("regions",), _not_rpn, origin="proposer")
    return Experiment(
        (
            stage("proposals", first, first.task(("proposals",), _not_heads), recall, None),
            stage("regions", second, second_task, whole, _take_proposals),
            stage("shared-proposals", third, third.task(("proposals",), _rpn), recall, _take_backbone),
            stage("shared-regions", fourth, fourth.task(("regions",), _heads), (*whole, *last_hooks), _take_network),
        ),
        setup.presentation(),
        "val/AP50",
    )


def _setups(setup: DetectorSetup, alternation: Alternation) -> tuple[DetectorSetup, ...]:
    """Return the setup of each of the four steps, with its own number of training steps and of images in one."""
    steps = alternation.steps or (setup.config.steps,) * 4
    if len(steps) != 4:
        raise ValueError(f"--alternation.steps={','.join(map(str, steps))}: give four numbers of training steps")
    batches = (setup.config.batch_size, alternation.heads_batch or setup.config.batch_size) * 2
    return tuple(
        dataclasses.replace(setup, config=dataclasses.replace(setup.config, steps=count, batch_size=images))
        for count, images in zip(steps, batches, strict=True)
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
