"""Networks that papers on pretext tasks train instead of a ResNet, each with its features as "pool" [B, D].

Input: images [B, S, S, 3], float, normalised. Output, a dict of every map by its name, and "pool".
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.alexnet import AlexNet
from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, conv_norm_relu, he_normal, scaled
from jaxvision.ops.normalization import local_response_norm
from jaxvision.ops.pooling import avg_pool, max_pool, max_pool_ceil

# Channels and kernel of the three convolutions of each block, behind which the first two are pooled.
_NIN = (((192, 5), (160, 1), (96, 1)), ((192, 5), (192, 1), (192, 1)), *(((192, 3), (192, 1), (192, 1)),) * 2)


_STRIDED = (64, 64, 128, 256, 512)  # channels of the context encoder's convolutions
# Channels, convolutions, stride of the last one and dilation of each block (Zhang et al. 2016, figure 2 and its table).
_DILATED = (
    (64, 2, 2, 1),
    (128, 2, 2, 1),
    (256, 3, 2, 1),
    (512, 3, 1, 1),
    (512, 3, 1, 2),
    (512, 3, 1, 2),
    (512, 3, 1, 1),
)


# Channels, kernel, stride and padding of the convolutions of Doersch et al.'s code.
_CONTEXT = ((96, 11, 4, 5), (256, 5, 1, 2), (384, 3, 1, 1), (384, 3, 1, 1), (256, 3, 1, 1))
_XAVIER = nn.initializers.variance_scaling(1.0, "fan_in", "uniform")


class AlexNetTrunk(nn.Module):
    """CaffeNet's convolutions; "pool" is the last map, flattened.

    Noroozi & Favaro (2016, section 3) let conv1 of each tile take steps of 2, not 4.
    """

    width: float = 1.0  # fraction of the paper's channels
    first_stride: int = 4  # of conv1
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "B ..."]]:
        net = AlexNet(None, "caffenet", self.width, head=False, first_stride=self.first_stride, dtype=self.dtype)
        nn.share_scope(self, net)
        features = net(x, train=train)
        return {**features, "pool": features["pool5"].reshape(len(x), -1)}


class ContextTrunk(nn.Module):
    """CaffeNet's convolutions without groups, as the released code of Doersch et al. (2015) has them.

    conv1 pads by 5; batch norm behind the last three convolutions neither scales nor shifts; all start by Caffe's
    "xavier". "pool" is the last map, flattened.
    """

    width: float = 1.0  # fraction of the code's channels
    norm: Layer = BatchNorm  # normalisation behind conv3, conv4 and conv5
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "B ..."]]:
        features: dict[str, Array] = {}
        for i, (channels, kernel, stride, padding) in enumerate(_CONTEXT, start=1):
            channels = scaled(channels, self.width)
            settings: dict[str, Any] = {"strides": stride, "padding": padding, "kernel_init": _XAVIER}
            x = Conv(channels, kernel, dtype=self.dtype, name=f"conv{i}", **settings)(x)
            if i > 2:
                plain: dict[str, Any] = {"use_scale": False, "use_bias": False, "name": f"bn{i}"}
                x = self.norm(use_running_average=not train, dtype=self.dtype, **plain)(x)
            x = features[f"conv{i}"] = nn.relu(x)
            if i < 3:
                x = features[f"pool{i}"] = max_pool_ceil(x, 3, 2)
                # Caffe divides alpha by the window's size and adds to 1, not 2.
                x = features[f"norm{i}"] = local_response_norm(x, k=1.0, alpha=1e-4 / 5)
        x = features["pool5"] = max_pool_ceil(x, 3, 2)
        return {**features, "pool": x.reshape(len(x), -1)}


class NetworkInNetwork(nn.Module):
    """Four blocks of three convolutions with batch norm (Gidaris et al. 2018, section 3.1; Lin et al. 2014).

    The first block is pooled by its maxima, the second by means; "pool" averages the last block's map.
    """

    width: float = 1.0  # fraction of the paper's channels
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "B ..."]]:
        features: dict[str, Array] = {}
        for block, layers in enumerate(_NIN, start=1):
            for i, (channels, kernel) in enumerate(layers, start=1):
                x = conv_norm_relu(
                    x,
                    scaled(channels, self.width),
                    kernel,
                    names=(f"conv{block}_{i}", f"bn{block}_{i}"),
                    norm=self.norm,
                    train=train,
                    padding=kernel // 2,
                    use_bias=False,
                    dtype=self.dtype,
                )
            features[f"block{block}"] = x
            if block == 1:
                x = max_pool(x, 3, 2, 1)
            elif block == 2:
                x = avg_pool(x, 3, 2, 1)
        return {**features, "pool": x.mean(axis=(1, 2))}


class DilatedVGG(nn.Module):
    """Seven blocks of 3×3 convolutions, with batch norm behind each block (Zhang, Isola & Efros 2016, section 3).

    Three strides bring the map to an eighth of the image; dilation widens the view of blocks 5 and 6 instead of more.
    "layer4" is the last map, which a `pretext_heads.Colorizer` reads; "pool" is its mean.
    """

    width: float = 1.0  # fraction of the paper's channels
    norm: Layer = BatchNorm  # normalisation behind each block
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "B ..."]]:
        features: dict[str, Array] = {}
        for block, (channels, count, stride, dilation) in enumerate(_DILATED, start=1):
            for i in range(1, count + 1):
                conv = Conv(
                    scaled(channels, self.width),
                    3,
                    strides=stride if i == count else 1,
                    padding=dilation,
                    dilation=dilation,
                    kernel_init=he_normal,
                    dtype=self.dtype,
                    name=f"conv{block}_{i}",
                )
                x = nn.relu(conv(x))
            x = self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{block}")(x)
            features[f"block{block}"] = x
        return {**features, "layer4": x, "pool": x.mean(axis=(1, 2))}


class StridedEncoder(nn.Module):
    """Five 4×4 convolutions of stride 2, with batch norm behind all but the first, and LeakyReLU 0.2.

    It is the encoder of 128 pixels in the released code of Pathak et al. (2016). "layer4" is the last map, which
    `pretext_heads.ContextEncoder` reads; "pool" is its mean.
    """

    width: float = 1.0  # fraction of the code's channels
    norm: Layer = BatchNorm  # normalisation behind each convolution but the first
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "B ..."]]:
        features: dict[str, Array] = {}
        for i, channels in enumerate(_STRIDED, start=1):
            init = nn.initializers.normal(0.02)
            settings: dict[str, Any] = {"use_bias": i == 1, "kernel_init": init, "dtype": self.dtype}
            x = Conv(scaled(channels, self.width), 4, strides=2, padding=1, name=f"conv{i}", **settings)(x)
            if i > 1:
                x = self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{i}")(x)
            x = features[f"block{i}"] = nn.leaky_relu(x, 0.2)
        return {**features, "layer4": x, "pool": x.mean(axis=(1, 2))}
