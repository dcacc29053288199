"""One network that one optimizer trains: the start, the step and the evaluation that most tasks share.

The network is any linen module `(inputs, *, train) -> outputs`.
"""

from collections.abc import Callable
from typing import Any

import flax.linen as nn
import jax
import optax

from jaxvision.train.steps import advance, as_float32, descend, init_state
from jaxvision.train.types import Key, Metrics, PyTree, TrainState


def start(model: nn.Module, tx: optax.GradientTransformationExtraArgs, key: Key, inputs: Any) -> TrainState:
    """Draw a network's parameters.

    Args:
        model: the network.
        tx: the optimizer.
        key: root key of the run.
        inputs: what the network is given in a step; only shapes matter.

    Returns:
        The state before the first step.
    """
    variables = model.init({"params": key, "dropout": key}, inputs, train=True)
    return init_state(key, variables, tx.init(variables["params"]))


def train(
    model: nn.Module,
    tx: optax.GradientTransformationExtraArgs,
    state: TrainState,
    inputs: Any,
    loss_of: Callable[[Any], tuple[jax.Array, Metrics]],
    *,
    dropout_key: Key | None = None,
    axis_name: str | None = None,
) -> tuple[TrainState, Metrics]:
    """Take one step against the gradient of a loss of the network's outputs.

    Args:
        model: the network, which runs in training mode.
        tx: the optimizer.
        state: the state before the step.
        inputs: what the network is given.
        loss_of: maps outputs to the loss and to metrics, which are averaged over the devices.
        dropout_key: what dropout is drawn from, for a network that has it.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        The state after the step, and the metrics with the loss under "loss".
    """
    rngs = {} if dropout_key is None else {"dropout": dropout_key}

    def loss_fn(params: PyTree) -> tuple[jax.Array, tuple[PyTree, Metrics]]:
        variables = {"params": params, **state.model_state}
        outputs, model_state = model.apply(variables, inputs, train=True, rngs=rngs, mutable=list(state.model_state))
        loss, metrics = loss_of(as_float32(outputs))
        return loss, (model_state, metrics)

    params, opt_state, loss, (model_state, metrics) = descend(
        loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
    )
    return advance(state, params, opt_state, model_state), {"loss": loss, **metrics}


def evaluate(model: nn.Module, state: TrainState, inputs: Any) -> Any:
    """Apply the network in evaluation mode: without dropout, by running batch statistics.

    Args:
        model: the network.
        state: with its variables.
        inputs: what the network is given.

    Returns:
        Its outputs, in float32.
    """
    return as_float32(model.apply({"params": state.params, **state.model_state}, inputs, train=False))
