"""The optimizers of the classic papers, as one set of flags.

Every number of steps counts training steps, one batch each. With `accumulate=n` an update happens every n steps, and
the schedules advance with the updates: `steps` and `warmup_steps` are divided by n.
"""

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any, Literal, get_args, get_origin, get_type_hints

import jax
import jax.numpy as jnp
import optax
import optax.contrib

from jaxvision.train import path_scales
from jaxvision.train.steps import only


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """Settings of gradient descent; `make(steps)` gives the optax transformation.

    `momentum` is w ← w − lr·v with v ← m·v + g, as in torch and darknet. With `rate_in_velocity` it is w ← w − v with
    v ← m·v + lr·g, as in Caffe and in Krizhevsky et al. 2012 (section 5): the same while lr is constant, but when lr is
    cut, the velocity of before fades at its old size. `lars` (You et al. 2017, algorithm 1) always does so. The trust
    ratio is ‖w‖ / ‖g + weight_decay·w‖ as in SimCLR. ValueError names the field that is out of its range.
    """

    rule: Literal["momentum", "adam", "lars"] = "momentum"  # how a gradient becomes an update
    lr: float = 0.1  # learning rate after warm-up
    lr_per: int = 0  # images an update that lr is meant for: it grows with batch_size × accumulate; 0: lr is as given
    momentum: float = 0.9  # share of the velocity kept in each update, in [0, 1); Adam's beta 1
    nesterov: bool = False  # look ahead: step along the gradient plus the new velocity
    rate_in_velocity: bool = False  # momentum: multiply by lr before the velocity, as Caffe does, not behind it
    beta2: float = 0.999  # Adam: share of the squared gradient's average kept in each update, in (0, 1)
    trust: float = 0.001  # LARS: length of a layer's update, as a fraction of the layer's norm, at lr 1
    weight_decay: float = 0.0  # L2 coefficient: this times the parameter is added to its gradient
    decoupled: bool = False  # decay past momentum and Adam's scaling (SGDW, AdamW): w -= lr * weight_decay * w
    decay_norms: bool = False  # also decay (and in LARS adapt) biases and normalisation scales, as early papers do
    schedule: Literal["constant", "step", "exponential", "cosine", "polynomial", "plateau"] = "constant"  # how lr falls
    warmup_steps: int = 0  # training steps over which lr first rises linearly
    warmup_from: float = 0.0  # fraction of lr from which it rises, in [0, 1)
    warmup_flat: bool = False  # lr stays at warmup_from during warm-up instead of rising
    milestones: tuple[float, ...] = (0.5, 0.75)  # step: fractions of the run at which lr is multiplied by factor
    factor: float = 0.1  # step, exponential and plateau: what a cut multiplies lr by, in (0, 1)
    every: int = 0  # exponential: training steps from one cut to the next
    power: float = 0.9  # polynomial: exponent of the remaining fraction of the run
    patience: int = 5  # plateau: cut lr after this many windows without a new lowest loss
    window: int = 100  # plateau: training steps whose loss is averaged
    clip_norm: float = 0.0  # scale the gradient down to at most this global L2 norm; 0: never
    accumulate: int = 1  # training steps whose mean gradient makes one update
    freeze: tuple[str, ...] = ()  # parameters that stay as they are: regular expressions such as backbone/conv[12]_
    lr_scale: tuple[str, ...] = ()  # PATTERN=FACTOR: multiply lr where a parameter's path matches, such as bias$=2
    decay_scale: tuple[str, ...] = ()  # PATTERN=FACTOR: multiply weight_decay where a path matches, such as bn=0

    def __post_init__(self) -> None:
        for field, (holds, remedy) in _RANGES.items():
            value = getattr(self, field)
            if not holds(value):
                raise ValueError(f"optimizer.{field} is {value}: {remedy}")
        for field, kind in get_type_hints(type(self)).items():
            if get_origin(kind) is Literal and getattr(self, field) not in get_args(kind):
                raise ValueError(f"optimizer.{field} is {getattr(self, field)!r}: one of {', '.join(get_args(kind))}")
        for flag in ("lr_scale", "decay_scale"):
            path_scales.parse(f"optimizer.{flag}", getattr(self, flag))
        if self.schedule == "exponential" and not self.every:
            raise ValueError(
                "optimizer.every is 0: give the training steps after which the exponential schedule cuts lr"
            )
        if self.warmup_flat and not self.warmup_from:
            raise ValueError("optimizer.warmup_flat: lr would be 0 all along; give warmup_from a fraction, such as 0.1")
        if self.rule == "lars" and self.decoupled:
            raise ValueError(
                "optimizer.decoupled: LARS measures the decayed gradient, so set it to false with rule lars"
            )
        if self.rate_in_velocity and (self.rule != "momentum" or self.decoupled or self.schedule == "plateau"):
            raise ValueError(
                "optimizer.rate_in_velocity: give it with rule momentum, without decoupled, and with a schedule other "
                "than plateau"
            )

    def at(self, batch_size: int) -> "Optimizer":
        """Return the settings for batches of so many images over all devices: with `lr_per`, lr is scaled by them.

        The learning rate is proportional to the images of an update (Goyal et al. 2017, section 2.1).
        """
        if not self.lr_per:
            return self
        return dataclasses.replace(self, lr=self.lr * batch_size * self.accumulate / self.lr_per, lr_per=0)

    def make(self, steps: int) -> optax.GradientTransformationExtraArgs:
        """Return the optax transformation for a run of `steps` training steps.

        `update` needs the parameters, and with `schedule="plateau"` also `value=`, the step's loss (averaged over the
        devices, or these would drift apart). The state holds arrays only. ValueError: `lr_per` is set, see `at`.
        """
        if self.lr_per:
            raise ValueError("optimizer.lr_per: lr cannot grow with the batch here; leave it out and give lr itself")
        clip = [optax.clip_by_global_norm(self.clip_norm)] if self.clip_norm else []
        tx = optax.with_extra_args_support(optax.chain(*clip, *_rule(self, steps)))
        if self.freeze:
            tx = only(tx, lambda path: not any(re.search(pattern, path) for pattern in self.freeze))
        if self.lr_scale:
            tx = optax.with_extra_args_support(optax.chain(tx, path_scales.scale_updates(_scales(self.lr_scale))))
        tx = _matched(self, tx)
        if self.accumulate > 1:
            multi = optax.MultiSteps(tx, self.accumulate)
            tx = optax.GradientTransformationExtraArgs(multi.init, multi.update)
        if self.schedule != "plateau":
            return tx
        # Outside the accumulation, so that the window sees the loss of every batch and not of one in n.
        cut = optax.contrib.reduce_on_plateau(self.factor, self.patience, accumulation_size=self.window)
        return optax.with_extra_args_support(optax.chain(tx, cut))


def learning_rate(optimizer: Optimizer, steps: int) -> optax.Schedule:
    """Return the schedule from training step (from 0) to learning rate, for logging.

    With `schedule="plateau"` its values are to be multiplied by `plateau_scale`.
    """
    schedule = _schedule(optimizer, steps)
    return lambda step: schedule(step // optimizer.accumulate)


def plateau_scale(opt_state: Any) -> jax.Array:
    """Return the factor by which the plateaus so far have cut lr; 1 for every other schedule."""
    kind = optax.contrib.ReduceLROnPlateauState
    nodes = jax.tree.leaves(opt_state, is_leaf=lambda node: isinstance(node, kind))
    return math.prod((node.scale for node in nodes if isinstance(node, kind)), start=jnp.ones(()))


def not_norms(params: Any) -> Any:
    """Return a tree of bools, False at biases and normalisation scales, which have at most one dimension."""
    return jax.tree.map(lambda p: p.ndim > 1, params)


def _matched(optimizer: Optimizer, tx: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """Make `init` refuse patterns of the settings that match no parameter."""
    patterns = {
        "freeze": optimizer.freeze,
        **{flag: tuple(p for p, _ in _scales(getattr(optimizer, flag))) for flag in ("lr_scale", "decay_scale")},
    }

    def init(params: Any) -> Any:
        for flag, given in patterns.items():
            path_scales.require_matches(f"--optimizer.{flag}", given, params)
        return tx.init(params)

    return optax.GradientTransformationExtraArgs(init, tx.update)


def _scales(entries: tuple[str, ...]) -> path_scales.Scales:
    return path_scales.parse("optimizer", entries)


def _rule(o: Optimizer, steps: int) -> list[optax.GradientTransformation]:
    """Return the transformations from gradient to update, without those that do nothing."""
    mask = None if o.decay_norms else not_norms
    changes = o.warmup_steps or o.schedule not in ("constant", "plateau")
    rate = [optax.scale_by_learning_rate(_schedule(o, steps) if changes else o.lr)]
    decay = [_decay(o)] if o.weight_decay else []
    velocity = [optax.trace(o.momentum, o.nesterov)] if o.momentum else []
    if o.rule == "lars":
        adapt = optax.scale_by_trust_ratio(trust_coefficient=o.trust)
        return [*decay, optax.masked(adapt, mask) if mask else adapt, *rate, *velocity]
    if o.rate_in_velocity:
        return [*decay, *rate, *velocity]
    direction = velocity if o.rule == "momentum" else [optax.scale_by_adam(o.momentum, o.beta2, nesterov=o.nesterov)]
    return [*direction, *decay, *rate] if o.decoupled else [*decay, *direction, *rate]


def _decay(o: Optimizer) -> optax.GradientTransformation:
    if o.decay_scale:
        return path_scales.decay_weights(o.weight_decay, _scales(o.decay_scale), o.decay_norms)
    return optax.add_decayed_weights(o.weight_decay, None if o.decay_norms else not_norms)


def _schedule(o: Optimizer, steps: int) -> optax.Schedule:
    """Return the schedule from update to learning rate.

    Milestones are fractions of the whole run; cosine and polynomial begin after warm-up and end at 0.
    """
    updates = max(steps // o.accumulate, 1)
    warmup = math.ceil(o.warmup_steps / o.accumulate)

    def schedule(count: Any) -> jax.Array:
        done = jnp.clip((count - warmup) / max(updates - warmup, 1), 0.0, 1.0)
        scale = jnp.ones(())
        if o.schedule == "step":
            scale = math.prod(
                (jnp.where(count >= round(m * updates), o.factor, 1.0) for m in o.milestones), start=scale
            )
        elif o.schedule == "exponential":
            scale = o.factor ** jnp.floor(count / max(o.every // o.accumulate, 1))
        elif o.schedule == "cosine":
            scale = 0.5 * (1.0 + jnp.cos(jnp.pi * done))
        elif o.schedule == "polynomial":
            scale = (1.0 - done) ** o.power
        risen = jnp.minimum((count + 1) / max(warmup, 1), 1.0)
        if o.warmup_flat:
            risen = jnp.where(count < warmup, 0.0, 1.0)
        return o.lr * scale * (o.warmup_from + (1.0 - o.warmup_from) * risen)

    return schedule


def _increasing_fractions(milestones: tuple[float, ...]) -> bool:
    return all(a < b for a, b in zip((0.0, *milestones), (*milestones, 1.0), strict=True))


# Written so that NaN is refused as well.
_RANGES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "lr": (lambda v: 0.0 < v < math.inf, "give a number above 0, for example 0.1"),
    "lr_per": (lambda v: v >= 0, "give a number of images, such as 256; 0 for lr as it is"),
    "every": (lambda v: v >= 0, "give a number of training steps"),
    "momentum": (lambda v: 0.0 <= v < 1.0, "give a number from 0 to below 1, for example 0.9"),
    "beta2": (lambda v: 0.0 < v < 1.0, "give a number between 0 and 1, for example 0.999"),
    "trust": (lambda v: 0.0 < v < math.inf, "give a number above 0, for example 0.001"),
    "weight_decay": (lambda v: 0.0 <= v < math.inf, "give 0 (none) or a positive number, for example 0.0001"),
    "warmup_steps": (lambda v: v >= 0, "give a number of training steps, 0 for no warm-up"),
    "warmup_from": (lambda v: 0.0 <= v < 1.0, "give a fraction of lr, for example 0.1; 0 for near 0"),
    "milestones": (_increasing_fractions, "give increasing fractions of the run between 0 and 1, for example 0.5,0.75"),
    "factor": (lambda v: 0.0 < v < 1.0, "give a number between 0 and 1, for example 0.1"),
    "power": (lambda v: 0.0 < v < math.inf, "give a number above 0, for example 0.9"),
    "patience": (lambda v: v >= 1, "give a number of windows, at least 1"),
    "window": (lambda v: v >= 1, "give a number of training steps, at least 1"),
    "clip_norm": (lambda v: 0.0 <= v < math.inf, "give 0 (never clip) or a positive norm"),
    "accumulate": (lambda v: v >= 1, "give a number of training steps, at least 1"),
}
