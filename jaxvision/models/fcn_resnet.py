"""FCN on a dilated ResNet, as torchvision builds it (Long et al. 2015; the backbone is that of Chen et al. 2018).

Input: images [B, H, W, 3], float, normalised, of any size.
Output, a dict of
    "logits" [B, H, W, K], float32                 class scores of every pixel
    "aux_layer3" [B, H, W, K], float32             scores of the side head on "layer3"; with `aux`, in training only
    "stem", "stem_pool", "layer1" … "layer4"       features of the backbone, as `resnet` names them
"""

from functools import partial

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer
from jaxvision.models.resnet import ResNet
from jaxvision.ops.interpolation import resize_bilinear


class Head(nn.Module):
    """Score a map [B, h, w, C]: 3×3 convolution to C/4 channels, batch norm, dropout 0.1, 1×1 to the classes."""

    num_classes: int  # K
    norm: Layer = BatchNorm  # normalisation behind the first convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B h w C"], *, train: bool) -> Float[Array, "B h w K"]:
        x = Conv(x.shape[-1] // 4, 3, padding=1, use_bias=False, dtype=self.dtype, name="conv")(x)
        x = nn.relu(self.norm(use_running_average=not train, dtype=self.dtype, name="bn")(x))
        x = nn.Dropout(0.1, deterministic=not train)(x)
        return Conv(self.num_classes, 1, dtype=self.dtype, name="score")(x)


class FCNResNet(nn.Module):
    """A ResNet of stride 8, dilated in the place of its last two strides, a head, and interpolation to the image.

    Example:
        >>> model, images = FCNResNet50(aux=False), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1, 32, 32, 21)
    """

    num_classes: int = 21  # K
    depth: int = 50  # of the backbone
    aux: bool = True  # train a second head on "layer3"
    width: float = 1.0  # fraction of the backbone's channels
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

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
