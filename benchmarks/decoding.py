"""Seconds to decode JPEGs, whole and at half the size, and to resize them: Pillow, as ours, simplejpeg and OpenCV.

    python benchmarks/decoding.py --images='photos/*.jpg' [--rounds=5]

Two times are printed: to an array, and to an image resized with Pillow, as the pipeline crops and resizes what it
decodes. Rounds alternate and medians count. The pixels are compared with Pillow's; a decoder whose pixels differ by
more than one level is no replacement, since imported weights were trained on such pixels. A decoder that is not
installed has no row.
"""

import glob
import io
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from importlib import util

import numpy as np
from absl import app, flags
from PIL import Image

_IMAGES = flags.DEFINE_string("images", None, "glob of JPEG files", required=True)
_MOST = flags.DEFINE_integer("most", 100, "most files")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "alternating rounds; the median counts")

Decode = Callable[[bytes, int], np.ndarray | Image.Image]  # the file, and 1 for the whole image or 2 for half the size


def main(argv: list[str]) -> None:
    names = sorted(glob.glob(_IMAGES.value))[: _MOST.value]
    files = [pathlib.Path(name).read_bytes() for name in names]
    if not files:
        sys.exit(f"--images={_IMAGES.value}: no files there")
    decoders: dict[str, Decode] = {"Pillow": with_pillow}
    decoders |= {name: decode for name, decode in (("simplejpeg", with_simplejpeg), ("cv2", with_opencv)) if _has(name)}
    for reduction in (1, 2):
        for purpose, finish in (("array", np.asarray), ("resized", resized)):
            seconds: dict[str, list[float]] = {name: [] for name in decoders}
            for _ in range(_ROUNDS.value):
                for name, decode in decoders.items():
                    seconds[name].append(_timed(decode, finish, files, reduction))
            reference = [np.asarray(with_pillow(file, reduction)) for file in files]
            for name, decode in decoders.items():
                milliseconds = 1000 * statistics.median(seconds[name]) / len(files)
                gain = statistics.median(seconds["Pillow"]) / statistics.median(seconds[name])
                worst, mean = _difference(reference, [np.asarray(decode(file, reduction)) for file in files])
                print(
                    f"1/{reduction}, {purpose}: {name} {milliseconds:.2f} ms an image, {gain:.2f} times as fast as "
                    f"Pillow, pixels differ by {worst} at most, {mean:.3f} on average"
                )


def resized(decoded: np.ndarray | Image.Image) -> np.ndarray:
    """Resize to three quarters, antialiased."""
    image = Image.fromarray(decoded) if isinstance(decoded, np.ndarray) else decoded
    return np.asarray(image.resize((3 * image.width // 4, 3 * image.height // 4), Image.Resampling.BILINEAR))


def with_pillow(file: bytes, reduction: int) -> Image.Image:
    """Decode as `jaxvision.data.decode` does."""
    image = Image.open(io.BytesIO(file))
    if reduction > 1:
        image.draft("RGB", (image.width // reduction, image.height // reduction))
    image.load()
    return image if image.mode == "RGB" else image.convert("RGB")


def with_simplejpeg(file: bytes, reduction: int) -> np.ndarray:
    """Decode with libjpeg-turbo."""
    import simplejpeg

    height, width = simplejpeg.decode_jpeg_header(file)[:2]
    size = {} if reduction == 1 else {"min_height": height // reduction, "min_width": width // reduction}
    return simplejpeg.decode_jpeg(file, "RGB", fastdct=False, fastupsample=False, **size)


def with_opencv(file: bytes, reduction: int) -> np.ndarray:
    """Decode with OpenCV, which gives BGR."""
    import cv2

    cv2.setNumThreads(1)
    flag = cv2.IMREAD_COLOR if reduction == 1 else cv2.IMREAD_REDUCED_COLOR_2
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(file, np.uint8), flag), cv2.COLOR_BGR2RGB)


def _has(module: str) -> bool:
    return util.find_spec(module) is not None


def _timed(decode: Decode, finish: Callable[..., np.ndarray], files: list[bytes], reduction: int) -> float:
    began = time.process_time()
    for file in files:
        finish(decode(file, reduction))
    return time.process_time() - began


def _difference(expected: list[np.ndarray], found: list[np.ndarray]) -> tuple[int, float]:
    """Return the largest and the mean difference in levels; images of another size count as 255."""
    pairs = zip(expected, found, strict=True)
    apart = [np.abs(a.astype(np.int16) - b) if a.shape == b.shape else np.full(1, 255) for a, b in pairs]
    return int(max(each.max() for each in apart)), float(np.mean([each.mean() for each in apart]))


if __name__ == "__main__":
    app.run(main)
