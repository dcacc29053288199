import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import color

IMAGE = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
RECORD = {"image": IMAGE, "label": 2}


def test_pca_noise_is_the_papers_formula():
    out = color.pca_noise(0.1)(RECORD, np.random.default_rng(7))
    alpha = np.random.default_rng(7).normal(0, 0.1, 3)
    shift = sum(
        alpha[i] * color.IMAGENET_EIGENVALUES[i] * color.IMAGENET_EIGENVECTORS[:, i].astype(np.float64)
        for i in range(3)
    )
    expected = np.clip(np.rint(IMAGE + 255 * shift[None, None]), 0, 255)
    np.testing.assert_array_equal(out["image"], expected.astype(np.uint8))
    assert out["label"] == 2
    np.testing.assert_array_equal(color.pca_noise(0.0)(RECORD, np.random.default_rng(7))["image"], IMAGE)


def test_pca_noise_shifts_along_the_principal_axes():
    grey = {"image": np.full((2, 2, 3), 128, np.uint8)}
    shifts = np.array(
        [color.pca_noise(0.5)(grey, np.random.default_rng(s))["image"][0, 0].astype(float) for s in range(800)]
    )
    covariance = np.cov(shifts.T)
    vectors, values = color.IMAGENET_EIGENVECTORS, color.IMAGENET_EIGENVALUES
    expected = vectors @ np.diag((0.5 * 255 * values) ** 2) @ vectors.T
    np.testing.assert_allclose(covariance, expected, rtol=0.15, atol=0.5)


def test_imagenet_components_are_orthonormal():
    gram = color.IMAGENET_EIGENVECTORS.T @ color.IMAGENET_EIGENVECTORS
    np.testing.assert_allclose(gram, np.eye(3), atol=1e-3)


def test_principal_components_rebuild_the_covariance():
    rng = np.random.default_rng(0)
    images = [rng.integers(0, 200, (n, 5, 3), dtype=np.uint8) for n in (3, 8)]
    values, vectors = color.principal_components(images)
    pixels = np.concatenate([image.reshape(-1, 3) for image in images]) / 255
    np.testing.assert_allclose((vectors * values[None]) @ vectors.T, np.cov(pixels.T, bias=True), atol=1e-6)
    assert np.all(np.diff(values) <= 0)
    color.pca_noise(0.1, values, vectors)(RECORD, rng)
    with pytest.raises(ValueError, match="no images"):
        color.principal_components([])


def test_brightness_contrast_and_saturation_stay_in_their_ranges():
    grey = {"image": np.full((2, 2, 3), 100, np.uint8)}
    levels = [color.color_jitter(brightness=0.4)(grey, np.random.default_rng(s))["image"][0, 0, 0] for s in range(200)]
    assert 58 <= min(levels) < 68 and 132 < max(levels) <= 140
    # A flat image has no contrast and a grey one no saturation to change.
    for jitter in (color.color_jitter(contrast=0.9), color.color_jitter(saturation=0.9), color.color_jitter(hue=0.5)):
        np.testing.assert_array_equal(jitter(grey, np.random.default_rng(1))["image"], grey["image"])


def test_hue_turns_the_colour_circle():
    red = {"image": np.full((1, 1, 3), [255, 0, 0], np.uint8)}
    turns = [color.color_jitter(hue=0.5)(red, np.random.default_rng(s))["image"][0, 0] for s in range(100)]
    dominant = {int(np.argmax(turn)) for turn in turns}
    assert dominant == {0, 1, 2}
    assert all(turn.max() == 255 and turn.min() == 0 for turn in turns)


def test_jitter_draws_a_random_order():
    jitter = color.color_jitter(0.5, 0.5, 0.5, 0.1)
    assert len({jitter(RECORD, np.random.default_rng(seed))["image"].tobytes() for seed in range(20)}) == 20
    np.testing.assert_array_equal(color.color_jitter()(RECORD, np.random.default_rng(0))["image"], IMAGE)
    assert set(color.photometric().keywords["amounts"]) == {"brightness", "contrast", "saturation"}
    pickle.loads(pickle.dumps(jitter))(RECORD, np.random.default_rng(0))


def test_hsv_jitter_scales_exposure_and_saturation_up_or_down():
    grey = {"image": np.full((2, 2, 3), 100, np.uint8)}
    levels = [color.hsv_jitter(1.0, 1.5)(grey, np.random.default_rng(s))["image"][0, 0, 0] for s in range(300)]
    assert 66 <= min(levels) < 70 and 145 < max(levels) <= 151
    assert 120 < sum(level > 100 for level in levels) < 180  # as often up as down
    brown = {"image": np.full((2, 2, 3), (150, 100, 75), np.uint8)}
    pixels = np.array([color.hsv_jitter(1.5, 1.0)(brown, np.random.default_rng(s))["image"][0, 0] for s in range(300)])
    assert np.abs(pixels.max(axis=1).astype(int) - 150).max() <= 1  # the value stays
    saturation = 1 - pixels.min(axis=1) / pixels.max(axis=1)
    assert 0.32 < saturation.min() < 0.36 and 0.70 < saturation.max() < 0.77


def test_hsv_jitter_turns_the_hue_and_can_do_nothing():
    still = color.hsv_jitter(1.0, 1.0)(RECORD, np.random.default_rng(0))
    hsv = np.asarray(Image.fromarray(IMAGE).convert("HSV").convert("RGB"))
    np.testing.assert_array_equal(still["image"], hsv)
    assert still["label"] == 2
    red = {"image": np.full((1, 1, 3), [255, 0, 0], np.uint8)}
    turns = [color.hsv_jitter(1.0, 1.0, 0.1)(red, np.random.default_rng(s))["image"][0, 0] for s in range(50)]
    assert {int(np.argmax(turn)) for turn in turns} == {0} and len({tuple(turn) for turn in turns}) > 20
    pickle.loads(pickle.dumps(color.hsv_jitter()))(RECORD, np.random.default_rng(0))
    for wrong in ((0.9, 1.5, 0.0), (1.5, 0.9, 0.0), (1.5, 1.5, 0.6)):
        with pytest.raises(ValueError, match="hsv_jitter: the factors are at least 1"):
            color.hsv_jitter(*wrong)


@pytest.mark.peer
@pytest.mark.parametrize(
    ("name", "function"),
    [("brightness", "adjust_brightness"), ("contrast", "adjust_contrast"), ("saturation", "adjust_saturation")],
)
def test_jitter_equals_torchvision(name, function):
    pytest.importorskip("torch")
    from torchvision.transforms import functional

    rng = np.random.default_rng(4)
    rng.permutation([name])
    factor = rng.uniform(0.5, 1.5)
    theirs = getattr(functional, function)(Image.fromarray(IMAGE), factor)
    ours = color.color_jitter(**{name: 0.5})(RECORD, np.random.default_rng(4))["image"]
    np.testing.assert_array_equal(ours, np.asarray(theirs))


def test_negative_amounts_are_refused():
    with pytest.raises(ValueError, match="at least 0"):
        color.color_jitter(brightness=-1.0)
    with pytest.raises(ValueError, match="at most 0.5"):
        color.color_jitter(hue=0.6)
