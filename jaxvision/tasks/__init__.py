"""A network, a loss and an optimiser as three pure functions: `init`, `step` and `predict` of a `train.types.Task`."""
