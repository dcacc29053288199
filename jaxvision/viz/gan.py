"""Pictures of a generator: samples, latent space, mixtures of points, and gradients."""

import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Integer, UInt8
from matplotlib.axes import Axes
from matplotlib.patches import Circle
from PIL import Image, ImageDraw

from jaxvision.viz.figure import new_figure, pixels_of
from jaxvision.viz.grid import GAP, RIGHT, grid
from jaxvision.viz.text import FAINT, INK, PAPER, Color, font, shorten

_TRUTH, _SAMPLE = "#adb5bd", "#d95f02"
_COLORS = ("#1f77b4", "#d95f02", "#2ca02c", "#9467bd", "#8c564b")
_SIZE = 64  # pixels: the least a sample is enlarged to
_TITLE = 24  # pixels: height of a title
_SIGN = 36  # pixels: width of a plus, a minus or an equals sign


def samples(
    images: UInt8[np.ndarray, "N H W C"], real: UInt8[np.ndarray, "M H W C"] | None = None, *, most: int = 64
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw samples in a square and, if given, as many real images in another to its right.

    Args:
        images: the samples.
        real: real images; None: there is one square.
        most: most samples that are drawn, the first ones.
    """
    sets = {"samples": images[:most]} | ({} if real is None else {"real": real[: min(most, len(images))]})
    columns = int(np.ceil(np.sqrt(len(images[:most]))))
    return _beside([_titled(grid(each, columns, size=_SIZE), name) for name, each in sets.items()])


def by_class(
    images: UInt8[np.ndarray, "N H W C"],
    labels: Integer[np.ndarray, " N"],
    class_names: Sequence[str],
    *,
    most: int = 10,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a column of samples for each class; a missing sample is left white.

    Args:
        images: the samples.
        labels: the class that each sample was drawn for.
        class_names: the names of the classes.
        most: most samples of a class that are drawn.
    """
    shown = np.unique(labels).tolist()
    if not shown or shown[-1] >= len(class_names):
        raise ValueError(f"by_class: labels {shown} and {len(class_names)} class names; give each class its name")
    columns = [grid(images[labels == k][:most], 1, size=_SIZE) for k in shown]
    titles = [_titled(column, class_names[k]) for column, k in zip(columns, shown, strict=True)]
    return _beside(titles, overlap=GAP)


def interpolations(images: UInt8[np.ndarray, "N S H W C"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a row for each pair of latents, from start to end, with the two ends framed."""
    n, steps = images.shape[:2]
    row: list[Color] = [RIGHT, *[PAPER] * (steps - 2), RIGHT]
    return grid(images.reshape(-1, *images.shape[2:]), steps, colors=row * n, size=_SIZE)


class Term(NamedTuple):
    """A term of a sum in latent space: samples that show it, and the sample of their mean latent."""

    name: str
    sign: int  # 1 or -1
    examples: UInt8[np.ndarray, "N H W C"]
    mean: UInt8[np.ndarray, "H W C"]


def arithmetic(terms: Sequence[Term], results: UInt8[np.ndarray, "9 H W C"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a column of examples for each term over the sample of their mean, and a square of results.

    The sum itself is framed in the middle of the square (after Radford et al. 2016, figure 7).
    """
    parts = []
    for i, term in enumerate(terms):
        images = np.concatenate([term.examples, term.mean[None]])
        frames = [*[PAPER] * len(term.examples), RIGHT]
        column = _titled(grid(images, 1, colors=frames, size=_SIZE), term.name)
        sign = "−" if term.sign < 0 else "+" if i else ""
        parts += [_sign(sign, column.shape[0]), column] if sign else [column]
    square = grid(results, 3, colors=[RIGHT if i == 4 else PAPER for i in range(9)], size=_SIZE)
    return _beside([*parts, _sign("=", parts[-1].shape[0]), _titled(square, "result")])


def mixture(
    truth: Float[np.ndarray, "N 2"], points: Float[np.ndarray, "M 2"], means: Float[np.ndarray, "K 2"], sigma: float
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw real points and samples of a mixture of Gaussians, in a panel each, over circles of 3 sigma.

    The panels reach half as far again as the real points; the number of samples outside is written below.

    Args:
        truth: the real points.
        points: the samples.
        means: the means of the Gaussians.
        sigma: their standard deviation.
    """
    center, reach = truth.mean(axis=0), 1.5 * float(np.abs(truth - truth.mean(axis=0)[None]).max())
    figure = new_figure(2 * 5.2, 5.0)
    for i, (name, each, color) in enumerate((("real", truth, _TRUTH), ("samples", points, _SAMPLE))):
        axes = figure.add_subplot(1, 2, i + 1)
        for x, y in means:
            axes.add_patch(Circle((x, y), 3.0 * sigma, fill=False, edgecolor="#1f77b4", linewidth=1.0, zorder=3))
        axes.scatter(each[:, 0], each[:, 1], s=6, color=color, alpha=0.5, linewidths=0)
        outside = int(np.sum(np.any(~(np.abs(each - center[None]) <= reach), axis=1)))
        _dress(axes, f"{len(each)} {name}", f"{outside} outside this panel" if outside else "")
        axes.set_xlim(center[0] - reach, center[0] + reach)
        axes.set_ylim(center[1] - reach, center[1] + reach)
        axes.set_aspect("equal")
    return pixels_of(figure)


def generator_gradients(
    scores: Float[np.ndarray, " N"], gradients: Mapping[str, Float[np.ndarray, " N"]]
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the strength of each objective's gradient over the discriminator's probability that a sample is real.

    A logarithmic axis shows the start of training, where D(G(z)) is near 0, and a linear axis the whole range. Values
    of 0 are left out of the logarithmic axes.

    Args:
        scores: the discriminator's probabilities D(G(z)).
        gradients: the derivatives of the generator's loss by the logit, by the objective's name.
    """
    figure = new_figure(2 * 5.2, 5.0)
    for i, scale in enumerate(("log", "linear")):
        axes = figure.add_subplot(1, 2, i + 1)
        for (name, each), color in zip(gradients.items(), itertools.cycle(_COLORS), strict=False):
            axes.plot(scores, np.abs(each), color=color, linewidth=1.8, label=name.replace("_", " "))
        _dress(axes, "start of training" if i == 0 else "whole range", "D(G(z))")
        axes.set_xscale(scale)
        axes.set_yscale(scale)
        axes.set_ylabel("|∂ loss / ∂ logit|")
        axes.legend(frameon=False)
    return pixels_of(figure)


def _dress(axes: Axes, title: str, below: str) -> None:
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11)
    axes.set_xlabel(below)
    axes.grid(color="#e9ecef")
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def _titled(picture: UInt8[np.ndarray, "H W 3"], title: str) -> UInt8[np.ndarray, "H2 W 3"]:
    """Draw the title over the picture; it is cut to the width."""
    canvas = Image.new("RGB", (picture.shape[1], picture.shape[0] + _TITLE), PAPER)
    canvas.paste(Image.fromarray(picture), (0, _TITLE))
    face = font(13)
    text = shorten(title, picture.shape[1] - GAP, face)
    ImageDraw.Draw(canvas).text((GAP, _TITLE), text, font=face, fill=INK, anchor="ls")
    return np.array(canvas)


def _sign(sign: str, height: int) -> UInt8[np.ndarray, "H W 3"]:
    canvas = Image.new("RGB", (_SIGN, height), PAPER)
    ImageDraw.Draw(canvas).text((_SIGN // 2, height // 2), sign, font=font(28), fill=FAINT, anchor="mm")
    return np.array(canvas)


def _beside(pictures: Sequence[UInt8[np.ndarray, "_ _ 3"]], overlap: int = 0) -> UInt8[np.ndarray, "H W 3"]:
    """Pictures from left to right, their tops level; `overlap`: pixels of margin that neighbours share."""
    width = sum(p.shape[1] for p in pictures) - overlap * (len(pictures) - 1)
    canvas = np.full((max(p.shape[0] for p in pictures), width, 3), PAPER, np.uint8)
    left = 0
    for picture in pictures:
        canvas[: picture.shape[0], left : left + picture.shape[1]] = picture
        left += picture.shape[1] - overlap
    return canvas
