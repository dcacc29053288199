"""Frames of a video as image files, read by OpenCV or PyAV, whichever is installed."""

import os
import pathlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from jaxvision.data.decode import Pixels

EXTENSIONS = frozenset({".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg"})

_QUALITY = 95  # of the JPEGs


def is_video(name: str) -> bool:
    """Tell by its name whether a file is a video."""
    return os.path.splitext(name)[1].lower() in EXTENSIONS


def extract(file: str, folder: pathlib.Path, every: int = 1) -> list[str]:
    """Write frames of a video as JPEGs, named after the video and the number of the frame.

    Args:
        file: the video.
        folder: where the frames go; it is made where it does not exist.
        every: 1 for all frames, n for one in n.

    Returns:
        The paths of the frames, in order.

    Raises:
        ValueError: neither OpenCV nor PyAV is installed, or the file has no frame that can be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stem, paths = pathlib.Path(file).stem, list[str]()
    for number, frame in enumerate(_frames(file)):
        if number % every == 0:
            paths.append(str(folder / f"{stem}-{number:06d}.jpg"))
            Image.fromarray(frame).save(paths[-1], quality=_QUALITY)
    if not paths:
        raise ValueError(f"--input={file}: no frame can be read; convert it, for example with ffmpeg")
    return paths


def _frames(file: str) -> Iterator[Pixels]:
    """Yield the frames of a video, RGB."""
    try:
        import cv2
    except ImportError:
        yield from _by_pyav(file)
        return
    capture = cv2.VideoCapture(file)
    try:
        while (read := capture.read())[0]:
            yield np.ascontiguousarray(read[1][..., ::-1])
    finally:
        capture.release()


def _by_pyav(file: str) -> Iterator[Pixels]:
    try:
        import av
    except ImportError:
        raise ValueError(
            f"--input={file}: a video needs OpenCV or PyAV: pip install av, or opencv-python-headless"
        ) from None
    try:
        with av.open(file) as container:
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f"--input={file}: {error}") from None
