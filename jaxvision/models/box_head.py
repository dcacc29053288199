"""Box heads of two-stage detectors: class scores of each RoI, and box offsets for each class.

Input: features of N RoIs [N, P, Q, C], float, as RoIAlign or RoIPool cut them from the maps.
Output, a pair of
    scores [N, K], float32                         class logits; class 0 is the background
    offsets [N, K, 4], float32                     box offsets for each class, as `ops.boxes.decode` takes them
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.dense_head import FullyConnectedHead
from jaxvision.models.layers import BatchNorm, Dtype, Layer, scaled
from jaxvision.models.low_rank import Ranks, dense
from jaxvision.models.resnet import Bottleneck, layer_factories, residual_stage

Scores = Float[Array, "N K"]
Offsets = Float[Array, "N K 4"]


class Predictor(nn.Module):
    """The sibling layers cls_score and bbox_pred of features [N, F], initialised as in Girshick (2015, section 2.3)."""

    num_classes: int  # K, with the background
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "N F"]) -> tuple[Scores, Offsets]:
        scores = nn.Dense(
            self.num_classes, kernel_init=nn.initializers.normal(0.01), dtype=self.dtype, name="cls_score"
        )
        offsets = nn.Dense(
            4 * self.num_classes, kernel_init=nn.initializers.normal(0.001), dtype=self.dtype, name="bbox_pred"
        )
        return scores(x).astype(jnp.float32), offsets(x).astype(jnp.float32).reshape(x.shape[0], self.num_classes, 4)


class TwoFCHead(nn.Module):
    """Hidden layers fc6 and fc7 (Lin et al. 2017, section 5.2), and the predictor."""

    num_classes: int  # K, with the background
    hidden: int = 1024  # units of fc6 and of fc7
    ranks: Ranks = (0, 0)  # of fc6 and of fc7, see `low_rank`; 0: the whole matrix
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> tuple[Scores, Offsets]:
        x = x.reshape(x.shape[0], -1)
        for name, rank in zip(("fc6", "fc7"), self.ranks, strict=True):
            settings: dict[str, Any] = {"kernel_init": nn.initializers.he_normal(), "dtype": self.dtype, "name": name}
            x = nn.relu(dense(self.hidden, rank, **settings)(x))
        return Predictor(self.num_classes, self.dtype, name="predictor")(x)


class VGGHead(nn.Module):
    """VGG-16's fc6 and fc7 with their dropout, which ImageNet's weights fit (Girshick 2015, section 2.2)."""

    num_classes: int  # K, with the background
    hidden: int = 4096  # units of fc6 and of fc7
    dropout: float = 0.5  # share of the units of fc6 and of fc7 that training drops
    ranks: Ranks = (0, 0)  # of fc6 and of fc7, see `low_rank`; 0: the whole matrix
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> tuple[Scores, Offsets]:
        head = FullyConnectedHead(self.hidden, dropout=self.dropout, ranks=self.ranks, dtype=self.dtype)
        nn.share_scope(self, head)
        x = head(x, train=train)["fc7"]
        x = nn.Dropout(self.dropout, deterministic=not train, name="drop_fc7")(x)
        return Predictor(self.num_classes, self.dtype, name="predictor")(x)


class Res5(nn.Module):
    """The last stage of a ResNet, layer4, on features of RoIs: [N, 14, 14, 1024] -> [N, 7, 7, 2048]."""

    version: str = "v1.5"  # of the `ResNet`
    width: float = 1.0  # fraction of the paper's channels
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> Float[Array, "N p q D"]:
        layers = layer_factories(train, self.norm, False, self.dtype)
        block = partial(Bottleneck, scaled(512, self.width), option="B", stride_first=self.version == "v1", **layers)
        return residual_stage(x, "layer4", block, 3, 2, (1, 1))


class Res5Head(nn.Module):
    """The head of the C4 detector: layer4 of a ResNet on each RoI, then its mean (He et al. 2016, appendix A).

    The mask branch starts from the same map, `res5` (He et al. 2017, figure 4, left).
    """

    num_classes: int  # K, with the background
    version: str = "v1.5"  # of the `ResNet`
    width: float = 1.0  # fraction of the paper's channels
    norm: Layer = BatchNorm  # normalisation behind each convolution
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    def setup(self) -> None:
        self.res5 = Res5(self.version, self.width, self.norm, self.dtype)
        self.predictor = Predictor(self.num_classes, self.dtype)

    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> tuple[Scores, Offsets]:
        return self.predictor(self.res5(x, train=train).mean((1, 2)))
