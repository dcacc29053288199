"""The one training loop: devices, steps, checkpoints, metrics, optimisers, hooks."""
