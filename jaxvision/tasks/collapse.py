"""An alarm for GANs that stop learning: samples all alike, a discriminator that always wins, no gradient.

A window of recent metrics travels in the state (`aux["recent"]`), so the alarm is the same after a resume.
"""

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax
from absl import logging
from jaxtyping import Array, Float

from jaxvision.train.steps import pmean
from jaxvision.train.types import Hook, Metrics, Predict, Result, TrainState

WINDOW = 50
"""Number of steps that recent metrics are averaged over, with exponential weights."""
LEAST_DIVERSITY = 0.1  # as a share of the data's
SURE = 0.99  # accuracy of a discriminator that has won
LEAST_GRADIENT = 1e-6

_HEALTHY = {"diversity": 1.0, "real_accuracy": 0.5, "fake_accuracy": 0.5, "gradient_generator": 1.0}


def diversity(
    samples: Float[Array, "B ..."], real: Float[Array, "B ..."], axis_name: str | None = None
) -> Float[Array, ""]:
    """Compare how much samples vary with how much the data do, by root mean squares over all pairs of the batch.

    Args:
        samples: generated rows.
        real: rows of the data.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        1 where the samples vary as the data do, 0 where they are all the same.
    """

    def spread(x: Float[Array, "B ..."]) -> Float[Array, ""]:
        x = x.astype(jnp.float32)
        center = pmean(x.mean(axis=0, keepdims=True), axis_name)
        return jnp.sqrt(pmean(jnp.mean(jnp.square(x - center)), axis_name))

    return spread(samples) / jnp.maximum(spread(real), 1e-8)


def healthy() -> dict[str, jax.Array]:
    """Return recent metrics for before the first step, which ring no alarm."""
    return {name: jnp.array(value, jnp.float32) for name, value in _HEALTHY.items()}


def updated(recent: Metrics, metrics: Metrics) -> Metrics:
    """Move the window of recent metrics on by one step."""
    return optax.incremental_update({name: metrics[name] for name in recent}, recent, 1.0 / WINDOW)


def reason(recent: Mapping[str, Any], objective: str) -> str:
    """Say what is wrong in one line, or return "" if nothing is; a Wasserstein critic may always win."""
    value = {name: float(v) for name, v in recent.items()}
    if value["diversity"] < LEAST_DIVERSITY:
        return f"samples are all alike (diversity {value['diversity']:.2g} of the data's): the generator has collapsed"
    if objective != "wasserstein" and min(value["real_accuracy"], value["fake_accuracy"]) > SURE:
        return (
            f"the discriminator is right on {value['real_accuracy']:.1%} of real and {value['fake_accuracy']:.1%} of "
            "fake rows: there is little left to learn from; lower its learning rate, or smooth its labels"
        )
    if value["gradient_generator"] < LEAST_GRADIENT:
        return f"the generator's gradient has vanished ({value['gradient_generator']:.1g})"
    return ""


def alarm(objective: str, *, every: int) -> Hook:
    """Make a hook that logs the reason as a warning; its metric "alarm/collapse" is 1.0 if there is one, else 0.0."""

    def run(predict: Predict, state: TrainState) -> Result:
        wrong = reason(jax.device_get(state.aux["recent"]), objective)
        if wrong:
            logging.warning("step %d: %s", int(state.step), wrong)
        return {"alarm/collapse": float(bool(wrong))}

    return Hook("collapse", every, run)
