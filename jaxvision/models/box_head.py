"""What two-stage detectors compute from the features of a RoI: class scores, and box offsets for each class."""

from functools import partial
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.dense_head import FullyConnectedHead
from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, he_normal, scaled
from jaxvision.models.low_rank import Ranks, dense
from jaxvision.models.resnet import Bottleneck

Scores = Float[Array, "N K"]
Offsets = Float[Array, "N K 4"]


class Predictor(nn.Module):
    """The two sibling layers, cls_score and bbox_pred, started as Girshick (2015, section 2.3) did."""

    num_classes: int
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N F"]) -> tuple[Scores, Offsets]:
        score = nn.Dense(self.num_classes, kernel_init=nn.initializers.normal(0.01), dtype=self.dtype, name="cls_score")
        move = nn.Dense(
            4 * self.num_classes, kernel_init=nn.initializers.normal(0.001), dtype=self.dtype, name="bbox_pred"
        )
        return score(x).astype(jnp.float32), move(x).astype(jnp.float32).reshape(x.shape[0], self.num_classes, 4)


class TwoFCHead(nn.Module):
    """Two hidden layers, fc6 and fc7 (Lin et al. 2017, section 5.2), which may be of low rank: see `low_rank`."""

    num_classes: int
    hidden: int = 1024
    ranks: Ranks = (0, 0)
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> tuple[Scores, Offsets]:
        x = x.reshape(x.shape[0], -1)
        for name, rank in zip(("fc6", "fc7"), self.ranks, strict=True):
            settings: dict[str, Any] = {"kernel_init": nn.initializers.he_normal(), "dtype": self.dtype, "name": name}
            x = nn.relu(dense(self.hidden, rank, **settings)(x))
        return Predictor(self.num_classes, self.dtype, name="predictor")(x)


class VGGHead(nn.Module):
    """fc6 and fc7 of VGG-16 with their dropout, so that its ImageNet weights go on (Girshick 2015, section 2.2)."""

    num_classes: int
    hidden: int = 4096
    dropout: float = 0.5
    ranks: Ranks = (0, 0)
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> tuple[Scores, Offsets]:
        head = FullyConnectedHead(self.hidden, dropout=self.dropout, ranks=self.ranks, dtype=self.dtype)
        nn.share_scope(self, head)
        x = head(x, train=train)["fc7"]
        x = nn.Dropout(self.dropout, deterministic=not train, name="drop_fc7")(x)
        return Predictor(self.num_classes, self.dtype, name="predictor")(x)


class Res5(nn.Module):
    """The last stage of a ResNet on the features of a RoI: [N, 14, 14, 1024] -> [N, 7, 7, 2048]."""

    version: str = "v1.5"
    width: float = 1.0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> Float[Array, "N p q D"]:
        block = partial(
            Bottleneck,
            scaled(512, self.width),
            dilations=(1, 1),
            option="B",
            conv=partial(Conv, use_bias=False, kernel_init=he_normal, dtype=self.dtype),
            norm=partial(self.norm, use_running_average=not train, dtype=self.dtype),
            last_norm=partial(self.norm, use_running_average=not train, dtype=self.dtype),
            stride_first=self.version == "v1",
        )
        for i in range(3):
            x = block(strides=2 if i == 0 else 1, name=f"layer4_{i}")(x)
        return x


class Res5Head(nn.Module):
    """layer4 of a ResNet on each RoI, then a global average: the C4 detector of He et al. (2016, appendix A).

    The mask branch starts from the same map, `res5` (He et al. 2017, figure 4, left).
    """

    num_classes: int
    version: str = "v1.5"
    width: float = 1.0
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    def setup(self) -> None:
        self.res5 = Res5(self.version, self.width, self.norm, self.dtype)
        self.predictor = Predictor(self.num_classes, self.dtype)

    def __call__(self, x: Float[Array, "N P Q C"], *, train: bool) -> tuple[Scores, Offsets]:
        return self.predictor(self.res5(x, train=train).mean((1, 2)))
