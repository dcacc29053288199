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
"""Whether the parameter at a path such as "backbone/conv1/kernel" is to be learned."""


def everything(path: str) -> bool:
    """All parameters."""
    return True


def pmean(tree: Tree, axis_name: str | None) -> Tree:
    """The mean of every leaf over the devices of `axis_name`; the tree itself where there is no such axis."""
    return tree if axis_name is None else lax.pmean(tree, axis_name)


def step_key(state: TrainState, axis_name: str | None = None) -> Key:
    """The key of this step, another one on each device. Derived from the step, so a resumed run draws the same."""
    key = jax.random.fold_in(state.key, state.step)
    return key if axis_name is None else jax.random.fold_in(key, lax.axis_index(axis_name))


def example_keys(state: TrainState, count: int, axis_name: str | None) -> UInt32[Array, "B 2"]:
    """A key for each row of this device, by its number in the global batch."""
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
    """One update of `params` against the gradient of `loss_fn(params) -> (loss, aux)`.

    Loss, aux and gradient are averaged over the devices, so aux must hold what may be averaged: metrics, batch
    statistics. Returns `(params, opt_state, loss, aux)`.
    """
    (loss, aux), grads = jax.value_and_grad(loss_fn, has_aux=True)(params)
    loss, aux, grads = pmean((loss, aux, grads), axis_name)
    updates, opt_state = tx.update(grads, opt_state, params, value=loss)
    return optax.apply_updates(params, updates), opt_state, loss, aux


def only(tx: optax.GradientTransformationExtraArgs, trainable: Trainable) -> optax.GradientTransformationExtraArgs:
    """`tx` on the parameters to be learned; weight decay does not move the others either."""
    if trainable is everything:
        return tx
    kinds = {True: tx, False: optax.set_to_zero()}
    return optax.with_extra_args_support(optax.partition(kinds, partial(labels, trainable=trainable)))


def stop(params: PyTree, trainable: Trainable) -> PyTree:
    """`params`, of which those not learned have no gradient, so that none is computed."""
    if trainable is everything:
        return params
    return jax.tree.map(lambda p, learned: p if learned else lax.stop_gradient(p), params, labels(params, trainable))


def labels(params: PyTree, trainable: Trainable) -> PyTree:
    """Whether each leaf is to be learned."""
    return jax.tree_util.tree_map_with_path(lambda path, _: trainable(path_name(path)), params)


def path_name(path: Any) -> str:
    """A leaf's place in its tree, as in "backbone/conv1/kernel"."""
    return jax.tree_util.keystr(path, simple=True, separator="/")


def ema(average: Tree, new: PyTree, decay: float) -> Tree:
    """The exponential moving average `decay · average + (1 − decay) · new`, leaf by leaf."""
    return jax.tree.map(lambda a, n: decay * a + (1.0 - decay) * n.astype(a.dtype), average, new)


def init_state(key: Key, variables: PyTree, opt_state: PyTree, aux: PyTree = None) -> TrainState:
    """Step 0 from linen's `variables`: `params`, and every other collection as model state."""
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
    """The step of a task that only looks at what others have learned."""
    return state, {}


def nothing() -> Task:
    """What is learned in a stage that only makes files for later ones, or a table of what others found."""
    return Task(lambda key, batch: init_state(key, {"params": {}}, {}), no_step, lambda state, batch: {})
