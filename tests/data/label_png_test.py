"""The values of a label map are those in its file."""

import io

import numpy as np
import pytest
from PIL import Image

from jaxvision.data.label_png import label_map, relabelled
from tests.data.png import of_bits

VALUES = np.array([[0, 1, 2, 3], [3, 2, 1, 0]], np.uint8)


def encoded(image: Image.Image, form: str = "PNG", **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("bits", [1, 2, 4, 8])
@pytest.mark.parametrize("colour", [0, 3])
def test_few_bits_keep_their_values(bits, colour):
    values = (np.arange(12).reshape(2, 6) % 2**bits).astype(np.uint8)
    np.testing.assert_array_equal(label_map(of_bits(bits, colour, values)), values)
    assert label_map(of_bits(bits, colour, values)).dtype == np.uint8


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_more_bits_keep_their_values(form, dtype):
    if form == "PNG" and dtype is np.int32:
        return
    np.testing.assert_array_equal(label_map(encoded(Image.fromarray(VALUES.astype(dtype)), form)), VALUES)


def test_ignored_pixels_of_more_bits_are_255():
    wide = np.array([[0, 65535, 255]], np.uint16)
    assert label_map(encoded(Image.fromarray(wide))).tolist() == [[0, 255, 255]]
    signed = np.array([[0, -1]], np.int32)
    assert label_map(encoded(Image.fromarray(signed), "TIFF")).tolist() == [[0, 255]]
    with pytest.raises(ValueError, match="^a.png: has the value 300; classes are numbered from 0 to 254"):
        label_map(encoded(Image.fromarray(np.array([[300]], np.uint16))), "a.png")


@pytest.mark.parametrize("mode", ["1", "LA", "RGB", "RGBA"])
def test_channels_that_are_alike_are_one(mode):
    values = VALUES % 2 if mode == "1" else VALUES
    image = Image.fromarray(values * 255).convert("1") if mode == "1" else Image.fromarray(values).convert(mode)
    np.testing.assert_array_equal(label_map(encoded(image)), values)


@pytest.mark.parametrize(
    ("mode", "pixels"),
    [("RGB", [[[1, 1, 1], [1, 2, 1]]]), ("RGBA", [[[1, 1, 1, 9], [1, 1, 1, 8]]]), ("LA", [[[1, 0], [2, 255]]])],
)
def test_colours_and_transparency_are_refused_with_the_mode(mode, pixels):
    image = Image.fromarray(np.array(pixels, np.uint8), mode)
    with pytest.raises(ValueError, match=f"^a.png: mode {mode} with colours or transparency; a label map is "):
        label_map(encoded(image), "a.png")


def test_what_keeps_no_values_is_refused():
    for form in ("JPEG", "WEBP"):
        with pytest.raises(ValueError, match=f"^a: {form} does not keep labels exactly"):
            label_map(encoded(Image.fromarray(VALUES), form), "a")
    with pytest.raises(ValueError, match="^a: mode F; a label map is"):
        label_map(encoded(Image.fromarray(VALUES.astype(np.float32)), "TIFF"), "a")
    with pytest.raises(ValueError, match="^a: cannot identify"):
        label_map(b"nothing", "a")


def test_of_several_pages_the_first_counts():
    pages = [Image.fromarray(VALUES), Image.fromarray(VALUES + np.uint8(1))]
    file = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(label_map(file), VALUES)


def test_classes_stand_for_other_values():
    painted = np.array([[0, 255, 128]], np.uint8)
    assert relabelled(painted, (0, 128, 255), "a").tolist() == [[0, 2, 1]]
    with pytest.raises(ValueError, match="^a: has the value 128, but the classes' values are 0, 255$"):
        relabelled(painted, (0, 255), "a")
