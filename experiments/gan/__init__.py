"""Generative adversarial networks, what they learned, and how to find it."""
