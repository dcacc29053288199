"""Context encoders (Pathak et al. 2016): what was in the middle of an image, from what is around it.

Two networks: one fills the hole; the other tells fills from true contents and sees nothing else. The parameters of the
first lie at the top ("encoder", …), those of the second under "discriminator"; `opt_state` has one state for each.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Num

from jaxvision.losses.gan import discriminator_loss, generator_loss
from jaxvision.ops.images import Color, normalise, unit
from jaxvision.ops.psnr import psnr
from jaxvision.tasks.encoder import encoder_variables, pool
from jaxvision.tasks.gan import to_pixels, to_unit
from jaxvision.train.steps import descend, init_state
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

_BAND_WEIGHT = 10.0  # of pixels that are seen and filled (section 3.3)
_GREY = 128  # of the hole in pictures
_JUDGE = "discriminator"


class _Parts(NamedTuple):
    model: nn.Module
    judge: nn.Module
    mean: Color
    std: Color
    hole: int
    overlap: int


def context_encoder(
    model: nn.Module,
    judge: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    judge_tx: optax.GradientTransformationExtraArgs,
    *,
    mean: Color,
    std: Color,
    hole: int,
    overlap: int,
    adversarial: float = 0.001,
) -> Task:
    """Learn to fill the central `hole` pixels of `batch["image"]` (uint8 RGB), of whose border `overlap` are seen.

    `model` is `(images, *, train) -> {"fill": [B, hole, hole, 3]}` in [-1, 1] with a field `encoder`; what is hidden
    has the data's mean colour. `judge` is `(contents, *, train) -> {"logits": [B]}`. The loss is (1 - λ) of the squared
    error, ten times as heavy in the overlapping band, and λ = `adversarial` of the generator's loss (equation 3); the
    judge takes its step first.

    `predict` returns `features` [B, D] of the encoder on the whole image; `seen` and `filled` (uint8 images; where the
    image is seen it is the image); of each image's hidden pixels in 0..1 `l1`, `l2` (means), `psnr` in dB, and
    `l2_mean`, what the mean colour of the seen pixels would score. ValueError: a hole that is no hole.
    """
    if not 0 <= 2 * overlap < hole:
        raise ValueError(f"--overlap={overlap}: leaves nothing hidden of a hole of {hole} pixels; give less than half")
    parts = _Parts(model, judge, mean, std, hole, overlap)

    def init(key: Key, batch: Batch) -> TrainState:
        model_key, judge_key = jax.random.split(key)
        variables = model.init(model_key, _see(parts, batch["image"]), train=True)
        judged = judge.init(judge_key, _middle(to_unit(batch["image"]), hole), train=True)
        opt_state = {"model": tx.init(variables["params"]), _JUDGE: judge_tx.init(judged["params"])}
        return init_state(key, _joined(variables, judged), opt_state)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        own, judged = _apart(state.params)
        own_stats, judge_stats = _split(state.model_state)
        seen, truth = _see(parts, batch["image"]), _middle(to_unit(batch["image"]), hole)

        def fill(params: PyTree) -> tuple[jax.Array, PyTree]:
            outputs, stats = model.apply({"params": params, **own_stats}, seen, train=True, mutable=list(own_stats))
            return outputs["fill"], stats

        judged, judge_opt, judge_loss, (judge_stats, accuracies) = descend(
            lambda params: _judge_loss(parts, params, judge_stats, truth, jax.lax.stop_gradient(fill(own)[0])),
            judged,
            state.opt_state[_JUDGE],
            judge_tx,
            axis_name=axis_name,
        )

        def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, dict[str, jax.Array]]]:
            filled, stats = fill(params)
            l2 = _weighted_square(parts, filled - truth)
            fooled = generator_loss("non_saturating", _judged(parts, judged, judge_stats, filled)[0])
            total = (1 - adversarial) * l2 + adversarial * fooled
            return total, (stats, {"loss_l2": l2, "loss_adversarial": fooled})

        own, opt_state, loss, (stats, losses) = descend(loss_fn, own, state.opt_state["model"], tx, axis_name=axis_name)
        variables = _joined({"params": own, **stats}, {"params": judged, **judge_stats})
        params = variables.pop("params")
        opt_state = {"model": opt_state, _JUDGE: judge_opt}
        new = TrainState(state.step + 1, params, opt_state, variables, state.aux, state.key)
        return new, {"loss": loss, **losses, "loss_discriminator": judge_loss, **accuracies}

    return Task(init, step, partial(_predict, parts))


def _predict(parts: _Parts, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
    images, hidden = batch["image"], _hidden(batch["image"].shape[1:3], parts.hole, parts.overlap)
    variables = {"params": _apart(state.params)[0], **_split(state.model_state)[0]}
    outputs: Any = parts.model.apply(variables, _see(parts, images), train=False)
    filled = jnp.where(hidden, _placed(to_pixels(outputs["fill"]), images), images)
    return {
        "features": pool(parts.model.encoder, encoder_variables(state), normalise(images, parts.mean, parts.std)),
        "seen": jnp.where(hidden, jnp.uint8(_GREY), images),
        "filled": filled,
        **_errors(unit(filled), unit(images), hidden),
    }


def band(hole: int, overlap: int) -> Float[Array, "hole hole"]:
    """Weights of the fill's pixels: 10 in the `overlap` pixels at its border, which are seen, and 1 inside."""
    inside = jnp.ones((hole - 2 * overlap, hole - 2 * overlap))
    return jnp.pad(inside, overlap, constant_values=_BAND_WEIGHT)


def _weighted_square(parts: _Parts, error: Float[Array, "B h w 3"]) -> Float[Array, ""]:
    weights = band(parts.hole, parts.overlap).reshape(1, parts.hole, parts.hole, 1)
    return jnp.mean(weights * jnp.square(error))


def _judge_loss(
    parts: _Parts, params: PyTree, stats: PyTree, truth: Float[Array, "B h w 3"], filled: Float[Array, "B h w 3"]
) -> tuple[jax.Array, tuple[PyTree, dict[str, jax.Array]]]:
    """True contents first and then fills, each normalised by their own batch statistics."""
    real, stats = _judged(parts, params, stats, truth)
    fake, stats = _judged(parts, params, stats, filled)
    accuracies = {
        "real_accuracy": jnp.mean((real > 0).astype(jnp.float32)),
        "fake_accuracy": jnp.mean((fake < 0).astype(jnp.float32)),
    }
    return discriminator_loss("non_saturating", real, fake), (stats, accuracies)


def _judged(
    parts: _Parts, params: PyTree, stats: PyTree, contents: Float[Array, "B h w 3"]
) -> tuple[Float[Array, " B"], PyTree]:
    outputs, stats = parts.judge.apply({"params": params, **stats}, contents, train=True, mutable=list(stats))
    return outputs["logits"], stats


def _see(parts: _Parts, images: Num[Array, "B H W 3"]) -> Float[Array, "B H W 3"]:
    hidden = _hidden(images.shape[1:3], parts.hole, parts.overlap)
    return jnp.where(hidden, 0.0, normalise(images, parts.mean, parts.std))


def _hidden(extent: tuple[int, ...], hole: int, overlap: int) -> Bool[Array, "1 H W 1"]:
    """The pixels that the network does not see."""
    if hole > min(extent):
        raise ValueError(f"--hole={hole}: larger than images of {extent[0]}x{extent[1]} pixels; give half their size")
    spans = [slice((side - hole) // 2 + overlap, (side - hole) // 2 + hole - overlap) for side in extent]
    return jnp.zeros((1, *extent, 1), bool).at[:, spans[0], spans[1]].set(True)


def _middle(images: Num[Array, "B H W 3"], hole: int) -> Num[Array, "B hole hole 3"]:
    top, left = ((side - hole) // 2 for side in images.shape[1:3])
    return images[:, top : top + hole, left : left + hole]


def _placed(fill: Num[Array, "B h w 3"], images: Num[Array, "B H W 3"]) -> Num[Array, "B H W 3"]:
    top, left = ((side - fill.shape[1]) // 2 for side in images.shape[1:3])
    return images.at[:, top : top + fill.shape[1], left : left + fill.shape[1]].set(fill)


def _errors(
    filled: Float[Array, "B H W 3"], images: Float[Array, "B H W 3"], hidden: Bool[Array, "1 H W 1"]
) -> dict[str, Float[Array, " B"]]:
    def mean(values: Float[Array, "B H W 3"], where: Bool[Array, "1 H W 1"]) -> Float[Array, "B 1 1 3"]:
        return jnp.sum(jnp.where(where, values, 0.0), axis=(1, 2), keepdims=True) / jnp.sum(where)

    around = mean(images, ~hidden)
    errors = {
        "l1": mean(jnp.abs(filled - images), hidden),
        "l2": mean(jnp.square(filled - images), hidden),
        "l2_mean": mean(jnp.square(around - images), hidden),
    }
    each = {name: error.mean((1, 2, 3)) for name, error in errors.items()}
    return {**each, "psnr": psnr(each["l2"], peak=1.0)}


def _joined(own: PyTree, judged: PyTree) -> dict[str, PyTree]:
    """Variables of both networks as one, collection by collection."""
    names = {**own, **judged}
    return {name: {**own.get(name, {}), **({_JUDGE: judged[name]} if name in judged else {})} for name in names}


def _apart(tree: PyTree) -> tuple[PyTree, PyTree]:
    """One collection of the filling network and of the judge."""
    return {name: leaf for name, leaf in tree.items() if name != _JUDGE}, tree.get(_JUDGE, {})


def _split(model_state: PyTree) -> tuple[PyTree, PyTree]:
    """The collections of the filling network and of the judge; what one does not have is left out."""
    both = {name: _apart(tree) for name, tree in model_state.items()}
    own, judged = ({name: pair[i] for name, pair in both.items() if pair[i]} for i in (0, 1))
    return own, judged
