"""Two-stage detection (Ren et al. 2015; He et al. 2017) on a network with `features`, `propose`, `box` and `mask`."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

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
from jaxvision.train.steps import Trainable, descend, everything, example_keys, init_state, only, step_key, stop
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

Losses = dict[str, jax.Array]
Origin = Literal["own", "proposer", "batch"]  # of proposals


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
    """Learn to find what `batch` says is in its images: see `evals.detection` for the arrays of batch and outputs.

    Both `stages` at once are approximate joint training (Ren et al. 2015, section 3.2): one update on the sum of all
    losses, proposals taken as given. One of them, some parameters `trainable` only, and proposals whose `origin` is the
    "proposer", another network of the same kind (its variables in `aux["proposer"]`), make up the steps of alternating
    training. With those of the "batch", see `proposals.searched`, this is Fast R-CNN (Girshick 2015).

    The sample of an image depends on the step and on its row in the global batch, not on the number of devices.
    `predict` returns boxes, scores, labels and valid, masks where the network has them, and proposals,
    proposal_scores and proposal_valid.
    """
    tx = only(tx, trainable)
    plan = _Plan(proposing, detecting, stages, trainable("backbone/"))

    def images_of(batch: Batch) -> jax.Array:
        return normalise(batch["image"], mean, std)

    def init(key: Key, batch: Batch) -> TrainState:
        variables = model.init({"params": key, "dropout": key}, images_of(batch), train=True)
        aux = {"proposer": variables} if origin == "proposer" else {}
        return init_state(key, variables, tx.init(variables["params"]), aux)

    def given(state: TrainState, batch: Batch, train: bool) -> Any:
        if origin == "own":
            return None
        if origin == "batch":
            return first_stage.searched(batch)
        return model.apply(state.aux["proposer"], plan, images_of(batch), batch, train, method=_propose)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        keys = example_keys(state, batch["image"].shape[0], axis_name)
        inputs = images_of(batch), batch, keys, given(state, batch, True), axis_name

        def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, Losses]]:
            variables = {"params": stop(params, trainable), **state.model_state}
            rngs, mutable = {"dropout": step_key(state, axis_name)}, list(state.model_state)
            losses, model_state = model.apply(variables, plan, *inputs, method=_losses, rngs=rngs, mutable=mutable)
            return sum(losses.values(), jnp.zeros(())), (model_state, losses)

        params, opt_state, loss, (model_state, losses) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        new = TrainState(state.step + 1, params, opt_state, model_state, state.aux, state.key)
        return new, {"loss": loss, **{f"loss_{name}": value for name, value in losses.items()}}

    def predict(state: TrainState, batch: Batch) -> Any:
        variables = {"params": state.params, **state.model_state}
        proposals = given(state, batch, False)
        return model.apply(variables, plan, images_of(batch), batch, proposals, method=_outputs)

    return Task(init, step, predict)


class _Plan(NamedTuple):
    """What is done with the network's parts."""

    proposing: ProposalConfig
    detecting: RegionConfig
    stages: Sequence[str]
    train_features: bool  # not where shared layers stay as they are, batch statistics included


def _losses(
    net: Any,
    plan: _Plan,
    images: jax.Array,
    batch: Batch,
    keys: jax.Array,
    given: Proposals | None,
    axis_name: str | None,
) -> Losses:
    """Every loss of the plan's stages, by name."""
    objects = first_stage.objects_of(batch)
    anchor_keys, region_keys = jnp.moveaxis(jax.vmap(jax.random.split)(keys), 1, 0)
    losses: Losses = {}
    maps = net.features(images, train=plan.train_features)
    levels = [] if net.rpn is None else net.propose(maps, images.shape[1:3])
    if "proposals" in plan.stages:
        losses |= first_stage.proposal_losses(anchor_keys, levels, objects, batch["size"], plan.proposing, axis_name)
    if "regions" in plan.stages:
        if given is None:
            given = first_stage.proposals_of(levels, batch, plan.proposing, train=True)
        regions = second_stage.sample_regions(region_keys, given, objects, plan.detecting)
        logits, offsets = net.box(maps, regions.boxes, train=True)
        losses |= second_stage.region_losses(logits, offsets, regions, plan.detecting, axis_name)
        if net.mask_head is not None:
            regions = second_stage.first(regions, plan.detecting.positives)
            masks = net.mask(maps, regions.boxes, train=True)
            losses |= second_stage.mask_losses(masks, batch["masks"], objects, regions, axis_name)
    return losses


def _outputs(net: Any, plan: _Plan, images: jax.Array, batch: Batch, given: Proposals | None) -> dict[str, jax.Array]:
    """Proposals, and the detections among them with their masks."""
    maps = net.features(images, train=False)
    if given is None:
        given = first_stage.proposals_of(net.propose(maps, images.shape[1:3]), batch, plan.proposing, train=False)
    logits, offsets = net.box(maps, given.boxes, train=False)
    found = second_stage.detections_of(logits, offsets, given, batch["size"], plan.detecting)
    outputs = {"proposals": given.boxes, "proposal_scores": given.scores, "proposal_valid": given.valid}
    if net.mask_head is not None:
        outputs["masks"] = second_stage.own_masks(net.mask(maps, found.boxes, train=False), found.labels)
    return {**found._asdict(), **outputs}


def _propose(net: Any, plan: _Plan, images: jax.Array, batch: Batch, train: bool) -> Proposals:
    levels = net.propose(net.features(images, train=False), images.shape[1:3])
    return first_stage.proposals_of(levels, batch, plan.proposing, train=train)
