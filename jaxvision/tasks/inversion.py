"""GAN inversion: what makes a trained generator draw a given image (Zhu et al. 2016; Bau et al. 2019, "Seeing what a
GAN cannot generate" and "Semantic photo manipulation").

Four stages, each of which starts where the one before ended. "encoder": a network guesses the latent. "latent": the
latent is searched for, image by image. "layer": so is the map of one layer, apart from what the latent gives. "tuned":
the weights behind that layer are adjusted to each image, so that units of the layer can be edited afterwards.

The networks stand still, batch norm in running mode, throughout. Batches hold "image" uint8 [B, S, S, C], "index" int32
[B], the image's number among those to be inverted, "z" [B, Z] and "generated" bool [B]: where that is true, the image
to be found again is what the generator makes of z.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple, get_args

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from jaxvision.data.latents import Prior
from jaxvision.ops.interventions import insert
from jaxvision.ops.psnr import psnr
from jaxvision.tasks.gan import latents, to_pixels, to_unit
from jaxvision.train.steps import descend, example_keys, init_state
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

Searched = Literal["latent", "layer", "tuned"]
STAGES = ("encoder", *get_args(Searched))
_EDIT = ("alpha", "values", "where")


class Frozen(NamedTuple):
    """The networks that stand still, and where images may differ from what the generator would draw."""

    generator: nn.Module  # (z, *, train, edit) -> "image" in [-1, 1], and maps
    critic: nn.Module  # (image, *, train) -> maps, by all of which images are compared
    latent_dim: int
    layer: str  # the generator's map that is adjusted, and edited
    late: tuple[str, ...]  # the generator's modules behind it, whose weights are adjusted
    feature_weight: float = 0.1  # of the maps' distance, beside that of the pixels


def encoding(
    nets: Frozen,
    encoder: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    *,
    prior: Prior = "uniform",
    image_weight: float = 1.0,
) -> Task:
    """Learn an encoder (image, *, train) -> {"z"} from pairs (G(z), z) with fresh z.

    The loss is ‖E(G(z)) − z‖² / Z and `image_weight` times the distance of G(E(x)) from x, for x = G(z) and for the
    images of the batch. Those need neither "index" nor "z" here. `predict` is that of `search`.
    """

    def init(key: Key, batch: Batch) -> TrainState:
        keys = jax.random.split(key)
        variables = encoder.init(keys[0], to_unit(batch["image"]), train=True)
        aux = {**_networks(nets, keys[1], batch), "found": {}}
        return init_state(key, variables, tx.init(variables["params"]), aux)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        z = latents(example_keys(state, len(batch["image"]), axis_name), nets.latent_dim, prior)
        images = jnp.concatenate([_draw(nets, state.aux, {"latent": z}), to_unit(batch["image"])])
        wanted = _look(nets, state.aux, images)

        def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
            variables = {"params": params, **state.model_state}
            outputs, model_state = encoder.apply(variables, images, train=True, mutable=list(state.model_state))
            codes = outputs["z"]
            apart = _apart(_look(nets, state.aux, _draw(nets, state.aux, {"latent": codes})), wanted)
            latent_loss, image_loss = jnp.mean(jnp.square(codes[: len(z)] - z)), jnp.mean(_total(nets, apart))
            metrics = {"loss_latent": latent_loss, "loss_image": image_loss}
            return latent_loss + image_weight * image_loss, (model_state, metrics)

        params, opt_state, loss, (model_state, metrics) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        new = TrainState(state.step + 1, params, opt_state, model_state, state.aux, state.key)
        return new, {"loss": loss, **metrics}

    def predict(state: TrainState, batch: Batch) -> dict[str, PyTree]:
        target = _target(nets, state.aux, batch)
        outputs: Any = encoder.apply({"params": state.params, **state.model_state}, target, train=False)
        part = {"latent": outputs["z"]}
        return {"target": to_pixels(target), **_shown(nets, state.aux, "encoder", part, target), "found": part}

    return Task(init, step, predict)


def search(
    nets: Frozen,
    tx: optax.GradientTransformationExtraArgs,
    stage: Searched,
    *,
    images: int,
    restarts: int = 1,
    l2: float = 0.0,
    prior: Prior = "uniform",
) -> Task:
    """Search, for each of `images` images, what `stage` adds to what the stages before it found (see the module).

    The loss of an image is its pixels' mean squared difference, in units of [−1, 1], `feature_weight` times that of the
    critic's maps, each map's as a share of its mean square, and `l2` times how far the image is from the generator's
    own: the mean square of what is added to the layer's map, or that of the change of weights as a share of theirs. An
    image's loss does not depend on the others. A batch should hold every image: the optimizer moves all of them.

    "latent" is searched from `restarts` starts, the first of them the encoder's, the others drawn from the prior.
    `params` have leading dimensions [images, restarts], those of the other stages [images, 1]. `predict` returns uint8
    images "target", and by the name of each stage so far what it has come to, of the best start; "features_<stage>"
    [B], the distance of the maps; and "found", what this stage found. With an intervention in the batch, "alpha" and
    "values" [B, U], "where" [B, h, w] (see `ops.interventions.insert`), this stage's images are those it gives.
    ValueError: late modules that the generator does not have; restarts of another stage.
    """
    if restarts != 1 and stage != "latent":
        raise ValueError(f"restarts: {restarts} of stage {stage!r}; only the search of a latent starts more than once")
    rules = _Rules(nets, stage, images, restarts, l2)

    def init(key: Key, batch: Batch) -> TrainState:
        variables = _networks(nets, key, batch)
        keys = jax.random.split(key, images * restarts)
        params = _first(rules, variables, latents(keys, nets.latent_dim, prior))
        found = {name: _blank(rules, variables, name) for name in _before(stage)}
        return TrainState(jnp.zeros((), jnp.int32), params, tx.init(params), {}, {**variables, "found": found}, key)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        wanted = _repeated(_look(nets, state.aux, _target(nets, state.aux, batch)), restarts)

        def loss_fn(params: PyTree) -> tuple[jax.Array, Metrics]:
            part = _parts(rules, state, params, batch)
            apart = _apart(_look(nets, state.aux, _draw(nets, state.aux, part)), wanted)
            each = (_total(nets, apart) + l2 * _strayed(state.aux, part)).reshape(-1, restarts)
            best = psnr(apart["pixels"], peak=2.0).reshape(-1, restarts).max(axis=1).mean()
            return images * each.sum(axis=1).mean(), {"loss": each.min(axis=1).mean(), "psnr": best}

        params, opt_state, _, metrics = descend(loss_fn, state.params, state.opt_state, tx, axis_name=axis_name)
        return dataclasses.replace(state, step=state.step + 1, params=params, opt_state=opt_state), metrics

    def predict(state: TrainState, batch: Batch) -> dict[str, PyTree]:
        target = _target(nets, state.aux, batch)
        outputs: dict[str, PyTree] = {"target": to_pixels(target)}
        for name in _before(stage):
            outputs |= _shown(nets, state.aux, name, _rows(state.aux["found"][name], batch), target)
        part = _best(rules, state, batch, target)
        edit = {name: batch[name] for name in _EDIT if name in batch}
        return {**outputs, **_shown(nets, state.aux, stage, {**part, **edit}, target), "found": part}

    return Task(init, step, predict)


def following(
    state: TrainState, generator: PyTree, critic: PyTree, found: Mapping[str, PyTree] | None = None
) -> TrainState:
    """The state with the trained networks' variables and what the stages before found, from which its own starts:
    for a stage's `warm_start`. `found` is by stage what `predict` calls "found", [images, …].
    """
    found = dict(found or {})
    params = state.params
    if found:
        last = found[[name for name in STAGES if name in found][-1]]
        own = {name: params[name].at[:, 0].set(last[name]) for name in params.keys() & last.keys()}
        params = {**params, **own}
    aux = {**state.aux, "generator": generator, "critic": critic, "found": found}
    return dataclasses.replace(state, params=params, aux=aux)


class _Rules(NamedTuple):
    """`search`'s arguments."""

    nets: Frozen
    stage: Searched
    images: int
    restarts: int
    l2: float


def _networks(nets: Frozen, key: Key, batch: Batch) -> dict[str, PyTree]:
    z = jnp.zeros((1, nets.latent_dim))
    generator = nets.generator.init(key, z, train=False)
    if missing := [name for name in nets.late if name not in generator["params"]]:
        known = ", ".join(generator["params"])
        raise ValueError(f"late: the generator has no {', '.join(missing)}; choose among {known}")
    return {"generator": generator, "critic": nets.critic.init(key, to_unit(batch["image"]), train=False)}


def _before(stage: str) -> tuple[str, ...]:
    return STAGES[: STAGES.index(stage)]


def _first(rules: _Rules, variables: PyTree, drawn: Float[Array, "N Z"]) -> PyTree:
    """What is learned, before the first step."""
    if rules.stage == "latent":
        return {"latent": drawn.reshape(rules.images, rules.restarts, -1)}
    if rules.stage == "layer":
        return jax.tree.map(lambda x: x[:, None], _blank(rules, variables, "layer"))
    late = {name: variables["generator"]["params"][name] for name in rules.nets.late}
    return {"weights": jax.tree.map(lambda w: jnp.zeros((rules.images, 1, *w.shape), w.dtype), late)}


def _blank(rules: _Rules, variables: PyTree, name: str) -> dict[str, jax.Array]:
    """What a stage finds for all images, to be replaced."""
    nets, blank = rules.nets, {"latent": jnp.zeros((rules.images, rules.nets.latent_dim))}
    if name != "layer":
        return blank
    drawn = jax.eval_shape(lambda z: nets.generator.apply(variables["generator"], z, train=False), blank["latent"])
    if nets.layer not in drawn:
        raise ValueError(f"layer: the generator has no {nets.layer!r}; choose among {', '.join(drawn)}")
    return {**blank, "residual": jnp.zeros(drawn[nets.layer].shape)}


def _rows(found: PyTree, batch: Batch) -> PyTree:
    return jax.tree.map(lambda x: x[batch["index"]], found)


def _parts(rules: _Rules, state: TrainState, params: PyTree, batch: Batch) -> PyTree:
    """What images are drawn from, [B · restarts, …]: what is learned, and what was found before."""
    own = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), _rows(params, batch))
    return {**_rows(state.aux["found"][_before(rules.stage)[-1]], batch), **own}


def _best(rules: _Rules, state: TrainState, batch: Batch, target: Float[Array, "B S S C"]) -> PyTree:
    """The parts of the start that came nearest, [B, …]."""
    nets, many = rules.nets, rules.restarts
    part = _parts(rules, state, state.params, batch)
    if many == 1:
        return part
    wanted = _repeated(_look(nets, state.aux, target), many)
    total = _total(nets, _apart(_look(nets, state.aux, _draw(nets, state.aux, part)), wanted))
    chosen = jnp.arange(len(target)) * many + total.reshape(-1, many).argmin(axis=1)
    return jax.tree.map(lambda x: x[chosen], part)


def _repeated(tree: PyTree, many: int) -> PyTree:
    return jax.tree.map(lambda x: jnp.repeat(x, many, axis=0), tree) if many > 1 else tree


def _draw(nets: Frozen, variables: PyTree, part: PyTree) -> Float[Array, "B S S C"]:
    """The images of parts [B, …]; each may have weights of its own."""
    own = variables["generator"]

    def one(part: PyTree) -> Float[Array, "S S C"]:
        moved = {name: jax.tree.map(jnp.add, own["params"][name], by) for name, by in part.get("weights", {}).items()}

        def at_layer(maps: Float[Array, "1 h w U"]) -> Float[Array, "1 h w U"]:
            maps = maps + part["residual"][None] if "residual" in part else maps
            return insert(*(part[name][None] for name in _EDIT))(maps) if "alpha" in part else maps

        params = {**own["params"], **moved}
        outputs: Any = nets.generator.apply(
            {**own, "params": params}, part["latent"][None], train=False, edit={nets.layer: at_layer}
        )
        return outputs["image"][0]

    return jax.vmap(one)(part)


def _target(nets: Frozen, variables: PyTree, batch: Batch) -> Float[Array, "B S S C"]:
    drawn = _draw(nets, variables, {"latent": batch["z"]})
    return jnp.where(batch["generated"][:, None, None, None], drawn, to_unit(batch["image"]))


def _look(nets: Frozen, variables: PyTree, images: Float[Array, "B S S C"]) -> dict[str, Float[Array, "B ..."]]:
    """All that images are compared by: themselves, and the critic's maps."""
    outputs: Any = nets.critic.apply(variables["critic"], images, train=False)
    return {**{name: x for name, x in outputs.items() if x.ndim == 4}, "image": images}


def _apart(seen: Mapping[str, jax.Array], wanted: Mapping[str, jax.Array]) -> dict[str, Float[Array, " B"]]:
    """Mean squared differences: of the pixels, and of the maps as a share of the wanted one's mean square."""

    def mean(x: Float[Array, "B h w C"]) -> Float[Array, " B"]:
        return jnp.mean(jnp.square(x.astype(jnp.float32)), axis=(1, 2, 3))

    maps = [name for name in wanted if name != "image"]
    shares = [mean(seen[n] - wanted[n]) / jnp.maximum(mean(wanted[n]), 1e-8) for n in maps]
    return {"pixels": mean(seen["image"] - wanted["image"]), "features": jnp.stack(shares).mean(axis=0)}


def _total(nets: Frozen, apart: Mapping[str, jax.Array]) -> Float[Array, " B"]:
    return apart["pixels"] + nets.feature_weight * apart["features"]


def _strayed(variables: PyTree, part: PyTree) -> Float[Array, " B"]:
    """How far images are from what the generator would draw of a latent."""
    if "weights" in part:
        own = {name: variables["generator"]["params"][name] for name in part["weights"]}
        change, whole = (jax.tree.map(jnp.square, tree) for tree in (part["weights"], own))
        changes = [by.reshape(len(by), -1).sum(axis=1) for by in jax.tree.leaves(change)]
        return jnp.stack(changes).sum(axis=0) / optax.tree.sum(whole)
    if "residual" in part:
        return jnp.square(part["residual"]).mean(axis=(1, 2, 3))
    return jnp.zeros(len(part["latent"]))


def _shown(
    nets: Frozen, variables: PyTree, name: str, part: PyTree, target: Float[Array, "B S S C"]
) -> dict[str, jax.Array]:
    """What `predict` says of a stage."""
    images = _draw(nets, variables, part)
    apart = _apart(_look(nets, variables, images), _look(nets, variables, target))
    return {name: to_pixels(images), f"features_{name}": apart["features"]}
