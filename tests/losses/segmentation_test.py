"""The pixel-wise loss against a plain NumPy one, and against torch."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.test_util import check_grads

from jaxvision.losses.segmentation import divisor, pixel_cross_entropy

K = 4


def example(seed: int = 0, shape=(2, 5, 7)) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Logits, labels with a fifth ignored, class weights and pixel weights."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, shape).astype(np.uint8)
    labels[rng.random(shape) < 0.2] = 255
    logits = rng.normal(size=(*shape, K), scale=3).astype(np.float32)
    return logits, labels, rng.uniform(0, 2, K).astype(np.float32), rng.uniform(0, 3, shape).astype(np.float32)


def plain(logits, labels, class_weights=None, pixel_weights=None, normalise="pixels") -> float:
    total, pixels, weights = 0.0, 0, 0.0
    for at in np.argwhere(labels != 255):
        scores, label = logits[tuple(at)].astype(np.float64), labels[tuple(at)]
        weight = 1.0 if class_weights is None else float(class_weights[label])
        weight *= 1.0 if pixel_weights is None else float(pixel_weights[tuple(at)])
        total -= weight * (scores[label] - np.log(np.exp(scores).sum()))
        pixels, weights = pixels + 1, weights + weight
    return total / {"pixels": pixels, "weights": weights, "none": len(labels)}[normalise]


@pytest.mark.parametrize("normalise", ["pixels", "weights", "none"])
@pytest.mark.parametrize("with_classes", [False, True])
@pytest.mark.parametrize("with_pixels", [False, True])
def test_equals_the_loop_over_pixels(normalise, with_classes, with_pixels):
    logits, labels, classes, pixels = example()
    weights = {"class_weights": classes if with_classes else None, "pixel_weights": pixels if with_pixels else None}
    arrays = jax.tree.map(jnp.asarray, weights)
    for run in (pixel_cross_entropy, jax.jit(pixel_cross_entropy, static_argnames="normalise")):
        found = run(jnp.asarray(logits), jnp.asarray(labels), **arrays, normalise=normalise)
        np.testing.assert_allclose(found, plain(logits, labels, **weights, normalise=normalise), rtol=1e-5)


def test_gradient_by_finite_differences():
    logits, labels, classes, pixels = jax.tree.map(jnp.asarray, example(shape=(1, 2, 3)))

    def loss(x):
        logits = jnp.asarray(x)
        return pixel_cross_entropy(logits, labels, class_weights=classes, pixel_weights=pixels, normalise="weights")

    check_grads(loss, (logits,), order=1, modes=["rev"], rtol=2e-2)


def test_ignored_pixels_get_no_gradient():
    logits, labels, _, _ = example()
    grads = jax.grad(pixel_cross_entropy)(jnp.asarray(logits), jnp.asarray(labels))
    assert not np.any(grads[labels == 255]) and np.all(np.any(grads[labels != 255] != 0, axis=-1))


@pytest.mark.parametrize("normalise", ["pixels", "weights", "none"])
def test_nothing_but_ignored_pixels(normalise):
    logits, labels = jnp.ones((2, 3, 3, K)), jnp.full((2, 3, 3), 255, jnp.uint8)
    run = jax.value_and_grad(lambda x: pixel_cross_entropy(x, labels, normalise=normalise))
    loss, grads = run(logits)
    assert float(loss) == 0.0 and not np.any(grads)


def test_labels_whose_classes_weigh_nothing():
    labels = jnp.ones((1, 2, 2), jnp.uint8)
    weights = jnp.array([1.0, 0.0])
    assert float(pixel_cross_entropy(jnp.ones((1, 2, 2, 2)), labels, class_weights=weights, normalise="weights")) == 0.0


def test_another_label_may_be_ignored_and_labels_may_be_signed():
    logits, labels, _, _ = example()
    signed = np.where(labels == 255, -1, labels.astype(np.int32))
    found = pixel_cross_entropy(jnp.asarray(logits), jnp.asarray(signed), ignore=-1)
    np.testing.assert_allclose(found, plain(logits, labels), rtol=1e-5)


def test_a_label_beyond_the_classes_is_not_a_number():
    assert np.isnan(pixel_cross_entropy(jnp.zeros((1, 1, 2, K)), jnp.array([[[0, K]]], jnp.uint8)))


def test_half_precision_logits_and_large_ones_stay_finite():
    logits, labels, _, _ = example()
    found = pixel_cross_entropy(jnp.asarray(logits, jnp.bfloat16), jnp.asarray(labels))
    assert found.dtype == jnp.float32
    np.testing.assert_allclose(found, plain(logits, labels), rtol=1e-2)
    huge = pixel_cross_entropy(jnp.asarray(logits) * 1e30, jnp.asarray(labels))
    assert np.isfinite(huge)


@pytest.mark.parametrize("normalise", ["pixels", "weights", "none"])
def test_the_mean_over_devices_is_the_loss_of_the_batch(normalise):
    logits, labels, classes, _ = example(shape=(4, 3, 5))
    labels[0], labels[1, 0] = 255, 255  # one device has nothing that counts
    weights = jnp.asarray(classes)
    whole = pixel_cross_entropy(jnp.asarray(logits), jnp.asarray(labels), class_weights=weights, normalise=normalise)

    def one(logits, labels):
        return pixel_cross_entropy(logits, labels, class_weights=weights, normalise=normalise, axis_name="d")

    each = jax.vmap(one, axis_name="d")(jnp.asarray(logits)[:, None], jnp.asarray(labels)[:, None])
    np.testing.assert_allclose(each.mean(), whole, rtol=1e-5)


def test_divisor_is_one_where_nothing_counts():
    assert float(divisor(jnp.zeros(()), None)) == 1.0 and float(divisor(jnp.array(0.25), None)) == 0.25


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(3))
def test_equals_torch(seed):
    torch = pytest.importorskip("torch")
    logits, labels, classes, _ = example(seed)
    arguments = torch.tensor(logits).permute(0, 3, 1, 2), torch.tensor(labels.astype(np.int64))
    for normalise, weights in (("pixels", None), ("weights", classes)):
        loss = torch.nn.CrossEntropyLoss(None if weights is None else torch.tensor(weights), ignore_index=255)
        own = None if weights is None else jnp.asarray(weights)
        found = pixel_cross_entropy(jnp.asarray(logits), jnp.asarray(labels), class_weights=own, normalise=normalise)
        np.testing.assert_allclose(found, loss(*arguments).item(), rtol=1e-5)
