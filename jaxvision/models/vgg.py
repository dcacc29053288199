"""VGG (Simonyan & Zisserman 2015, "Very deep convolutional networks for large-scale image recognition").

Input: images [B, H, W, 3], float, normalised, of 32 pixels or more a side.
Output, a dict of
    "conv1_1" … "conv5_3" [B, h, w, C]             each convolution, behind its ReLU (C 64, 128, 256, 512, 512)
    "norm1"                                        net A-LRN: the first block behind response normalisation
    "pool1" … "pool5"                              the end of each block, at 1/2 … 1/32 of the image's resolution
    "indices1" … "indices5"                        with `indices`: places of the maxima in each pooled map, int32
    "fc6", "fc7" [B, F]                            fully connected layers, unless `head` is False
    "logits" [B, K]                                class scores, unless `num_classes` is None
With `dense`, "fc6", "fc7" and "logits" are maps [B, h, w, F] and [B, h, w, K].
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from jaxvision.models.dense_head import FullyConnectedHead
from jaxvision.models.layers import BatchNorm, Conv, Dtype, Initializer, Layer, scaled
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import adaptive_avg_pool, max_pool
from jaxvision.ops.unpooling import max_pool_with_indices

CHANNELS = (64, 128, 256, 512, 512)


class Net(NamedTuple):
    """A column of table 1."""

    convolutions: tuple[int, int, int, int, int]  # how many, in each of the five blocks
    response_norm: bool = False  # behind the first block
    pointwise: bool = False  # the third convolution of a block is 1×1
    kernel_size: int = 3  # pixels a side of the kernels behind a block's first, which is 3×3


NETS = {
    "A": Net((1, 1, 2, 2, 2)),
    "A-LRN": Net((1, 1, 2, 2, 2), response_norm=True),
    "B": Net((2, 2, 2, 2, 2)),
    "C": Net((2, 2, 3, 3, 3), pointwise=True),
    "D": Net((2, 2, 3, 3, 3)),
    "E": Net((2, 2, 4, 4, 4)),
    # Not in table 1: a block's first convolution brings the channels to C; then there are three of 3×3, or one of 7×7,
    # which sees as far (section 2.3). Late blocks are only pools.
    "3x3": Net((4, 4, 4, 0, 0)),
    "7x7": Net((2, 2, 2, 0, 0), kernel_size=7),
}


class VGG(nn.Module):
    """Five blocks of 3×3 convolutions and three fully connected layers (table 1).

    Kernels of net A start from N(0, 0.01²) at full width; the deeper nets, which do not train from that, after Glorot &
    Bengio (section 3.1). ValueError: an unknown net, or images that are too small.

    Example:
        >>> model, images = VGG16(num_classes=10), jnp.zeros((1, 224, 224, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 10)
    """

    num_classes: int | None = 1000  # K; None: the network ends at fc7
    net: str = "D"  # the column of table 1: "A", "A-LRN", "B", "C", "D" or "E"; or "3x3" or "7x7", see `NETS`
    batch_norm: bool = False  # `norm` behind each convolution
    width: float = 1.0  # fraction of the paper's channels
    dense: bool = False  # fc6 … fc8 as convolutions (section 3.2); `dense_head.to_convolutions` converts parameters
    window: int = 7  # side of the map that fc6 sees: larger maps are averaged down to it, smaller ones taken whole
    head: bool = True  # False: the network ends at "pool5"
    indices: bool = False  # also return the places of the maxima, for `ops.unpooling.max_unpool`
    dropout: float = 0.5  # share of the units of fc6 and of fc7 that training drops
    norm: Layer = BatchNorm  # normalisation, where `batch_norm`
    kernel_init: Initializer | None = None  # in the place of the paper's
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Num[Array, "..."]]:
        net = self._net(x.shape[1:3])
        features: dict[str, Array] = {}
        for block, count in enumerate(net.convolutions, start=1):
            for i in range(1, count + 1):
                kernel_size = 1 if net.pointwise and i == 3 else 3 if i == 1 else net.kernel_size
                x = features[f"conv{block}_{i}"] = self._convolve(x, block, i, kernel_size, train)
            if block == 1 and net.response_norm:
                x = features["norm1"] = local_response_norm(x)
            features |= self._pool(x, block)
            x = features[f"pool{block}"]
        return {**features, **self._classify(x, train)} if self.head else features

    def _net(self, size: tuple[int, ...]) -> Net:
        if self.net not in NETS:
            raise ValueError(f"VGG net {self.net!r}: choose one of {', '.join(NETS)}")
        smallest = 32 * self.window if self.head and self.dense else 32
        if min(size) < smallest:
            raise ValueError(f"VGG got {size[0]}x{size[1]} images: image_size must be at least {smallest}")
        return NETS[self.net]

    def _kernel_init(self) -> Initializer:
        if self.kernel_init is not None:
            return self.kernel_init
        if self.net in ("A", "A-LRN"):
            return nn.initializers.normal(0.01 / self.width**0.5)
        return nn.initializers.glorot_uniform()

    def _convolve(
        self, x: Float[Array, "B H W C"], block: int, i: int, kernel_size: int, train: bool
    ) -> Float[Array, "B H W D"]:
        x = Conv(
            scaled(CHANNELS[block - 1], self.width),
            kernel_size,
            padding=kernel_size // 2,
            kernel_init=self._kernel_init(),
            dtype=self.dtype,
            name=f"conv{block}_{i}",
        )(x)
        if self.batch_norm:
            x = self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{block}_{i}")(x)
        return nn.relu(x)

    def _pool(self, x: Float[Array, "B H W C"], block: int) -> dict[str, Num[Array, "B h w C"]]:
        if self.indices:
            y, indices = max_pool_with_indices(x, 2, 2)
            return {f"pool{block}": y, f"indices{block}": indices}
        return {f"pool{block}": max_pool(x, 2, 2)}

    def _classify(self, x: Float[Array, "B H W C"], train: bool) -> dict[str, Float[Array, "..."]]:
        if not self.dense:
            x = adaptive_avg_pool(x, (min(self.window, x.shape[1]), min(self.window, x.shape[2])))
        head = FullyConnectedHead(
            scaled(4096, self.width),
            self.num_classes,
            window=self.window if self.dense else None,
            dropout=self.dropout,
            kernel_init=self._kernel_init(),
            dtype=self.dtype,
        )
        nn.share_scope(self, head)
        return head(x, train=train)


VGG11 = partial(VGG, net="A")
VGG13 = partial(VGG, net="B")
VGG16 = partial(VGG, net="D")
VGG19 = partial(VGG, net="E")
