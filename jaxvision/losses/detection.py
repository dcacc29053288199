"""Losses of two-stage detectors, each a dict of named scalars to be summed.

Inputs are the sampled slots of `ops.sampling`, K an image. Slots that are not `used` count for nothing, so images
without objects need no special case. Sums run over the batch and are divided by the number of sampled slots (mask:
positives), as in the released codes, not by the paper's 2400 locations with λ = 10. With an `axis_name`, the mapped
axis over devices, that number is averaged over devices, so that the mean of the devices' losses is the loss of the
whole batch.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int

Penalty = Callable[[Array], Array]  # elementwise, from offset errors


def smooth_l1(error: Float[Array, "*b"], sigma: float = 1.0) -> Float[Array, "*b"]:
    """Return `0.5 (σe)²` where |e| < 1/σ² and `|e| - 0.5/σ²` elsewhere (Girshick 2015, eq. 3; σ is 3 in the RPN).

    Example:
        >>> smooth_l1(jnp.array([0.0, 0.5, 2.0])).tolist()
        [0.0, 0.125, 1.5]
    """
    switch = 1 / sigma**2
    size = jnp.abs(error)
    # The parabola sees no large error, whose square could overflow in the branch that is not taken.
    return jnp.where(size < switch, 0.5 / switch * jnp.minimum(size, switch) ** 2, size - 0.5 * switch)


def l1(error: Float[Array, "*b"]) -> Float[Array, "*b"]:
    """Return the absolute error, which later recipes use for the box head."""
    return jnp.abs(error)


def objectness_logits(pair: Float[Array, "*b 2"]) -> Float[Array, "*b"]:
    """Return a two-way softmax (background, object) as one logit, whose sigmoid cross entropy is the softmax's."""
    return pair[..., 1] - pair[..., 0]


def rpn_loss(
    logits: Float[Array, "B K"],
    offsets: Float[Array, "B K 4"],
    targets: Float[Array, "B K 4"],
    used: Bool[Array, "B K"],
    positive: Bool[Array, "B K"],
    *,
    sigma: float = 3.0,
    axis_name: str | None = None,
) -> dict[str, Float[Array, ""]]:
    """Return sigmoid cross entropy of objectness and smooth L1 of positives' offsets (Ren et al. 2015, equation 1).

    Args:
        logits: of being an object, for each sampled anchor.
        offsets: predicted from each anchor to its object, as `ops.boxes.encode` gives them.
        targets: the true offsets; those of negatives may be anything.
        used: which slots hold an anchor.
        positive: which of these are positives.
        sigma: σ of `smooth_l1`.
        axis_name: the mapped axis over devices, or None.

    Returns:
        "objectness" and "rpn_box".

    Example:
        >>> used, positive = jnp.array([[True, True]]), jnp.array([[True, False]])
        >>> losses = rpn_loss(jnp.array([[9.0, -9.0]]), jnp.zeros((1, 2, 4)), jnp.zeros((1, 2, 4)), used, positive)
        >>> all(float(loss) < 0.001 for loss in losses.values())
        True
    """
    count = _count(used, axis_name)
    entropy = optax.sigmoid_binary_cross_entropy(logits.astype(jnp.float32), positive.astype(jnp.float32))
    box = _offset_loss(offsets, targets, used & positive, lambda error: smooth_l1(error, sigma))
    return {"objectness": jnp.where(used, entropy, 0).sum() / count, "rpn_box": box / count}


def box_head_loss(
    logits: Float[Array, "B K C"],
    offsets: Float[Array, "B K C 4"],
    labels: Int[Array, "B K"],
    targets: Float[Array, "B K 4"],
    used: Bool[Array, "B K"],
    *,
    penalty: Penalty = smooth_l1,
    axis_name: str | None = None,
) -> dict[str, Float[Array, ""]]:
    """Return softmax cross entropy over classes and the box loss of the labelled class (Girshick 2015, equation 1).

    Background slots have no box loss.

    Args:
        logits: of the C classes, 0 the background, for each sampled RoI.
        offsets: predicted from each RoI to the object, one box a class.
        labels: the class of each RoI.
        targets: the true offsets; those of background slots may be anything.
        used: which slots hold a RoI.
        penalty: of each offset's error; torchvision's is `partial(smooth_l1, sigma=3)`, whose switch point is 1/9.
        axis_name: the mapped axis over devices, or None.

    Returns:
        "classifier" and "box".

    Example:
        >>> labels, used = jnp.array([[1, 0]]), jnp.array([[True, True]])
        >>> logits, offsets = 9 * jax.nn.one_hot(labels, 3), jnp.zeros((1, 2, 3, 4))
        >>> losses = box_head_loss(logits, offsets, labels, jnp.zeros((1, 2, 4)), used)
        >>> all(float(loss) < 0.001 for loss in losses.values())
        True
    """
    count = _count(used, axis_name)
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits.astype(jnp.float32), labels)
    chosen = jnp.take_along_axis(offsets, labels[:, :, None, None], axis=2)[:, :, 0]
    box = _offset_loss(chosen, targets, used & (labels > 0), penalty)
    return {"classifier": jnp.where(used, entropy, 0).sum() / count, "box": box / count}


def mask_head_loss(
    logits: Float[Array, "B K S S C"],
    labels: Int[Array, "B K"],
    targets: Float[Array, "B K S S"],
    positive: Bool[Array, "B K"],
    *,
    exclusive: bool = False,
    axis_name: str | None = None,
) -> dict[str, Float[Array, ""]]:
    """Return positives' mean sigmoid cross entropy in the labelled class's channel (He et al. 2017, section 3).

    With `exclusive` classes compete for a pixel by a softmax, of which the labelled class and the background, class 0,
    are right (table 2b).

    Args:
        logits: of the mask of each class, for each sampled RoI.
        labels: the class of each RoI.
        targets: the true masks, 0 or 1.
        positive: which slots hold a positive; only these count.
        exclusive: whether a pixel belongs to one class.
        axis_name: the mapped axis over devices, or None.

    Returns:
        "mask".

    Example:
        >>> logits, labels, targets = jnp.full((1, 2, 4, 4, 3), 9.0), jnp.array([[1, 0]]), jnp.ones((1, 2, 4, 4))
        >>> losses = mask_head_loss(logits, labels, targets, jnp.array([[True, False]]))
        >>> all(float(loss) < 0.001 for loss in losses.values())
        True
    """
    logits = logits.astype(jnp.float32)
    if exclusive:
        logits = jax.nn.log_softmax(logits)
    chosen = jnp.take_along_axis(logits, labels[:, :, None, None, None], axis=-1)[..., 0]
    if exclusive:
        entropy = -(targets * chosen + (1 - targets) * logits[..., 0])
    else:
        entropy = optax.sigmoid_binary_cross_entropy(chosen, targets)
    entropy = entropy.mean(axis=(-2, -1))
    return {"mask": jnp.where(positive, entropy, 0).sum() / _count(positive, axis_name)}


def _offset_loss(
    offsets: Float[Array, "B K 4"], targets: Float[Array, "B K 4"], counted: Bool[Array, "B K"], penalty: Penalty
) -> Float[Array, ""]:
    # Masked before the penalty: the targets of negatives and of padding mean nothing and need not be finite.
    error = jnp.where(counted[..., None], offsets.astype(jnp.float32) - targets, 0)
    return penalty(error).sum()


def _count(counted: Bool[Array, "B K"], axis_name: str | None) -> Float[Array, ""]:
    count = counted.sum().astype(jnp.float32)
    if axis_name is not None:
        count = jax.lax.pmean(count, axis_name)
        return jnp.maximum(count, 1 / jax.lax.axis_size(axis_name))
    return jnp.maximum(count, 1)
