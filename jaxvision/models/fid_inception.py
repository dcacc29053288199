"""Inception v3 (Szegedy et al. 2016) for the weights of 5 December 2015, by which published FIDs are computed.

Input: images [B, 299, 299, 3], float, in [-1, 1]. Output: a dict of
    "pool" [B, 2048]      the features
    "logits" [B, 1008]    without the classifier's bias, as the Inception score takes them
It differs from torchvision's Inception v3 in two ways, both TensorFlow's: average pools divide by the number of pixels
that are inside the map, and the last block has a max pool where the others have an average pool.
"""

from collections.abc import Mapping
from typing import NamedTuple

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import Dtype, scaled
from jaxvision.ops.convolution import conv_general_dilated
from jaxvision.ops.pooling import avg_pool, max_pool

Maps = Float[Array, "B _ _ _"]
Size = tuple[int, int]


class Unit(NamedTuple):
    """A convolution without bias, batch norm (ε = 0.001) and ReLU."""

    name: str
    channels: int
    kernel: Size = (1, 1)
    stride: int = 1
    pad: Size = (0, 0)


class Block(NamedTuple):
    """Branches side by side, whose outputs are joined in this order."""

    branches: tuple[tuple[Unit | tuple[Unit, Unit], ...], ...]  # a pair of units: both see the branch, and are joined
    pool: str  # "average" or "max" of 3×3 and stride 1 before the last branch, "down": a max pool of stride 2 after all


Kind = tuple[Size, Size, int]  # kernel, pad and stride
_ONE: Kind = ((1, 1), (0, 0), 1)
_THREE: Kind = ((3, 3), (1, 1), 1)
_DOWN: Kind = ((3, 3), (0, 0), 2)
_FIVE: Kind = ((5, 5), (2, 2), 1)
_ROW: Kind = ((1, 7), (0, 3), 1)
_COLUMN: Kind = ((7, 1), (3, 0), 1)


def _chain(prefix: str, *steps: tuple[int, Kind]) -> tuple[Unit, ...]:
    """Return units called prefix_1, prefix_2, … of these channels and kinds."""
    return tuple(
        Unit(f"{prefix}_{i}", channels, kernel, stride, pad)
        for i, (channels, (kernel, pad, stride)) in enumerate(steps, start=1)
    )


def _a(pool: int) -> Block:
    return Block(
        (
            (Unit("branch1x1", 64),),
            _chain("branch5x5", (48, _ONE), (64, _FIVE)),
            _chain("branch3x3dbl", (64, _ONE), (96, _THREE), (96, _THREE)),
            (Unit("branch_pool", pool),),
        ),
        "average",
    )


def _c(inner: int) -> Block:
    return Block(
        (
            (Unit("branch1x1", 192),),
            _chain("branch7x7", (inner, _ONE), (inner, _ROW), (192, _COLUMN)),
            _chain("branch7x7dbl", (inner, _ONE), (inner, _COLUMN), (inner, _ROW), (inner, _COLUMN), (192, _ROW)),
            (Unit("branch_pool", 192),),
        ),
        "average",
    )


def _fork(name: str) -> tuple[Unit, Unit]:
    return Unit(f"{name}a", 384, (1, 3), 1, (0, 1)), Unit(f"{name}b", 384, (3, 1), 1, (1, 0))


def _e(pool: str) -> Block:
    return Block(
        (
            (Unit("branch1x1", 320),),
            (Unit("branch3x3_1", 384), _fork("branch3x3_2")),
            (*_chain("branch3x3dbl", (448, _ONE), (384, _THREE)), _fork("branch3x3dbl_3")),
            (Unit("branch_pool", 192),),
        ),
        pool,
    )


_B = Block(
    (
        (Unit("branch3x3", 384, (3, 3), 2),),
        _chain("branch3x3dbl", (64, _ONE), (96, _THREE), (96, _DOWN)),
    ),
    "down",
)
_D = Block(
    (
        _chain("branch3x3", (192, _ONE), (320, _DOWN)),
        _chain("branch7x7x3", (192, _ONE), (192, _ROW), (192, _COLUMN), (192, _DOWN)),
    ),
    "down",
)

STEM: Mapping[str, Unit | None] = {  # None: a max pool of 3×3 and stride 2
    "Conv2d_1a_3x3": Unit("", 32, (3, 3), 2),
    "Conv2d_2a_3x3": Unit("", 32, (3, 3)),
    "Conv2d_2b_3x3": Unit("", 64, (3, 3), 1, (1, 1)),
    "maxpool1": None,
    "Conv2d_3b_1x1": Unit("", 80),
    "Conv2d_4a_3x3": Unit("", 192, (3, 3)),
    "maxpool2": None,
}
BLOCKS: Mapping[str, Block] = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": _B,
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": _D,
    "Mixed_7b": _e("average"),
    "Mixed_7c": _e("max"),
}


class FIDInception(nn.Module):
    """The network, with the layers' names of the files that carry its weights; it is never trained."""

    width: float = 1.0  # fraction of the channels; the weights are of the whole
    dtype: Dtype = jnp.float32  # type that is computed in

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool = False) -> dict[str, Float[Array, "B _"]]:
        if train:
            raise ValueError("FIDInception has fixed weights: it is not trained")
        for name, unit in STEM.items():
            x = _Unit(unit, self.width, self.dtype, name=name)(x) if unit else max_pool(x, 3, 2)
        for name, block in BLOCKS.items():
            x = InceptionBlock(block, self.width, self.dtype, name=name)(x)
        pool = x.astype(jnp.float32).mean(axis=(1, 2))
        logits = nn.Dense(scaled(1008, self.width), use_bias=False, dtype=self.dtype, name="fc")(pool)
        return {"pool": pool, "logits": logits.astype(jnp.float32)}


class InceptionBlock(nn.Module):
    """A block of branches; its layers are called after its units."""

    block: Block
    width: float = 1.0  # fraction of the channels
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        outputs = []
        for number, branch in enumerate(self.block.branches, start=1):
            last = number == len(self.block.branches)
            y = _pooled(x, self.block.pool) if last else x
            for step in branch:
                y = self._unit(step, y) if isinstance(step, Unit) else self._joined(step, y)
            outputs.append(y)
        if self.block.pool == "down":
            outputs.append(max_pool(x, 3, 2))
        return jnp.concatenate(outputs, axis=-1)

    def _unit(self, unit: Unit, x: Maps) -> Maps:
        return _Unit(unit, self.width, self.dtype, name=unit.name)(x)

    def _joined(self, pair: tuple[Unit, Unit], x: Maps) -> Maps:
        return jnp.concatenate([self._unit(unit, x) for unit in pair], axis=-1)


class _Unit(nn.Module):
    """A `Unit` as layers "conv" and "bn"."""

    unit: Unit
    width: float
    dtype: Dtype

    @nn.compact
    def __call__(self, x: Maps) -> Maps:
        unit = self.unit
        conv = nn.Conv(
            scaled(unit.channels, self.width),
            unit.kernel,
            (unit.stride, unit.stride),
            [(pad, pad) for pad in unit.pad],
            use_bias=False,
            dtype=self.dtype,
            conv_general_dilated=conv_general_dilated,
            name="conv",
        )
        norm = nn.BatchNorm(use_running_average=True, epsilon=1e-3, dtype=self.dtype, name="bn")
        return nn.relu(norm(conv(x)))


def _pooled(x: Maps, pool: str) -> Maps:
    """Pool 3×3 windows with stride 1; an average is that of the pixels inside the map."""
    if pool == "average":
        return avg_pool(x, 3, 1, 1, count_include_pad=False)
    return max_pool(x, 3, 1, 1) if pool == "max" else x
