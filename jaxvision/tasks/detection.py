"""Two-stage detection (Ren et al. 2015; He et al. 2017) on a network with `features`, `propose`, `box` and `mask`.

Batches hold "image" (uint8 RGB [B, H, W, 3], normalised here) and objects: see `evals.detection` for the arrays of
batches and of outputs. The network is a `models.faster_rcnn.FasterRCNN`, or one with the same methods.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any, Literal

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from jaxvision.ops.images import Color, normalise
from jaxvision.ops.proposals import Proposals
from jaxvision.tasks import proposals as first_stage
from jaxvision.tasks import regions as second_stage
from jaxvision.tasks.proposals import ProposalConfig
from jaxvision.tasks.regions import RegionConfig
from jaxvision.train.steps import (
    Trainable,
    advance,
    descend,
    everything,
    example_keys,
    init_state,
    only,
    step_key,
    stop,
)
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

Losses = dict[str, jax.Array]
Origin = Literal["own", "proposer", "batch"]
"""Where proposals come from: the network's own RPN, another network in `aux["proposer"]`, or the batch."""


def detection(
    model: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    *,
    mean: Color,
    std: Color,
    proposing: ProposalConfig = first_stage.PYRAMID,
    detecting: RegionConfig = second_stage.PYRAMID,
    stages: Sequence[str] = ("proposals", "regions"),
    trainable: Trainable = everything,
    origin: Origin = "own",
) -> Task:
    """Make the task of finding objects.

    Both `stages` at once are approximate joint training (Ren et al. 2015, section 3.2): one update on the sum of all
    losses, with proposals taken as given. The steps of alternating training are one stage each, with some parameters
    trainable and proposals of the "proposer". With proposals of the "batch" this is Fast R-CNN (Girshick 2015).
    The sample of an image depends on the step and on its row in the global batch, not on the number of devices.

    Args:
        model: the detector.
        tx: the optimizer.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        proposing: settings of the first stage.
        detecting: settings of the second stage.
        stages: whose losses are learned from: "proposals", "regions" or both.
        trainable: which parameters are learned.
        origin: where the proposals of the second stage come from.

    Returns:
        The task. Metrics are "loss" and each of its terms as "loss_<term>". `predict` returns "boxes", "scores",
        "labels" and "valid", "masks" where the network has them, and "proposals", "proposal_scores" and
        "proposal_valid".
    """
    # Shared layers that are not learned stay as they are, batch statistics included.
    plan = _Stages(proposing, detecting, tuple(stages), train_features=trainable("backbone/"))
    task = _Detection(model, only(tx, trainable), mean, std, plan, trainable, origin)
    return Task(task.init, task.step, task.predict)


@dataclasses.dataclass(frozen=True)
class _Stages:
    """Both stages of a detector, run on the parts of a network; methods are for linen's `apply(…, method=…)`."""

    proposing: ProposalConfig
    detecting: RegionConfig
    learned: tuple[str, ...]
    train_features: bool  # False if the backbone is frozen: it then runs in evaluation mode

    def losses(
        self,
        net: Any,
        images: jax.Array,
        batch: Batch,
        keys: jax.Array,
        proposals: Proposals | None,
        axis_name: str | None,
    ) -> Losses:
        """Compute every loss of the learned stages; without `proposals` those of the network's RPN are used."""
        objects = first_stage.objects_of(batch)
        anchor_keys, region_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
        losses: Losses = {}
        maps = net.features(images, train=self.train_features)
        levels = [] if net.rpn is None else net.propose(maps, images.shape[1:3])
        if "proposals" in self.learned:
            losses |= first_stage.proposal_losses(
                anchor_keys, levels, objects, batch["size"], self.proposing, axis_name
            )
        if "regions" in self.learned:
            if proposals is None:
                proposals = first_stage.proposals_of(levels, batch, self.proposing, train=True)
            regions = second_stage.sample_regions(region_keys, proposals, objects, self.detecting)
            logits, offsets = net.box(maps, regions.boxes, train=True)
            losses |= second_stage.region_losses(logits, offsets, regions, self.detecting, axis_name)
            if net.mask_head is not None:
                regions = second_stage.first(regions, self.detecting.positives)
                masks = net.mask(maps, regions.boxes, train=True)
                losses |= second_stage.mask_losses(
                    masks, batch["masks"], objects, regions, self.detecting, batch.get("outlined"), axis_name
                )
        return losses

    def outputs(self, net: Any, images: jax.Array, batch: Batch, proposals: Proposals | None) -> dict[str, jax.Array]:
        """Compute proposals, and the detections among them with their masks."""
        maps = net.features(images, train=False)
        if proposals is None:
            levels = net.propose(maps, images.shape[1:3])
            proposals = first_stage.proposals_of(levels, batch, self.proposing, train=False)
        logits, offsets = net.box(maps, proposals.boxes, train=False)
        detections = second_stage.detections_of(logits, offsets, proposals, batch["size"], self.detecting)
        outputs = {
            **detections._asdict(),
            "proposals": proposals.boxes,
            "proposal_scores": proposals.scores,
            "proposal_valid": proposals.valid,
        }
        if net.mask_head is not None:
            masks = net.mask(maps, detections.boxes, train=False)
            outputs["masks"] = second_stage.own_masks(masks, detections.labels, self.detecting)
        return outputs

    def proposals(self, net: Any, images: jax.Array, batch: Batch, train: bool) -> Proposals:
        """Compute the proposals of a network that does not learn."""
        levels = net.propose(net.features(images, train=False), images.shape[1:3])
        return first_stage.proposals_of(levels, batch, self.proposing, train=train)


@dataclasses.dataclass(frozen=True)
class _Detection:
    """A detector as a task."""

    model: nn.Module
    tx: optax.GradientTransformationExtraArgs
    mean: Color
    std: Color
    stages: _Stages
    trainable: Trainable
    origin: Origin

    def init(self, key: Key, batch: Batch) -> TrainState:
        variables = self.model.init({"params": key, "dropout": key}, self._images(batch), train=True)
        aux = {"proposer": variables} if self.origin == "proposer" else {}
        return init_state(key, variables, self.tx.init(variables["params"]), aux)

    def step(self, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        keys = example_keys(state, batch["image"].shape[0], axis_name)
        inputs = self._images(batch), batch, keys, self._given(state, batch, True), axis_name

        def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, Losses]]:
            variables = {"params": stop(params, self.trainable), **state.model_state}
            rngs, mutable = {"dropout": step_key(state, axis_name)}, list(state.model_state)
            losses, model_state = self.model.apply(
                variables, *inputs, method=self.stages.losses, rngs=rngs, mutable=mutable
            )
            return sum(losses.values(), jnp.zeros(())), (model_state, losses)

        params, opt_state, loss, (model_state, losses) = descend(
            loss_fn, state.params, state.opt_state, self.tx, axis_name=axis_name
        )
        metrics = {"loss": loss, **{f"loss_{name}": value for name, value in losses.items()}}
        return advance(state, params, opt_state, model_state), metrics

    def predict(self, state: TrainState, batch: Batch) -> Any:
        variables = {"params": state.params, **state.model_state}
        inputs = self._images(batch), batch, self._given(state, batch, False)
        return self.model.apply(variables, *inputs, method=self.stages.outputs)

    def _images(self, batch: Batch) -> jax.Array:
        return normalise(batch["image"], self.mean, self.std)

    def _given(self, state: TrainState, batch: Batch, train: bool) -> Any:
        """Return proposals from elsewhere, None where the network makes its own."""
        if self.origin == "own":
            return None
        if self.origin == "batch":
            return first_stage.searched(batch)
        inputs = self._images(batch), batch, train
        return self.model.apply(state.aux["proposer"], *inputs, method=self.stages.proposals)
