"""DeconvNet (Noh, Hong & Han 2015, "Learning deconvolution network for semantic segmentation")."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Layer, he_normal, scaled
from jaxvision.models.vgg import CHANNELS, NETS, VGG
from jaxvision.ops.unpooling import max_unpool


class DeconvNet(nn.Module):
    """[B, H, W, 3] -> "logits" [B, H, W, K], with the maps "pool1" …, "fc6", "fc7", "deconv_fc6" and "unpool5" ….

    VGG-16's convolutions, fc6 and fc7 as convolutions, and their mirror image of unpooling to the remembered places and
    transposed convolutions (figure 2), batch norm and ReLU behind each but the last. fc6 spans `window` cells, all of
    the last map: an image is 32 · window pixels wide and high, 224 in the paper.
    """

    num_classes: int = 21
    window: int = 7
    width: float = 1.0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        side = 32 * self.window
        if x.shape[1:3] != (side, side):
            raise ValueError(
                f"DeconvNet got {x.shape[1]}x{x.shape[2]} images: with window {self.window} give {side}x{side}"
            )
        encoder = VGG(
            None,
            width=self.width,
            batch_norm=True,
            head=False,
            indices=True,
            norm=self.norm,
            kernel_init=he_normal,
            dtype=self.dtype,
        )
        nn.share_scope(self, encoder)
        features = encoder(x, train=train)
        convolutions = NETS["D"].convolutions
        x = self._conv(4096, self.window, "fc6")(features["pool5"])
        x = features["fc6"] = self._activate(x, "_fc6", train)
        x = features["fc7"] = self._activate(self._conv(4096, 1, "fc7")(x), "_fc7", train)
        x = self._deconv(CHANNELS[4], self.window, "deconv_fc6")(x)
        x = features["deconv_fc6"] = self._activate(x, "_deconv_fc6", train)
        for block in reversed(range(1, 6)):
            before = (2 * x.shape[1], 2 * x.shape[2])
            x = features[f"unpool{block}"] = max_unpool(x, features[f"indices{block}"], before, window=2)
            for i in range(1, convolutions[block - 1] + 1):
                last = i == convolutions[block - 1]
                channels = CHANNELS[max(block - 2, 0) if last else block - 1]
                x = self._deconv(channels, 3, f"deconv{block}_{i}", padding=1)(x)
                x = self._activate(x, f"_deconv{block}_{i}", train)
        return {**features, "logits": Conv(self.num_classes, 1, dtype=self.dtype, name="score")(x)}

    def _conv(self, channels: int, kernel_size: int, name: str) -> nn.Module:
        return Conv(scaled(channels, self.width), kernel_size, kernel_init=he_normal, dtype=self.dtype, name=name)

    def _deconv(self, channels: int, kernel_size: int, name: str, padding: int = 0) -> nn.Module:
        return ConvTranspose(
            scaled(channels, self.width), kernel_size, 1, padding, kernel_init=he_normal, dtype=self.dtype, name=name
        )

    def _activate(self, x: Float[Array, "B H W C"], name: str, train: bool) -> Float[Array, "B H W C"]:
        return nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{name}")(x))
