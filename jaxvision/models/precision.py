"""The type that a network computes in, chosen for all of its modules at once."""

import dataclasses
from typing import Any, TypeVar

import flax.linen as nn
import jax.numpy as jnp

Network = TypeVar("Network", bound=nn.Module)


def in_precision(model: Network, precision: str) -> Network:
    """Return a network that computes in a precision, with every module that it is made of.

    Parameters and batch statistics stay float32, and so do results that a module gives as float32, such as logits of
    boxes.

    Args:
        model: the network, not yet bound to variables.
        precision: "bfloat16"; or "float32" or "tensorfloat32", whose networks are alike: how exactly float32 values
            are multiplied is a setting of the program around them.

    Returns:
        The network; its parameters have the same names and shapes.

    Example:
        >>> from jaxvision.models import ResNet18
        >>> in_precision(ResNet18(), "bfloat16").dtype == jnp.bfloat16
        True
    """
    changed: dict[str, Any] = {}
    for field in dataclasses.fields(model):
        value = getattr(model, field.name, None)
        if field.name == "dtype":
            changed["dtype"] = jnp.bfloat16 if precision == "bfloat16" else jnp.float32
        elif isinstance(value, nn.Module) and field.name != "parent":
            changed[field.name] = in_precision(value, precision)
    return model.clone(**changed) if changed else model
