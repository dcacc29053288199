"""DCGAN (Radford, Metz & Chintala 2016), also conditional and joint, and an encoder for BiGAN (Donahue et al. 2017)."""

from collections.abc import Mapping, Sequence
from typing import Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Initializer, Layer, scaled
from jaxvision.ops.interventions import Edit

SIZES = (16, 32, 64)
_BASE = 128  # channels at the finest hidden map, twice as many at each coarser one
_normal = nn.initializers.normal(0.02)


def _scale_init(key: Array, shape: Sequence[int], dtype: Dtype = jnp.float32) -> Float[Array, " C"]:
    return 1.0 + _normal(key, tuple(shape), dtype)


class Generator(nn.Module):
    """z [B, Z] -> "project" [B, 4, 4, C], "layer1", … and "image" [B, S, S, channels] in [-1, 1].

    Transposed convolutions of stride 2 from 4×4 to `size` 64 (1024 channels at 4×4), 32 (512) or 16 (256), batch norm
    and ReLU behind each but the last, whose output passes through tanh (section 3). `kernel` 5 is the paper's, 4 that
    of most later code: 5 is no multiple of the stride, which shows as a checkerboard. With `num_classes` the label's
    one-hot vector is appended to z (Mirza & Osindero 2014); without, a label is not looked at. `edit` gives, by a map's
    name, what takes its place before the next layer sees it: to ablate or insert units, or to start from a map
    instead of z.
    ValueError: another size or kernel, no label where there are classes, an edit of a map that there is not.

    Example:
        >>> model, z = Generator(size=32), jnp.zeros((1, 100))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), z, train=False))
        >>> outputs["image"].shape
        (1, 32, 32, 3)
    """

    size: int = 64
    channels: int = 3
    width: float = 1.0
    kernel: int = 5
    num_classes: int | None = None
    norm: Layer = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "B Z"],
        label: Int[Array, " B"] | None = None,
        *,
        train: bool,
        edit: Mapping[str, Edit] | None = None,
    ) -> dict[str, Float[Array, "B ..."]]:
        maps = _maps(self.size, self.kernel)
        if self.num_classes is not None:
            z = jnp.concatenate([z, _one_hot(label, self.num_classes)], axis=-1)
        names = ["project", *(f"layer{n}" for n in range(1, maps)), "image"]
        edit, features = _known(edit or {}, names), {}
        channels = [scaled(_BASE * 2**i, self.width) for i in reversed(range(maps))]
        x = nn.Dense(16 * channels[0], use_bias=False, kernel_init=_normal, dtype=self.dtype, name="project")(z)
        x = x.reshape(-1, 4, 4, channels[0])
        for i, name in enumerate(names[:-1]):
            if i:
                x = self._up(channels[i], use_bias=False, name=name)(x)
            x = nn.relu(
                self.norm(use_running_average=not train, scale_init=_scale_init, dtype=self.dtype, name=f"bn{i}")(x)
            )
            x = features[name] = edit[name](x) if name in edit else x
        image = jnp.tanh(self._up(self.channels, name="image")(x).astype(jnp.float32))
        return {**features, "image": edit["image"](image) if "image" in edit else image}

    def _up(self, channels: int, **settings: object) -> nn.Module:
        padding, more = (2, 1) if self.kernel == 5 else (1, 0)
        return ConvTranspose(channels, self.kernel, 2, padding, more, kernel_init=_normal, dtype=self.dtype, **settings)  # type: ignore[arg-type]


class Discriminator(nn.Module):
    """Image [B, S, S, c] -> "layer1" …, "features" [B, F] (the last map, flattened) and "logits" [B].

    Convolutions of stride 2 down to 4×4, LeakyReLU 0.2, batch norm behind each but the first, no hidden fully connected
    layer. With `num_classes` it judges pairs (image, label): `condition` "projection" adds the inner product of the
    features and the label's vector to the logit (Miyato & Koyama 2018); "concat" gives the label to the first layer as
    one-hot maps. With `latent_dim` it judges pairs (image, z): z joins at the last map through a hidden layer (Donahue
    et al. 2017). `norm=None` is for a gradient penalty. ValueError: a label or z that is missing or not asked for.

    Example:
        >>> model, images = Discriminator(size=32), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1,)
    """

    size: int = 64
    width: float = 1.0
    kernel: int = 5
    num_classes: int | None = None
    condition: Literal["projection", "concat"] = "projection"
    latent_dim: int | None = None
    norm: Layer | None = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "B S S c"],
        label: Int[Array, " B"] | None = None,
        z: Float[Array, "B Z"] | None = None,
        *,
        train: bool,
    ) -> dict[str, Float[Array, "B ..."]]:
        _agree("label", label, "num_classes", self.num_classes)
        _agree("z", z, "latent_dim", self.latent_dim)
        x = image
        if self.num_classes is not None and self.condition == "concat":
            maps = _one_hot(label, self.num_classes)[:, None, None]
            x = jnp.concatenate([x, jnp.broadcast_to(maps, (*x.shape[:3], self.num_classes))], axis=-1)
        features = _down(x, self.size, self.width, self.kernel, self.norm, self.dtype, train)
        flat = features["features"]
        logits = nn.Dense(1, kernel_init=_normal, dtype=self.dtype, name="score")(flat)[:, 0]
        if self.num_classes is not None and self.condition == "projection":
            vectors = nn.Embed(self.num_classes, flat.shape[-1], embedding_init=_normal, dtype=self.dtype, name="label")
            logits = logits + jnp.sum(vectors(label) * flat, axis=-1)
        if z is not None:
            hidden = nn.Dense(scaled(1024, self.width), kernel_init=_normal, dtype=self.dtype, name="joint")
            pair = nn.leaky_relu(hidden(jnp.concatenate([flat, z.astype(flat.dtype)], axis=-1)), 0.2)
            logits = logits + nn.Dense(1, kernel_init=_normal, dtype=self.dtype, name="joint_score")(pair)[:, 0]
        return {**features, "logits": logits.astype(jnp.float32)}


class Encoder(nn.Module):
    """Image [B, S, S, c] -> "layer1" …, "features" and "z" [B, Z]: the discriminator's layers, ending in a latent.

    Example:
        >>> model, images = Encoder(size=32), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["z"].shape
        (1, 100)
    """

    latent_dim: int = 100
    size: int = 64
    width: float = 1.0
    kernel: int = 5
    norm: Layer | None = BatchNorm
    dtype: Dtype = jnp.float32

    @nn.compact
    def __call__(self, image: Float[Array, "B S S c"], *, train: bool) -> dict[str, Float[Array, "B ..."]]:
        features = _down(image, self.size, self.width, self.kernel, self.norm, self.dtype, train)
        z = nn.Dense(self.latent_dim, kernel_init=_normal, dtype=self.dtype, name="latent")(features["features"])
        return {**features, "z": z.astype(jnp.float32)}


def _down(
    x: Float[Array, "B S S c"], size: int, width: float, kernel: int, norm: Layer | None, dtype: Dtype, train: bool
) -> dict[str, Float[Array, "B ..."]]:
    """The convolutions of discriminator and encoder, in the scope of whichever calls."""
    if x.shape[1:3] != (size, size):
        raise ValueError(f"DCGAN of size {size} got {x.shape[1]}x{x.shape[2]} images: give {size}x{size}")
    features, padding = {}, 2 if kernel == 5 else 1
    normal: Initializer = _normal
    for i in range(1, _maps(size, kernel) + 1):
        channels = scaled(_BASE * 2 ** (i - 1), width)
        bias = i == 1 or norm is None
        x = Conv(
            channels,
            kernel,
            strides=2,
            padding=padding,
            use_bias=bias,
            kernel_init=normal,
            dtype=dtype,
            name=f"conv{i}",
        )(x)
        if i > 1 and norm is not None:
            x = norm(use_running_average=not train, scale_init=_scale_init, dtype=dtype, name=f"bn{i}")(x)
        x = features[f"layer{i}"] = nn.leaky_relu(x, 0.2)
    return {**features, "features": x.reshape(x.shape[0], -1)}


def _maps(size: int, kernel: int) -> int:
    """How many resolutions lie between 4×4 and the image."""
    if size not in SIZES or kernel not in (4, 5):
        raise ValueError(f"DCGAN size {size}, kernel {kernel}: choose size 16, 32 or 64 and kernel 4 or 5")
    return {16: 2, 32: 3, 64: 4}[size]


def _one_hot(label: Int[Array, " B"] | None, num_classes: int) -> Float[Array, "B K"]:
    if label is None:
        raise ValueError(f"a conditional network of {num_classes} classes got no label: give one for each row")
    return (label[:, None] == jnp.arange(num_classes)[None]).astype(jnp.float32)


def _agree(name: str, given: Array | None, field: str, value: int | None) -> None:
    """A condition that is silently not looked at would train an unconditional network."""
    if (given is None) != (value is None):
        raise ValueError(
            f"Discriminator({field}={value}) got {'no' if given is None else 'a'} {name}: give both or none"
        )


def _known(edit: Mapping[str, Edit], names: Sequence[str]) -> Mapping[str, Edit]:
    if unknown := sorted(set(edit) - set(names)):
        raise ValueError(f"edit names {', '.join(unknown)}: choose of {', '.join(names)}")
    return edit
