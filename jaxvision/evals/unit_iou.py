"""Agreement of every unit of a layer with every class of a segmentation, in one pass and in bounded memory.

Bau et al. 2017, "Network Dissection", and 2019, "GAN Dissection", section 3.1. Outputs hold "units" [B, h, w, U],
"classes" [B, H, W] (labels beyond the class names, such as 255, do not count) and "samples" uint8 [B, S, S, C]; a batch
holds "z" [B, Z] and "_mask" bool [B].
"""

import zlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Int, Integer, Shaped, UInt8

from jaxvision.ops.interpolation import resize_bilinear
from jaxvision.train.types import Metric, Result

BINS = 2048
"""A value's bin is its float16 without the last 5 bits: any range of values, in steps of 1/32 of the value or less."""
_DROPPED = 5
_AT_ONCE = 2**23  # values counted together


class Agreement(NamedTuple):
    """IoU of every unit with every class where the unit is at least a threshold, for two choices of the threshold."""

    threshold: Float[np.ndarray, "U K"]  # with the highest information about the class
    information: Float[np.ndarray, "U K"]  # mutual information over joint entropy at `threshold`, first half of images
    iou: Float[np.ndarray, "U K"]  # at `threshold`, over the other half
    quantile_threshold: Float[np.ndarray, " U"]  # least of the top quantile of all the unit's values
    quantile_iou: Float[np.ndarray, "U K"]  # at `quantile_threshold`, over all images


class Top(NamedTuple):
    """The images with the highest values of each unit, the highest first."""

    scores: Float[np.ndarray, "U N"]
    samples: UInt8[np.ndarray, "U N S S C"]
    maps: Float[np.ndarray, "U N h w"]


def unit_iou(class_names: Sequence[str], *, quantile: float = 0.005) -> Metric:
    """Measure the agreement of units and classes: {"agreement": an `Agreement`}, a table for other code to read.

    Maps are upsampled bilinearly to the segmentation. The state counts values: int64 [2, U, K, 2048], 90 MB for 256
    units and 11 classes; every threshold is the lower edge of a bin. The latent of an image decides in which half it
    counts, whatever batch it comes in. A threshold is informative of a class only if the class is more frequent above
    it.
    """
    k = len(class_names)

    def update(state: Int[np.ndarray, "..."], outputs: Mapping, batch: Mapping) -> Int[np.ndarray, "2 U K bins"]:
        rows = np.flatnonzero(np.asarray(batch["_mask"], bool))
        halves = np.array([_half(batch["z"][r]) for r in rows], np.int64)
        units, classes = np.asarray(outputs["units"]), np.asarray(outputs["classes"])
        new = [count(units[rows[halves == half]], classes[rows[halves == half]], k) for half in (0, 1)]
        return state + np.stack(new)

    def result(state: Int[np.ndarray, "..."]) -> Result:
        if state.ndim != 4 or not state.sum(axis=(1, 2, 3)).all():
            raise ValueError("unit_iou: too few images to choose thresholds on one half of them; give more data")
        return {"agreement": agreement(state, quantile)}

    return Metric(lambda: np.zeros((), np.int64), update, result)


def top_images(most: int = 6) -> Metric:
    """Collect, for each unit, the `most` images with its highest values: {"top": a `Top`}."""

    def update(state: Top | None, outputs: Mapping, batch: Mapping) -> Top | None:
        rows = np.flatnonzero(np.asarray(batch["_mask"], bool))
        samples, maps = np.asarray(outputs["samples"])[rows], np.asarray(outputs["units"])[rows]
        if not len(rows):
            return state
        scores = maps.max(axis=(1, 2)).T.astype(np.float32)  # [U, B]
        best = np.argsort(-scores, axis=1, kind="stable")[:, :most]
        units = np.arange(len(scores))[:, None]
        own = np.moveaxis(maps, -1, 0)[units, best].astype(np.float32)
        return merge_top(state, Top(scores[units, best], samples[best], own), most)

    def merge(a: Top | None, b: Top | None) -> Top | None:
        return merge_top(a, b, most) if b is not None else a

    return Metric(lambda: None, update, lambda state: {"top": state}, merge)


def count(
    units: Float[np.ndarray, "B h w U"], classes: Integer[np.ndarray, "B H W"], k: int
) -> Int[np.ndarray, "U K bins"]:
    """Count, for each unit, the pixels of each class that have a value in each bin.

    Args:
        units: the layer's maps.
        classes: the segmentation, to whose size maps are upsampled.
        k: the number of classes; labels from k on do not count.

    Returns:
        Numbers of pixels.

    Raises:
        ValueError: values that are not finite.
    """
    n, size = units.shape[-1], (classes.shape[1], classes.shape[2])
    total = np.zeros(n * k * BINS, np.int64)
    step = max(_AT_ONCE // (n * size[0] * size[1]), 1)
    for i in range(0, len(units), step):
        large = np.asarray(resize_bilinear(jnp.asarray(units[i : i + step], jnp.float32), size))
        counted = classes[i : i + step] < k
        labels = classes[i : i + step][counted].astype(np.int64)[:, None]
        index = (np.arange(n)[None] * k + labels) * BINS + bins(large[counted])
        total += np.bincount(index.ravel(), minlength=total.size)
    return total.reshape(n, k, BINS)


def bins(values: Shaped[np.ndarray, "*n"]) -> Int[np.ndarray, "*n"]:
    """Return the bin of each value; bins are in the order of values. ValueError: a value that is not finite."""
    if not np.isfinite(values).all():
        raise ValueError("unit_iou: a unit is not finite; look for the checkpoint that is broken, or another --layer")
    bits = (np.clip(values, -65504, 65504).astype(np.float16) + np.float16(0)).view(np.uint16)  # + 0: −0 is 0
    return (np.where(bits & 0x8000, ~bits, bits | 0x8000) >> _DROPPED).astype(np.int64)


def edges() -> Float[np.ndarray, " bins"]:
    """Return the least value of each bin; infinity for bins without values."""
    order = (np.arange(BINS) << _DROPPED).astype(np.uint16)
    bits = np.where(order & 0x8000, order & 0x7FFF, ~order).astype(np.uint16)
    values = bits.view(np.float16).astype(np.float64)
    return np.where(np.isnan(values), np.inf, values)


def agreement(counts: Int[np.ndarray, "2 U K bins"], quantile: float) -> Agreement:
    """Compute the table from the counts over the two halves of the images."""
    first, second = counts
    informed = [_most_informative(_above(unit)) for unit in first]
    cut = np.array([b for b, _ in informed])
    top = np.array([_quantile(unit.sum(axis=0), quantile) for unit in first + second])
    classes = np.arange(counts.shape[2])
    iou = [_iou(_above(unit))[classes, b] for unit, b in zip(second, cut, strict=True)]
    quantile_iou = [_iou(_above(unit))[:, b] for unit, b in zip(first + second, top, strict=True)]
    edge = edges()
    informations = np.array([value for _, value in informed])
    return Agreement(edge[cut], informations, np.array(iou), edge[top], np.array(quantile_iou))


def merge_top(a: Top | None, b: Top, most: int) -> Top:
    """Merge the top images of two sets of images.

    Args:
        a: the top images of one set, or None for an empty one.
        b: those of the other.
        most: the number of images to keep for each unit.

    Returns:
        The images with the highest values, of equal ones those of `a`.
    """
    if a is None:
        return b
    both = Top(*(np.concatenate(pair, axis=1) for pair in zip(a, b, strict=True)))
    best = np.argsort(-both.scores, axis=1, kind="stable")[:, :most]
    units = np.arange(len(best))[:, None]
    return Top(*(x[units, best] for x in both))


def _half(z: Float[np.ndarray, " Z"]) -> int:
    return zlib.crc32(np.ascontiguousarray(z).tobytes()) & 1


def _above(counts: Int[np.ndarray, "K bins"]) -> Int[np.ndarray, "K bins"]:
    """Count the pixels of each class that have a value in this bin or in a higher one."""
    return counts[:, ::-1].cumsum(axis=1)[:, ::-1]


def _iou(above: Int[np.ndarray, "K bins"]) -> Float[np.ndarray, "K bins"]:
    """Return the IoU of "the unit is in this bin or above" with each class; 0 where the union is empty."""
    union = above.sum(axis=0)[None] + above[:, :1] - above
    return above / np.maximum(union, 1)


def _most_informative(above: Int[np.ndarray, "K bins"]) -> tuple[Int[np.ndarray, " K"], Float[np.ndarray, " K"]]:
    """Return for each class the threshold bin with most information, the highest of equals, and that information."""
    n = above[:, 0].sum()
    on, of = (above.sum(axis=0) / n)[None], above[:, :1] / n
    both = above / n
    joint = np.stack([both, on - both, of - both, 1 - on - of + both])
    apart = np.stack([on * of, on * (1 - of), (1 - on) * of, (1 - on) * (1 - of)])
    sure = joint > 1e-12
    logs = np.log(np.where(sure, joint, 1.0))
    entropy = -(joint * logs).sum(axis=0)
    mutual = np.where(sure, joint * (logs - np.log(np.where(sure, apart, 1.0))), 0.0).sum(axis=0)
    informations = np.where((both > on * of) & (entropy > 1e-12), mutual / np.maximum(entropy, 1e-12), 0.0)
    best = above.shape[1] - 1 - np.argmax(informations[:, ::-1], axis=1)
    return best, informations[np.arange(len(informations)), best]


def _quantile(counts: Int[np.ndarray, " bins"], quantile: float) -> int:
    """Return the highest bin that, with those above, holds this share of the values.

    The bin of the lowest values is never returned: there a unit that is rarely active is inactive.
    """
    above = counts[::-1].cumsum()[::-1]
    reached = np.flatnonzero(above >= quantile * above[0]).max()
    return max(int(reached), int(np.flatnonzero(counts).min()) + 1)
