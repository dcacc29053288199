"""torchvision's networks, made narrow, with our variables in them, and their variables in our layouts again."""

from typing import Any

import numpy as np
import pytest

from jaxvision.train.types import TrainState
from jaxvision.weights import torchvision as names
from jaxvision.weights.rename import nested
from tests.equivalence.steps import STEPS, Arrays, variables_of

torch = pytest.importorskip("torch")
nn = torch.nn


def narrowed(model: Any, width: float, outputs: tuple[str, ...] = ()) -> Any:
    """Replace every layer of a torchvision network by the same one of fewer channels, and switch dropout off.

    Args:
        model: the network.
        width: share of the channels that is kept; images keep their three.
        outputs: ends of the names of layers that keep their number of outputs, such as the classifier.

    Returns:
        The network in float64 and in training mode.
    """

    def part(channels: int) -> int:
        return 3 if channels == 3 else max(1, round(channels * width))

    for name, layer in list(model.named_modules()):
        if isinstance(layer, nn.Dropout):
            layer.p = 0.0
        new = _narrow(layer, part, name.endswith(outputs) if outputs else False)
        if new is not None:
            parent, _, attribute = name.rpartition(".")
            setattr(model.get_submodule(parent), attribute, new)
    return model.double().train()


def _narrow(layer: Any, part: Any, keeps: bool) -> Any:
    if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
        outputs = layer.out_channels if keeps else part(layer.out_channels)
        fields = ("kernel_size", "stride", "padding", "dilation", "groups")
        settings = {field: getattr(layer, field) for field in fields}
        return type(layer)(part(layer.in_channels), outputs, bias=layer.bias is not None, **settings)
    if isinstance(layer, nn.Linear):
        return nn.Linear(part(layer.in_features), layer.out_features if keeps else part(layer.out_features))
    if type(layer).__name__ in ("BatchNorm2d", "FrozenBatchNorm2d"):
        return type(layer)(part(layer.weight.shape[0]), eps=layer.eps)
    return None


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
