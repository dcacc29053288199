"""Pictures of the windows that R-CNN's network and SVMs learn from."""

from collections.abc import Callable, Sequence

import jax
import numpy as np
from jaxtyping import UInt8

from jaxvision.channels import Channels
from jaxvision.data.canvas import Canvases
from jaxvision.fits.hard_negatives import Round
from jaxvision.recipes.rcnn_windows import WindowSplit
from jaxvision.tasks.rcnn import Look
from jaxvision.train.types import Batch, PyTree
from jaxvision.viz.grid import grid, predictions

MOMENTS = 4  # moments of mining that a picture shows
HARDEST = 8  # negatives that it shows of each

Place = tuple[int, int]
"""(image, window): the number of an image, and of a window in it."""


def draw_windows(outputs: PyTree, batch: Batch, class_names: Sequence[str]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw windows as the network is shown them, up to 12 of objects and 12 of background, with its predictions.

    Args:
        outputs: "windows" and "probabilities" of the batch.
        batch: "labels" of the windows.
        class_names: names of the classes, the background first.

    Returns:
        The picture.
    """
    labels = np.asarray(batch["labels"][:, 0])
    rows = np.concatenate([np.flatnonzero(labels > 0)[:12], np.flatnonzero(labels == 0)[:12]])
    windows, probabilities = (np.asarray(outputs[key])[rows] for key in ("windows", "probabilities"))
    return predictions(windows, probabilities, class_names, labels[rows])


def draw_hard_negatives(
    rounds: Sequence[Round], pixels: Callable[[list[Place]], np.ndarray], class_names: Sequence[str]
) -> UInt8[np.ndarray, "H W 3"] | None:
    """Draw the hardest negatives at a few moments of mining, one row for each moment, at most one for each image.

    Args:
        rounds: all fits of mining. Negatives that were taken before the first fit have no score and are left out.
        pixels: gives the pixels of windows, [N, S, S, 3].
        class_names: names of the classes, the background first.

    Returns:
        The picture; None where no negative has a score.
    """
    mined = [r for r in rounds if r.hardest and np.isfinite(r.hardest[0][0])]
    if not mined:
        return None
    rows = []
    for part in np.array_split(np.arange(len(mined)), min(MOMENTS, len(mined))):
        negatives = sorted(((*hard, mined[i]) for i in part for hard in mined[i].hardest), key=lambda one: -one[0])
        of_image = {image: (score, image, window, r) for score, image, window, r in reversed(negatives)}
        rows += sorted(of_image.values(), key=lambda one: -one[0])[:HARDEST]
    captions = [f"as {class_names[r.label]}: {score:.2f}\nafter {r.images} images" for score, _, _, r in rows]
    return grid(pixels([(image, window) for _, image, window, _ in rows]), HARDEST, captions)


def window_pixels(
    split: WindowSplit, places: Sequence[Place], frames: Canvases, look: Look, fill: Channels
) -> UInt8[np.ndarray, "N S S 3"]:
    """Return windows as the network sees them.

    Args:
        split: the images and their windows.
        places: which windows.
        frames: the canvas that images are put on.
        look: the network with its warping.
        fill: the color around an image, a number for each channel.

    Returns:
        The pixels of the windows.
    """
    warp = jax.jit(look.pixels)
    transform = frames.evaluate(1, max_proposals=1, fill=fill)
    windows = []
    for image, window in places:
        record = {"image": split.records[image]["image"], "proposals": split.windows[image][window : window + 1]}
        batch = transform(record, np.random.default_rng(0))
        windows.append(np.asarray(warp(batch["image"][None], batch["proposals"][None])[0, 0]))
    return np.stack(windows)
