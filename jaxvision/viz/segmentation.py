"""Pictures of label maps over their images, beside the truth, and of feature maps on the way to them."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float, Integer, Shaped, UInt8
from PIL import Image

from jaxvision.viz.boxes import SIZE, color_of, enlarge
from jaxvision.viz.detection import IGNORED
from jaxvision.viz.grid import WRONG, grid
from jaxvision.viz.key import with_key
from jaxvision.viz.masks import overlay as tint
from jaxvision.viz.text import Color

UNLABELLED = 255
"""The label of pixels that count for nothing."""

_BACKGROUND: Color = (226, 229, 233)
_TILE = 192  # pixels: the longer side of a picture among others
_STRIPE = 4  # pixels


def overlay(
    image: UInt8[np.ndarray, "H W 3"],
    label_map: Integer[np.ndarray, "H W"],
    class_names: Sequence[str],
    *,
    size: int = SIZE,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Tint an image with the colours of its classes, over a key of the classes.

    Pixels of a class 0 named "background" are not tinted; pixels labelled 255 are hatched.

    Args:
        image: the image.
        label_map: the class of each pixel.
        class_names: the names of the classes.
        size: least length of the longer side of the picture in pixels; a smaller image is enlarged by a whole factor.
    """
    large, factor = enlarge(image, size)
    labels = label_map.repeat(factor, axis=0).repeat(factor, axis=1)
    shown = [k for k in np.unique(label_map).tolist() if k < len(class_names) and not _is_background(k, class_names)]
    picture = tint(large, [labels == k for k in shown], [class_color(k, class_names) for k in shown])
    picture = _hatch(picture, label_map == UNLABELLED)
    return with_key(picture, _entries([label_map[np.isin(label_map, [*shown, UNLABELLED])]], class_names))


def predictions(
    images: UInt8[np.ndarray, "B H W 3"],
    truth: Integer[np.ndarray, "B H W"] | None,
    predicted: Integer[np.ndarray, "B H W"],
    class_names: Sequence[str],
    *,
    most: int = 8,
    sizes: Shaped[np.ndarray, "B 2"] | None = None,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a row for each image: image, truth, prediction, prediction over the image, errors.

    Args:
        images: the images.
        truth: the true label maps, in which 255 is hatched and never an error; None: rows are image and prediction.
        predicted: the predicted label maps.
        class_names: the names of the classes.
        most: most images that are drawn, the first ones.
        sizes: height and width of each image on its canvas, beyond which nothing is drawn; None: the canvas is full.
    """
    tiles: list[np.ndarray] = []
    captions: list[str] = []
    maps: list[np.ndarray] = []
    for row, (image, found) in enumerate(zip(images[:most], predicted[:most], strict=True)):
        height, width = image.shape[:2] if sizes is None else np.rint(sizes[row]).astype(int).tolist()
        own = None if truth is None else truth[row]
        drawn = {"image": _enlarged(image)}
        if own is not None:
            drawn["truth"] = paint(own, class_names)
        iou = "" if own is None else f": IoU {mean_iou(own[:height, :width], found[:height, :width]):.2f}"
        drawn[f"predicted{iou}"] = paint(found, class_names)
        drawn["predicted, over the image"] = _tinted(image, found, class_names)
        if own is not None:
            drawn[f"errors: {_error_rate(own, found):.1%} of pixels"] = errors(image, own, found)
        maps += [each[:height, :width] for each in (found, own) if each is not None]
        tiles += [_cut_off(tile, image.shape[0], height, width) for tile in drawn.values()]
        captions += drawn
    wrong = [] if truth is None else [(WRONG, "error")]
    columns = 3 if truth is None else 5
    return with_key(grid(np.stack(tiles), columns, captions, size=_TILE), _entries(maps, class_names) + wrong)


def _tinted(
    image: UInt8[np.ndarray, "H W 3"], label_map: Integer[np.ndarray, "H W"], class_names: Sequence[str]
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Tint an image in the colours of its classes, without the background."""
    large, factor = enlarge(image, _TILE)
    labels = label_map.repeat(factor, axis=0).repeat(factor, axis=1)
    shown = [k for k in np.unique(label_map).tolist() if k < len(class_names) and not _is_background(k, class_names)]
    return tint(large, [labels == k for k in shown], [class_color(k, class_names) for k in shown])


def _cut_off(tile: UInt8[np.ndarray, "H2 W2 3"], canvas: int, height: int, width: int) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Return an enlarged tile, white beyond the image; `canvas` is the height of what was enlarged."""
    factor = tile.shape[0] // canvas
    tile = tile.copy()
    tile[height * factor :] = tile[:, width * factor :] = 255
    return tile


def labelled(
    images: UInt8[np.ndarray, "B H W 3"],
    label_maps: Integer[np.ndarray, "B H W"],
    class_names: Sequence[str],
    *,
    columns: int = 3,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw each image beside its label map, over a key of the classes; pixels labelled 255 are hatched.

    Args:
        images: the images.
        label_maps: the class of each pixel.
        class_names: the names of the classes.
        columns: most pairs of image and label map in a row.
    """
    tiles: list[np.ndarray] = []
    for image, label_map in zip(images, label_maps, strict=True):
        tiles += [_enlarged(image), paint(label_map, class_names)]
    picture = grid(np.stack(tiles), 2 * columns, ["image", "label map"] * len(images), size=_TILE)
    return with_key(picture, _entries([label_maps], class_names))


def comparison(
    images: UInt8[np.ndarray, "B H W 3"],
    truth: Integer[np.ndarray, "B H W"],
    predicted: Mapping[str, Integer[np.ndarray, "B H W"]],
    class_names: Sequence[str],
    *,
    most: int = 4,
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the predictions of several networks: a row for each image, a column for each network.

    Captions hold the mean IoU over the classes in that image.

    Args:
        images: the images.
        truth: the true label maps.
        predicted: the predicted label maps, by the network's name.
        class_names: the names of the classes.
        most: most images that are drawn, the first ones.
    """
    tiles, captions = [], []
    for row in range(min(most, len(images))):
        tiles += [_enlarged(images[row]), paint(truth[row], class_names)]
        tiles += [paint(maps[row], class_names) for maps in predicted.values()]
        ious = [f"{name}\nIoU {mean_iou(truth[row], maps[row]):.2f}" for name, maps in predicted.items()]
        captions += ["image", "truth", *ious]
    shown = [m[:most] for m in (truth, *predicted.values())]
    picture = grid(np.stack(tiles), 2 + len(predicted), captions, size=_TILE)
    return with_key(picture, _entries(shown, class_names))


def unpooling(
    image: UInt8[np.ndarray, "H W 3"],
    maps: Mapping[str, Sequence[tuple[Float[np.ndarray, "_ _ _"], Float[np.ndarray, "_ _ _"]]]],
) -> UInt8[np.ndarray, "H3 W3 3"]:
    """Draw one image's maps before and after each unpooling: a row for each kind, its pairs from left to right.

    A pixel's brightness is the root mean square over channels; the largest value of each map is white.

    Raises:
        ValueError: rows have different lengths.
    """
    if len(lengths := {len(pairs) for pairs in maps.values()}) != 1:
        raise ValueError(
            f"unpooling: rows of {sorted(lengths)} pairs of maps; give each kind as many, and at least one"
        )
    tiles: list[np.ndarray] = []
    captions: list[str] = []
    tile = _enlarged(image)
    for name, pairs in maps.items():
        tiles.append(tile)
        captions.append(f"{name}\n")
        for before, after in pairs:
            tiles += [energy(before, tile.shape[:2]), energy(after, tile.shape[:2])]
            captions += [f"{when}\n{m.shape[0]}×{m.shape[1]}" for when, m in (("before", before), ("after", after))]
    return grid(np.stack(tiles), 1 + 2 * lengths.pop(), captions, size=1)


def energy(maps: Float[np.ndarray, "h w C"], shape: tuple[int, int]) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the root mean square over channels, dark to bright, every cell a block of a picture of `shape`."""
    import matplotlib  # takes a while, which pictures without this scale need not wait

    values = np.sqrt(np.mean(np.square(maps.astype(np.float64)), axis=-1))
    peak = values.max()
    shades = matplotlib.colormaps["inferno"](values / peak if peak > 0 else values)[..., :3]
    blocks = Image.fromarray(np.rint(255 * shades).astype(np.uint8))
    return np.array(blocks.resize((shape[1], shape[0]), Image.Resampling.NEAREST))


def paint(label_map: Integer[np.ndarray, "H W"], class_names: Sequence[str]) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw a label map in the colours of its classes, hatched where it is 255."""
    palette = np.full((256, 3), IGNORED, np.uint8)
    palette[: len(class_names)] = [class_color(k, class_names) for k in range(len(class_names))]
    return _hatch(_enlarged(palette[label_map]), label_map == UNLABELLED)


def errors(
    image: UInt8[np.ndarray, "H W 3"], truth: Integer[np.ndarray, "H W"], predicted: Integer[np.ndarray, "H W"]
) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Draw the image pale and grey, with wrong pixels red and pixels labelled 255 hatched.

    Args:
        image: the image.
        truth: the true label map.
        predicted: the predicted label map.
    """
    grey = np.rint(110 + 0.5 * image.mean(axis=-1)).astype(np.uint8)
    picture = grey[..., None].repeat(3, axis=2)
    picture[(truth != predicted) & (truth != UNLABELLED)] = WRONG
    return _hatch(_enlarged(picture), truth == UNLABELLED)


def class_color(label: int, class_names: Sequence[str]) -> Color:
    """Return light grey for a background, otherwise the colour of the class; see `boxes.color_of`."""
    if class_names[0] == "background":
        return color_of(label) if label else _BACKGROUND
    return color_of(label + 1)


def mean_iou(truth: Integer[np.ndarray, "H W"], predicted: Integer[np.ndarray, "H W"]) -> float:
    """Return the mean IoU over the classes that are in one of two label maps; NaN if all pixels are labelled 255."""
    counted = truth != UNLABELLED
    a, b = truth[counted], predicted[counted]
    each = [np.sum((a == k) & (b == k)) / np.sum((a == k) | (b == k)) for k in np.union1d(a, b)]
    return float(np.mean(each)) if each else float("nan")


def _error_rate(truth: Integer[np.ndarray, "H W"], predicted: Integer[np.ndarray, "H W"]) -> float:
    counted = truth != UNLABELLED
    return float(np.sum((truth != predicted) & counted) / max(np.sum(counted), 1))


def _is_background(label: int, class_names: Sequence[str]) -> bool:
    return label == 0 and class_names[0] == "background"


def _entries(maps: Sequence[Integer[np.ndarray, "..."]], class_names: Sequence[str]) -> list[tuple[Color, str]]:
    """Return the key: the classes in the maps, and the hatched pixels."""
    labels = np.unique(np.concatenate([m.ravel() for m in maps])).tolist()
    named = [(class_color(k, class_names), class_names[k]) for k in labels if k < len(class_names)]
    return named + ([(IGNORED, "not counted")] if UNLABELLED in labels else [])


def _enlarged(image: UInt8[np.ndarray, "H W 3"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    return enlarge(image, _TILE)[0]


def _hatch(picture: UInt8[np.ndarray, "H2 W2 3"], where: Bool[np.ndarray, "H W"]) -> UInt8[np.ndarray, "H2 W2 3"]:
    """Grey and white diagonal stripes where the image, before it was enlarged, is to have them."""
    factor = picture.shape[0] // where.shape[0]
    y, x = np.indices(picture.shape[:2])
    stripes = np.where((x + y) // _STRIPE % 2 == 0, IGNORED[0], 255).astype(np.uint8)
    return np.where(where.repeat(factor, axis=0).repeat(factor, axis=1)[..., None], stripes[..., None], picture)
