"""SegNet (Badrinarayanan, Kendall & Cipolla 2017, "SegNet: a deep convolutional encoder–decoder architecture …")."""

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, he_normal, scaled, to_multiple
from jaxvision.models.vgg import CHANNELS, NETS, VGG
from jaxvision.ops.unpooling import max_unpool


class SegNet(nn.Module):
    """[B, H, W, 3] -> "logits" [B, H, W, K], the pooled maps "pool1" … and the unpooled ones "unpool5" … "unpool1".

    The encoder is VGG-16's thirteen convolutions, each with batch norm, under VGG's names; the decoder mirrors it, and
    unpools to the places that the encoder's maxima came from (section 3). Its last convolution gives the classes.
    """

    num_classes: int = 11
    width: float = 1.0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        size = x.shape[1:3]
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
        features = encoder(to_multiple(x, 32), train=train)
        convolutions, x = NETS["D"].convolutions, features["pool5"]
        for block in reversed(range(1, 6)):
            before = (2 * x.shape[1], 2 * x.shape[2])
            x = features[f"unpool{block}"] = max_unpool(x, features[f"indices{block}"], before, window=2)
            for i in reversed(range(1, convolutions[block - 1] + 1)):
                if block == 1 and i == 1:
                    break
                x = self._layer(x, CHANNELS[max(block - 2, 0) if i == 1 else block - 1], f"{block}_{i}_decoder", train)
        logits = Conv(self.num_classes, 3, padding=1, kernel_init=he_normal, dtype=self.dtype, name="score")(x)
        return {**features, "logits": logits[:, : size[0], : size[1]]}

    def _layer(self, x: Float[Array, "B H W C"], channels: int, name: str, train: bool) -> Float[Array, "B H W D"]:
        x = Conv(
            scaled(channels, self.width), 3, padding=1, kernel_init=he_normal, dtype=self.dtype, name=f"conv{name}"
        )(x)
        return nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{name}")(x))
