"""An image is opened if its pixels fit its bytes; tests/steadfast/bounds_test.py has files that are made to hurt."""

import io

import pytest
from PIL import Image

from jaxvision.data import image_bytes


def png(width: int, height: int) -> bytes:
    stream = io.BytesIO()
    Image.new("L", (width, height)).save(stream, "PNG")
    return stream.getvalue()


def test_bytes_and_files_are_the_same(tmp_path):
    (tmp_path / "a.png").write_bytes(png(3, 2))
    assert image_bytes.read(tmp_path / "a.png") == image_bytes.read(png(3, 2))
    assert image_bytes.opened(png(3, 2)).size == (3, 2)


def test_an_empty_picture_is_refused_only_where_it_is_large(monkeypatch):
    assert image_bytes.opened(png(500, 500)).size == (500, 500)
    monkeypatch.setattr(image_bytes, "_PIXELS", 1000)
    with pytest.raises(ValueError, match="bytes that unpack to 500×500 pixels are refused"):
        image_bytes.opened(png(500, 500))
