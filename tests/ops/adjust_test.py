import colorsys
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import adjust

IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(6, 5, 3)).astype(np.float32))
GREY = jnp.broadcast_to(IMAGE[..., :1], IMAGE.shape)
ADJUSTMENTS = (adjust.brightness, adjust.contrast, adjust.saturation, adjust.hue)


def test_what_changes_nothing():
    for change in ADJUSTMENTS[:3]:
        np.testing.assert_allclose(change(IMAGE, jnp.array(1.0)), IMAGE, atol=1e-6)
    for turn in (0.0, 1.0, -1.0):
        np.testing.assert_allclose(adjust.hue(IMAGE, jnp.array(turn)), IMAGE, atol=1e-5)
    for change in (adjust.saturation, adjust.hue):  # grey has no colour to change
        np.testing.assert_allclose(change(GREY, jnp.array(0.3)), GREY, atol=1e-6)
    np.testing.assert_allclose(adjust.grayscale(GREY), GREY, atol=1e-6)


def test_factors_of_zero():
    assert not adjust.brightness(IMAGE, jnp.array(0.0)).any()
    np.testing.assert_allclose(adjust.contrast(IMAGE, jnp.array(0.0)), adjust.grayscale(IMAGE).mean(), rtol=1e-5)
    np.testing.assert_allclose(adjust.saturation(IMAGE, jnp.array(0.0)), adjust.grayscale(IMAGE), rtol=1e-5)


@pytest.mark.parametrize("turn", [-0.5, -0.1, 0.2, 0.5])
def test_hue_turns_the_hsv_circle(turn: float):
    found = np.asarray(adjust.hue(IMAGE, jnp.array(turn))).reshape(-1, 3)
    for pixel, rgb in zip(found, np.asarray(IMAGE).reshape(-1, 3), strict=True):
        h, s, v = colorsys.rgb_to_hsv(*rgb.tolist())
        np.testing.assert_allclose(pixel, colorsys.hsv_to_rgb((h + turn) % 1.0, s, v), atol=1e-5)


def test_hue_has_finite_gradients_on_grey():
    gradient = jax.grad(lambda image: adjust.hue(image, jnp.array(0.2)).sum())(GREY)
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("order", list(itertools.permutations(range(4)))[::5])
def test_jitter_keeps_the_order(order: tuple[int, ...]):
    amounts = (1.4, 0.6, 1.7, 0.1)
    expected = IMAGE
    for i in order:
        expected = ADJUSTMENTS[i](expected, jnp.array(amounts[i]))
    found = adjust.jitter(IMAGE, jnp.array(amounts), jnp.array(order))
    np.testing.assert_allclose(found, expected, atol=1e-6)
    batched = jax.vmap(adjust.jitter)(IMAGE[None], jnp.array([amounts]), jnp.array([order]))
    np.testing.assert_allclose(batched[0], expected, atol=1e-6)


def test_solarize_inverts_from_the_threshold_on():
    np.testing.assert_allclose(
        adjust.solarize(jnp.array([[[0.2, 0.5, 0.9]]])), jnp.array([[[0.2, 0.5, 0.1]]]), atol=1e-6
    )


@pytest.mark.peer
@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation", "hue"])
@pytest.mark.parametrize("amount", [-0.4, 0.0, 0.2, 0.5, 1.0, 1.8])
def test_adjustments_equal_torchvision(name: str, amount: float):
    """Within 3e-4: torchvision's weights of grey add up to 0.9999."""
    torch = pytest.importorskip("torch")
    from torchvision.transforms import functional

    if name == "hue" and amount > 0.5 or name != "hue" and amount < 0:
        pytest.skip("out of its range")
    chw = torch.tensor(np.asarray(IMAGE)).permute(2, 0, 1)
    theirs = getattr(functional, f"adjust_{name}")(chw, amount).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(getattr(adjust, name)(IMAGE, jnp.array(amount)), theirs, atol=3e-4)


@pytest.mark.peer
def test_grey_and_solarised_images_equal_torchvision():
    torch = pytest.importorskip("torch")
    from torchvision.transforms import functional

    chw = torch.tensor(np.asarray(IMAGE)).permute(2, 0, 1)
    grey = functional.rgb_to_grayscale(chw, 3).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(adjust.grayscale(IMAGE), grey, atol=2e-4)
    inverted = functional.solarize(chw, 0.5).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(adjust.solarize(IMAGE), inverted, atol=1e-6)
