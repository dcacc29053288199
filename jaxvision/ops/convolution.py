"""Placeholder until the fast form lands."""

from jax.lax import conv_general_dilated

__all__ = ["conv_general_dilated"]
