"""Readers of images and annotations, transforms, and batches; nothing here imports jax."""
