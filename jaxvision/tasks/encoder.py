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
    """What `encoder.apply` takes: the encoder's parameters and statistics, and none of the heads'."""
    collections = {name: tree["encoder"] for name, tree in state.model_state.items() if "encoder" in tree}
    return {"params": state.params["encoder"], **collections}


def pool(model: nn.Module, variables: PyTree, images: Float[Array, "B H W 3"]) -> Float[Array, "B D"]:
    """ "pool" of an encoder, or of a model that has one, in evaluation mode and float32."""
    outputs: Any = model.apply(variables, images, train=False)
    return outputs["pool"].astype(jnp.float32)
