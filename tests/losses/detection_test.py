from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses import detection

each = pytest.mark.parametrize("run", [jax.jit, lambda f: f], ids=["jit", "eager"])


def case(seed=0, batch=2, slots=6, classes=4, pixels=3):
    rng = np.random.default_rng(seed)
    used = rng.uniform(size=(batch, slots)) < 0.8
    labels = np.where(used, rng.integers(0, classes, (batch, slots)), 0)
    return {
        "logits": rng.normal(size=(batch, slots)),
        "class_logits": rng.normal(size=(batch, slots, classes)),
        "offsets": rng.normal(size=(batch, slots, 4)),
        "class_offsets": rng.normal(size=(batch, slots, classes, 4)),
        "targets": rng.normal(size=(batch, slots, 4)),
        "mask_logits": rng.normal(size=(batch, slots, pixels, pixels, classes)),
        "mask_targets": rng.integers(0, 2, (batch, slots, pixels, pixels)).astype(float),
        "labels": labels,
        "used": used,
    }


def arrays(case, *names):
    return [jnp.array(case[n], jnp.float32) if case[n].dtype == float else jnp.array(case[n]) for n in names]


def plain_smooth_l1(error, sigma):
    size = abs(error)
    return 0.5 * (sigma * size) ** 2 if size < 1 / sigma**2 else size - 0.5 / sigma**2


def plain_bce(logit, target):
    probability = 1 / (1 + np.exp(-logit))
    return -np.log(probability if target else 1 - probability)


@pytest.mark.parametrize(("sigma", "switch"), [(1.0, 1.0), (3.0, 1 / 9)])
def test_smooth_l1(sigma, switch):
    error = np.array([-5, -1, -switch, -0.05, 0, 0.1, switch, 2], np.float32)
    found = detection.smooth_l1(jnp.array(error), sigma)
    np.testing.assert_allclose(found, [plain_smooth_l1(e, sigma) for e in error], rtol=1e-5)
    slope = jax.vmap(jax.grad(lambda e: detection.smooth_l1(e, sigma)))(jnp.array([0.0, switch / 2, 7.0, -7.0, 1e30]))
    np.testing.assert_allclose(slope, [0, 0.5, 1, -1, 1])


@each
def test_rpn_loss_equals_the_plain_sum(run):
    data = case()
    positive = data["labels"] > 0
    found = run(detection.rpn_loss)(*arrays(data, "logits", "offsets", "targets", "used"), jnp.array(positive))
    entropy = box = 0.0
    for at in np.argwhere(data["used"]):
        at = tuple(at)
        entropy += plain_bce(data["logits"][at], positive[at])
        if positive[at]:
            box += sum(plain_smooth_l1(e, 3) for e in data["offsets"][at] - data["targets"][at])
    count = data["used"].sum()
    np.testing.assert_allclose(found["objectness"], entropy / count, rtol=1e-5)
    np.testing.assert_allclose(found["rpn_box"], box / count, rtol=1e-5)


@each
@pytest.mark.parametrize("penalty", [detection.smooth_l1, detection.l1])
def test_box_head_loss_equals_the_plain_sum(run, penalty):
    data = case(1)
    found = run(partial(detection.box_head_loss, penalty=penalty))(
        *arrays(data, "class_logits", "class_offsets", "labels", "targets", "used")
    )
    entropy = box = 0.0
    for at in np.argwhere(data["used"]):
        at, label = tuple(at), data["labels"][tuple(at)]
        logits = data["class_logits"][at]
        entropy += np.log(np.exp(logits).sum()) - logits[label]
        if label > 0:
            error = data["class_offsets"][at][label] - data["targets"][at]
            box += sum(abs(e) if penalty is detection.l1 else plain_smooth_l1(e, 1) for e in error)
    count = data["used"].sum()
    np.testing.assert_allclose(found["classifier"], entropy / count, rtol=1e-5)
    np.testing.assert_allclose(found["box"], box / count, rtol=1e-5)


@each
def test_mask_head_loss_equals_the_plain_sum(run):
    data = case(2)
    positive = data["used"] & (data["labels"] > 0)
    found = run(detection.mask_head_loss)(*arrays(data, "mask_logits", "labels", "mask_targets"), jnp.array(positive))
    terms = []
    for at in np.argwhere(positive):
        at = tuple(at)
        logits = data["mask_logits"][at][..., data["labels"][at]]
        terms.append(
            np.mean([plain_bce(z, t) for z, t in zip(logits.flat, data["mask_targets"][at].flat, strict=True)])
        )
    np.testing.assert_allclose(found["mask"], np.mean(terms), rtol=1e-5)


def test_masks_whose_classes_compete_are_a_softmax_of_the_class_and_the_background():
    data = case(2)
    positive = data["used"] & (data["labels"] > 0)
    mask = arrays(data, "mask_logits", "labels", "mask_targets")
    found = detection.mask_head_loss(*mask, jnp.array(positive), exclusive=True)["mask"]
    exponents = np.exp(data["mask_logits"])
    shares = exponents / exponents.sum(axis=-1, keepdims=True)
    terms = []
    for at in map(tuple, np.argwhere(positive)):
        right = np.where(data["mask_targets"][at] > 0, shares[at][..., data["labels"][at]], shares[at][..., 0])
        terms.append(-np.log(right).mean())
    np.testing.assert_allclose(found, np.mean(terms), rtol=1e-5)


def test_unused_slots_and_targets_of_negatives_count_for_nothing():
    data = case(3)
    data["targets"][~data["used"] | (data["labels"] == 0)] = np.nan

    def total(logits, class_logits, offsets, class_offsets):
        labels, targets, used = arrays(data, "labels", "targets", "used")
        return sum(
            jax.tree.leaves(
                (
                    detection.rpn_loss(logits, offsets, targets, used, labels > 0),
                    detection.box_head_loss(class_logits, class_offsets, labels, targets, used),
                )
            )
        )

    gradients = jax.jit(jax.grad(total, argnums=(0, 1, 2, 3)))(
        *arrays(data, "logits", "class_logits", "offsets", "class_offsets")
    )
    chex.assert_tree_all_finite(gradients)
    for gradient in gradients:
        assert not np.asarray(gradient)[~data["used"]].any()


@each
def test_images_without_objects_have_no_box_and_mask_loss(run):
    data = case(4)
    data["labels"][:], none = 0, jnp.zeros((2, 6), bool)
    logits, offsets, targets, used = arrays(data, "logits", "offsets", "targets", "used")
    head = arrays(data, "class_logits", "class_offsets", "labels", "targets", "used")
    mask = arrays(data, "mask_logits", "labels", "mask_targets")
    rpn = run(detection.rpn_loss)(logits, offsets, targets, used, none)
    found = run(detection.box_head_loss)(*head)
    assert rpn["rpn_box"] == 0 and found["box"] == 0 and rpn["objectness"] > 0 and found["classifier"] > 0
    assert run(detection.mask_head_loss)(*mask, none)["mask"] == 0
    nothing = run(detection.rpn_loss)(logits, offsets, targets, none, none)
    assert nothing["objectness"] == 0 and nothing["rpn_box"] == 0
    chex.assert_tree_all_finite(jax.grad(lambda m: detection.mask_head_loss(m, *mask[1:], none)["mask"])(mask[0]))


def test_two_way_softmax_is_one_logit():
    pair = jnp.array(np.random.default_rng(5).normal(size=(2, 6, 2)), jnp.float32)
    used, positive = jnp.ones((2, 6), bool), jnp.array([[True, False] * 3] * 2)
    zeros = jnp.zeros((2, 6, 4))
    found = detection.rpn_loss(detection.objectness_logits(pair), zeros, zeros, used, positive)["objectness"]
    softmax = jax.nn.log_softmax(pair)
    np.testing.assert_allclose(found, -jnp.where(positive, softmax[..., 1], softmax[..., 0]).mean(), rtol=1e-6)


def test_the_mean_over_devices_is_the_loss_of_the_batch():
    data = case(6, batch=4)
    data["used"][0] = False  # images differ in their numbers of samples, one has none
    head = arrays(data, "class_logits", "class_offsets", "labels", "targets", "used")
    mask = [*arrays(data, "mask_logits", "labels", "mask_targets"), jnp.array(data["used"] & (data["labels"] > 0))]

    def losses(head, mask, axis_name=None):
        return {
            **detection.box_head_loss(*head, axis_name=axis_name),
            **detection.mask_head_loss(*mask, axis_name=axis_name),
        }

    split = jax.tree.map(lambda a: a[:, None], (head, mask))
    apart = jax.jit(jax.vmap(lambda h, m: losses(h, m, "data"), axis_name="data"))(*split)
    chex.assert_trees_all_close(jax.tree.map(jnp.mean, apart), jax.jit(losses)(head, mask), rtol=1e-5)
    none = jnp.zeros((4, 6), bool)
    empty = jax.vmap(lambda h, u: detection.box_head_loss(*h[:4], u, axis_name="data"), axis_name="data")(
        split[0], none[:, None]
    )
    assert not any(np.asarray(leaf).any() for leaf in jax.tree.leaves(empty))


@pytest.mark.peer
def test_peer_torchvision_losses():
    torch = pytest.importorskip("torch")
    heads = pytest.importorskip("torchvision.models.detection.roi_heads")
    data = case(7)
    data["used"][:] = True
    labels = torch.tensor(data["labels"].reshape(-1))
    theirs = heads.fastrcnn_loss(
        torch.tensor(data["class_logits"].reshape(12, 4)).float(),
        torch.tensor(data["class_offsets"].reshape(12, 16)).float(),
        [labels],
        [torch.tensor(data["targets"].reshape(12, 4)).float()],
    )
    ours = detection.box_head_loss(
        *arrays(data, "class_logits", "class_offsets", "labels", "targets", "used"),
        penalty=partial(detection.smooth_l1, sigma=3.0),
    )
    np.testing.assert_allclose([ours["classifier"], ours["box"]], theirs, rtol=1e-5)
