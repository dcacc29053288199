"""Context encoders (Pathak et al. 2016): what was in the middle of an image, from what is around it.

Batches hold "image" (uint8 RGB [B, H, W, 3]). Two networks learn: one fills the hole; the judge tells fills from true
contents and sees nothing else. In a state the parameters of the first are at the top ("encoder", …), those of the judge
under "discriminator"; `opt_state` has one state for each, "model" and "discriminator".
"""

import dataclasses
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Num, UInt8

from jaxvision.losses.gan import discriminator_loss, generator_loss
from jaxvision.ops.images import Color, normalise, unit
from jaxvision.ops.psnr import psnr
from jaxvision.tasks.encoder import encoder_variables, pool
from jaxvision.tasks.gan import to_pixels, to_unit
from jaxvision.train.steps import advance, descend, init_state
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

_BAND_WEIGHT = 10.0  # of pixels that are seen and filled (section 3.3)
_GREY = 128  # of the hole in pictures
_JUDGE = "discriminator"


@dataclasses.dataclass(frozen=True)
class _Hole:
    """A square in the middle of images that is filled; its inner part is hidden from the network."""

    side: int  # pixels
    overlap: int  # pixels at the border of the square that are seen
    mean: Color
    std: Color

    def normalised(self, images: Num[Array, "B H W 3"]) -> Float[Array, "B H W 3"]:
        """Normalise images and hide what the network does not see: it gets the mean colour."""
        return jnp.where(self.hidden(images.shape[1:3]), 0.0, normalise(images, self.mean, self.std))

    def seen(self, images: UInt8[Array, "B H W 3"]) -> UInt8[Array, "B H W 3"]:
        """Return pictures of images with grey where the network does not see them."""
        return jnp.where(self.hidden(images.shape[1:3]), jnp.uint8(_GREY), images)

    def hidden(self, extent: tuple[int, ...]) -> Bool[Array, "1 H W 1"]:
        """Mark the pixels of an image of `extent` (height, width) that the network does not see."""
        height, width = extent
        if self.side > min(extent):
            raise ValueError(f"--hole={self.side}: larger than images of {height}x{width} pixels; give half their size")
        rows, columns = (
            slice((n - self.side) // 2 + self.overlap, (n - self.side) // 2 + self.side - self.overlap) for n in extent
        )
        return jnp.zeros((1, *extent, 1), bool).at[:, rows, columns].set(True)

    def content(self, images: Num[Array, "B H W 3"]) -> Num[Array, "B h w 3"]:
        """Crop the square out of images."""
        top, left = self._corner(images)
        return images[:, top : top + self.side, left : left + self.side]

    def put(self, fill: Num[Array, "B h w 3"], images: Num[Array, "B H W 3"]) -> Num[Array, "B H W 3"]:
        """Replace the square of `images` by `fill`."""
        top, left = self._corner(images)
        return images.at[:, top : top + self.side, left : left + self.side].set(fill)

    def weighted_square(self, error: Float[Array, "B h w 3"]) -> Float[Array, ""]:
        """Compute the mean squared error of fills, ten times as heavy in the pixels that are seen."""
        weights = band(self.side, self.overlap).reshape(1, self.side, self.side, 1)
        return jnp.mean(weights * jnp.square(error))

    def _corner(self, images: Num[Array, "B H W 3"]) -> tuple[int, int]:
        return (images.shape[1] - self.side) // 2, (images.shape[2] - self.side) // 2


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
    """Make the task of filling the hole in the middle of an image; in a step the judge is updated first.

    Args:
        model: (images, *, train) -> {"fill": [B, hole, hole, 3]} in [-1, 1], with a field `encoder`.
        judge: (contents, *, train) -> {"logits": [B]}.
        tx: the optimizer of the model.
        judge_tx: the optimizer of the judge.
        mean: pixel mean of each channel, in 0..255; what is hidden has this colour.
        std: pixel standard deviation of each channel.
        hole: pixels a side of the square that is filled.
        overlap: pixels at its border that are seen.
        adversarial: λ, share of the generator's loss beside 1 - λ of the squared error (equation 3).

    Returns:
        The task. Metrics are "loss", "loss_l2", "loss_adversarial", "loss_discriminator", "real_accuracy" and
        "fake_accuracy". `predict` returns "features" [B, D] of the encoder on the whole image; "seen" and "filled",
        uint8 images; and for each image's hidden pixels in 0..1 "l1" and "l2" (means), "psnr" in dB, and "l2_mean", the
        "l2" of a fill with the mean colour of the seen pixels.

    Raises:
        ValueError: the overlap leaves nothing hidden.
    """
    if not 0 <= 2 * overlap < hole:
        raise ValueError(f"--overlap={overlap}: leaves nothing hidden of a hole of {hole} pixels; give less than half")
    learner = _ContextEncoder(model, judge, tx, judge_tx, _Hole(hole, overlap, mean, std), adversarial)
    return Task(learner.init, learner.step, learner.predict, learner.see)


@dataclasses.dataclass(frozen=True)
class _ContextEncoder:
    """Both networks as a task."""

    model: nn.Module
    judge: nn.Module
    tx: optax.GradientTransformationExtraArgs
    judge_tx: optax.GradientTransformationExtraArgs
    hole: _Hole
    adversarial: float

    def init(self, key: Key, batch: Batch) -> TrainState:
        model_key, judge_key = jax.random.split(key)
        model = self.model.init(model_key, self.hole.normalised(batch["image"]), train=True)
        judge = self.judge.init(judge_key, self.hole.content(to_unit(batch["image"])), train=True)
        opt_state = {"model": self.tx.init(model["params"]), _JUDGE: self.judge_tx.init(judge["params"])}
        return init_state(key, _joined(model, judge), opt_state)

    def step(self, state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        params, judge_params = _apart(state.params)
        stats, judge_stats = _split(state.model_state)
        images, truth = self.hole.normalised(batch["image"]), self.hole.content(to_unit(batch["image"]))

        def judge_loss(new_params: PyTree) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
            fill, _ = _train(self.model, params, stats, images, "fill")
            return _judge_loss(self.judge, new_params, judge_stats, truth, jax.lax.stop_gradient(fill))

        new_judge, judge_opt, loss_discriminator, (new_judge_stats, accuracies) = descend(
            judge_loss, judge_params, state.opt_state[_JUDGE], self.judge_tx, axis_name=axis_name
        )

        def model_loss(new_params: PyTree) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
            fill, new_stats = _train(self.model, new_params, stats, images, "fill")
            l2 = self.hole.weighted_square(fill - truth)
            logits, _ = _train(self.judge, new_judge, new_judge_stats, fill, "logits")
            fooled = generator_loss("non_saturating", logits)
            loss = (1 - self.adversarial) * l2 + self.adversarial * fooled
            return loss, (new_stats, {"loss_l2": l2, "loss_adversarial": fooled})

        new_params, model_opt, loss, (new_stats, losses) = descend(
            model_loss, params, state.opt_state["model"], self.tx, axis_name=axis_name
        )
        variables = _joined({"params": new_params, **new_stats}, {"params": new_judge, **new_judge_stats})
        joined_params = variables.pop("params")
        metrics = {"loss": loss, **losses, "loss_discriminator": loss_discriminator, **accuracies}
        return advance(state, joined_params, {"model": model_opt, _JUDGE: judge_opt}, variables), metrics

    def see(self, state: TrainState, batch: Batch) -> UInt8[Array, "B 1 H W 3"]:
        return self.hole.seen(batch["image"])[:, None]

    def predict(self, state: TrainState, batch: Batch) -> dict[str, jax.Array]:
        variables = {"params": _apart(state.params)[0], **_split(state.model_state)[0]}
        outputs: Any = self.model.apply(variables, self.hole.normalised(batch["image"]), train=False)
        images = normalise(batch["image"], self.hole.mean, self.hole.std)
        features = pool(self.model.encoder, encoder_variables(state), images)
        return {"features": features, **_outputs(self.hole, batch["image"], to_pixels(outputs["fill"]))}


def band(hole: int, overlap: int) -> Float[Array, "hole hole"]:
    """Return the weights of the fill's pixels: 10 in the `overlap` pixels at its border, which are seen, 1 inside."""
    inside = jnp.ones((hole - 2 * overlap, hole - 2 * overlap))
    return jnp.pad(inside, overlap, constant_values=_BAND_WEIGHT)


def _train(net: nn.Module, params: PyTree, stats: PyTree, inputs: jax.Array, output: str) -> tuple[jax.Array, PyTree]:
    """Run a network in training mode; return one of its outputs and its new batch statistics."""
    outputs, stats = net.apply({"params": params, **stats}, inputs, train=True, mutable=list(stats))
    return outputs[output], stats


def _judge_loss(
    judge: nn.Module, params: PyTree, stats: PyTree, truth: Float[Array, "B h w 3"], fill: Float[Array, "B h w 3"]
) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
    """Judge true contents first and then fills, each normalised by their own batch statistics."""
    real, stats = _train(judge, params, stats, truth, "logits")
    fake, stats = _train(judge, params, stats, fill, "logits")
    accuracies = {
        "real_accuracy": jnp.mean((real > 0).astype(jnp.float32)),
        "fake_accuracy": jnp.mean((fake < 0).astype(jnp.float32)),
    }
    return discriminator_loss("non_saturating", real, fake), (stats, accuracies)


def _outputs(hole: _Hole, images: Num[Array, "B H W 3"], fill: Num[Array, "B h w 3"]) -> dict[str, jax.Array]:
    """Return pictures of the seen and of the filled image, and the errors of the hidden pixels."""
    hidden = hole.hidden(images.shape[1:3])
    filled = jnp.where(hidden, hole.put(fill, images), images)
    return {"seen": hole.seen(images), "filled": filled, **_errors(unit(filled), unit(images), hidden)}


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
    means = {name: error.mean((1, 2, 3)) for name, error in errors.items()}
    return {**means, "psnr": psnr(means["l2"], peak=1.0)}


def _joined(model: PyTree, judge: PyTree) -> dict[str, PyTree]:
    """Join the variables of both networks, collection by collection."""
    names = {**model, **judge}
    return {name: {**model.get(name, {}), **({_JUDGE: judge[name]} if name in judge else {})} for name in names}


def _apart(tree: PyTree) -> tuple[PyTree, PyTree]:
    """Split one collection into that of the model and that of the judge."""
    return {name: leaf for name, leaf in tree.items() if name != _JUDGE}, tree.get(_JUDGE, {})


def _split(model_state: PyTree) -> tuple[PyTree, PyTree]:
    """Split collections into those of the model and those of the judge, and leave out what one does not have."""
    pairs = {name: _apart(tree) for name, tree in model_state.items()}
    model, judge = ({name: pair[i] for name, pair in pairs.items() if pair[i]} for i in (0, 1))
    return model, judge
