"""ResNet (He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition")."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, he_normal, scaled
from jaxvision.ops.pooling import max_pool

# Table 1: blocks in conv2_x to conv5_x, here layer1 to layer4. From depth 50 on the blocks are bottlenecks.
BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3), 50: (3, 4, 6, 3), 101: (3, 4, 23, 3), 152: (3, 8, 36, 3)}


class Shortcut(nn.Module):
    """The identity branch: A subsamples and pads with zero channels, B projects on a change of shape, C always."""

    channels: int
    strides: int
    option: str
    conv: Layer
    norm: Layer

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        same = x.shape[-1] == self.channels and self.strides == 1
        if same and self.option != "C":
            return x
        if self.option == "A":
            x = x[:, :: self.strides, :: self.strides]
            return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, self.channels - x.shape[-1])))
        return self.norm(name="bn")(self.conv(self.channels, 1, strides=self.strides, name="conv")(x))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut (Figure 5, left)."""

    channels: int
    strides: int
    dilations: tuple[int, int]  # before and after the stride
    option: str
    conv: Layer
    norm: Layer
    last_norm: Layer

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        before, after = self.dilations
        conv = partial(self.conv, self.channels, 3)
        y = conv(strides=self.strides, padding=before, dilation=before, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = self.last_norm(name="bn2")(conv(padding=after, dilation=after, name="conv2")(y))
        return nn.relu(y + Shortcut(self.channels, self.strides, self.option, self.conv, self.norm, name="shortcut")(x))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut (Figure 5, right); `channels` of the first two, 4 × channels out."""

    channels: int
    strides: int
    dilations: tuple[int, int]  # before and after the stride
    option: str
    conv: Layer
    norm: Layer
    last_norm: Layer
    stride_first: bool = False  # stride in the first 1×1, as published, and not in the 3×3

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        out = 4 * self.channels
        first, second = (self.strides, 1) if self.stride_first else (1, self.strides)
        dilation = self.dilations[1 if self.stride_first else 0]
        y = nn.relu(self.norm(name="bn1")(self.conv(self.channels, 1, strides=first, name="conv1")(x)))
        y = self.conv(self.channels, 3, strides=second, padding=dilation, dilation=dilation, name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y))
        y = self.last_norm(name="bn3")(self.conv(out, 1, name="conv3")(y))
        return nn.relu(y + Shortcut(out, self.strides, self.option, self.conv, self.norm, name="shortcut")(x))


class ResNet(nn.Module):
    """Residual network: [B, H, W, 3] -> "stem", "layer1" … "layer4", "pool" (global average) and "logits".

    `depth`: 18, 34, 50, 101 or 152. `version`: "v1" strides in the first 1×1 of a bottleneck (the paper), "v1.5" in
    its 3×3 (torchvision and most later work). `shortcut`: "A", "B" or "C" (section 3.3). `stem`: "imagenet" (7×7/2 and
    max-pool) or "cifar" (3×3/1, no pool). `output_stride` 16 or 8 puts dilation in the place of the last strides; it
    counts the imagenet stem (with a cifar stem it is a quarter). `norm` is any layer that takes BatchNorm's arguments
    (use_running_average, dtype, name, and scale_init for `zero_init`). `zero_init` starts each block as its shortcut
    (Goyal et al. 2017, section 5.1). `num_classes=None` ends at "pool". `stages` below 4 leaves the last layers out.
    """

    num_classes: int | None = 1000
    depth: int = 50
    version: str = "v1.5"
    shortcut: str = "B"
    stem: str = "imagenet"
    output_stride: int = 32
    width: float = 1.0
    zero_init: bool = False
    stages: int = 4
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        self._check()
        layers = _layers(train, self.norm, self.zero_init, self.dtype)
        block: Layer = BasicBlock
        if self.depth >= 50:
            block = partial(Bottleneck, stride_first=self.version == "v1")
        features = _stem(x, scaled(64, self.width), self.stem, layers)
        x = features["stem_pool"] if self.stem == "imagenet" else features["stem"]
        dilation = 1
        for i, count in enumerate(BLOCKS[self.depth][: self.stages], start=1):
            strides, entry = (1 if i == 1 else 2), dilation
            if 2 ** (i + 1) > self.output_stride:
                strides, dilation = 1, 2 * dilation
            stage = partial(block, scaled(64 * 2 ** (i - 1), self.width), option=self.shortcut, **layers)
            x = features[f"layer{i}"] = _stage(x, f"layer{i}", stage, count, strides, (entry, dilation))
        return _classify(features, x, self.num_classes, self.dtype)

    def _check(self) -> None:
        choices = {
            "depth": tuple(BLOCKS),
            "version": ("v1", "v1.5"),
            "shortcut": ("A", "B", "C"),
            "stem": ("imagenet", "cifar"),
            "output_stride": (8, 16, 32),
        }
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                names = ", ".join(map(str, allowed))
                raise ValueError(f"ResNet {field} {getattr(self, field)!r}: choose one of {names}")


class CifarResNet(nn.Module):
    """The 6n+2-layer networks for 32-pixel images (section 4.2): "stem", "layer1" … "layer3", "pool", "logits".

    Three stages of n basic blocks with 16, 32 and 64 channels; `depth` 20, 32, 44, 56 or 110 in the paper.
    """

    num_classes: int | None = 10
    depth: int = 20
    shortcut: str = "A"
    width: float = 1.0
    zero_init: bool = False
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        if self.depth < 8 or self.depth % 6 != 2:
            raise ValueError(f"CifarResNet depth {self.depth}: choose 6n+2, for example 20, 32, 44, 56 or 110")
        layers = _layers(train, self.norm, self.zero_init, self.dtype)
        features = _stem(x, scaled(16, self.width), "cifar", layers)
        x = features["stem"]
        for i in (1, 2, 3):
            block = partial(BasicBlock, scaled(16 * 2 ** (i - 1), self.width), option=self.shortcut, **layers)
            x = features[f"layer{i}"] = _stage(x, f"layer{i}", block, (self.depth - 2) // 6, 1 if i == 1 else 2, (1, 1))
        return _classify(features, x, self.num_classes, self.dtype)


def _layers(train: bool, norm: Layer, zero_init: bool, dtype: Dtype) -> dict[str, Any]:
    norm = partial(norm, use_running_average=not train, dtype=dtype)
    return {
        "conv": partial(Conv, use_bias=False, kernel_init=he_normal, dtype=dtype),
        "norm": norm,
        "last_norm": partial(norm, scale_init=nn.initializers.zeros_init()) if zero_init else norm,
    }


def _stem(x: Float[Array, "B H W 3"], channels: int, stem: str, layers: dict[str, Any]) -> dict[str, Array]:
    conv, norm = layers["conv"], layers["norm"]
    if stem == "cifar":
        return {"stem": nn.relu(norm(name="bn1")(conv(channels, 3, padding=1, name="conv1")(x)))}
    x = nn.relu(norm(name="bn1")(conv(channels, 7, strides=2, padding=3, name="conv1")(x)))
    return {"stem": x, "stem_pool": max_pool(x, 3, 2, 1)}


def _stage(
    x: Float[Array, "B H W C"], name: str, block: Layer, count: int, strides: int, dilations: tuple[int, int]
) -> Float[Array, "B h w D"]:
    """The first block changes the resolution: up to its stride it has the dilation of the stage before."""
    x = block(strides=strides, dilations=dilations, name=f"{name}_0")(x)
    for i in range(1, count):
        x = block(strides=1, dilations=(dilations[1], dilations[1]), name=f"{name}_{i}")(x)
    return x


def _classify(
    features: dict[str, Array], x: Float[Array, "B H W C"], num_classes: int | None, dtype: Dtype
) -> dict[str, Array]:
    x = features["pool"] = x.mean((1, 2))
    if num_classes is not None:
        features["logits"] = nn.Dense(num_classes, dtype=dtype, name="fc")(x)
    return features


ResNet18 = partial(ResNet, depth=18)
ResNet34 = partial(ResNet, depth=34)
ResNet50 = partial(ResNet, depth=50)
ResNet101 = partial(ResNet, depth=101)
ResNet152 = partial(ResNet, depth=152)
