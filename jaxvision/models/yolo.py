"""YOLO (Redmon, Divvala, Girshick & Farhadi 2016, "You only look once: unified, real-time object detection")."""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, scaled
from jaxvision.ops.pooling import max_pool

SLOPE = 0.1  # of the leaky rectifier below 0 (section 2.2)

# He's scale for that rectifier. The predictions themselves start near 0: confidences and sides of boxes are sums of
# squares away from small numbers.
_he = nn.initializers.variance_scaling(2 / (1 + SLOPE**2), "fan_in", "normal")
_he_local = nn.initializers.variance_scaling(2 / (1 + SLOPE**2), "fan_in", "normal", batch_axis=(0, 1))
_small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")


class Convolution(NamedTuple):
    """One convolution, with a leaky rectifier and perhaps a 2×2 max-pool behind it."""

    channels: int
    kernel_size: int
    pool: bool = False
    strides: int = 1


class Dense(NamedTuple):
    """A fully connected layer before the last."""

    features: int
    leaky: bool = True


class Net(NamedTuple):
    """A published form of the network."""

    convolutions: tuple[Convolution, ...]
    pretrained: int  # how many of them are first learned by naming images
    hidden: tuple[Dense, ...]
    batch_norm: bool = False
    local: int = 0  # channels of a locally connected 3×3 layer after the convolutions


def _pairs(*channels: int) -> tuple[Convolution, ...]:
    """1×1 and 3×3 by turns: the reduction layers of GoogLeNet without its branches."""
    return tuple(Convolution(c, 3 if i % 2 else 1) for i, c in enumerate(channels))


_TWENTY = (
    Convolution(64, 7, pool=True, strides=2),
    Convolution(192, 3, pool=True),
    *_pairs(128, 256, 256),
    Convolution(512, 3, pool=True),
    *_pairs(*(256, 512) * 4, 512),
    Convolution(1024, 3, pool=True),
    *_pairs(*(512, 1024) * 2),
)
_TWENTY_FOUR = (
    *_TWENTY,
    Convolution(1024, 3),
    Convolution(1024, 3, strides=2),
    Convolution(1024, 3),
    Convolution(1024, 3),
)
_SIX = tuple(Convolution(channels, 3, pool=True) for channels in (16, 32, 64, 128, 256, 512))
_NINE = (*_SIX, *(Convolution(1024, 3),) * 3)
_EIGHT = (*_SIX, Convolution(1024, 3), Convolution(256, 3))

NETS = {
    "paper": Net(_TWENTY_FOUR, len(_TWENTY), (Dense(4096),)),
    # The paper gives Fast YOLO's number of layers; their sizes, and the seven that are pre-trained, are darknet's.
    "fast": Net(_NINE, 7, (Dense(256, leaky=False), Dense(4096))),
    # What darknet's later yolov1.cfg trains. It predicts three boxes a cell.
    "darknet": Net(_TWENTY_FOUR, len(_TWENTY), (), batch_norm=True, local=256),
    # Its yolov1-tiny.cfg: each output sees the whole last map. Darknet pre-trains seven convolutions; here it is all,
    # so that what the outputs see tells classes apart from the first step on.
    "tiny": Net(_EIGHT, len(_EIGHT), (), batch_norm=True),
}


class Trunk(nn.Module):
    """The first `depth` convolutions of `net` (by default all): [B, H, W, 3] -> features "conv1", "conv2", …, "trunk".

    Each is taken before its max-pool; "trunk" is what comes out at the end. Its cells are `stride` pixels: 64 after all
    convolutions of every net, less where the last poolings and strides are left out, so that images of fewer pixels
    keep a map. Without a pretrained trunk a net learns sooner with `batch_norm` (by default as published).
    """

    net: str = "paper"
    depth: int | None = None
    width: float = 1.0
    stride: int = 64
    batch_norm: bool | None = None
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "B _ _ _"]]:
        net = net_of(self.net)
        if self.stride not in (8, 16, 32, 64) or min(x.shape[1:3]) < self.stride:
            raise ValueError(f"YOLO stride {self.stride}: choose 8, 16, 32 or 64, and an image_size of at least that")
        batch_norm = net.batch_norm if self.batch_norm is None else self.batch_norm
        features: dict[str, Array] = {}
        reached = 1
        for i, layer in enumerate(net.convolutions[: self.depth], start=1):
            strides = layer.strides if reached < self.stride else 1
            x = Conv(
                scaled(layer.channels, self.width),
                layer.kernel_size,
                strides=strides,
                padding=layer.kernel_size // 2,
                use_bias=not batch_norm,
                kernel_init=_he,
                dtype=self.dtype,
                name=f"conv{i}",
            )(x)
            if batch_norm:
                x = self.norm(use_running_average=not train, dtype=self.dtype, name=f"bn{i}")(x)
            x = features[f"conv{i}"] = nn.leaky_relu(x, SLOPE)
            reached *= strides
            if layer.pool and reached < self.stride:
                x, reached = max_pool(x, 2, 2), 2 * reached
        return {**features, "trunk": x}


class YOLO(nn.Module):
    """The detector: [B, H, W, 3] -> the trunk's features, and "classes", "confidence" and "boxes" of `ops.cells.Cells`.

    `num_classes` counts the background, of which a grid of cells says nothing. The fully connected layers see the whole
    image, so `grid` (cells a side) need not be the size of the last map, but a network works on one image size only.
    With `per_cell` there are none: all cells share one linear layer, of the last map at their place, as in the networks
    that followed (Redmon & Farhadi 2017, arXiv:1612.08242, section 2). The map then has to be the grid.

    Example:
        >>> model, images = YOLO(21, net="fast"), jnp.zeros((1, 448, 448, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["confidence"].shape
        (1, 7, 7, 2)
    """

    num_classes: int
    net: str = "paper"
    grid: int = 7
    boxes: int = 2
    width: float = 1.0
    stride: int = 64
    batch_norm: bool | None = None
    dropout: float = 0.5
    per_cell: bool = False
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        trunk, head = self.parts()
        nn.share_scope(self, trunk)
        nn.share_scope(self, head)
        features = trunk(x, train=train)
        return {**features, **head(features["trunk"], train=train)}

    @nn.nowrap
    def parts(self) -> tuple["Trunk", "Head"]:
        """The convolutions and what follows them, which can each be applied to the detector's variables alone."""
        trunk = Trunk(self.net, None, self.width, self.stride, self.batch_norm, dtype=self.dtype)
        outputs = (self.num_classes - 1, self.grid, self.boxes)
        return trunk, Head(*outputs, self.net, self.width, self.dropout, self.per_cell, self.dtype)

    @nn.nowrap
    def last_map(self, size: int) -> int:
        """Cells a side of the trunk's map of images of `size`×`size`, by shapes alone."""
        look = partial(self.parts()[0].init_with_output, train=False)
        images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
        return jax.eval_shape(look, jax.random.PRNGKey(0), images)[0]["trunk"].shape[1]


class Head(nn.Module):
    """The layers after the convolutions: a map [B, h, w, C] -> "local", "fc1", …, "classes", "confidence", "boxes".

    The order of the last layer's outputs is darknet's: all cells' classes, then all confidences, then all boxes (of one
    cell, with `per_cell`).
    """

    classes: int
    grid: int
    boxes: int
    net: str
    width: float
    dropout: float
    per_cell: bool
    dtype: Dtype

    @nn.compact
    def __call__(self, x: Float[Array, "B H W C"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        net = net_of(self.net)
        features: dict[str, Array] = {}
        if self.per_cell:
            self._check(x)
        else:
            x = self._hidden(x, net, features)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        cells = 1 if self.per_cell else self.grid**2  # that one row of outputs speaks of
        outputs = cells * (self.classes + 5 * self.boxes)
        x = nn.Dense(outputs, kernel_init=_small, dtype=self.dtype, name="predictions")(x).astype(jnp.float32)
        classes, confidence, boxes = jnp.split(x, [cells * self.classes, cells * (self.classes + self.boxes)], -1)
        grid = (x.shape[0], self.grid, self.grid)
        return {
            **features,
            "classes": classes.reshape(*grid, -1),
            "confidence": confidence.reshape(*grid, -1),
            "boxes": boxes.reshape(*grid, -1, 4),
        }

    def _hidden(self, x: Float[Array, "B H W C"], net: Net, features: dict[str, Array]) -> Float[Array, "B N"]:
        """What the fully connected layers before the last make of the whole map; each is added to `features`."""
        if net.local:
            channels, pad = scaled(net.local, self.width), (1, 1)
            local = nn.ConvLocal(
                channels, (3, 3), padding=(pad, pad), kernel_init=_he_local, dtype=self.dtype, name="local"
            )
            x = features["local"] = nn.leaky_relu(local(x), SLOPE)
        x = x.reshape(x.shape[0], -1)
        for i, layer in enumerate(net.hidden, start=1):
            x = nn.Dense(scaled(layer.features, self.width), kernel_init=_he, dtype=self.dtype, name=f"fc{i}")(x)
            x = features[f"fc{i}"] = nn.leaky_relu(x, SLOPE) if layer.leaky else x
        return x

    def _check(self, x: Float[Array, "B H W C"]) -> None:
        height, width = x.shape[1:3]
        if (height, width) != (self.grid, self.grid):
            raise ValueError(f"YOLO grid {self.grid}: the last map is {height}×{width}; with per_cell choose that")


class Classifier(nn.Module):
    """What the trunk is pre-trained as (section 2.2): its first convolutions, average pooling and "logits".

    Its layers have the names that they have in `YOLO`.
    """

    num_classes: int | None
    net: str = "paper"
    width: float = 1.0
    stride: int = 64
    batch_norm: bool | None = None
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        depth = net_of(self.net).pretrained
        trunk = Trunk(self.net, depth, self.width, self.stride, self.batch_norm, dtype=self.dtype)
        nn.share_scope(self, trunk)
        features = trunk(x, train=train)
        features["pool"] = features["trunk"].mean(axis=(1, 2))
        if self.num_classes is None:
            return features
        return {**features, "logits": nn.Dense(self.num_classes, dtype=self.dtype, name="fc")(features["pool"])}


def net_of(name: str) -> Net:
    """The net of that name; ValueError names those there are."""
    if name not in NETS:
        raise ValueError(f"YOLO net {name!r}: choose one of {', '.join(NETS)}")
    return NETS[name]
