"""Quarter turns of images. They move pixels without interpolation, whose traces would give the angle away."""

import jax.numpy as jnp
from jaxtyping import Array, Num

ANGLES = (0, 90, 180, 270)  # degrees, counter-clockwise


def quarter_turns(images: Num[Array, "B S T C"]) -> Num[Array, "B 4 S S C"]:
    """Return each square image at the four `ANGLES`. ValueError: images that are not square."""
    if images.shape[1] != images.shape[2]:
        raise ValueError(f"quarter_turns: images of {images.shape[1]}x{images.shape[2]} pixels; crop them to squares")
    return jnp.stack([jnp.rot90(images, turns, axes=(1, 2)) for turns in range(4)], axis=1)
