"""DeconvNet (Noh, Hong & Han 2015, "Learning deconvolution network for semantic segmentation").

Input: images [B, S, S, 3], float, normalised, with S = 32 · window pixels (224 in the paper).
Output, a dict of
    "logits" [B, S, S, K]                          class scores of every pixel
    "conv1_1" …, "pool1" … "pool5"                 maps of the encoder, as VGG names them
    "indices1" … "indices5"                        places of the maxima in each pooled map, int32
    "fc6", "fc7" [B, 1, 1, F]                      fully connected layers, as convolutions
    "deconv_fc6" [B, window, window, C]            the first map of the decoder
    "unpool5" … "unpool1"                          maps of the decoder right after unpooling
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Layer, he_normal, scaled
from jaxvision.models.mirrored_vgg import DECODER_BLOCKS, decoder_channels, encode, unpool
from jaxvision.models.vgg import CHANNELS


class DeconvNet(nn.Module):
    """VGG-16 down to fc6 and fc7, and its mirror image of unpooling and transposed convolutions (figure 2).

    Batch norm and ReLU are behind each layer but the last. fc6 spans the whole last map, `window` cells a side, so
    the network takes images of one size only; ValueError for another.

    Example:
        >>> model, images = DeconvNet(window=1), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 32, 32, 21)
    """

    num_classes: int = 21  # K
    window: int = 7  # side of fc6's kernel; images have 32 times as many pixels a side
    width: float = 1.0  # fraction of the paper's channels
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    net: str = "D"  # the column of VGG's table 1 that is mirrored, "D" in the paper

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        self._check_size(x.shape[1:3])
        features = encode(self, x, self.net, width=self.width, norm=self.norm, dtype=self.dtype, train=train)
        x = self._conv(4096, self.window, "fc6")(features["pool5"])
        x = features["fc6"] = self._norm_relu(x, "fc6", train)
        x = features["fc7"] = self._norm_relu(self._conv(4096, 1, "fc7")(x), "fc7", train)
        x = self._deconv(CHANNELS[4], self.window, "deconv_fc6")(x)
        x = features["deconv_fc6"] = self._norm_relu(x, "deconv_fc6", train)
        for block in DECODER_BLOCKS:
            x = features[f"unpool{block}"] = unpool(x, features[f"indices{block}"])
            for i, channels in enumerate(decoder_channels(block, self.net), start=1):
                x = self._deconv(channels, 3, f"deconv{block}_{i}", padding=1)(x)
                x = self._norm_relu(x, f"deconv{block}_{i}", train)
        return {**features, "logits": Conv(self.num_classes, 1, dtype=self.dtype, name="score")(x)}

    def _check_size(self, size: tuple[int, ...]) -> None:
        side = 32 * self.window
        if size != (side, side):
            raise ValueError(f"DeconvNet got {size[0]}x{size[1]} images: with window {self.window} give {side}x{side}")

    def _conv(self, channels: int, kernel_size: int, name: str) -> nn.Module:
        return Conv(scaled(channels, self.width), kernel_size, kernel_init=he_normal, dtype=self.dtype, name=name)

    def _deconv(self, channels: int, kernel_size: int, name: str, padding: int = 0) -> nn.Module:
        return ConvTranspose(
            scaled(channels, self.width), kernel_size, 1, padding, kernel_init=he_normal, dtype=self.dtype, name=name
        )

    def _norm_relu(self, x: Float[Array, "B H W C"], layer: str, train: bool) -> Float[Array, "B H W C"]:
        return nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn_{layer}")(x))
