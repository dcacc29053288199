"""torchvision's networks with our variables in them, and what they have learned in our layouts again."""

from typing import Any

import numpy as np
import pytest

from jaxvision.train.types import TrainState
from jaxvision.weights import torchvision as names
from jaxvision.weights.rename import nested
from tests.equivalence.steps import STEPS, Arrays, variables_of

torch = pytest.importorskip("torch")
nn = torch.nn

from benchmarks.narrow import narrowed  # noqa: E402  (it imports torch)


def narrow(model: Any, width: float, outputs: tuple[str, ...]) -> Any:
    """Return `narrowed` without dropout, in float64 and in training mode."""
    for layer in model.modules():
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
    return narrowed(model, width, outputs).double().train()


class Module:
    """A torchvision network that starts from our variables."""

    def __init__(self, model: Any, state: TrainState) -> None:
        self.model, self.start = model, variables_of(state)
        self.name, tensors = names.write(nested(self.start))
        values = {name: torch.tensor(np.array(value, np.float64)) for name, value in tensors.items()}
        missing, unexpected = model.load_state_dict(values, strict=False)
        assert not unexpected and all(name.endswith("num_batches_tracked") for name in missing)
        self.rows: dict[str, int] = {}  # values that a batch norm takes its statistics of
        for name, layer in model.named_modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.register_forward_hook(self._counter(name))

    def arrays(self) -> Arrays:
        """Return the variables after five steps.

        torch's running variance follows n / (n - 1) of the variance of a batch, ours the variance itself; the factor is
        taken out of what the five steps have added.
        """
        tensors = {name: value.detach().numpy() for name, value in self.model.state_dict().items()}
        kept, before = 0.9**STEPS, names.write(nested(self.start))[1]
        for name, rows in self.rows.items():
            old = kept * before[f"{name}.running_var"]
            tensors[f"{name}.running_var"] = old + (tensors[f"{name}.running_var"] - old) * (rows - 1) / rows
        arrays = next(table for table in names.TABLES if table.name == self.name).read(tensors)
        return {path: value.reshape(self.start[path].shape) for path, value in arrays.items()}

    def _counter(self, name: str) -> Any:
        def count(layer: Any, inputs: tuple, output: Any) -> None:
            self.rows[name] = inputs[0].numel() // inputs[0].shape[1]

        return count
