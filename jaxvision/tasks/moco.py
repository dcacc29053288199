"""MoCo (He, Fan, Wu, Xie & Girshick 2020; Chen, Fan, Girshick & He 2020): contrast with a queue of earlier keys.

Batches hold "image" (uint8 RGB [B, H, W, 3], normalised here), without labels. In a state, `params` are the query
network's; `aux` holds "key_params", "key_state" (the key network's batch statistics), "queue" [K, D] and "head", the
place of its oldest row (`ops.queue`).
"""

import dataclasses
from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from jax import lax
from jaxtyping import Array, Float, Int

from jaxvision.losses.contrastive import info_nce, unit
from jaxvision.ops.augment import Augmentation
from jaxvision.ops.images import Color, normalise
from jaxvision.ops.queue import enqueue
from jaxvision.tasks import one_network
from jaxvision.tasks.views import features, see_views, two_views
from jaxvision.train.steps import ema, init_state, pmean, step_key
from jaxvision.train.types import Batch, Key, Metrics, PyTree, Task, TrainState

# Folded into a step's key in the place of a row's number; no row has it. Gives the key of the shuffle.
_NO_ROW = 2**31 - 1


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
    shuffle: bool = True,
    sent_as: jax.typing.DTypeLike = jnp.float32,
) -> Task:
    """Make the task of telling an image's key from those of earlier images (algorithm 1).

    In a step the key network moves towards the query network and makes the keys of the second views; the query network
    learns to tell its image's key from those in the queue; then the new keys replace the oldest ones. Keys are dealt
    out to the groups in another order than queries: statistics that a query shared with its key would give the key away
    (shuffling BN, section 3.3). Where the batch divides by the square of the groups, every group gets equally many
    images of each, so that a device sends and receives no more than its own share.

    Args:
        network: makes a network, which returns "pool" and "embedding", with batch norm in n equal parts of its batch.
        tx: the optimizer.
        augment: draws a view.
        mean: pixel mean of each channel, in 0..255.
        std: pixel standard deviation of each channel.
        temperature: τ of the loss.
        queue: K, keys that are remembered.
        momentum: share of itself that the key network keeps in a step.
        groups: parts of the global batch, whatever the number of devices; with more devices each is a part.
        shuffle: whether keys are dealt out anew; without it a query and its key share their statistics.
        sent_as: type in which images travel between devices; nothing is lost if the network computes in it.

    Returns:
        The task. Metrics are "loss" and "accuracy", of K + 1 choices; `predict` returns "features" [B, D] of the query
        network. A step raises ValueError where the groups do not divide by the devices.
    """
    whole = network(1)

    def init(key: Key, batch: Batch) -> TrainState:
        images = normalise(batch["image"], mean, std)
        outputs, variables = whole.init_with_output(key, images, train=True)
        state = init_state(key, variables, tx.init(variables["params"]))
        rows = jax.random.normal(jax.random.fold_in(key, _NO_ROW), (queue, outputs["embedding"].shape[1]))
        place = {"queue": unit(rows), "head": jnp.zeros((), jnp.int32)}
        return dataclasses.replace(state, aux={"key_params": state.params, "key_state": state.model_state, **place})

    def step(state: TrainState, batch: Batch, *, axis_name: str | None = None) -> tuple[TrainState, Metrics]:
        model = network(_parts(groups, axis_name))
        views = two_views(state, batch["image"], augment, mean, std, axis_name, batch.get("second"))
        queries, second = views.reshape(2, -1, *views.shape[1:])
        key_params = ema(state.aux["key_params"], state.params, momentum)
        variables, key = {"params": key_params, **state.aux["key_state"]}, jax.random.fold_in(step_key(state), _NO_ROW)
        parts, order = max(groups, _devices(axis_name)), key if shuffle else None
        keys, key_state = shuffled(model, variables, second.astype(sent_as), order, parts, axis_name)

        def contrast(outputs: Any) -> tuple[jax.Array, Metrics]:
            result = info_nce(outputs["embedding"], _own(keys, axis_name), state.aux["queue"], temperature)
            return result.loss, {"accuracy": result.accuracy}

        new, metrics = one_network.train(model, tx, state, queries, contrast, axis_name=axis_name)
        rows, head = enqueue(state.aux["queue"], state.aux["head"], keys)
        aux = {"key_params": key_params, "key_state": key_state, "queue": rows, "head": head}
        return dataclasses.replace(new, aux=aux), metrics

    predict, see = partial(features, whole, mean=mean, std=std), partial(see_views, augment=augment)
    return Task(init, step, predict, see)


def shuffled(
    model: nn.Module,
    variables: PyTree,
    images: Float[Array, "B H W 3"],
    key: Key | None,
    parts: int,
    axis_name: str | None,
) -> tuple[Float[Array, "N D"], PyTree]:
    """Compute embeddings of the global batch with its rows dealt out to devices and groups in a random order.

    Args:
        model: the key network.
        variables: its parameters and batch statistics.
        images: this device's rows, normalised.
        key: draws the order; the same on every device. None: rows stay where they are.
        parts: groups of the global batch, a multiple of the number of devices.
        axis_name: axis of the devices that share the batch, if there are several.

    Returns:
        Embeddings of length 1 of all devices' rows, in their original order, and the network's new batch statistics,
        averaged over the devices.
    """
    order = None if key is None else dealing(key, images.shape[0] * _devices(axis_name), parts)
    dealt = images if order is None else _dealt(images, order, parts, axis_name)
    collections = [name for name in variables if name != "params"]
    outputs, state = model.apply(variables, dealt, train=True, mutable=collections)
    embedded = _all(outputs["embedding"], axis_name)
    return unit(embedded if order is None else embedded[jnp.argsort(order)]), pmean(state, axis_name)


def dealing(key: Key, total: int, parts: int) -> Int[Array, " N"]:
    """Draw the order in which rows are dealt out.

    Args:
        key: draws it.
        total: N, rows of the global batch.
        parts: groups that they are dealt out to, and that they come from.

    Returns:
        The row at each place: equally many of every group in every group where N divides by the square of `parts`, any
        otherwise.
    """
    if total % parts**2:
        return jax.random.permutation(key, total)
    rows = jnp.arange(total).reshape(parts, -1)
    mixed = jax.random.permutation(key, rows, axis=1, independent=True)
    return mixed.reshape(parts, parts, -1).swapaxes(0, 1).reshape(-1)


def _dealt(
    images: Float[Array, "B H W 3"], order: Int[Array, " N"], parts: int, axis_name: str | None
) -> Float[Array, "B H W 3"]:
    """Return the images of this device's places in the order of `dealing`."""
    devices, own = _devices(axis_name), images.shape[0]
    if axis_name is None or len(order) % parts**2:
        return _all(images, axis_name)[_own(order, axis_name)]
    # Axes: the device and the part that a row goes to, the part that it comes from, its number.
    first = lax.axis_index(axis_name) * (parts // devices)
    leaving = lax.dynamic_slice_in_dim(order.reshape(parts, parts, -1), first, parts // devices, axis=1)
    leaving = leaving.reshape(devices, -1) - lax.axis_index(axis_name) * own
    arrived = lax.all_to_all(images[leaving], axis_name, 0, 0)
    pieces = arrived.reshape(devices, parts // devices, -1, *images.shape[1:])
    return pieces.swapaxes(0, 1).reshape(images.shape)


def _parts(groups: int, axis_name: str | None) -> int:
    """Count the groups in one device's share of the batch."""
    devices = _devices(axis_name)
    if devices < groups and groups % devices:
        raise ValueError(f"--groups={groups} does not divide by the {devices} devices")
    return max(1, groups // devices)


def _devices(axis_name: str | None) -> int:
    return 1 if axis_name is None else lax.axis_size(axis_name)


def _all(rows: Array, axis_name: str | None) -> Array:
    """Gather the rows of all devices."""
    return rows if axis_name is None else lax.all_gather(rows, axis_name, tiled=True)


def _own(rows: Array, axis_name: str | None) -> Array:
    """Return this device's share of the rows of all devices."""
    if axis_name is None:
        return rows
    count = rows.shape[0] // _devices(axis_name)
    return lax.dynamic_slice_in_dim(rows, lax.axis_index(axis_name) * count, count)
