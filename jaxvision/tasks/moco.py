"""MoCo (He, Fan, Wu, Xie & Girshick 2020; Chen, Fan, Girshick & He 2020): contrast with a queue of earlier keys."""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float

from jaxvision.losses.contrastive import info_nce, unit
from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import Color, normalise
from jaxvision.ops.queue import enqueue
from jaxvision.tasks.views import features, two_views
from jaxvision.train.steps import descend, ema, init_state, pmean, step_key
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

_NO_ROW = 2**31 - 1  # folded into a step's key where a row's number would be: the key of the shuffle


def moco(
    network: Callable[[int], nn.Module],
    tx: optax.GradientTransformationExtraArgs,
    *,
    augment: Augmentation,
    mean: Color,
    std: Color,
    temperature: float,
    queue: int,
    momentum: float,
    groups: int,
) -> Task:
    """Learn from `batch["image"]` (uint8 RGB, normalised here), without labels (algorithm 1).

    `network(n)` returns "pool" and "embedding", and normalises each of n equal parts of its batch by itself. The global
    batch is dealt out to `groups` such parts, whatever the number of devices; with more devices than groups each is one
    part. Keys are dealt out in another order than queries: else the statistics that a query shares with its key would
    give the key away (shuffling BN, section 3.3).

    In a step the key network first moves towards the query's, by 1 − `momentum`; it makes the keys of the second views;
    the query network learns to tell its image's key from the `queue` keys of earlier steps; then the keys take the
    place of the oldest ones. `params` are the query's; `aux` holds "key_params", "key_state" (batch statistics of its
    own), "queue" [K, D] and "head", where its oldest row is (`ops.queue`).

    `predict` returns `features` [B, D] of the query's backbone. Metrics: "loss" and "accuracy", of K + 1 choices.
    ValueError: groups that do not divide by the devices.
    """
    whole = network(1)

    def init(key: Key, batch: Batch) -> TrainState:
        images = normalise(batch["image"], mean, std)
        outputs, variables = whole.init_with_output(key, images, train=True)
        rows = jax.random.normal(jax.random.fold_in(key, _NO_ROW), (queue, outputs["embedding"].shape[1]))
        state = init_state(key, variables, tx.init(variables["params"]))
        aux = {"key_params": state.params, "key_state": state.model_state}
        aux |= {"queue": unit(rows), "head": jnp.zeros((), jnp.int32)}
        return dataclasses.replace(state, aux=aux)

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        model = network(_parts(groups, axis_name))
        views = two_views(state, batch["image"], augment, mean, std, axis_name)
        queries, others = views.reshape(2, -1, *views.shape[1:])
        key_params = ema(state.aux["key_params"], state.params, momentum)
        variables = {"params": key_params, **state.aux["key_state"]}
        keys, key_state = shuffled(model, variables, others, jax.random.fold_in(step_key(state), _NO_ROW), axis_name)

        def loss_fn(params: Any) -> tuple[jax.Array, tuple[Any, jax.Array]]:
            variables = {"params": params, **state.model_state}
            outputs, model_state = model.apply(variables, queries, train=True, mutable=list(state.model_state))
            found = info_nce(outputs["embedding"], _own(keys, axis_name), state.aux["queue"], temperature)
            return found.loss, (model_state, found.accuracy)

        params, opt_state, loss, (model_state, accuracy) = descend(
            loss_fn, state.params, state.opt_state, tx, axis_name=axis_name
        )
        rows, head = enqueue(state.aux["queue"], state.aux["head"], keys)
        aux = {"key_params": key_params, "key_state": key_state, "queue": rows, "head": head}
        new = TrainState(state.step + 1, params, opt_state, model_state, aux, state.key)
        return new, {"loss": loss, "accuracy": accuracy}

    return Task(init, step, partial(features, whole, mean=mean, std=std))


def shuffled(
    model: nn.Module, variables: PyTree, images: Float[Array, "B H W 3"], key: Key, axis_name: str | None
) -> tuple[Float[Array, "N D"], PyTree]:
    """Embeddings of length 1 of all devices' images, in their order, each computed among others than it came with.

    Also the model's new state, averaged over the devices.
    """
    total = images.shape[0] * _devices(axis_name)
    order = jax.random.permutation(key, total)
    dealt = _all(images, axis_name)[_own(order, axis_name)]
    collections = [name for name in variables if name != "params"]
    outputs, state = model.apply(variables, dealt, train=True, mutable=collections)
    return unit(_all(outputs["embedding"], axis_name)[jnp.argsort(order)]), pmean(state, axis_name)


def _parts(groups: int, axis_name: str | None) -> int:
    """Of one device's batch."""
    devices = _devices(axis_name)
    if devices < groups and groups % devices:
        raise ValueError(f"--groups={groups} does not divide by the {devices} devices")
    return max(1, groups // devices)


def _devices(axis_name: str | None) -> int:
    return 1 if axis_name is None else lax.axis_size(axis_name)


def _all(rows: Array, axis_name: str | None) -> Array:
    """The rows of all devices."""
    return rows if axis_name is None else lax.all_gather(rows, axis_name, tiled=True)


def _own(rows: Array, axis_name: str | None) -> Array:
    """This device's share of the rows of all."""
    if axis_name is None:
        return rows
    count = rows.shape[0] // _devices(axis_name)
    return lax.dynamic_slice_in_dim(rows, lax.axis_index(axis_name) * count, count)
