"""FCN on a dilated ResNet, as torchvision builds it (Long et al. 2015; the backbone is that of Chen et al. 2018)."""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer
from jaxvision.models.resnet import ResNet
from jaxvision.ops.upsampling import resize_bilinear


class Head(nn.Module):
    """A 3×3 convolution to a quarter of the channels, batch norm, dropout 0.1, and a 1×1 convolution to the classes."""

    num_classes: int
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w C"], *, train: bool) -> Float[Array, "B h w K"]:
        x = Conv(x.shape[-1] // 4, 3, padding=1, use_bias=False, dtype=self.dtype, name="conv")(x)
        x = nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name="bn")(x))
        x = nn.Dropout(0.1, deterministic=not train)(x)
        return Conv(self.num_classes, 1, dtype=self.dtype, name="score")(x)


class FCNResNet(nn.Module):
    """[B, H, W, 3] -> "logits" [B, H, W, K], with `aux` also "aux_layer3", and the backbone's features.

    The backbone keeps a stride of 8, with dilation in the place of its last two strides. Logits are interpolated from
    there to the image's size. `aux` adds a second head on layer3, in training only.
    """

    num_classes: int = 21
    depth: int = 50
    aux: bool = True
    width: float = 1.0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        size = (x.shape[1], x.shape[2])
        backbone = ResNet(
            None, self.depth, output_stride=8, width=self.width, norm=self.norm, dtype=self.dtype, name="backbone"
        )
        features = backbone(x, train=train)
        del features["pool"]
        head = partial(Head, self.num_classes, self.norm, self.dtype)
        logits = head(name="head")(features["layer4"], train=train)
        features["logits"] = resize_bilinear(logits.astype(jnp.float32), size)
        if self.aux and (train or self.is_initializing()):
            side = head(name="aux_head")(features["layer3"], train=train)
            features["aux_layer3"] = resize_bilinear(side.astype(jnp.float32), size)
        return features


FCNResNet50 = partial(FCNResNet, depth=50)
FCNResNet101 = partial(FCNResNet, depth=101)
