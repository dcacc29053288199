"""AlexNet (Krizhevsky, Sutskever & Hinton 2012, "ImageNet classification with deep convolutional neural networks").

Input: images [B, H, W, 3], float, normalised, of 67 pixels (63 for "torchvision") or more a side.
Output, a dict of
    "conv1" … "conv5" [B, h, w, C]                 each convolution, behind its ReLU
    "norm1", "norm2"                               behind response normalisation, where the variant has it
    "pool1", "pool2", "pool5"                      behind max-pooling
    "fc6", "fc7" [B, 4096]                         fully connected layers, unless `head` is False
    "logits" [B, K]                                class scores, unless `num_classes` is None
"""

from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.dense_head import FullyConnectedHead
from jaxvision.models.layers import Conv, Dtype, Initializer, scaled
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import adaptive_avg_pool, max_pool


class Variant(NamedTuple):
    """Settings in which the published forms of the network differ."""

    channels: tuple[int, int, int, int, int]  # of conv1 … conv5
    towers: int = 1  # conv2, conv4 and conv5 see only the maps of their own tower (section 3.5)
    response_norm: str | None = "before pool"  # where it is: "before pool", "after pool" or None (nowhere)
    padding: int = 0  # of conv1: 0 for 227-pixel images, 2 for 224-pixel ones
    adaptive_pool: bool = False  # average the last map down to 6×6
    drop_inputs: bool = False  # dropout on the inputs of fc6 and fc7 instead of their outputs
    ones: bool = True  # conv2, conv4, conv5, fc6 and fc7 start with biases of 1 (section 5)


PAPER = (96, 256, 384, 384, 256)
VARIANTS = {
    "paper": Variant(PAPER, towers=2),
    "single": Variant(PAPER),
    "caffenet": Variant(PAPER, towers=2, response_norm="after pool"),
    "torchvision": Variant(
        (64, 192, 384, 256, 256), 1, None, padding=2, adaptive_pool=True, drop_inputs=True, ones=False
    ),
}

# Kernel size, stride and padding of conv2 … conv5; the variant gives conv1's padding.
_LATER = ((5, 1, 2), (3, 1, 1), (3, 1, 1), (3, 1, 1))


class AlexNet(nn.Module):
    """Five convolutions and three fully connected layers (section 3.5); fc6 takes the last map as large as it comes.

    Kernels start from N(0, 0.01²) at full width; a narrower net divides by √width, which keeps the scale of each
    layer's output. Those of "torchvision" start from its uniform distribution, of variance 1 / (3 · inputs).
    ValueError: an unknown variant, or images that are too small.

    Example:
        >>> model, images = AlexNet(num_classes=10), jnp.zeros((1, 227, 227, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 10)
    """

    num_classes: int | None = 1000  # K; None: the network ends at fc7
    # "paper": two towers. "single": one. "caffenet": Caffe's, which pools before it normalises; the network of R-CNN.
    # "torchvision": Krizhevsky 2014, "One weird trick", without response normalisation.
    variant: str = "paper"
    width: float = 1.0  # fraction of the paper's channels
    head: bool = True  # False: the network ends at "pool5"
    first_stride: int = 4  # of conv1; 2 for pieces of images (Noroozi & Favaro 2016)
    dropout: float = 0.5  # share of the units of fc6 and of fc7 that training drops
    response_norm: bool = True  # False: without it, also where the variant has it (section 3.3)
    overlapping: bool = True  # max-pools of 3×3 at stride 2 (section 3.4); False: of 2×2
    kernel_init: Initializer | None = None  # in the place of the variant's
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        variant = self._variant()
        _require_size(x.shape[1:3], 11 + 14 * self.first_stride - 2 * variant.padding)
        features: dict[str, Array] = {}
        for i, (kernel_size, strides, padding) in enumerate(
            ((11, self.first_stride, variant.padding), *_LATER), start=1
        ):
            x = features[f"conv{i}"] = nn.relu(self._conv(i, kernel_size, strides, padding)(x))
            if i in (1, 2):
                order = variant.response_norm if self.response_norm else None
                x = _normalise_and_pool(features, i, order, self._pool_size)
        x = max_pool(x, self._pool_size, 2, 0)
        if variant.adaptive_pool:
            x = adaptive_avg_pool(x, (min(6, x.shape[1]), min(6, x.shape[2])))
        features["pool5"] = x
        return {**features, **self._classify(x, train)} if self.head else features

    @property
    def _pool_size(self) -> int:
        return 3 if self.overlapping else 2

    def _variant(self) -> Variant:
        if self.variant not in VARIANTS:
            raise ValueError(f"AlexNet variant {self.variant!r}: choose one of {', '.join(VARIANTS)}")
        return VARIANTS[self.variant]

    def _kernel_init(self) -> Initializer:
        if self.kernel_init is not None:
            return self.kernel_init
        if self.variant == "torchvision":
            return nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")
        return nn.initializers.normal(0.01 / self.width**0.5)

    def _conv(self, i: int, kernel_size: int, strides: int, padding: int) -> nn.Conv:
        variant = self._variant()
        return Conv(
            scaled(variant.channels[i - 1], self.width, multiple=variant.towers),
            kernel_size,
            strides=strides,
            padding=padding,
            groups=variant.towers if i in (2, 4, 5) else 1,
            kernel_init=self._kernel_init(),
            bias_init=nn.initializers.constant(float(variant.ones and i in (2, 4, 5))),
            dtype=self.dtype,
            name=f"conv{i}",
        )

    def _classify(self, x: Float[Array, "B H W C"], train: bool) -> dict[str, Float[Array, "..."]]:
        variant = self._variant()
        head = FullyConnectedHead(
            scaled(4096, self.width),
            self.num_classes,
            dropout=self.dropout,
            drop_inputs=variant.drop_inputs,
            kernel_init=self._kernel_init(),
            hidden_bias=float(variant.ones),
            dtype=self.dtype,
        )
        nn.share_scope(self, head)
        return head(x, train=train)


def _normalise_and_pool(features: dict[str, Array], i: int, order: str | None, size: int) -> Array:
    """Add norm<i> and pool<i> to the features in the given order, and return the last of them."""
    x = features[f"conv{i}"]
    if order == "before pool":
        x = features[f"norm{i}"] = local_response_norm(x)
    x = features[f"pool{i}"] = max_pool(x, size, 2, 0)
    if order == "after pool":
        # Caffe divides alpha by the window's size and adds to 1, not 2.
        x = features[f"norm{i}"] = local_response_norm(x, k=1.0, alpha=1e-4 / 5)
    return x


def _require_size(size: tuple[int, ...], smallest: int) -> None:
    if min(size) < smallest:
        raise ValueError(f"AlexNet got {size[0]}x{size[1]} images: image_size must be at least {smallest}")
