"""The few helpers that a training step is written with."""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, UInt32

from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

Tree = TypeVar("Tree")
Trainable = Callable[[str], bool]
"""Returns True if the parameter at a path such as "backbone/conv1/kernel" is to be learned."""


def everything(path: str) -> bool:
    """Return True: every parameter is to be learned."""
    return True


def pmean(tree: Tree, axis_name: str | None) -> Tree:
    """Return the mean of every leaf over the devices of `axis_name`, or the tree itself if that is None."""
    return tree if axis_name is None else lax.pmean(tree, axis_name)


def step_key(state: TrainState, axis_name: str | None = None) -> Key:
    """Return the key of this step on this device, derived from the step, so that a resumed run draws the same."""
    key = jax.random.fold_in(state.key, state.step)
    return key if axis_name is None else jax.random.fold_in(key, lax.axis_index(axis_name))


def example_keys(state: TrainState, count: int, axis_name: str | None) -> UInt32[Array, "B 2"]:
    """Return a key for each example, derived from its index in the global batch.

    Args:
        state: the state, whose key and step the keys are derived from.
        count: rows of the batch on this device.
        axis_name: the axis of the devices; None for a single one.

    Returns:
        The keys of this device's rows.
    """
    start = 0 if axis_name is None else lax.axis_index(axis_name) * count
    return jax.vmap(partial(jax.random.fold_in, step_key(state)))(start + jnp.arange(count))


def descend(
    loss_fn: Callable[[PyTree], tuple[jax.Array, Any]],
    params: PyTree,
    opt_state: PyTree,
    tx: optax.GradientTransformationExtraArgs,
    *,
    axis_name: str | None = None,
) -> tuple[PyTree, PyTree, jax.Array, Any]:
    """Update `params` once, against the gradient of a loss.

    Args:
        loss_fn: function from parameters to the loss and auxiliary values. These are averaged over the devices, so they
            must be something that may be averaged: metrics, batch statistics.
        params: the parameters.
        opt_state: the optimizer's state.
        tx: the optimizer.
        axis_name: the axis of the devices, over which loss, auxiliary values and gradient are averaged; None for one.

    Returns:
        The new parameters, the new optimizer state, the loss and the auxiliary values.
    """
    (loss, aux), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    loss, aux, grads = pmean((loss, aux, grads), axis_name)
    updates, opt_state = tx.update(grads, opt_state, params, value=loss)
    return optax.apply_updates(params, updates), opt_state, loss, aux


def only(tx: optax.GradientTransformationExtraArgs, trainable: Trainable) -> optax.GradientTransformationExtraArgs:
    """Restrict `tx` to the parameters to be learned; weight decay does not change the others either."""
    if trainable is everything:
        return tx
    kinds = {True: tx, False: optax.set_to_zero()}
    return optax.with_extra_args_support(optax.partition(kinds, partial(labels, trainable=trainable)))


def stop(params: PyTree, trainable: Trainable) -> PyTree:
    """Return `params` with `stop_gradient` around those that are not learned, so that no gradient is computed."""
    if trainable is everything:
        return params
    return jax.tree.map(lambda p, learned: p if learned else lax.stop_gradient(p), params, labels(params, trainable))


def labels(params: PyTree, trainable: Trainable) -> PyTree:
    """Return a tree of bools: True where the parameter is to be learned."""
    return jax.tree_util.tree_map_with_path(lambda path, _: trainable(path_name(path)), params)


def path_name(path: Any) -> str:
    """Format a leaf's path in its tree, such as "backbone/conv1/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def as_float32(tree: Tree) -> Tree:
    """Return a network's outputs with bfloat16 maps as float32, so that what is computed of them is exact."""
    return jax.tree.map(lambda x: x.astype(jnp.float32) if x.dtype == jnp.bfloat16 else x, tree)


def ema(average: Tree, new: PyTree, decay: float | jax.Array) -> Tree:
    """Return the exponential moving average `decay · average + (1 − decay) · new`, leaf by leaf.

    Args:
        average: the average so far.
        new: the values to take in, a tree of the same structure.
        decay: the share of itself that the average keeps, from 0 to 1.

    Returns:
        The average after the step, in the types of `average`.
    """
    return jax.tree.map(lambda a, n: decay * a + (1.0 - decay) * n.astype(a.dtype), average, new)


def init_state(key: Key, variables: PyTree, opt_state: PyTree, aux: PyTree = None) -> TrainState:
    """Return the state at step 0.

    Args:
        key: the root key of the training's random draws.
        variables: linen's variables: "params", and every other collection, which becomes model state.
        opt_state: the optimizer's state at the start.
        aux: what the task carries besides; None for nothing.

    Returns:
        The state.
    """
    model_state = {name: tree for name, tree in variables.items() if name != "params"}
    step = jnp.zeros((), jnp.int32)
    return TrainState(step, variables["params"], opt_state, model_state, {} if aux is None else aux, key)


def advance(
    state: TrainState, params: PyTree, opt_state: PyTree, model_state: PyTree = None, aux: PyTree = None
) -> TrainState:
    """Return the state after one more step.

    Args:
        state: the state before the step; its key stays the same, as `step_key` folds the step into it.
        params: the updated parameters.
        opt_state: the optimizer's state after the update.
        model_state: mutable linen collections, such as batch statistics; None keeps those of `state`.
        aux: what the task carries besides, such as averaged parameters; None keeps that of `state`.

    Returns:
        A state with `step` one higher.
    """
    model_state = state.model_state if model_state is None else model_state
    return TrainState(state.step + 1, params, opt_state, model_state, state.aux if aux is None else aux, state.key)


def no_step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
    """Return the state unchanged: the step of a task that learns nothing.

    Args:
        state: the state.
        batch: not used.
        axis_name: not used.

    Returns:
        The same state, and no metrics.
    """
    return state, {}


def nothing() -> Task:
    """Return the task without parameters, for a stage that only makes files or a table."""
    return Task(lambda key, batch: init_state(key, {"params": {}}, {}), no_step, lambda state, batch: {})
