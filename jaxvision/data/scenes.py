"""`scenes`: digits pasted on textured canvases, with exact boxes, labels, instance masks and label maps.

Scene i is drawn from (seed, i) when it is read, so the set needs no download and no disk and is the same everywhere.
Training and validation scenes use different handwriting.
"""

import dataclasses

import numpy as np
from jaxtyping import Bool, Float, Float32, Int, UInt8
from PIL import Image

from jaxvision.channels import Channels
from jaxvision.data import specs
from jaxvision.data.color_spaces import LUMA
from jaxvision.data.digits import Digits, digits
from jaxvision.data.record_cache import RecordCache
from jaxvision.data.records import Record, Source, label_names

# Over 200 training scenes of the default size, 0..255.
MEAN: Channels = (126.7, 126.7, 126.7)
STD: Channels = (60.0, 60.0, 60.0)

DEFAULTS = {"count": 1024, "size": 128, "objects": 4, "classes": 10}

Place = tuple[slice, slice]  # rows, columns

_MIN_SIZE = 32  # smaller canvases cannot hold a legible digit
_LUMA_CONTRAST = 70.0  # least difference in luma between a digit and what it covers
_SCALES = (0.2, 0.45)  # a digit's height as a fraction of the canvas
_ASPECTS = (0.75, 1.2)
_TRIES = 20
_LEAST_VISIBLE = 0.85  # share of a digit that later ones must leave visible
_LEAST_PIXELS = 12
_MOST_OBJECTS = 255  # since a byte holds the number of the digit at a pixel


@dataclasses.dataclass(frozen=True)
class Scenes:
    """`count` scenes of `size`×`size` pixels, each with 1 to `objects` digits.

    Records hold image uint8 [S, S, 3], boxes float32 [N, 4] (x0, y0, x1, y1, tight on the visible masks), labels int32
    [N] (digit + 1, or 1 for every digit; 0 is background), masks bool [N, S, S] (visible pixels, disjoint) and
    label_map uint8 [S, S]. Scenes stay in memory while the cache has room; image and labels are read-only.
    """

    digits: Digits
    count: int
    size: int
    objects: int
    seed: int
    classes: int = 10
    # To draw a scene takes 0.7 ms of a core at 64 px and 1.3 at 128. The cache holds what records are made of, which
    # takes half of their room.
    cache: RecordCache = dataclasses.field(default_factory=RecordCache, compare=False, repr=False)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> Record:
        if not 0 <= index < self.count:
            raise IndexError(f"scene {index} of {self.count}")
        scene = self.cache.get(index, lambda: self._drawn(index))
        owner, labels = scene["owner"], scene["labels"]
        masks = owner == np.arange(1, len(labels) + 1, dtype=np.uint8)[:, None, None]
        classes = np.concatenate([[0], labels]).astype(np.uint8)
        return {
            "image": scene["image"],
            "boxes": boxes_of(masks),
            "labels": labels,
            "masks": masks,
            "label_map": classes[owner],
        }

    def _drawn(self, index: int) -> Record:
        """Draw the image uint8 [S, S, 3], the labels, and "owner" uint8 [S, S]: the digit seen there, from 1, or 0."""
        rng = np.random.default_rng((self.seed, index))
        canvas = _texture(rng, self.size)
        masks: list[np.ndarray] = []
        labels: list[int] = []
        for _ in range(rng.integers(1, self.objects + 1)):
            item = int(rng.integers(len(self.digits)))
            canvas, masks, pasted = _paste(rng, canvas, masks, self.digits.images[item])
            if pasted:
                labels.append(int(self.digits.labels[item]) + 1 if self.classes > 1 else 1)
        pixels = np.clip(np.rint(canvas), 0, 255).astype(np.uint8)
        owner = np.zeros(canvas.shape[:2], np.uint8)
        for number, mask in enumerate(masks, start=1):
            owner[mask] = number
        return {"image": pixels, "owner": owner, "labels": np.array(labels, np.int32)}

    def extent(self, index: int) -> tuple[int, int]:
        """Return (width, height) of a scene in pixels, without drawing it."""
        return self.size, self.size

    def counts(self, *, outlined: bool = False) -> Int[np.ndarray, "N"]:
        """Return how many digits each scene has at most; all have a mask."""
        return np.full(self.count, self.objects)

    def name(self, index: int) -> str:
        """Return the seed and number of a scene."""
        return f"scenes/{self.seed}/{index}"


def load(spec: str) -> Source:
    """Draw `scenes` or `scenes:count=64,size=128,objects=3`: `count` for training, a quarter as many for validation.

    With `classes=1` all digits are of the class "digit".

    Raises ValueError where an option is out of range.
    """
    options = specs.counts(spec, DEFAULTS)
    count, size, objects, classes = (options[key] for key in DEFAULTS)
    if size < _MIN_SIZE:
        raise ValueError(f"--data={spec}: size={size} is too small for digits; use size={_MIN_SIZE} or more")
    if objects > _MOST_OBJECTS:
        raise ValueError(f"--data={spec}: objects={objects} is too many; choose 1 to {_MOST_OBJECTS}")
    if classes not in (1, 10):
        raise ValueError(f"--data={spec}: classes={classes}: choose 10, one for each digit, or 1 for all")
    train = Scenes(digits("train"), count, size, objects, 0, classes)
    val = Scenes(digits("val"), max(1, count // 4), size, objects, 1, classes)
    return Source(
        {"train": train, "val": val}, ("background", *(label_names(10) if classes > 1 else ("digit",))), MEAN, STD
    )


def boxes_of(masks: Bool[np.ndarray, "N H W"]) -> Float32[np.ndarray, "N 4"]:
    """Return the tightest box (x0, y0, x1, y1, continuous) around each mask; every mask must hold a pixel."""
    columns, rows = np.any(masks, axis=1), np.any(masks, axis=2)
    height, width = masks.shape[1:]
    x0, x1 = columns.argmax(axis=1), width - columns[:, ::-1].argmax(axis=1)
    y0, y1 = rows.argmax(axis=1), height - rows[:, ::-1].argmax(axis=1)
    return np.stack([x0, y0, x1, y1], axis=1).astype(np.float32)


def _texture(rng: np.random.Generator, size: int) -> Float32[np.ndarray, "S S 3"]:
    """Draw smooth noise of several octaves between two colours of similar brightness, with a little fine grain."""
    noise: np.ndarray = np.zeros((size, size), np.float32)
    for octave, cells in enumerate((2, 4, 8, 16)):
        coarse = rng.uniform(-1, 1, (cells + 1, cells + 1)).astype(np.float32)
        noise += _stretch(coarse, (size, size)) * rng.uniform(0.3, 1.0) / (octave + 1)
    blend = 1 / (1 + np.exp(-3 * noise))[..., None]
    luma = rng.uniform(40, 215)
    first, second = (_colour(rng, np.clip(luma + rng.uniform(-25, 25), 20, 235)) for _ in range(2))
    grain = rng.normal(0, 4, (size, size, 1)).astype(np.float32)
    return (first * blend + second * (1 - blend) + grain).astype(np.float32)


def _paste(
    rng: np.random.Generator,
    canvas: Float32[np.ndarray, "S S 3"],
    masks: list[np.ndarray],
    glyph: UInt8[np.ndarray, "8 8"],
) -> tuple[Float32[np.ndarray, "S S 3"], list[np.ndarray], bool]:
    """Paste the digit where it covers little of the others; return False where no such place was found."""
    for _ in range(_TRIES):
        alpha, at = _place(rng, glyph, len(canvas))
        mask = np.zeros(canvas.shape[:2], np.bool_)
        mask[at] = alpha > 0.5
        visible = [other & ~mask for other in masks]
        uncovered = all(now.sum() >= _LEAST_VISIBLE * before.sum() for now, before in zip(visible, masks, strict=True))
        if mask.sum() >= _LEAST_PIXELS and uncovered and all(now.any() for now in visible):
            _paint(rng, canvas, alpha, at)
            return canvas, [*visible, mask], True
    return canvas, masks, False


def _place(
    rng: np.random.Generator, glyph: UInt8[np.ndarray, "8 8"], size: int
) -> tuple[Float32[np.ndarray, "h w"], Place]:
    """Return the digit's coverage 0..1 at a random size, and a random place inside a canvas of `size` pixels."""
    height = int(size * rng.uniform(*_SCALES))
    width = min(size, int(height * rng.uniform(*_ASPECTS)))
    ink = _stretch(glyph.astype(np.float32) / 255, (height, width))
    soft = np.clip((ink - 0.4) * 4, 0, 1)  # sharpens the blur that stretching 8 pixels gives
    y, x = int(rng.integers(0, size - height + 1)), int(rng.integers(0, size - width + 1))
    return soft, (slice(y, y + height), slice(x, x + width))


def _paint(
    rng: np.random.Generator,
    canvas: Float32[np.ndarray, "S S 3"],
    alpha: Float32[np.ndarray, "h w"],
    at: Place,
) -> None:
    """Paint the digit in a colour whose luma differs from the canvas under it, shaded from top to bottom."""
    under = float((canvas[at][alpha > 0.5] @ LUMA).mean())
    darker, brighter = under - _LUMA_CONTRAST, under + _LUMA_CONTRAST
    choices = [span for span in ((15.0, darker), (brighter, 240.0)) if span[1] > span[0]]
    low, high = choices[rng.integers(len(choices))]
    colour = _colour(rng, rng.uniform(low, high))
    shade = np.linspace(-8, 8, len(canvas), dtype=np.float32)[at[0], None, None] * float(rng.choice([-1, 1]))
    canvas[at] += alpha[..., None] * (colour + shade - canvas[at])


def _colour(rng: np.random.Generator, luma: float) -> Float32[np.ndarray, "3"]:
    """Draw a colour of random hue and the given luma (0..255)."""
    colour: np.ndarray = rng.uniform(0, 1, 3).astype(np.float32)
    colour = (colour - colour @ LUMA) * rng.uniform(60, 160)
    room = np.where(colour > 0, 255 - luma, luma) / np.maximum(np.abs(colour), 1e-3)
    return (luma + colour * min(1.0, float(room.min()))).astype(np.float32)


def _stretch(values: Float[np.ndarray, "h w"], shape: tuple[int, int]) -> Float32[np.ndarray, "H W"]:
    image = Image.fromarray(values.astype(np.float32))
    return np.asarray(image.resize((shape[1], shape[0]), Image.Resampling.BICUBIC))
