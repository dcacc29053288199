import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops.resample import crop_resize, erase, gaussian_blur, interpolation, smoothing

IMAGE = jnp.asarray(np.random.default_rng(0).uniform(size=(23, 31, 3)).astype(np.float32))
BOXES = [(0, 0, 31, 23), (4, 3, 29, 19), (7, 11, 12, 14), (30, 22, 31, 23)]


@pytest.mark.parametrize("box", BOXES)
def test_weights_of_a_new_pixel_add_up_and_stay_in_the_box(box: tuple[int, ...]):
    weights = np.asarray(interpolation(jnp.array(box[0]), jnp.array(box[2]), 8, 31))
    np.testing.assert_allclose(weights.sum(1), 1, rtol=1e-6)
    assert not weights[:, : box[0]].any() and not weights[:, box[2] :].any()


def test_a_part_of_the_same_size_is_cut_out_and_the_whole_stays():
    np.testing.assert_array_equal(crop_resize(IMAGE, jnp.array([5, 2, 17, 14]), 12), IMAGE[2:14, 5:17])
    square = IMAGE[:, :23]
    np.testing.assert_array_equal(crop_resize(square, jnp.array([0, 0, 23, 23]), 23), square)


def test_a_ramp_stays_a_ramp_at_half_pixel_centres():
    ramp = jnp.broadcast_to((jnp.arange(16.0) + 0.5)[None, :, None], (16, 16, 3))
    found = crop_resize(ramp, jnp.array([4, 0, 12, 16]), 4)[0, :, 0]
    np.testing.assert_allclose(found[1:-1], [7.0, 9.0], rtol=1e-6)  # at the ends the triangle is cut off
    np.testing.assert_allclose(found[0] - 4.0, 12.0 - found[-1], rtol=1e-6)


def test_resizing_commutes_with_mirroring_and_turning():
    """Half-pixel centres: no corner of the image is special, so rotation cannot be read off interpolation."""
    square = IMAGE[:, :23]
    found, whole = crop_resize(square, jnp.array([0, 0, 23, 23]), 9), jnp.array([0, 0, 23, 23])
    np.testing.assert_allclose(crop_resize(square[:, ::-1], whole, 9), found[:, ::-1], atol=1e-6)
    np.testing.assert_allclose(crop_resize(jnp.rot90(square), whole, 9), jnp.rot90(found), atol=1e-6)


def test_blur_keeps_flat_images_and_does_nothing_when_narrow():
    flat = jnp.full((9, 12, 3), 0.3)
    np.testing.assert_allclose(gaussian_blur(flat, jnp.array(1.5), 7), flat, rtol=1e-6)
    np.testing.assert_allclose(gaussian_blur(IMAGE, jnp.array(0.05), 5), IMAGE, atol=1e-6)
    spread = np.asarray(smoothing(jnp.array(2.0), 3, 31))
    np.testing.assert_allclose(spread.sum(1), 1, rtol=1e-6)
    assert (np.count_nonzero(spread, axis=1)[3:-3] == 7).all()


@pytest.mark.parametrize("kernel", [4, 47])
def test_blur_refuses_kernels_without_a_middle_or_beyond_the_mirror(kernel: int):
    with pytest.raises(ValueError, match=f"kernel={kernel} on 23×31"):
        gaussian_blur(IMAGE, jnp.array(1.0), kernel)


def test_erase_is_clipped_to_the_image():
    found = np.asarray(erase(IMAGE, jnp.array([-2, 20, 3, 40])))
    assert not found[20:, :3].any()
    np.testing.assert_array_equal(found[:20], IMAGE[:20])
    np.testing.assert_array_equal(found[:, 3:], IMAGE[:, 3:])


@pytest.mark.peer
@pytest.mark.parametrize("box", BOXES)
@pytest.mark.parametrize("size", [7, 16, 40])
def test_crop_equals_torchvision_and_pillow(box: tuple[int, ...], size: int):
    torch = pytest.importorskip("torch")
    from PIL import Image
    from torchvision.transforms import functional

    x0, y0, x1, y1 = box
    ours = crop_resize(IMAGE, jnp.array(box), size)
    chw = torch.tensor(np.asarray(IMAGE)).permute(2, 0, 1)
    theirs = functional.resized_crop(chw, y0, x0, y1 - y0, x1 - x0, [size, size], antialias=True)
    np.testing.assert_allclose(ours, theirs.permute(1, 2, 0).numpy(), atol=2e-6)
    plane = Image.fromarray(np.asarray(IMAGE[..., 0]))
    pillow = plane.crop(box).resize((size, size), Image.Resampling.BILINEAR)
    np.testing.assert_allclose(ours[..., 0], np.asarray(pillow), atol=2e-6)


@pytest.mark.peer
@pytest.mark.parametrize(("sigma", "kernel"), [(0.1, 3), (0.7, 5), (2.0, 23)])
def test_blur_equals_torchvision(sigma: float, kernel: int):
    torch = pytest.importorskip("torch")
    from torchvision.transforms import functional

    chw = torch.tensor(np.asarray(IMAGE)).permute(2, 0, 1)
    theirs = functional.gaussian_blur(chw, [kernel, kernel], [sigma, sigma]).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(gaussian_blur(IMAGE, jnp.array(sigma), kernel), theirs, atol=2e-6)


def test_works_under_vmap_with_a_box_for_each_image():
    boxes = jnp.array(BOXES)
    images = jnp.stack([IMAGE] * 4)
    found = jax.jit(jax.vmap(lambda image, box: crop_resize(image, box, 8)))(images, boxes)
    for one, box in zip(found, boxes, strict=True):
        np.testing.assert_allclose(one, crop_resize(IMAGE, box, 8), atol=1e-6)
