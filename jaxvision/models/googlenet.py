"""GoogLeNet (Szegedy et al. 2015, "Going deeper with convolutions").

Input: images [B, H, W, 3], float, normalised, of any size.
Output, a dict of
    "conv1", "pool1", "norm1", "conv2_reduce", "conv2", "norm2", "pool2"    layers of the stem, in this order
    "inception_3a" … "inception_5b" [B, h, w, C]   modules, at 1/8, 1/16 and 1/32 of the image's resolution
    "pool3", "pool4"                               max-pools between them
    "pool5" [B, 1024]                              mean over the positions of the last map; or a hidden layer
    "logits" [B, K]                                class scores, unless `num_classes` is None
    "aux_4a", "aux_4d" [B, K]                      scores of the auxiliary classifiers, in training only
"norm1" and "norm2" are those of the paper's variant.
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, scaled
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import adaptive_avg_pool, avg_pool, max_pool, max_pool_ceil

# Channels of a row of table 1: 1×1, 3×3 reduce, 3×3, 5×5 reduce, 5×5, pool projection. None: a max-pool of stride 2.
INCEPTION: dict[str, tuple[int, int, int, int, int, int] | None] = {
    "inception_3a": (64, 96, 128, 16, 32, 32),
    "inception_3b": (128, 128, 192, 32, 96, 64),
    "pool3": None,
    "inception_4a": (192, 96, 208, 16, 48, 64),
    "inception_4b": (160, 112, 224, 24, 64, 64),
    "inception_4c": (128, 128, 256, 24, 64, 64),
    "inception_4d": (112, 144, 288, 32, 64, 64),
    "inception_4e": (256, 160, 320, 32, 128, 128),
    "pool4": None,
    "inception_5a": (256, 160, 320, 32, 128, 128),
    "inception_5b": (384, 192, 384, 48, 128, 128),
}


class ConvUnit(nn.Module):
    """A convolution and ReLU, and between the two a bias or a normalisation."""

    features: int  # output channels
    kernel_size: int  # pixels a side of the kernel
    strides: int = 1  # pixels between two outputs
    norm: Layer | None = None  # normalisation; None: a bias
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        x = Conv(
            self.features,
            self.kernel_size,
            strides=self.strides,
            padding=self.kernel_size // 2,
            use_bias=self.norm is None,
            kernel_init=nn.initializers.glorot_uniform(),
            dtype=self.dtype,
            name="conv",
        )(x)
        return nn.relu(x if self.norm is None else self.norm(name="bn")(x))


class Inception(nn.Module):
    """Four branches over one map, concatenated by channel (figure 2b): [B, H, W, C] -> [B, H, W, D]."""

    channels: tuple[int, ...]  # a row of `INCEPTION`
    unit: Layer  # makes a `ConvUnit` from features, kernel size and name
    large: int = 5  # kernel size of the "5×5" branch
    reduces: bool = True  # 1×1 convolutions before 3×3 and 5×5; False: none (figure 2a, but with the pool's projection)

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B H W D"]:
        ones, reduce3, threes, reduce5, fives, projection = self.channels
        pooled = max_pool(x, 3, 1, 1)
        before3 = self.unit(reduce3, 1, name="reduce3x3")(x) if self.reduces else x
        before5 = self.unit(reduce5, 1, name="reduce5x5")(x) if self.reduces else x
        branches = [
            self.unit(ones, 1, name="conv1x1")(x),
            self.unit(threes, 3, name="conv3x3")(before3),
            self.unit(fives, self.large, name="conv5x5")(before5),
            self.unit(projection, 1, name="pool_proj")(pooled),
        ]
        return jnp.concatenate(branches, axis=-1)


class AuxiliaryHead(nn.Module):
    """A classifier on the map of 4a or 4d (section 5): pool, 1×1 convolution, two fully connected layers; -> [B, K]."""

    num_classes: int  # K
    unit: Layer  # makes a `ConvUnit` from features, kernel size and name
    paper_pool: bool = True  # 5×5 average pool of stride 3; False: average down to 4×4, as torchvision does
    width: float = 1.0  # fraction of the paper's channels
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> Float[Array, "B K"]:
        # 5×5/3 turns the paper's 14×14 into 4×4. The maps of small images are at most 4×4 already.
        if self.paper_pool and min(x.shape[1:3]) >= 5:
            x = avg_pool(x, 5, 3, 0)
        else:
            x = adaptive_avg_pool(x, (min(4, x.shape[1]), min(4, x.shape[2])))
        x = self.unit(scaled(128, self.width), 1, name="conv")(x)
        x = x.reshape(x.shape[0], -1)
        x = nn.relu(nn.Dense(scaled(1024, self.width), dtype=self.dtype, name="fc1")(x))
        x = nn.Dropout(0.7, deterministic=not train)(x)
        return nn.Dense(self.num_classes, dtype=self.dtype, name="fc2")(x)


class GoogLeNet(nn.Module):
    """A convolutional stem and nine Inception modules (table 1). ValueError: an unknown variant.

    The paper's training loss is that of "logits" plus 0.3 times that of each auxiliary output (section 5).

    Example:
        >>> model, images = GoogLeNet(num_classes=10), jnp.zeros((1, 224, 224, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 10)
    """

    num_classes: int | None = 1000  # K; None: the network ends at "pool5"
    # "paper": 5×5 branches, response normalisation, biases. "torchvision": batch norm, 3×3 in the 5×5 branch.
    variant: str = "paper"
    width: float = 1.0  # fraction of the paper's channels
    reduces: bool = True  # 1×1 convolutions before those of 3×3 and 5×5
    auxiliary: bool = True  # the auxiliary classifiers, which only training has
    fully_connected: bool = False  # a hidden layer over all positions of the last map, in place of their mean
    norm: Layer = BatchNorm  # normalisation of "torchvision"
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        if self.variant not in ("paper", "torchvision"):
            raise ValueError(f"GoogLeNet variant {self.variant!r}: choose paper or torchvision")
        paper = self.variant == "paper"
        unit = self._unit(train)
        features = self._stem(x, unit)
        x = features["pool2"]
        for name, channels in INCEPTION.items():
            if channels is None:
                x = max_pool_ceil(x, 3 if paper or name == "pool3" else 2, 2)
            else:
                row = tuple(scaled(count, self.width) for count in channels)
                x = Inception(row, unit, large=5 if paper else 3, reduces=self.reduces, name=name)(x)
            features[name] = x
        x = features["pool5"] = self._hidden(x) if self.fully_connected else x.mean((1, 2))
        if self.num_classes is not None:
            features |= self._classify(features, self.num_classes, unit, train)
        return features

    def _unit(self, train: bool) -> Layer:
        if self.variant == "paper":
            return partial(ConvUnit, dtype=self.dtype)
        norm = partial(self.norm, epsilon=1e-3, use_running_average=not train, dtype=self.dtype)
        return partial(ConvUnit, norm=norm, dtype=self.dtype)

    def _stem(self, x: Float[Array, "B H W 3"], unit: Layer) -> dict[str, Float[Array, "B _ _ _"]]:
        paper = self.variant == "paper"
        features = {}
        x = features["conv1"] = unit(scaled(64, self.width), 7, strides=2, name="conv1")(x)
        x = features["pool1"] = max_pool_ceil(x, 3, 2)
        if paper:
            x = features["norm1"] = local_response_norm(x)
        x = features["conv2_reduce"] = unit(scaled(64, self.width), 1, name="conv2_reduce")(x)
        x = features["conv2"] = unit(scaled(192, self.width), 3, name="conv2")(x)
        if paper:
            x = features["norm2"] = local_response_norm(x)
        features["pool2"] = max_pool_ceil(x, 3, 2)
        return features

    def _hidden(self, x: Float[Array, "B H W C"]) -> Float[Array, "B D"]:
        return nn.relu(nn.Dense(scaled(1024, self.width), dtype=self.dtype, name="fc6")(x.reshape(x.shape[0], -1)))

    def _classify(
        self, features: dict[str, Float[Array, "..."]], num_classes: int, unit: Layer, train: bool
    ) -> dict[str, Float[Array, "B K"]]:
        paper = self.variant == "paper"
        x = nn.Dropout(0.4 if paper else 0.2, deterministic=not train)(features["pool5"])
        outputs = {"logits": nn.Dense(num_classes, dtype=self.dtype, name="fc")(x)}
        # Created at init in either mode, so that parameters do not depend on `train`.
        if self.auxiliary and (train or self.is_initializing()):
            for module in ("4a", "4d"):
                head = AuxiliaryHead(num_classes, unit, paper, self.width, self.dtype, name=f"aux_{module}")
                outputs[f"aux_{module}"] = head(features[f"inception_{module}"], train=train)
        return outputs
