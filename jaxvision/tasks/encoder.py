"""The encoder of a task without labels, apart from the heads that it is trained with.

An encoder is any module `(images [B, H, W, 3], *, train) -> {"pool": [B, D], …}`; in a state its variables are under
"encoder".
"""

from typing import Any

import flax.linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float

from jaxvision.train.types import PyTree, TrainState


def encoder_variables(state: TrainState) -> dict[str, Any]:
    """Return the encoder's parameters and statistics, without those of heads, for `encoder.apply`."""
    collections = {name: tree["encoder"] for name, tree in state.model_state.items() if "encoder" in tree}
    return {"params": state.params["encoder"], **collections}


def pool(model: nn.Module, variables: PyTree, images: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
    """Compute an encoder's features in evaluation mode.

    Args:
        model: the encoder, or a model that returns its "pool".
        variables: of the model.
        images: normalised.

    Returns:
        "pool" in float32.
    """
    outputs: Any = model.apply(variables, images, train=False)
    return outputs["pool"].astype(jnp.float32)
