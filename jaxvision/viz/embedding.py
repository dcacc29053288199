"""Pictures of the features of a data set: maps in the plane, and nearest neighbours."""

from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, Integer, UInt8

from jaxvision.viz.figure import new_figure, pixels_of
from jaxvision.viz.grid import RIGHT, WRONG, grid
from jaxvision.viz.text import INK

_NAMED = 20  # classes: of more, a legend would be longer than the map is high


def points(
    places: Float[np.ndarray, "N 2"],
    labels: Integer[np.ndarray, " N"],
    class_names: Sequence[str],
    title: str,
    axes_names: tuple[str, str] = ("", ""),
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw a map of examples as points in the colours of their classes.

    Args:
        places: the position of each example in the plane.
        labels: the class of each example.
        class_names: the names of the classes; up to 20 have a legend, more a scale of colours.
        title: the title of the figure.
        axes_names: the labels of the two axes.
    """
    figure = new_figure(8.2, 6.4)
    axes = figure.add_subplot()
    shuffled = np.random.default_rng(0).permutation(len(labels))  # else the last class lies over all others
    x, y = places[shuffled].T
    few = len(class_names) <= _NAMED
    palette = matplotlib.colormaps["tab10" if len(class_names) <= 10 else "tab20" if few else "turbo"]
    index = labels[shuffled] if few else labels[shuffled] / (len(class_names) - 1)
    axes.scatter(x, y, s=np.clip(9000 / len(labels), 9, 36), c=palette(index), alpha=0.75, linewidths=0)
    if few:
        for label, name in enumerate(class_names):
            axes.scatter([], [], s=36, color=palette(label), label=name)
        axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), frameon=False)
    else:
        scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(0, len(class_names) - 1), palette)
        figure.colorbar(scale, ax=axes, label="class")
    axes.set(title=title, xlabel=axes_names[0], ylabel=axes_names[1], xticks=[], yticks=[])
    axes.spines[:].set_color("#ced4da")
    return pixels_of(figure)


def neighbours(
    queries: UInt8[np.ndarray, "N H W C"],
    found: UInt8[np.ndarray, "N k H W C"],
    query_labels: Integer[np.ndarray, " N"],
    found_labels: Integer[np.ndarray, "N k"],
    class_names: Sequence[str],
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a row for each query: the query, then its neighbours, the nearest first.

    Args:
        queries: the images of the queries.
        found: the images of the neighbours of each query.
        query_labels: the classes of the queries.
        found_labels: the classes of the neighbours: a frame is green if the class is the query's, else red.
        class_names: the names of the classes.
    """
    images = np.concatenate([queries[:, None], found], axis=1)
    labels = np.concatenate([query_labels[:, None], found_labels], axis=1)
    colors = []
    for row in labels:
        colors += [INK, *(RIGHT if label == row[0] else WRONG for label in row[1:])]
    captions = [class_names[label] for label in labels.ravel()]
    return grid(images.reshape(-1, *images.shape[2:]), images.shape[1], captions, colors, size=64)
