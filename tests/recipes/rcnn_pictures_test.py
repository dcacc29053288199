"""Which windows R-CNN's pictures show."""

import jax.numpy as jnp
import numpy as np

from jaxvision.data.canvas import Canvases
from jaxvision.fits.hard_negatives import Round
from jaxvision.models.resnet import ResNet
from jaxvision.recipes.rcnn_pictures import HARDEST, MOMENTS, draw_hard_negatives, draw_windows, window_pixels
from jaxvision.tasks.rcnn import Look, Warping
from tests.recipes.known_windows import split

NAMES = ("background", "cat", "dog")


def round_of(images: int, *hardest: tuple[float, int, int]) -> Round:
    return Round(1, images, 10, len(hardest), 5, list(hardest))


def shown(rounds: list[Round]) -> list[tuple[int, int]]:
    asked: list[tuple[int, int]] = []

    def pixels(places: list[tuple[int, int]]) -> np.ndarray:
        asked.extend(places)
        return np.zeros((len(places), 8, 8, 3), np.uint8)

    drawn = draw_hard_negatives(rounds, pixels, NAMES)
    assert (drawn is None) == (not asked)
    return asked


def test_negatives_from_before_the_first_fit_are_left_out():
    assert shown([round_of(1, (np.inf, 0, 0)), round_of(2)]) == []


def test_an_image_has_its_hardest_negative_and_the_hardest_come_first():
    assert shown([round_of(3, (2.0, 0, 4), (1.5, 0, 5), (3.0, 1, 6))]) == [(1, 6), (0, 4)]


def test_a_few_moments_with_a_few_negatives_each():
    many = [round_of(i, *((float(n), n, i) for n in range(HARDEST + 2))) for i in range(2 * MOMENTS)]
    assert len(shown(many)) == MOMENTS * HARDEST


def test_windows_of_objects_come_before_background():
    labels = np.array([0, 2, 0, 1])
    windows = np.arange(4, dtype=np.uint8)[:, None, None, None] * np.full((1, 8, 8, 3), 60, np.uint8)
    outputs = {"windows": windows, "probabilities": np.eye(3)[[0, 2, 0, 1]].astype(np.float32)}
    drawn = draw_windows(outputs, {"labels": labels[:, None]}, NAMES)
    values = [v for v in np.unique(drawn) if v in (60, 180)]
    assert values == [60, 180]


def test_a_window_has_the_pixels_of_its_image():
    model, grey = ResNet(None, 18, width=0.0625), (0.0, 0.0, 0.0)
    look = Look(model, Warping(8, 0), grey, (1.0, 1.0, 1.0), "pool", "layer4")
    frames = Canvases(90, 90, ((90, 90),))
    pixels = window_pixels(split(), [(1, 0), (4, 2)], frames, look, grey)
    assert pixels.shape == (2, 8, 8, 3) and jnp.asarray(pixels).dtype == jnp.uint8
    assert [int(np.median(window)) for window in pixels] == [1, 4]  # image i has pixels of value i
