"""ResNet (He, Zhang, Ren & Sun 2016, "Deep residual learning for image recognition").

Input: images [B, H, W, 3], float, normalised, of any size.
Output, a dict of (S is the stride of the map; "imagenet" stem, output stride 32)
    "stem" [B, H/2, W/2, 64]                       conv1, behind its norm and ReLU
    "stem_pool" [B, H/4, W/4, 64]                  with the imagenet stem: "stem" behind its max-pool
    "layer1" … "layer4" [B, H/S, W/S, C]           S 4, 8, 16, 32; C 64, 128, 256, 512, or 4 times that in bottlenecks
    "pool" [B, C]                                  mean over the positions of the last map
    "logits" [B, K]                                class scores, unless `num_classes` is None
`CifarResNet` has "stem", "layer1" … "layer3" (S 1, 2, 4; C 16, 32, 64), "pool" and "logits".
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, he_normal, scaled
from jaxvision.ops.pooling import max_pool

# Blocks in conv2_x … conv5_x of table 1, here layer1 … layer4. From depth 50 on the blocks are bottlenecks. Depth 10 is
# not in the paper: one block a stage, the smallest network with every part, for tests and tiny data.
BLOCKS = {
    10: (1, 1, 1, 1),
    18: (2, 2, 2, 2),
    34: (3, 4, 6, 3),
    50: (3, 4, 6, 3),
    101: (3, 4, 23, 3),
    152: (3, 8, 36, 3),
}


class Shortcut(nn.Module):
    """Identity branch of a block (section 3.3): x [B, H, W, C] -> [B, H/strides, W/strides, channels].

    Where the shape changes, option "A" subsamples and pads with zero channels, "B" projects by a 1×1 convolution;
    "C" projects in every block. A block without any, "none", is one of a plain network.
    """

    channels: int  # output channels
    strides: int  # pixels between two outputs
    option: str  # "A", "B" or "C"
    conv: Layer  # convolution without bias
    norm: Layer  # normalisation behind it

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
    """Two 3×3 convolutions and a shortcut (figure 5, left): x [B, H, W, C] -> [B, H/strides, W/strides, channels]."""

    channels: int  # output channels
    strides: int  # of the first convolution
    dilations: tuple[int, int]  # of the first and of the second convolution
    option: str  # of the `Shortcut`
    conv: Layer  # convolution without bias
    norm: Layer  # normalisation behind it
    last_norm: Layer  # normalisation behind the last convolution

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        before, after = self.dilations
        conv = partial(self.conv, self.channels, 3)
        y = conv(strides=self.strides, padding=before, dilation=before, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y))
        y = self.last_norm(name="bn2")(conv(padding=after, dilation=after, name="conv2")(y))
        return nn.relu(_joined(self, y, x, self.channels))


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions and a shortcut (figure 5, right): x -> [B, H/strides, W/strides, 4 · channels]."""

    channels: int  # of the first two convolutions; the last has four times as many
    strides: int  # of the block
    dilations: tuple[int, int]  # of the 3×3 convolution: before and after the stride
    option: str  # of the `Shortcut`
    conv: Layer  # convolution without bias
    norm: Layer  # normalisation behind it
    last_norm: Layer  # normalisation behind the last convolution
    stride_first: bool = False  # the stride is in the first 1×1 (as published) instead of the 3×3

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"]) -> Float[Array, "B h w D"]:
        out = 4 * self.channels
        first, second = (self.strides, 1) if self.stride_first else (1, self.strides)
        dilation = self.dilations[1 if self.stride_first else 0]
        y = nn.relu(self.norm(name="bn1")(self.conv(self.channels, 1, strides=first, name="conv1")(x)))
        y = self.conv(self.channels, 3, strides=second, padding=dilation, dilation=dilation, name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y))
        y = self.last_norm(name="bn3")(self.conv(out, 1, name="conv3")(y))
        return nn.relu(_joined(self, y, x, out))


def _joined(
    block: BasicBlock | Bottleneck, y: Float[Array, "B h w D"], x: Float[Array, "B H W C"], channels: int
) -> Float[Array, "B h w D"]:
    """Add the shortcut of the input x to the output y of the convolutions of the block that is running."""
    if block.option == "none":
        return y
    return y + Shortcut(channels, block.strides, block.option, block.conv, block.norm, name="shortcut")(x)


class ResNet(nn.Module):
    """The networks for ImageNet (table 1), with the common variants. ValueError: a field has no such choice.

    Example:
        >>> model, images = ResNet18(num_classes=10), jnp.zeros((1, 64, 64, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 10)
    """

    num_classes: int | None = 1000  # K; None: the network ends at "pool"
    depth: int = 50  # 18, 34, 50, 101 or 152; 10 for tests and tiny data
    version: str = "v1.5"  # stride of a bottleneck: "v1" in its first 1×1 (paper), "v1.5" in its 3×3 (torchvision)
    shortcut: str = "B"  # "A", "B" or "C" (section 3.3); "none": a plain network
    stem: str = "imagenet"  # "imagenet" (7×7/2 and max-pool) or "cifar" (3×3/1, no pool: all maps 4 times as large)
    output_stride: int = 32  # 16 or 8 put dilation in the place of the last strides; counted with the imagenet stem
    width: float = 1.0  # fraction of the paper's channels
    zero_init: bool = False  # each block starts as its shortcut (Goyal et al. 2017, section 5.1)
    stages: int = 4  # fewer leave the last of "layer1" … "layer4" out
    norm: Layer = BatchNorm  # takes use_running_average, dtype and name, and scale_init for `zero_init`
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    remat: bool = False  # keep the ends of blocks alone for the gradient, and compute what is inside anew

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        self._check()
        layers = layer_factories(train, self.norm, self.zero_init, self.dtype)
        block = _block(BasicBlock, self.remat)
        if self.depth >= 50:
            block = partial(_block(Bottleneck, self.remat), stride_first=self.version == "v1")
        features = _stem(x, scaled(64, self.width), self.stem, layers)
        x = features["stem_pool"] if self.stem == "imagenet" else features["stem"]
        dilation = 1
        for i, count in enumerate(BLOCKS[self.depth][: self.stages], start=1):
            strides, entry = (1 if i == 1 else 2), dilation
            if 2 ** (i + 1) > self.output_stride:
                strides, dilation = 1, 2 * dilation
            stage = partial(block, scaled(64 * 2 ** (i - 1), self.width), option=self.shortcut, **layers)
            x = features[f"layer{i}"] = residual_stage(x, f"layer{i}", stage, count, strides, (entry, dilation))
        return _classify(features, x, self.num_classes, self.dtype)

    def _check(self) -> None:
        choices = {
            "depth": tuple(BLOCKS),
            "version": ("v1", "v1.5"),
            "shortcut": ("A", "B", "C", "none"),
            "stem": ("imagenet", "cifar"),
            "output_stride": (8, 16, 32),
        }
        for field, allowed in choices.items():
            if getattr(self, field) not in allowed:
                names = ", ".join(map(str, allowed))
                raise ValueError(f"ResNet {field} {getattr(self, field)!r}: choose one of {names}")


class CifarResNet(nn.Module):
    """The networks of 6n + 2 layers for images of 32 pixels (section 4.2): three stages of n basic blocks.

    ValueError: another depth than 6n + 2.

    Example:
        >>> model, images = CifarResNet(), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 10)
    """

    num_classes: int | None = 10  # K; None: the network ends at "pool"
    depth: int = 20  # 20, 32, 44, 56 or 110 in the paper
    shortcut: str = "A"  # "A", "B" or "C" (section 3.3); "none": a plain network
    width: float = 1.0  # fraction of the paper's channels
    zero_init: bool = False  # each block starts as its shortcut (Goyal et al. 2017, section 5.1)
    norm: Layer = BatchNorm  # takes use_running_average, dtype and name, and scale_init for `zero_init`
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    remat: bool = False  # keep the ends of blocks alone for the gradient, and compute what is inside anew

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        if self.depth < 8 or self.depth % 6 != 2:
            raise ValueError(f"CifarResNet depth {self.depth}: choose 6n+2, for example 20, 32, 44, 56 or 110")
        layers = layer_factories(train, self.norm, self.zero_init, self.dtype)
        features = _stem(x, scaled(16, self.width), "cifar", layers)
        x = features["stem"]
        for i in (1, 2, 3):
            channels = scaled(16 * 2 ** (i - 1), self.width)
            block = partial(_block(BasicBlock, self.remat), channels, option=self.shortcut, **layers)
            x = features[f"layer{i}"] = residual_stage(
                x, f"layer{i}", block, (self.depth - 2) // 6, 1 if i == 1 else 2, (1, 1)
            )
        return _classify(features, x, self.num_classes, self.dtype)


def _block(kind: type[nn.Module], remat: bool) -> Layer:
    return nn.remat(kind) if remat else kind


def layer_factories(train: bool, norm: Layer, zero_init: bool, dtype: Dtype) -> dict[str, Any]:
    """Make the layers that residual blocks are built from.

    Args:
        train: normalise by the batch's statistics.
        norm: normalisation layer.
        zero_init: the last norm of a block starts with a scale of 0, so that the block starts as its shortcut.
        dtype: type that is computed in.

    Returns:
        Arguments of `BasicBlock` and `Bottleneck`: "conv", "norm" and "last_norm".
    """
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


def residual_stage(
    x: Float[Array, "B H W C"], name: str, block: Layer, count: int, strides: int, dilations: tuple[int, int]
) -> Float[Array, "B h w D"]:
    """Apply the blocks of one stage, of which only the first changes the resolution.

    Args:
        x: the map of the stage before.
        name: of the stage, such as "layer2"; its blocks are called layer2_0, layer2_1, ….
        block: makes a block from `strides`, `dilations` and `name`.
        count: blocks.
        strides: of the first block.
        dilations: of the stage before and of this one; the first block has the former up to its stride.

    Returns:
        The map of the last block.
    """
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
