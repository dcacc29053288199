import io
import pathlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from jaxvision.data import decode

RNG = np.random.default_rng(0)
PHOTO = np.asarray(
    Image.fromarray(RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)).resize((160, 120), Image.Resampling.BICUBIC)
)


def encoded(image: Image.Image, form: str, **options: object) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


@pytest.mark.parametrize("form", ["PNG", "BMP", "TIFF", "PPM", "WEBP"])
def test_lossless_formats_give_back_the_pixels(form):
    np.testing.assert_array_equal(decode.decode(encoded(Image.fromarray(PHOTO), form, lossless=True)), PHOTO)


def test_a_path_and_its_bytes_are_the_same(tmp_path: pathlib.Path):
    path = tmp_path / "a.png"
    path.write_bytes(encoded(Image.fromarray(PHOTO), "PNG"))
    np.testing.assert_array_equal(decode.decode(path), decode.decode(path.read_bytes()))


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_eight_orientations_come_out_upright(orientation, form):
    upright = np.zeros((48, 64, 3), np.uint8)
    upright[:24, :32] = (255, 0, 0)
    upright[:24, 32:] = (0, 255, 0)
    upright[24:, :32] = (0, 0, 255)
    stored = Image.fromarray(upright)
    # The stored image is what the camera's turn makes of the upright one: the inverse of what EXIF asks for.
    inverse = {5: 5, 6: 8, 7: 7, 8: 6}.get(orientation, orientation)
    if orientation > 1:
        stored = stored.transpose(decode._UPRIGHT[inverse])
    exif = Image.Exif()
    exif[decode._ORIENTATION_TAG] = orientation
    file = encoded(stored, form, exif=exif.tobytes() if form != "TIFF" else exif, lossless=True)
    image = decode.Encoded(file)
    assert (image.width, image.height) == (64, 48)
    np.testing.assert_allclose(image.pixels()[4::40, 4::40], upright[4::40, 4::40], atol=6)
    part = decode.Encoded(file).crop((32, 0, 64, 24), (8, 6))
    np.testing.assert_allclose(part[1:-1, 1:-1], np.broadcast_to([0, 255, 0], (4, 6, 3)), atol=6)


def test_orientation_agrees_with_pillow():
    stored = Image.fromarray(PHOTO)
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[decode._ORIENTATION_TAG] = orientation
        file = encoded(stored, "PNG", exif=exif.tobytes())
        expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))))
        np.testing.assert_array_equal(decode.decode(file), expected)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_a_damaged_exif_block_does_not_spoil_the_image():
    file = encoded(Image.fromarray(PHOTO), "JPEG", exif=b"Exif\x00\x00MM\x00\x2a\xff\xff\xff\xff garbage")
    assert decode.decode(file).shape == PHOTO.shape


def test_grey_and_two_level_images_become_rgb():
    grey = PHOTO[..., 0]
    np.testing.assert_array_equal(decode.decode(encoded(Image.fromarray(grey), "PNG")), np.stack([grey] * 3, -1))
    two = decode.decode(encoded(Image.fromarray(grey).convert("1"), "PNG"))
    assert set(np.unique(two)) == {0, 255}


def test_transparency_is_composited_on_white():
    grey_alpha = Image.fromarray(np.array([[[0, 0], [0, 255], [100, 51]]], np.uint8), "LA")
    assert decode.decode(encoded(grey_alpha, "PNG"))[0, :, 0].tolist() == [255, 0, 224]
    rgba = Image.fromarray(np.array([[[10, 20, 30, 0], [10, 20, 30, 255]]], np.uint8), "RGBA")
    assert decode.decode(encoded(rgba, "PNG")).tolist() == [[[255, 255, 255], [10, 20, 30]]]


def test_palettes_with_and_without_transparency():
    image = Image.new("P", (2, 1))
    image.putpalette([200, 0, 0, 0, 0, 200])
    image.putdata([0, 1])
    assert decode.decode(encoded(image, "PNG")).tolist() == [[[200, 0, 0], [0, 0, 200]]]
    assert decode.decode(encoded(image, "PNG", transparency=0)).tolist() == [[[255, 255, 255], [0, 0, 200]]]
    assert decode.decode(encoded(image, "GIF", transparency=1)).tolist() == [[[200, 0, 0], [255, 255, 255]]]


def test_rgb_with_one_transparent_colour():
    file = encoded(Image.fromarray(np.array([[[1, 2, 3], [4, 5, 6]]], np.uint8)), "PNG", transparency=(1, 2, 3))
    assert decode.decode(file).tolist() == [[[255, 255, 255], [4, 5, 6]]]


@pytest.mark.parametrize("form", ["JPEG", "TIFF"])
def test_cmyk_keeps_its_colours(form):
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    np.testing.assert_allclose(decode.decode(encoded(red, form)), np.full((16, 16, 3), [255, 0, 0]), atol=4)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_sixteen_bits_are_scaled_not_clipped(form):
    values = np.array([[0, 257, 25700, 65535, 128]], np.uint16)
    image = decode.decode(encoded(Image.fromarray(values), form))
    assert image[0, :, 0].tolist() == [0, 1, 100, 255, 0]
    assert image.shape == (1, 5, 3)


def test_pixels_without_an_agreed_range_are_refused():
    for values in (np.zeros((2, 2), np.float32), np.zeros((2, 2), np.int32)):
        with pytest.raises(ValueError, match="32-bit pixels"):
            decode.decode(encoded(Image.fromarray(values), "TIFF"))


def test_only_the_first_frame_of_an_animation_counts():
    frames = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    file = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode.decode(file)[0, 0].tolist() == [255, 0, 0]


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "WEBP", "GIF", "BMP"])
def test_truncated_files_are_named_with_a_reason(form, tmp_path: pathlib.Path):
    path = tmp_path / f"cut.{form.lower()}"
    whole = encoded(Image.fromarray(PHOTO), form)
    for keep in (len(whole) // 2, 12, 1):
        path.write_bytes(whole[:keep])
        with pytest.raises(ValueError, match=rf"^{path}: [^\n]+$"):
            decode.decode(path)


def test_other_files_are_named_with_a_reason(tmp_path: pathlib.Path):
    path = tmp_path / "page.jpg"
    path.write_text("<html>404</html>")
    with pytest.raises(ValueError, match=f"^{path}: not an image file"):
        decode.decode(path)
    path.write_bytes(b"")
    with pytest.raises(ValueError, match=f"^{path}: not an image file"):
        decode.decode(path)
    with pytest.raises(ValueError, match=f"^{tmp_path}/none.png: No such file"):
        decode.decode(tmp_path / "none.png")
    with pytest.raises(ValueError, match="^shard 3: not an image"):
        decode.Encoded(b"nothing", "shard 3")


def test_every_flipped_byte_decodes_or_raises_a_value_error():
    for form in ("JPEG", "PNG", "GIF"):
        whole = bytearray(encoded(Image.fromarray(PHOTO[:16, :16]), form))
        for position in RNG.integers(0, len(whole), 60):
            broken = bytearray(whole)
            broken[position] ^= 0xFF
            try:
                decode.decode(bytes(broken))
            except ValueError as error:
                assert "\n" not in str(error)
            except Warning:
                pass  # Pillow warns about some damages; warnings are errors in tests only


def test_min_size_reduces_a_jpeg_by_powers_of_two_only():
    file = encoded(Image.fromarray(PHOTO), "JPEG", quality=95)  # 160×120
    shapes = {size: decode.decode(file, size).shape[:2] for size in (500, 120, 61, 60, 30, 15, 1)}
    assert shapes == {
        500: (120, 160),
        120: (120, 160),
        61: (120, 160),
        60: (60, 80),
        30: (30, 40),
        15: (15, 20),
        1: (15, 20),
    }
    half = np.asarray(Image.fromarray(PHOTO).reduce(2), np.float32)
    assert np.abs(decode.decode(file, 60) - half).mean() < 2
    assert decode.decode(encoded(Image.fromarray(PHOTO), "PNG"), 30).shape == PHOTO.shape


@pytest.mark.parametrize("side", [13, 97, 121, 250, 499])
def test_a_reduced_crop_shows_the_same_part_as_an_exact_one(side):
    big = np.asarray(Image.fromarray(PHOTO).resize((533, 501), Image.Resampling.BICUBIC))  # odd sides: partial blocks
    file = encoded(Image.fromarray(big), "JPEG", quality=98)
    box = (31.0, 2.0, 31.0 + side, 2.0 + side)
    exact = decode.crop(big, box, (12, 12)).astype(np.float32)
    assert np.abs(decode.crop(decode.Encoded(file), box, (12, 12)) - exact).mean() < 2.5


def test_resize_is_antialiased():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 255
    shrunk = decode.resize(stripes, (8, 8))
    assert np.abs(shrunk[:, 1:-1].astype(int) - 127).max() <= 2
    assert decode.resize(stripes, (64, 64)) is stripes


def test_extent_and_pixels_take_both_kinds():
    file = decode.Encoded(encoded(Image.fromarray(PHOTO), "PNG"))
    assert decode.extent(file) == decode.extent(PHOTO) == (160, 120)
    np.testing.assert_array_equal(decode.pixels(file), decode.pixels(PHOTO))


def test_a_page_of_several_and_a_pgm_of_16_bits_are_read(monkeypatch):
    lines = []
    monkeypatch.setattr(decode.logging, "log_first_n", lambda level, text, count, *values: lines.append(text % values))
    pages = [Image.new("RGB", (4, 4), colour) for colour in ((255, 0, 0), (0, 0, 255))]
    file = encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:])
    assert decode.Encoded(file, "a.tif").pixels()[0, 0].tolist() == [255, 0, 0]
    assert lines == ["a.tif: has several pages, of which the first is read; so are others like it"]
    assert decode.decode(b"P5 2 1 65535 " + bytes([255, 255, 128, 0]))[0, :, 0].tolist() == [255, 128]
    assert decode.decode(b"P5 2 1 4095 " + bytes([15, 255, 0, 0]))[0, :, 0].tolist() == [255, 0]


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("options", [{"quality": 95, "subsampling": 0}, {"quality": 90}, {"progressive": True}])
def test_a_reduced_jpeg_is_within_a_level_of_the_whole(mode, options):
    big = Image.fromarray(PHOTO).resize((640, 481), Image.Resampling.BICUBIC)
    file = encoded(big.convert(mode), "JPEG", **({} if mode == "L" else options))
    whole = Image.fromarray(decode.decode(file))
    for factor in (2, 4, 8):
        reduced = decode.decode(file, 481 // factor).astype(float)
        assert np.abs(reduced - np.asarray(whole.reduce(factor), float)).mean() < 1
