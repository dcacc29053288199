import numpy as np
import pytest

from jaxvision.viz import text


def test_short_text_is_kept_on_one_line():
    assert text.shorten("cat\nand  dog", 500, text.font(12)) == "cat and dog"


@pytest.mark.parametrize("width", [0, 5, 12, 40, 100, 1000])
def test_long_text_fits_with_an_ellipsis(width):
    face = text.font(12)
    short = text.shorten("a rather long class name, Übergröße Ωλ 漢字", width, face)
    assert face.getlength(short) <= width
    assert short == "" or short.endswith("…") or width == 1000


def test_upward_text_is_taller_than_wide():
    turned = text.upward("aeroplane", text.font(12), (255, 0, 0))
    assert turned.height > turned.width
    alpha = np.asarray(turned)[..., 3]
    assert alpha.max() > 200 and alpha[:, 0].max() == 0  # drawn, and not cut off at the ascent
    assert turned.height >= text.font(12).getlength("aeroplane")


def test_fonts_are_shared():
    assert text.font(12) is text.font(12)
    assert text.font(12) is not text.font(12, bold=True)
