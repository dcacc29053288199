"""A generator whose units are known: three of eight draw a coloured square each, the others draw nothing."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.tasks.dissection import Networks

NAMES = ("background", "red", "green", "blue")
PLANTED = (2, 5, 7)  # the units that draw red, green and blue
UNITS = 8
LAYER = "layer1"


def batch_of(rows: int = 8, seed: int = 0) -> dict[str, np.ndarray]:
    z = np.random.default_rng(seed).uniform(-1, 1, (rows, 6)).astype(np.float32)
    return {"z": z, "_mask": np.ones(rows, bool)}


def maps_of(z: jax.Array) -> jax.Array:
    """[B, 8, 8, U]: each planted unit is on in a square of 2×2 cells in its own quarter, the others here and there."""
    grid = jnp.stack(jnp.meshgrid(jnp.arange(8.0), jnp.arange(8.0), indexing="ij"), axis=-1)
    maps = jax.nn.relu(
        jnp.sin(grid.sum(-1)[None, ..., None] * jnp.arange(1.0, 9)[None, None, None] + 3 * z[:, :1, None, None])
    )
    for i, unit in enumerate(PLANTED):
        corner = jnp.floor((z[:, 2 * i : 2 * i + 2] + 1) * 1.49) + jnp.array([4.0 * (i // 2), 4.0 * (i % 2)])[None]
        inside = (grid[None] >= corner[:, None, None]) & (grid[None] < corner[:, None, None] + 2)
        maps = maps.at[..., unit].set(inside.all(-1).astype(jnp.float32))
    return maps


def generate(variables, batch, edit: Mapping) -> dict[str, jax.Array]:
    maps = edit.get(LAYER, lambda r: r)(maps_of(batch["z"]))
    pixels = maps.repeat(2, axis=1).repeat(2, axis=2)
    return {LAYER: maps, "image": jnp.clip(2 * pixels[..., list(PLANTED)] - 1, -1, 1) * variables["generator"]}


def segment(variables, images: jax.Array) -> jax.Array:
    """Softmax of the colours against a dark background."""
    background = jnp.full((*images.shape[:3], 1), 0.5)
    return jax.nn.softmax(10 * jnp.concatenate([background, images / 255], axis=-1))


NETWORKS = Networks(lambda key, batch: {"generator": jnp.ones(()), "segmenter": {}}, generate, segment)
