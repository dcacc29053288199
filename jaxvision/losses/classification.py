"""Targets and loss of image classification."""

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int


def soft_targets(labels: Int[Array, " B"], classes: int, smoothing: float = 0.0) -> Float[Array, "B K"]:
    """Return one-hot targets of which a part is spread evenly over all classes (Szegedy et al. 2016, section 7).

    Args:
        labels: the class of each image, from 0.
        classes: the number of classes, K.
        smoothing: the part ε that is spread: (1 - ε)·one_hot + ε / K.

    Returns:
        A distribution over the classes for each image.
    """
    return optax.smooth_labels(jax.nn.one_hot(labels, classes), smoothing)


def mixup(
    key: jax.Array, images: Float[Array, "B H W C"], targets: Float[Array, "B K"], alpha: float
) -> tuple[Float[Array, "B H W C"], Float[Array, "B K"]]:
    """Blend images and targets in pairs: λ·a + (1 - λ)·b with λ ~ Beta(α, α) (Zhang et al. 2018, equation 1).

    All images share one λ, as in the authors' code.

    Args:
        key: what λ and the partners are drawn from.
        images: the batch.
        targets: their distributions over classes.
        alpha: the paper's α; the larger, the nearer λ is to 1/2.

    Returns:
        The blended images and targets.

    Example:
        >>> images, targets = mixup(jax.random.key(0), jnp.ones((4, 8, 8, 3)), jnp.eye(4), alpha=0.2)
        >>> images.shape, targets.sum(axis=1).round(3).tolist()
        ((4, 8, 8, 3), [1.0, 1.0, 1.0, 1.0])
    """
    key_blend, key_order = jax.random.split(key)
    blend = jax.random.beta(key_blend, alpha, alpha)
    order = jax.random.permutation(key_order, images.shape[0])
    return blend * images + (1 - blend) * images[order], blend * targets + (1 - blend) * targets[order]


def cross_entropy(logits: Float[Array, "B K"], targets: Float[Array, "B K"]) -> Float[Array, ""]:
    """Return the mean softmax cross entropy in nats, computed in float32.

    Example:
        >>> round(float(cross_entropy(jnp.zeros((1, 2)), jnp.array([[0.0, 1.0]]))), 4)  # log 2
        0.6931
    """
    return jnp.mean(optax.softmax_cross_entropy(logits.astype(jnp.float32), targets))
