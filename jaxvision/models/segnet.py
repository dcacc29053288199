"""SegNet (Badrinarayanan, Kendall & Cipolla 2017, "SegNet: a deep convolutional encoder–decoder architecture …").

Input: images [B, H, W, 3], float, normalised, of any size (padded with zeros to a multiple of 32).
Output, a dict of
    "logits" [B, H, W, K]                          class scores of every pixel
    "conv1_1" …, "pool1" … "pool5"                 maps of the encoder, as VGG names them
    "indices1" … "indices5"                        places of the maxima in each pooled map, int32
    "unpool5" … "unpool1"                          maps of the decoder right after unpooling
"""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, conv_norm_relu, he_normal, scaled, to_multiple
from jaxvision.models.mirrored_vgg import DECODER_BLOCKS, decoder_channels, encode, unpool
from jaxvision.ops.normalization import local_contrast_norm


class SegNet(nn.Module):
    """VGG-16's thirteen convolutions with batch norm, and a decoder that mirrors them (section 3).

    The decoder unpools to the places that the encoder's maxima came from. The mirror image of the very first
    convolution is the one that scores the classes.

    Example:
        >>> model, images = SegNet(), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 32, 32, 11)
    """

    num_classes: int = 11  # K
    width: float = 1.0  # fraction of the paper's channels
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    net: str = "D"  # the column of VGG's table 1 that is mirrored, "D" in the paper
    contrast: int = 0  # pixels a side of the window of local contrast normalisation of the input; 0: none

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        height, width = x.shape[1:3]
        x = to_multiple(local_contrast_norm(x, size=self.contrast) if self.contrast else x, 32)
        features = encode(self, x, self.net, width=self.width, norm=self.norm, dtype=self.dtype, train=train)
        x = features["pool5"]
        for block in DECODER_BLOCKS:
            x = features[f"unpool{block}"] = unpool(x, features[f"indices{block}"])
            channels = decoder_channels(block, self.net)
            # Numbered as in the encoder, so from the highest down; 1_1 is the score.
            for i, width_out in zip(range(len(channels), 0, -1), channels, strict=True):
                if (block, i) != (1, 1):
                    x = self._layer(x, width_out, f"{block}_{i}_decoder", train)
        logits = Conv(self.num_classes, 3, padding=1, kernel_init=he_normal, dtype=self.dtype, name="score")(x)
        return {**features, "logits": logits[:, :height, :width]}

    def _layer(self, x: Float[Array, "B H W C"], channels: int, name: str, train: bool) -> Float[Array, "B H W D"]:
        names, channels = (f"conv{name}", f"bn{name}"), scaled(channels, self.width)
        return conv_norm_relu(x, channels, 3, padding=1, names=names, norm=self.norm, train=train, dtype=self.dtype)
