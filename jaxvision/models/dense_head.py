"""The fully connected end of AlexNet and VGG, as matrix products or as convolutions over a map of any size.

Input: a map [B, h, w, C], float.
Output, a dict of
    "fc6", "fc7" [B, hidden]                       hidden layers, behind their ReLU
    "logits" [B, K]                                class scores, unless `num_classes` is None
With `window` the layers are convolutions, and each output is a map [B, h - window + 1, w - window + 1, channels].
"""

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Conv, Dtype, Initializer
from jaxvision.models.low_rank import Ranks, dense


class FullyConnectedHead(nn.Module):
    """fc6, fc7 and, with `num_classes`, fc8 (as convolutions: Simonyan & Zisserman 2015, section 3.2)."""

    hidden: int = 4096  # units of fc6 and of fc7
    num_classes: int | None = None  # K; None: the head ends at fc7
    window: int | None = None  # side of fc6's kernel as a convolution; None: matrix products of the flattened map
    dropout: float = 0.5  # share that training drops
    # The papers drop the outputs of fc6 and fc7; torchvision's AlexNet drops their inputs.
    drop_inputs: bool = False
    kernel_init: Initializer = nn.initializers.glorot_uniform()
    hidden_bias: float = 0.0  # first value of the biases of fc6 and of fc7
    ranks: Ranks = (0, 0)  # of fc6 and of fc7 as matrix products, see `low_rank`; 0: the whole matrix
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        drop = nn.Dropout(self.dropout, deterministic=not train)
        features = {}
        x = x if self.window else x.reshape(x.shape[0], -1)
        for name, rank in zip(("fc6", "fc7"), self.ranks, strict=True):
            x = drop(x) if self.drop_inputs else x
            x = features[name] = nn.relu(self._layer(name, self.hidden, self.hidden_bias, rank)(x))
            x = x if self.drop_inputs else drop(x)
        if self.num_classes is not None:
            features["logits"] = self._layer("fc8", self.num_classes, 0.0)(x)
        return features

    def _layer(self, name: str, features: int, bias: float, rank: int = 0) -> nn.Module:
        settings: dict[str, Any] = {
            "name": name,
            "dtype": self.dtype,
            "kernel_init": self.kernel_init,
            "bias_init": nn.initializers.constant(bias),
        }
        if not self.window:
            return dense(features, rank, **settings)
        return Conv(features, self.window if name == "fc6" else 1, **settings)


def to_convolutions(params: Mapping[str, Any], window: int = 7) -> dict[str, Any]:
    """Turn the matrices of fc6, fc7 and fc8 into the kernels of the same layers as convolutions; keep the others.

    Args:
        params: parameters of a head, or of a network that has one, by layer.
        window: side of the map that fc6 saw flattened.

    Returns:
        Parameters for a head with that `window`.

    Raises:
        ValueError: fc6 does not have window · window times a number of inputs.
    """
    converted = dict(params)
    for name in {"fc6", "fc7", "fc8"} & params.keys():
        kernel = params[name]["kernel"]
        side = window if name == "fc6" else 1
        if kernel.shape[0] % side**2:
            raise ValueError(
                f"{name} has {kernel.shape[0]} inputs, not {side}x{side} times a channel count: set window"
            )
        converted[name] = {**params[name], "kernel": kernel.reshape(side, side, -1, kernel.shape[1])}
    return converted
