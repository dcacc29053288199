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


def test_a_script_that_the_usual_font_lacks_gets_another_font(monkeypatch: pytest.MonkeyPatch):
    usual = text.font(12)
    assert text.font(12, words="Übergröße Ωλ Кот") is usual
    monkeypatch.setattr(text, "_installed", lambda: ("/none.ttf", "/cjk.ttf"))
    known = text._letters
    monkeypatch.setattr(text, "_letters", lambda file: frozenset("漢字 a") if file == "/cjk.ttf" else known(file))
    asked: list[tuple[str, int]] = []
    monkeypatch.setattr(text, "_face", lambda file, size: asked.append((file, size)) or usual)
    text._file.cache_clear()
    text.font(14, words="漢字 a\n")
    assert asked == [("/cjk.ttf", 14)]
    text._file.cache_clear()


def test_a_script_that_no_font_has_is_said(monkeypatch: pytest.MonkeyPatch):
    said: list[str] = []
    monkeypatch.setattr(text, "_installed", lambda: ())
    monkeypatch.setattr(text.logging, "warning", lambda line, *values: said.append(line % values))
    monkeypatch.setattr(text, "_said", set())
    text._file.cache_clear()
    for words in ("漢 cat", "漢 cat", "字 dog", "cat", "dog 0.98"):
        assert text.font(12, words=words) is text.font(12)
    assert text._file.cache_info().currsize == 3  # one for all texts of ASCII
    text._file.cache_clear()
    assert len(said) == 1 and "no installed font has 漢, " in said[0] and "fonts-noto-cjk" in said[0]
