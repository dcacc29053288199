"""Frames of a video, by the reader that is installed; without one, a line that says what to install."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import video


def test_videos_are_known_by_their_names():
    assert video.is_video("a/b.MP4") and not video.is_video("a/b.jpg") and not video.is_video("mp4")


def test_without_a_reader_the_remedy_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for name in ("cv2", "av"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ValueError, match=r"--input=a.mp4: a video needs OpenCV or PyAV: pip install av"):
        video.extract("a.mp4", tmp_path)


class Capture:
    """Six frames, blue of 40 · number, as OpenCV gives them: BGR."""

    def __init__(self, file: str) -> None:
        self.number = -1

    def read(self) -> tuple[bool, np.ndarray | None]:
        self.number += 1
        frame = np.zeros((8, 16, 3), np.uint8)
        frame[..., 0] = 40 * min(self.number, 5)
        return (True, frame) if self.number < 6 else (False, None)

    def release(self) -> None:
        self.number = 99


def test_frames_are_named_after_video_and_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    cv2 = ModuleType("cv2")
    cv2.VideoCapture = Capture
    monkeypatch.setitem(sys.modules, "cv2", cv2)
    paths = video.extract("films/walk.mp4", tmp_path / "frames", every=2)
    assert [Path(p).name for p in paths] == ["walk-000000.jpg", "walk-000002.jpg", "walk-000004.jpg"]
    with Image.open(paths[1]) as frame:
        assert frame.size == (16, 8) and abs(np.asarray(frame)[4, 8].astype(int) - (0, 0, 80)).max() < 6
    Capture.read = lambda self: (False, None)
    with pytest.raises(ValueError, match="no frame can be read"):
        video.extract("films/walk.mp4", tmp_path / "frames")


@pytest.mark.parametrize("reader", ["cv2", "av"])
def test_a_real_video(tmp_path: Path, reader: str, monkeypatch: pytest.MonkeyPatch):
    av = pytest.importorskip("av", reason="needs PyAV, which also writes the video")
    pytest.importorskip(reader)
    if reader == "av":
        monkeypatch.setitem(sys.modules, "cv2", None)
    file = str(tmp_path / "clip.mp4")
    with av.open(file, "w") as container:
        stream = container.add_stream("mpeg4", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 32, "yuv420p"
        for number in range(5):
            pixels = np.full((32, 64, 3), 50 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
        container.mux(stream.encode())
    frames = video.extract(file, tmp_path / "frames")
    shades = [np.asarray(Image.open(path)).mean() for path in frames]
    assert len(frames) == 5 and np.abs(np.diff(shades) - 50).max() < 10
