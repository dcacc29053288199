"""YOLO (Redmon, Divvala, Girshick & Farhadi 2016, "You only look once: unified, real-time object detection").

Input: images [B, H, W, 3], float, normalised, of one size for each network (448 pixels in the paper).
Output of `YOLO`, a dict of
    "classes" [B, G, G, C], float32                probabilities of the classes, of a grid of G cells a side
    "confidence" [B, G, G, P], float32             of each of P boxes of a cell
    "boxes" [B, G, G, P, 4], float32               as `ops.cells.Cells` has them
    "conv1", "conv2", …                            convolutions of the trunk, before their max-pool
    "trunk" [B, h, w, D]                           the last map
    "local", "fc1", "fc2"                          layers between, as far as the net has them
Output of `Classifier`: the trunk's features, "pool" [B, D] and "logits" [B, K].
"""

from functools import partial
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.models.layers import BatchNorm, Conv, Dtype, Layer, scaled
from jaxvision.ops.pooling import max_pool

SLOPE = 0.1  # of the leaky ReLU below 0 (section 2.2)

# He's scale for that ReLU. The predictions start near 0, as the targets of most confidences and sides of boxes are
# small numbers.
_he = nn.initializers.variance_scaling(2 / (1 + SLOPE**2), "fan_in", "normal")
_he_local = nn.initializers.variance_scaling(2 / (1 + SLOPE**2), "fan_in", "normal", batch_axis=(0, 1))
_small = nn.initializers.variance_scaling(0.01, "fan_in", "normal")


class Convolution(NamedTuple):
    """One convolution, with a leaky ReLU and perhaps a 2×2 max-pool behind it."""

    channels: int  # outputs at full width
    kernel_size: int  # pixels a side
    pool: bool = False  # with a 2×2 max-pool
    strides: int = 1  # pixels between two outputs


class Dense(NamedTuple):
    """A fully connected layer before the last."""

    features: int  # outputs at full width
    leaky: bool = True  # with a leaky ReLU


class Net(NamedTuple):
    """A published form of the network."""

    convolutions: tuple[Convolution, ...]
    pretrained: int  # how many of them are pre-trained by classification
    hidden: tuple[Dense, ...]  # fully connected layers before the last
    batch_norm: bool = False  # behind each convolution
    local: int = 0  # channels of a locally connected 3×3 layer after the convolutions


def _pairs(*channels: int) -> tuple[Convolution, ...]:
    """Alternate 1×1 and 3×3 convolutions: GoogLeNet's reduction layers without its branches."""
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
    """The convolutions: [B, H, W, 3] -> "conv1", "conv2", …, each before its max-pool, and "trunk", the last map."""

    net: str = "paper"  # name of one of `NETS`
    depth: int | None = None  # use the first convolutions only; None: all
    width: float = 1.0  # fraction of the net's channels
    # Pixels a cell of the last map: 64 in every net. 32, 16 or 8 leave out the last poolings and strides, so that
    # smaller images keep a map.
    stride: int = 64
    batch_norm: bool | None = None  # None: as published; a net without a pre-trained trunk learns sooner with it
    norm: Layer = BatchNorm  # normalisation, where there is one
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

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
    """The detector: a trunk, and fully connected layers that see the whole image (section 2).

    The `grid` then need not be as large as the last map, but a network works on one image size only. With `per_cell`
    all cells share one linear layer on the last map at their place, as in the networks that followed (Redmon & Farhadi
    2017, arXiv:1612.08242, section 2); the last map must then be as large as the grid, ValueError otherwise.

    Example:
        >>> model, images = YOLO(21, net="fast"), jnp.zeros((1, 448, 448, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["confidence"].shape
        (1, 7, 7, 2)
    """

    num_classes: int  # C + 1, with the background, which the grid has no output for
    net: str = "paper"  # name of one of `NETS`
    grid: int = 7  # G, cells a side
    boxes: int = 2  # P, boxes of a cell
    width: float = 1.0  # fraction of the net's channels
    stride: int = 64  # of the `Trunk`
    batch_norm: bool | None = None  # of the `Trunk`
    dropout: float = 0.5  # share of the last hidden layer that training drops
    per_cell: bool = False  # one linear layer for all cells
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

    @nn.compact
    def __call__(self, x: Float[Array, "B H W 3"], *, train: bool) -> dict[str, Float[Array, "..."]]:
        trunk, head = self.parts()
        nn.share_scope(self, trunk)
        nn.share_scope(self, head)
        features = trunk(x, train=train)
        return {**features, **head(features["trunk"], train=train)}

    @nn.nowrap
    def parts(self) -> tuple["Trunk", "Head"]:
        """Make the trunk and the head, each of which can be applied to the detector's variables alone."""
        trunk = Trunk(self.net, None, self.width, self.stride, self.batch_norm, dtype=self.dtype)
        outputs = (self.num_classes - 1, self.grid, self.boxes)
        return trunk, Head(*outputs, self.net, self.width, self.dropout, self.per_cell, self.dtype)

    @nn.nowrap
    def last_map(self, size: int) -> int:
        """Compute the side of the trunk's map of images of `size`×`size` pixels, by shapes alone."""
        run = partial(self.parts()[0].init_with_output, train=False)
        images = jax.ShapeDtypeStruct((1, size, size, 3), jnp.float32)
        return jax.eval_shape(run, jax.random.PRNGKey(0), images)[0]["trunk"].shape[1]


class Head(nn.Module):
    """The layers behind the convolutions: a map [B, h, w, D] -> "local", "fc1", …, "classes", "confidence", "boxes".

    The last layer's outputs are in darknet's order: all cells' classes, then all confidences, then all boxes; with
    `per_cell` the same for one cell.
    """

    classes: int  # C, without the background
    grid: int  # G
    boxes: int  # P
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
            self._check_grid(x)
        else:
            x = self._hidden(x, net, features)
        x = nn.Dropout(self.dropout, deterministic=not train)(x)
        cells = 1 if self.per_cell else self.grid**2  # in one row of outputs
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
        """Apply the layers before the last one, and add each to `features`."""
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

    def _check_grid(self, x: Float[Array, "B H W C"]) -> None:
        height, width = x.shape[1:3]
        if (height, width) != (self.grid, self.grid):
            raise ValueError(f"YOLO grid {self.grid}: the last map is {height}×{width}; with per_cell choose that")


class Classifier(nn.Module):
    """The network that pre-trains the trunk (section 2.2): its first convolutions, average pooling, a linear layer.

    Layers have the names that they have in `YOLO`.
    """

    num_classes: int | None  # K; None: the network ends at "pool"
    net: str = "paper"  # name of one of `NETS`
    width: float = 1.0  # fraction of the net's channels
    stride: int = 64  # of the `Trunk`
    batch_norm: bool | None = None  # of the `Trunk`
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32

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
    """Return the net of that name. ValueError: there is none."""
    if name not in NETS:
        raise ValueError(f"YOLO net {name!r}: choose one of {', '.join(NETS)}")
    return NETS[name]
