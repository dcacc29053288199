"""torch's layers on our variables, for references that are written from a paper: in float64, on maps [B, C, H, W].

A leaf has our path and our layout, so that what torch has learned is compared leaf by leaf without any renaming.
"""

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from jaxvision.train.types import TrainState
from tests.equivalence.steps import Arrays, variables_of

torch = pytest.importorskip("torch")
F = torch.nn.functional

Tensor = Any
Path = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Layers:
    """A network, or a part of one, as leaves that torch differentiates."""

    leaves: dict[Path, Tensor]  # of the whole network
    here: Path = ()  # of the part
    groups: int = 1  # parts of a batch that batch norm keeps apart
    remembers: bool = True  # batch norm takes its running statistics in

    @classmethod
    def of(cls, state: TrainState) -> "Layers":
        """Copy the variables of a state."""
        leaves = {path: torch.tensor(value.astype(np.float64)) for path, value in variables_of(state).items()}
        for path, leaf in leaves.items():
            leaf.requires_grad_(path[0] == "params")
        return cls(leaves)

    def part(self, name: str) -> "Layers":
        """Return a part by its path."""
        return dataclasses.replace(self, here=(*self.here, *name.split("/")))

    def forgetting(self) -> "Layers":
        """Return the same network, whose batch norm leaves its running statistics as they are."""
        return dataclasses.replace(self, remembers=False)

    def has(self, name: str) -> bool:
        """Return True if there is a parameter below the path."""
        below = ("params", *self.here, *name.split("/"))
        return any(path[: len(below)] == below for path in self.leaves)

    def leaf(self, layer: str, name: str, collection: str = "params") -> Tensor | None:
        """Return one leaf of a layer, None where there is none."""
        return self.leaves.get((collection, *self.here, *layer.split("/"), name))

    def arrays(self) -> Arrays:
        """Return all leaves as NumPy has them."""
        return {path: leaf.detach().numpy() for path, leaf in self.leaves.items()}

    def conv(
        self, x: Tensor, name: str, stride: int = 1, padding: int = 0, dilation: int = 1, groups: int = 1
    ) -> Tensor:
        """Apply a convolution."""
        kernel = self.leaf(name, "kernel").permute(3, 2, 0, 1)
        return F.conv2d(x, kernel, self.leaf(name, "bias"), stride, padding, dilation, groups)

    def up(self, x: Tensor, name: str, stride: int = 2, padding: int = 0, output_padding: int = 0) -> Tensor:
        """Apply a transposed convolution."""
        kernel = self.leaf(name, "kernel").permute(2, 3, 0, 1)
        return F.conv_transpose2d(x, kernel, self.leaf(name, "bias"), stride, padding, output_padding)

    def dense(self, x: Tensor, name: str) -> Tensor:
        """Apply a fully connected layer."""
        y, bias = x @ self.leaf(name, "kernel"), self.leaf(name, "bias")
        return y if bias is None else y + bias

    def norm(self, x: Tensor, name: str, eps: float = 1e-5) -> Tensor:
        """Apply batch norm in training, and move its running statistics by a tenth.

        The running variance follows the variance of the batch itself, as in flax, not its estimate for the population,
        n / (n - 1) of it, as in torch.
        """
        parts = x.chunk(self.groups)
        scale, bias = self.leaf(name, "scale"), self.leaf(name, "bias")
        y = torch.cat([F.batch_norm(part, None, None, scale, bias, True, 0.0, eps) for part in parts])
        if self.remembers:
            axes = [axis for axis in range(x.dim()) if axis != 1]
            with torch.no_grad():
                seen = {
                    "mean": torch.stack([part.mean(axes) for part in parts]).mean(0),
                    "var": torch.stack([part.var(axes, correction=0) for part in parts]).mean(0),
                }
                for statistic, value in seen.items():
                    self.leaf(name, statistic, "batch_stats").mul_(0.9).add_(0.1 * value)
        return y

    def parameters(self) -> dict[str, Tensor]:
        """Return the learned leaves of the part by path, written as "layer/kernel"."""
        start = ("params", *self.here)
        return {"/".join(p[1:]): leaf for p, leaf in self.leaves.items() if p[: len(start)] == start}


def nchw(images: np.ndarray, mean: Iterable[float] = (0.0,), std: Iterable[float] = (1.0,)) -> Tensor:
    """Return images [B, H, W, C] normalised and as torch has them."""
    values = (np.asarray(images, np.float64) - np.array(list(mean))) / np.array(list(std))
    return torch.from_numpy(np.ascontiguousarray(values.transpose(0, 3, 1, 2)))


def flatten(x: Tensor) -> Tensor:
    """Flatten maps in our order of rows, columns, channels."""
    return x.permute(0, 2, 3, 1).flatten(1)


def sgd(
    parameters: dict[str, Tensor],
    lr: float,
    momentum: float = 0.9,
    decay: float = 0.0,
    *,
    lr_of: Callable[[str], float] = lambda path: 1.0,
    decays: Callable[[str, Tensor], bool] = lambda path, leaf: True,
    nesterov: bool = False,
) -> Any:
    """Return torch's SGD.

    Args:
        parameters: by path.
        lr: learning rate.
        momentum: share of the velocity that is kept.
        decay: weight decay.
        lr_of: factor of a parameter's learning rate, by its path.
        decays: which parameters decay, by path and value.
        nesterov: look ahead.

    Returns:
        The optimizer.
    """
    groups = [
        {"params": [leaf], "lr": lr * lr_of(path), "weight_decay": decay * decays(path, leaf)}
        for path, leaf in parameters.items()
    ]
    return torch.optim.SGD(groups, lr=lr, momentum=momentum, nesterov=nesterov)


def descend(optimizer: Any, loss: Tensor) -> float:
    """Take one step against the gradient of a loss; return the loss."""
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return float(loss.detach())


def small_resnet(net: Layers, x: Tensor) -> dict[str, Tensor]:
    """Return the last map and its mean of our ResNet of depth 10 with the stem for small images (He et al. 2016)."""
    x = F.relu(net.norm(net.conv(x, "conv1", padding=1), "bn1"))
    for stage in (1, 2, 3, 4):
        x = _basic_block(net.part(f"layer{stage}_0"), x, 1 if stage == 1 else 2)
    return {"layer4": x, "pool": x.mean((2, 3))}


def _basic_block(net: Layers, x: Tensor, stride: int) -> Tensor:
    y = F.relu(net.norm(net.conv(x, "conv1", stride, 1), "bn1"))
    y = net.norm(net.conv(y, "conv2", 1, 1), "bn2")
    if net.has("shortcut"):
        x = net.norm(net.conv(x, "shortcut/conv", stride), "shortcut/bn")
    return F.relu(x + y)
