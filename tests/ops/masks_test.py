import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import masks

each = pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])


def at(grid, y, x, *, clamp):
    """Bilinear value of a grid whose cell (i, j) has its centre at (i, j)."""
    height, width = grid.shape
    if clamp:
        y, x = np.clip(y, 0, height - 1), np.clip(x, 0, width - 1)
    value, low_y, low_x = 0.0, int(np.floor(y)), int(np.floor(x))
    for i, j in ((low_y, low_x), (low_y, low_x + 1), (low_y + 1, low_x), (low_y + 1, low_x + 1)):
        if 0 <= i < height and 0 <= j < width:
            value += grid[i, j] * (1 - abs(y - i)) * (1 - abs(x - j))
    return value


def centers(box, size):
    x0, y0, x1, y1 = map(float, box)
    return [(y0 + (i + 0.5) / size * (y1 - y0), x0 + (j + 0.5) / size * (x1 - x0)) for i, j in np.ndindex(size, size)]


def plain_crop(mask, box, size):
    return np.reshape([at(mask, y - 0.5, x - 0.5, clamp=True) for y, x in centers(box, size)], (size, size))


def plain_resample(crop, box, region, size):
    values, (x0, y0, x1, y1) = [], map(float, box)
    for y, x in centers(region, size):
        inside = x1 > x0 and y1 > y0 and y0 <= y <= y1 and x0 <= x <= x1
        m = len(crop)
        values.append(
            inside and at(crop, (y - y0) / (y1 - y0) * m - 0.5, (x - x0) / (x1 - x0) * m - 0.5, clamp=True) >= 0.5
        )
    return np.reshape(values, (size, size)).astype(np.float32)


def plain_paste(crop, box, shape):
    (x0, y0, x1, y1), m, canvas = map(float, box), len(crop), np.zeros(shape)
    for i, j in np.ndindex(*shape):
        if x1 > x0 and y1 > y0:
            u, v = (i + 0.5 - y0) / (y1 - y0) * m - 0.5, (j + 0.5 - x0) / (x1 - x0) * m - 0.5
            canvas[i, j] = at(crop, u, v, clamp=False)
    return canvas


BOXES = np.array(
    [[2.5, 1, 9, 8.5], [0, 0, 14, 11], [-3, -2, 6, 6], [5, 5, 5, 9], [8, 8, 4, 4], [40, 40, 60, 60]], np.float32
)
ROIS = np.array(
    [[3, 2, 12, 9], [1, 1, 5, 5], [-5, -5, 20, 20], [0, 0, 9, 9], [0, 0, 9, 9], [45, 41, 50, 70]], np.float32
)


@each
def test_crop_equals_the_definition(run):
    full = np.random.default_rng(0).uniform(size=(len(BOXES), 11, 14)).astype(np.float32)
    found = run(lambda m, b: masks.crop(m, b, 5))(jnp.array(full), jnp.array(BOXES))
    np.testing.assert_allclose(found, [plain_crop(m, b, 5) for m, b in zip(full, BOXES, strict=True)], atol=1e-5)


def test_crop_takes_whole_number_masks_and_keeps_aligned_pixels():
    full = jnp.arange(12, dtype=jnp.uint8).reshape(3, 4)
    np.testing.assert_allclose(masks.crop(full, jnp.array([1.0, 0, 4, 3]), 3), full[:, 1:], atol=1e-5)


@each
def test_resample_equals_the_definition(run):
    crops = np.random.default_rng(1).uniform(size=(len(BOXES), 6, 6)).astype(np.float32)
    found = run(lambda c, b, r: masks.resample(c, b, r, 7))(*map(jnp.array, (crops, BOXES, ROIS)))
    expected = [plain_resample(*each, 7) for each in zip(crops, BOXES, ROIS, strict=True)]
    np.testing.assert_array_equal(found, expected)


def test_resample_to_the_own_box_is_the_identity_and_outside_is_empty():
    crop = (np.random.default_rng(2).uniform(size=(1, 28, 28)) < 0.5).astype(np.float32)
    box, beside = jnp.array([[10.0, 20, 66, 48]]), jnp.array([[66.5, 20, 90, 48]])
    np.testing.assert_array_equal(masks.resample(jnp.array(crop), box, box, 28), crop)
    assert not masks.resample(jnp.array(crop), box, beside, 28).any()
    half = masks.resample(jnp.ones((1, 28, 28)), box, jnp.array([[38.0, 20, 94, 48]]), 28)
    np.testing.assert_array_equal(half[0, 0], [1] * 14 + [0] * 14)


@each
def test_paste_equals_the_definition(run):
    crops = np.random.default_rng(3).uniform(size=(len(BOXES), 4, 4)).astype(np.float32)
    found = run(lambda c, b: masks.paste(c, b, (11, 14)))(jnp.array(crops), jnp.array(BOXES))
    expected = [plain_paste(*each, (11, 14)) for each in zip(crops, BOXES, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_full_mask_pasted_is_its_box():
    pasted = masks.paste(jnp.ones((28, 28)), jnp.array([3.0, 2, 9, 7]), (10, 12)) >= 0.5
    expected = np.zeros((10, 12), bool)
    expected[2:7, 3:9] = True
    np.testing.assert_array_equal(pasted, expected)


def test_crop_and_paste_return_a_shape():
    y, x = np.mgrid[:60, :80] + 0.5
    disc = ((y - 30) ** 2 + (x - 35) ** 2 < 20**2).astype(np.float32)
    box = jnp.array([15.0, 10, 55, 50])
    back = np.asarray(masks.paste(masks.crop(jnp.array(disc), box, 28), box, (60, 80)) >= 0.5)
    assert (back & (disc > 0)).sum() / (back | (disc > 0)).sum() > 0.97


def test_gradients_are_finite_for_degenerate_boxes():
    crops, box = jnp.ones((len(BOXES), 4, 4)), jnp.array(BOXES)
    for function in (lambda c, b: masks.paste(c, b, (5, 6)).sum(), lambda c, b: masks.crop(c, b, 3).sum()):
        chex.assert_tree_all_finite(jax.jit(jax.grad(function, argnums=(0, 1)))(crops, box))


@pytest.mark.peer
def test_peer_torch_grid_sample():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(4)
    crop, (x0, y0, x1, y1) = rng.uniform(size=(28, 28)).astype(np.float32), (3.3, 5.1, 40.7, 30.2)
    y, x = (np.arange(48) + 0.5 - y0) / (y1 - y0) * 2 - 1, (np.arange(64) + 0.5 - x0) / (x1 - x0) * 2 - 1
    grid = torch.tensor(np.stack(np.meshgrid(x, y), axis=-1)[None].astype(np.float32))
    theirs = torch.nn.functional.grid_sample(torch.tensor(crop)[None, None], grid, align_corners=False)
    np.testing.assert_allclose(
        masks.paste(jnp.array(crop), jnp.array([x0, y0, x1, y1]), (48, 64)), theirs[0, 0], atol=1e-4
    )


@pytest.mark.peer
def test_peer_torchvision_paste():
    torch = pytest.importorskip("torch")
    heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    rng = np.random.default_rng(5)
    crops = rng.uniform(size=(12, 28, 28)).astype(np.float32)
    corner, side = rng.uniform(0, 40, (12, 2)), rng.uniform(2, 60, (12, 2))
    boxes = np.clip(np.concatenate([corner, corner + side], axis=1), 0, [80, 60, 80, 60]).astype(np.float32)
    theirs = heads.paste_masks_in_image(torch.tensor(crops)[:, None], torch.tensor(boxes), (60, 80))[:, 0].numpy()
    own_boxes = masks.torchvision_paste_boxes(jnp.array(boxes), 28)
    np.testing.assert_allclose(masks.paste(jnp.array(crops), own_boxes, (60, 80)), theirs, atol=1e-4)
