import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.ops import roi, roi_pooling
from tests.ops.roi_cases import ROIS, SCALE, setup

each = pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])


def bilinear(feature, y, x):
    height, width, channels = feature.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return np.zeros(channels)
    y, x = min(max(y, 0), height - 1), min(max(x, 0), width - 1)
    low_y, low_x = int(y), int(x)
    high_y, high_x = min(low_y + 1, height - 1), min(low_x + 1, width - 1)
    top = feature[low_y, low_x] * (1 - x + low_x) + feature[low_y, high_x] * (x - low_x)
    bottom = feature[high_y, low_x] * (1 - x + low_x) + feature[high_y, high_x] * (x - low_x)
    return top * (1 - y + low_y) + bottom * (y - low_y)


def plain_align(feature, cells, size, samples, aligned):
    """The definition, sample by sample; `cells` is the RoI in map units."""
    result = np.zeros((*size, feature.shape[-1]))
    if not np.isfinite(cells).all():
        return result
    x0, y0, x1, y1 = (cells - 0.5 if aligned else cells).astype(float)
    width, height = (x1 - x0, y1 - y0) if aligned else (max(x1 - x0, 1), max(y1 - y0, 1))
    for i, j, a, b in np.ndindex(*size, samples, samples):
        y = y0 + (i + (a + 0.5) / samples) * height / size[0]
        x = x0 + (j + (b + 0.5) / samples) * width / size[1]
        result[i, j] += bilinear(feature, y, x) / samples**2
    return result


@each
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("samples", [1, 2])
def test_roi_align_equals_the_definition(run, aligned, samples):
    features, rois = setup()
    found = run(lambda f, r: roi.roi_align(f, r, (3, 2), spatial_scale=SCALE, sampling_ratio=samples, aligned=aligned))(
        jnp.array(features), jnp.array(rois)
    )
    expected = [
        [plain_align(f, box * np.float32(SCALE), (3, 2), samples, aligned) for box in boxes]
        for f, boxes in zip(features, rois, strict=True)
    ]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_roi_align_reproduces_the_map_for_the_identity():
    features, _ = setup()
    whole = jnp.array([[[0.0, 0, 9 * 16, 7 * 16]]] * 2)
    align = jax.jit(lambda f: roi.roi_align(f, whole, (7, 9), spatial_scale=SCALE, sampling_ratio=1))
    found = align(jnp.array(features))
    np.testing.assert_allclose(found[:, 0], features, atol=1e-6)


def test_roi_align_averages_a_ramp_exactly():
    ramp = jnp.broadcast_to(jnp.arange(16.0)[None, None, :, None] + 0.5, (1, 16, 16, 1))  # the value is x at its centre
    align = jax.jit(lambda f: roi.roi_align(f, jnp.array([[[2.0, 3, 10, 9]]]), (2, 4), spatial_scale=1.0))
    found = align(ramp)
    np.testing.assert_allclose(found[0, 0, :, :, 0], [[3, 5, 7, 9]] * 2, rtol=1e-6)


@each
def test_roi_align_gradients_are_the_transpose(run):
    features, rois = setup()
    rng = np.random.default_rng(1)
    weight = jnp.array(rng.normal(size=(2, len(ROIS), 3, 2, 3)), jnp.float32)

    def total(features):
        return (roi.roi_align(features, jnp.array(rois), (3, 2), spatial_scale=SCALE) * weight).sum()

    gradient = run(jax.grad(total))(jnp.array(features))
    # A linear map: its gradient times any map equals its value at that map.
    for _ in range(3):
        other = jnp.array(rng.normal(size=features.shape), jnp.float32)
        np.testing.assert_allclose((gradient * other).sum(), total(other), rtol=1e-4)


def test_roi_align_gradient_in_the_rois():
    features, _ = setup()
    rois = jnp.array([[[20.0, 24, 90, 70]]] * 2)

    def total(rois):
        return roi.roi_align(jnp.array(features), rois, (2, 2), spatial_scale=SCALE).sum()

    total = jax.jit(total)
    gradient, step = jax.jit(jax.grad(total))(rois), 0.25
    for corner in range(4):
        move = jnp.zeros_like(rois).at[0, 0, corner].set(step)
        numeric = (total(rois + move) - total(rois - move)) / (2 * step)
        np.testing.assert_allclose(gradient[0, 0, corner], numeric, rtol=0.02, atol=1e-3)


@pytest.mark.parametrize("function", [roi.roi_align, roi.roi_warp, roi_pooling.roi_pool])
def test_gradients_are_finite_and_half_precision_stays(function):
    features, rois = setup()
    features, rois = jnp.array(features, jnp.bfloat16), jnp.array(rois)
    found = function(features, rois, (3, 3), spatial_scale=SCALE)
    assert found.dtype == jnp.bfloat16
    gradient = jax.jit(
        jax.grad(lambda f, r: function(f, r, (3, 3), spatial_scale=SCALE).astype(jnp.float32).sum(), argnums=(0, 1))
    )(features, rois)
    chex.assert_tree_all_finite(gradient)
    assert gradient[0].dtype == jnp.bfloat16 and gradient[1].dtype == jnp.float32


@each
def test_roi_warp_aligns_the_quantised_roi(run):
    features, _ = setup()
    rois = jnp.array([[[20.0, 25, 99, 60], [0, 0, 1, 1]]] * 2)
    found = run(lambda f, r: roi.roi_warp(f, r, (3, 2), spatial_scale=SCALE))(jnp.array(features), rois)
    cells = np.array([[1.0, 2, 7, 5], [0, 0, 1, 1]])  # corners round to cells 1..6 and 2..4, both inclusive
    expected = [[plain_align(f, cell, (3, 2), 2, True) for cell in cells] for f in features]
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_level_of_a_roi():
    def level(side, finest=2, coarsest=5):
        return int(roi.assign_levels(jnp.array([0.0, 0, side, side]), finest, coarsest))

    assert [level(side) for side in (0.0, 50.0, 111.9, 112.0, 223.9, 224.0, 448.0, 5000.0)] == [2, 2, 2, 3, 3, 4, 5, 5]
    assert level(float("nan")) == 2


@each
def test_multilevel_takes_each_roi_from_its_level(run):
    rng = np.random.default_rng(4)
    pyramid = [rng.normal(size=(2, 40 // 2**i, 48 // 2**i, 3)).astype(np.float32) for i in range(3)]
    corner, side = rng.uniform(0, 100, (2, 12, 2)), rng.uniform(10, 500, (2, 12, 2))
    rois = np.concatenate([corner, corner + side], axis=-1).astype(np.float32)
    scales = [1 / 4, 1 / 8, 1 / 16]

    def pool(pyramid, rois):
        return roi.multilevel_roi_align(pyramid, rois, (2, 2), spatial_scales=scales)

    found = run(pool)([jnp.array(f) for f in pyramid], jnp.array(rois))
    level = np.asarray(roi.assign_levels(jnp.array(rois), 2, 4)) - 2
    assert set(level.reshape(-1)) == {0, 1, 2}
    for image, index in np.ndindex(2, 12):
        own = level[image, index]
        expected = plain_align(pyramid[own][image], rois[image, index] * scales[own], (2, 2), 2, True)
        np.testing.assert_allclose(found[image, index], expected, atol=1e-5)
    gradient = jax.jit(jax.grad(lambda p: pool(p, jnp.array(rois)).sum()))([jnp.array(f) for f in pyramid])
    counts = [float(g.sum()) for g in gradient]  # interpolation weights add up to one a sample
    assert all(count > 0 for count in counts)
    with pytest.raises(ValueError, match="3 feature maps but 2 spatial_scales"):
        roi.multilevel_roi_align([jnp.array(f) for f in pyramid], jnp.array(rois), (2, 2), spatial_scales=scales[:2])


def nchw(array):
    torch = pytest.importorskip("torch")
    return torch.tensor(np.asarray(array)).permute(0, 3, 1, 2).contiguous()


@pytest.mark.peer
@pytest.mark.parametrize("name", ["roi_align", "roi_align_legacy", "roi_pool"])
def test_peer_torchvision_roi_operations(name):
    torch, ops = pytest.importorskip("torch"), pytest.importorskip("torchvision.ops")
    rng = np.random.default_rng(5)
    features = rng.normal(size=(2, 20, 30, 8)).astype(np.float32)
    corner, side = rng.uniform(-50, 400, (2, 40, 2)), np.exp(rng.uniform(0, 6, (2, 40, 2)))
    rois = np.concatenate([corner, corner + side], axis=-1).astype(np.float32)
    weight = rng.normal(size=(2, 40, 7, 7, 8)).astype(np.float32)
    theirs_in = nchw(features).requires_grad_()
    boxes = [torch.tensor(r) for r in rois]
    if name == "roi_pool":
        theirs = ops.roi_pool(theirs_in, boxes, 7, SCALE)
        ours, pull = jax.vjp(
            lambda f: roi_pooling.roi_pool(f, jnp.array(rois), (7, 7), spatial_scale=SCALE), jnp.array(features)
        )
    else:
        aligned = name == "roi_align"
        theirs = ops.roi_align(theirs_in, boxes, 7, SCALE, 2, aligned)
        ours, pull = jax.vjp(
            lambda f: roi.roi_align(f, jnp.array(rois), (7, 7), spatial_scale=SCALE, aligned=aligned),
            jnp.array(features),
        )
    theirs.backward(nchw(weight.reshape(80, 7, 7, 8)))
    np.testing.assert_allclose(
        ours.reshape(80, 7, 7, 8), theirs.detach().permute(0, 2, 3, 1), atol=2e-5 if name != "roi_pool" else 0
    )
    np.testing.assert_allclose(pull(jnp.array(weight))[0], theirs_in.grad.permute(0, 2, 3, 1), atol=1e-4)


@pytest.mark.peer
def test_peer_torchvision_levels_and_multilevel_align():
    torch = pytest.importorskip("torch")
    poolers = pytest.importorskip("torchvision.ops.poolers")
    rng = np.random.default_rng(6)
    side = np.concatenate([np.exp(rng.uniform(2, 7, (500, 2))), [[112, 112], [224, 224], [448, 448], [56, 224]]])
    rois = np.concatenate([np.zeros_like(side), side], axis=1).astype(np.float32)
    theirs = poolers.LevelMapper(2, 5)([torch.tensor(rois)]) + 2
    np.testing.assert_array_equal(roi.assign_levels(jnp.array(rois), 2, 5), theirs)
    pyramid = [rng.normal(size=(1, 64 // 2**i, 80 // 2**i, 4)).astype(np.float32) for i in range(4)]
    pooler = poolers.MultiScaleRoIAlign(["0", "1", "2", "3"], 7, 2)
    kept = np.clip(rois[:60], 0, 256)
    pooled = pooler({str(i): nchw(f) for i, f in enumerate(pyramid)}, [torch.tensor(kept)], [(256, 320)])
    ours = roi.multilevel_roi_align(
        [jnp.array(f) for f in pyramid],
        jnp.array(kept)[None],
        (7, 7),
        spatial_scales=[1 / 4, 1 / 8, 1 / 16, 1 / 32],
        aligned=False,
    )
    np.testing.assert_allclose(ours[0], pooled.permute(0, 2, 3, 1), atol=1e-4)
