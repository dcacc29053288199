"""DCGAN (Radford, Metz & Chintala 2016), also conditional and joint, and an encoder for BiGAN (Donahue et al. 2017).

Generator: latents z [B, Z], and labels int [B] where it is conditional; output, a dict of
    "project" [B, 4, 4, C], "layer1", "layer2", …  hidden maps, each twice as large as the one before
    "image" [B, S, S, channels], float32           in [-1, 1]
Discriminator: images [B, S, S, c] in [-1, 1], and labels and latents where it judges pairs; output, a dict of
    "layer1", "layer2", …                          hidden maps, each half as large as the one before
    "features" [B, F]                              the last map, flattened
    "logits" [B], float32                          positive: real
Encoder: images; output, a dict of "layer1" …, "features" as above, and
    "z" [B, Z], float32                            a latent
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, Literal

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from jaxvision.models.layers import BatchNorm, Conv, ConvTranspose, Dtype, Initializer, Layer, scaled
from jaxvision.ops import interventions
from jaxvision.ops.interventions import Edit
from jaxvision.ops.pooling import max_pool
from jaxvision.ops.unpooling import nearest_unpool

SIZES = (16, 32, 64)
_BASE = 128  # channels at the finest hidden map, twice as many at each coarser one
_normal = nn.initializers.normal(0.02)


@dataclasses.dataclass(frozen=True)
class Rules:
    """The guidelines of section 3, which hold by default and can be broken one by one."""

    batch_norm: Literal["inner", "everywhere", "generator", "nowhere"] = (
        "inner"  # behind all layers but the generator's last and the discriminator's first; behind all; only in the
        # generator, all but its last; behind none
    )
    leaky: bool = True  # LeakyReLU of slope 0.2 in the discriminator; False: ReLU
    hidden: int = 0  # units of a fully connected layer in front of the generator and behind the discriminator; 0: none
    pooling: bool = False  # nearest unpooling and max-pooling change the resolution, and 5×5 convolutions keep it

    def in_generator(self, *, end: bool) -> bool:
        """Return whether batch norm follows a layer of the generator; `end`: it is the last one."""
        return self.batch_norm == "everywhere" or (self.batch_norm != "nowhere" and not end)

    def in_discriminator(self, *, end: bool) -> bool:
        """Return whether batch norm follows a layer of the discriminator; `end`: it is the first one."""
        return self.batch_norm == "everywhere" or (self.batch_norm == "inner" and not end)


def _scale_init(key: Array, shape: Sequence[int], dtype: Dtype = jnp.float32) -> Float[Array, " C"]:
    return 1.0 + _normal(key, tuple(shape), dtype)


class Generator(nn.Module):
    """Transposed convolutions of stride 2 from 4×4 up, with batch norm and ReLU behind each but the last (section 3).

    The last output passes through tanh. Without `num_classes` a label is ignored. `edit` in a call gives, by a map's
    name, a function of the map whose result the next layer sees instead: to ablate or insert units, or to start from a
    map instead of z.
    ValueError: another size or kernel, no label where there are classes, an edit of an unknown map.

    Example:
        >>> model, z = Generator(size=32), jnp.zeros((1, 100))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), z, train=False))
        >>> outputs["image"].shape
        (1, 32, 32, 3)
    """

    size: int = 64  # S: 64 (1024 channels at 4×4), 32 (512) or 16 (256)
    channels: int = 3  # of the image
    width: float = 1.0  # fraction of the paper's channels
    kernel: int = 5  # 5 (paper) or 4 (most later code); 5 is no multiple of the stride, which shows as a checkerboard
    num_classes: int | None = None  # appends the label's one-hot vector to z (Mirza & Osindero 2014)
    norm: Layer = BatchNorm  # normalisation behind each layer but the last
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    rules: Rules = Rules()

    @nn.compact
    def __call__(
        self,
        z: Float[Array, "B Z"],
        label: Int[Array, " B"] | None = None,
        *,
        train: bool,
        edit: Mapping[str, Edit] | None = None,
    ) -> dict[str, Float[Array, "B ..."]]:
        maps = _resolutions(self.size, self.kernel)
        if self.num_classes is not None:
            z = jnp.concatenate([z, _one_hot(label, self.num_classes)], axis=-1)
        names = ["project", *(f"layer{n}" for n in range(1, maps)), "image"]
        edit, features = interventions.checked(edit, names), {}
        channels = [scaled(_BASE * 2**i, self.width) for i in reversed(range(maps))]
        normed, norm = self.rules.in_generator(end=False), partial(self._norm, train)
        dense = partial(nn.Dense, use_bias=not normed, kernel_init=_normal, dtype=self.dtype)
        if self.rules.hidden:
            z = dense(self.rules.hidden, name="hidden")(z)
            z = nn.relu(norm("bn_hidden")(z) if normed else z)
        x = dense(16 * channels[0], name="project")(z)
        x = x.reshape(-1, 4, 4, channels[0])
        for i, name in enumerate(names[:-1]):
            if i:
                x = self._up(x, channels[i], use_bias=not normed, name=name)
            x = nn.relu(norm(f"bn{i}")(x) if normed else x)
            x = features[name] = edit[name](x) if name in edit else x
        last = self.rules.in_generator(end=True)
        x = self._up(x, self.channels, use_bias=not last, name="image")
        image = jnp.tanh((norm("bn_image")(x) if last else x).astype(jnp.float32))
        return {**features, "image": edit["image"](image) if "image" in edit else image}

    def _norm(self, train: bool, name: str) -> nn.Module:
        return self.norm(use_running_average=not train, scale_init=_scale_init, dtype=self.dtype, name=name)

    def _up(self, x: Float[Array, "B H W C"], channels: int, **settings: Any) -> Float[Array, "B h w D"]:
        settings |= {"kernel_init": _normal, "dtype": self.dtype}
        if self.rules.pooling:
            return Conv(channels, 5, padding=2, **settings)(nearest_unpool(x, 2))
        padding, output_padding = (2, 1) if self.kernel == 5 else (1, 0)
        return ConvTranspose(channels, self.kernel, 2, padding, output_padding, **settings)(x)


class Discriminator(nn.Module):
    """Convolutions of stride 2 down to 4×4, with LeakyReLU 0.2 and batch norm behind each but the first.

    There is no hidden fully connected layer, but for pairs (image, z): z joins at the last map through one (Donahue et
    al. 2017). ValueError: a label or z that is missing, or not expected.

    Example:
        >>> model, images = Discriminator(size=32), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["logits"].shape
        (1,)
    """

    size: int = 64  # S: 64, 32 or 16
    width: float = 1.0  # fraction of the paper's channels
    kernel: int = 5  # 5 (paper) or 4
    num_classes: int | None = None  # judge pairs of an image and a label
    # "projection" adds the inner product of the features and the label's vector to the logit (Miyato & Koyama 2018);
    # "concat" gives the label to the first layer as one-hot maps.
    condition: Literal["projection", "concat"] = "projection"
    latent_dim: int | None = None  # Z: judge pairs of an image and a latent
    norm: Layer | None = BatchNorm  # normalisation behind each layer but the first; None for a gradient penalty
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    rules: Rules = Rules()

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "B S S c"],
        label: Int[Array, " B"] | None = None,
        z: Float[Array, "B Z"] | None = None,
        *,
        train: bool,
    ) -> dict[str, Float[Array, "B ..."]]:
        _check_condition("label", label, "num_classes", self.num_classes)
        _check_condition("z", z, "latent_dim", self.latent_dim)
        x = image
        if self.num_classes is not None and self.condition == "concat":
            maps = _one_hot(label, self.num_classes)[:, None, None]
            x = jnp.concatenate([x, jnp.broadcast_to(maps, (*x.shape[:3], self.num_classes))], axis=-1)
        features = _convolutions(self, x, train)
        flat = features["features"]
        if self.rules.hidden:
            hidden = nn.Dense(self.rules.hidden, kernel_init=_normal, dtype=self.dtype, name="hidden")
            flat = _rectified(self, hidden(flat))
        logits = nn.Dense(1, kernel_init=_normal, dtype=self.dtype, name="score")(flat)[:, 0]
        if self.num_classes is not None and self.condition == "projection":
            vectors = nn.Embed(self.num_classes, flat.shape[-1], embedding_init=_normal, dtype=self.dtype, name="label")
            logits = logits + jnp.sum(vectors(label) * flat, axis=-1)
        if z is not None:
            joint = nn.Dense(scaled(1024, self.width), kernel_init=_normal, dtype=self.dtype, name="joint")
            pair = nn.leaky_relu(joint(jnp.concatenate([flat, z.astype(flat.dtype)], axis=-1)), 0.2)
            logits = logits + nn.Dense(1, kernel_init=_normal, dtype=self.dtype, name="joint_score")(pair)[:, 0]
        return {**features, "logits": logits.astype(jnp.float32)}


class Encoder(nn.Module):
    """The discriminator's convolutions, and a linear layer to a latent.

    Example:
        >>> model, images = Encoder(size=32), jnp.zeros((1, 32, 32, 3))
        >>> outputs, _ = jax.eval_shape(lambda: model.init_with_output(jax.random.key(0), images, train=False))
        >>> outputs["z"].shape
        (1, 100)
    """

    latent_dim: int = 100  # Z
    size: int = 64  # S: 64, 32 or 16
    width: float = 1.0  # fraction of the paper's channels
    kernel: int = 5  # 5 (paper) or 4
    norm: Layer | None = BatchNorm  # normalisation behind each layer but the first
    dtype: Dtype = jnp.float32  # type that is computed in; parameters are float32
    rules: Rules = Rules()

    @nn.compact
    def __call__(self, image: Float[Array, "B S S c"], *, train: bool) -> dict[str, Float[Array, "B ..."]]:
        features = _convolutions(self, image, train)
        z = nn.Dense(self.latent_dim, kernel_init=_normal, dtype=self.dtype, name="latent")(features["features"])
        return {**features, "z": z.astype(jnp.float32)}


def _convolutions(
    net: Discriminator | Encoder, x: Float[Array, "B S S c"], train: bool
) -> dict[str, Float[Array, "B ..."]]:
    """Apply the convolutions of discriminator and encoder, as layers of the module `net`, which is running."""
    size, kernel = net.size, net.kernel
    if x.shape[1:3] != (size, size):
        raise ValueError(f"DCGAN of size {size} got {x.shape[1]}x{x.shape[2]} images: give {size}x{size}")
    features: dict[str, Float[Array, "B ..."]] = {}
    normal: Initializer = _normal
    for i in range(1, _resolutions(size, kernel) + 1):
        normed = net.norm is not None and net.rules.in_discriminator(end=i == 1)
        convolve = partial(
            Conv,
            scaled(_BASE * 2 ** (i - 1), net.width),
            use_bias=not normed,
            kernel_init=normal,
            dtype=net.dtype,
            name=f"conv{i}",
        )
        if net.rules.pooling:
            x = max_pool(convolve(5, padding=2)(x), 2, 2)
        else:
            x = convolve(kernel, strides=2, padding=2 if kernel == 5 else 1)(x)
        if normed and net.norm is not None:
            x = net.norm(use_running_average=not train, scale_init=_scale_init, dtype=net.dtype, name=f"bn{i}")(x)
        x = features[f"layer{i}"] = _rectified(net, x)
    return {**features, "features": x.reshape(x.shape[0], -1)}


def _rectified(net: Discriminator | Encoder, x: Float[Array, "*b C"]) -> Float[Array, "*b C"]:
    return nn.leaky_relu(x, 0.2) if net.rules.leaky else nn.relu(x)


def _resolutions(size: int, kernel: int) -> int:
    """Count the resolutions from 4×4 up to the one before the image."""
    if size not in SIZES or kernel not in (4, 5):
        raise ValueError(f"DCGAN size {size}, kernel {kernel}: choose size 16, 32 or 64 and kernel 4 or 5")
    return {16: 2, 32: 3, 64: 4}[size]


def _one_hot(label: Int[Array, " B"] | None, num_classes: int) -> Float[Array, "B K"]:
    if label is None:
        raise ValueError(f"a conditional network of {num_classes} classes got no label: give one for each row")
    return (label[:, None] == jnp.arange(num_classes)[None]).astype(jnp.float32)


def _check_condition(name: str, given: Array | None, field: str, value: int | None) -> None:
    """Refuse a condition that would be ignored, and so train an unconditional network."""
    if (given is None) != (value is None):
        raise ValueError(
            f"Discriminator({field}={value}) got {'no' if given is None else 'a'} {name}: give both or none"
        )
