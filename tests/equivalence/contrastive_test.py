"""Five steps of SimCLR and of both versions of MoCo lead where the papers' algorithms, written in torch, lead."""

import dataclasses
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.contrastive import unit
from jaxvision.models.layers import BatchNorm
from jaxvision.models.norms import SplitBatchNorm
from jaxvision.models.resnet import ResNet
from jaxvision.models.ssl_heads import Projected, ProjectionHead
from jaxvision.ops import augment
from jaxvision.ops.queue import oldest_first
from jaxvision.tasks.moco import dealing, moco
from jaxvision.tasks.simclr import simclr
from jaxvision.tasks.views import two_views
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import step_key
from jaxvision.train.types import TrainState
from tests.equivalence.layers import F, Layers, Tensor, descend, nchw, sgd, small_resnet, torch
from tests.equivalence.steps import (
    GREY,
    SPREAD,
    STEPS,
    assert_losses,
    assert_variables,
    drawn,
    five_steps,
    photos,
)

pytestmark = pytest.mark.peer
ROWS, SIZE, WIDTH, GROUPS, QUEUE, NO_ROW = 8, 16, 1 / 16, 2, 21, 2**31 - 1
LR, TRUST = 5e-4, 1.0  # of LARS: its product is the share of its length by which a kernel moves
AUGMENT = augment.chain(partial(augment.random_resized_crop, size=SIZE), partial(augment.flip, probability=0.5))
BATCHES = [{"image": photos(ROWS, SIZE, SIZE, seed)} for seed in range(STEPS)]
PIXELS: dict[str, Any] = {"mean": GREY, "std": SPREAD}


@jax.jit
def views_of(state: TrainState, images: jax.Array) -> jax.Array:
    return two_views(state, images, AUGMENT, **PIXELS, axis_name=None)


def views(state: TrainState, step: int) -> Tensor:
    """Return the views that a step is given, the first ones of all images and then the second ones."""
    return nchw(np.asarray(views_of(state, jnp.asarray(BATCHES[step]["image"]))))


def network(norm: Any, hidden: tuple[int, ...], head_norm: Any) -> nn.Module:
    return Projected(ResNet(None, 10, stem="cifar", width=WIDTH, norm=norm), ProjectionHead(6, hidden, head_norm))


def embed(net: Layers, x: Tensor, hidden: bool) -> Tensor:
    """Apply encoder and projection head; batch norm is in the head where it has the parameters."""
    x, head = small_resnet(net.part("encoder"), x)["pool"], net.part("projector")
    for name in ("1", "_out") if hidden else ("_out",):
        x = head.dense(x, f"fc{name}")
        x = head.norm(x, f"bn{name}") if head.has(f"bn{name}") else x
        x = F.relu(x) if name == "1" else x
    return F.normalize(x)


def nt_xent(z: Tensor, temperature: float) -> Tensor:
    """Chen et al. 2020, algorithm 1, pair by pair: the mean of l(i, j) and l(j, i) over all positive pairs."""
    count, total = len(z) // 2, 0.0
    similarity = (z @ z.T / temperature).exp()
    for k in range(count):
        for i, j in ((k, k + count), (k + count, k)):
            others = similarity[i].sum() - similarity[i, i]
            total = total - (similarity[i, j] / others).log()
    return total / (2 * count)


class Lars:
    """You et al. 2017, algorithm 1, with SimCLR's exceptions: biases and norms neither decay nor adapt."""

    def __init__(self, leaves: dict[str, Tensor], lr: float, decay: float) -> None:
        self.leaves, self.lr, self.decay = leaves, lr, decay
        self.velocity = {path: torch.zeros_like(leaf) for path, leaf in leaves.items()}

    def zero_grad(self) -> None:
        for leaf in self.leaves.values():
            leaf.grad = None

    @torch.no_grad()
    def step(self) -> None:
        for path, leaf in self.leaves.items():
            gradient, rate = leaf.grad, self.lr
            if leaf.dim() > 1:
                gradient = gradient + self.decay * leaf
                rate = rate * TRUST * leaf.norm() / gradient.norm()
            self.velocity[path].mul_(0.9).add_(rate * gradient)
            leaf.sub_(self.velocity[path])


def test_simclr_with_lars():
    task = simclr(
        lambda axis_name: network(partial(BatchNorm, axis_name=axis_name), (12,), BatchNorm),
        Optimizer(rule="lars", lr=LR, trust=TRUST, weight_decay=1e-6).make(STEPS),
        augment=AUGMENT,
        **PIXELS,
        temperature=0.1,
    )
    run = five_steps(task, drawn(task, BATCHES[0]), BATCHES)
    net = Layers.of(run.states[0])
    lars, losses = Lars(net.parameters(), LR, 1e-6), []
    for step in range(STEPS):
        embeddings = embed(net, views(run.states[step], step), hidden=True)
        losses.append(descend(lars, nt_xent(embeddings, 0.1)))
    assert_losses(run.losses(), losses)
    assert_variables(run, net.arrays())


def queue_of(state: TrainState) -> Tensor:
    return torch.from_numpy(np.asarray(oldest_first(state.aux["queue"], state.aux["head"]), np.float64))


def start_of_keys(state: TrainState, shapes: Any) -> dict[str, Any]:
    rows = np.random.default_rng(5).normal(size=shapes["queue"].shape)
    place = {"queue": unit(jnp.asarray(rows, jnp.float32)), "head": jnp.zeros((), jnp.int32)}
    return {"key_params": state.params, "key_state": state.model_state, **place}


@torch.no_grad()
def follow(keys: Layers, queries: Layers, momentum: float) -> None:
    """Move the key network towards the query network; its batch statistics are its own."""
    for path, leaf in keys.leaves.items():
        if path[0] == "params":
            leaf.mul_(momentum).add_((1 - momentum) * queries.leaves[path])


@torch.no_grad()
def shuffled_keys(keys: Layers, x: Tensor, state: TrainState, hidden: bool) -> Tensor:
    """He et al. 2020, section 3.3: keys are dealt out to groups of batch norm in another order than queries."""
    order = torch.from_numpy(np.array(dealing(jax.random.fold_in(step_key(state), NO_ROW), ROWS, GROUPS)))
    return embed(keys, x[order], hidden)[order.argsort()]


@pytest.mark.parametrize(("version", "temperature", "hidden"), [("v1", 0.07, ()), ("v2", 0.2, (12,))])
def test_moco(version: str, temperature: float, hidden: tuple[int, ...]):
    """He et al. 2020, algorithm 1, and Chen et al. 2020b's hidden layer; two groups of batch norm."""
    lr, momentum, decay = 0.003, 0.5, 1e-4
    task = moco(
        lambda groups: network(partial(SplitBatchNorm, groups=groups), hidden, None),
        Optimizer(lr=lr, weight_decay=decay, decay_norms=True).make(STEPS),
        augment=AUGMENT,
        **PIXELS,
        temperature=temperature,
        queue=QUEUE,
        momentum=momentum,
        groups=GROUPS,
    )
    run = five_steps(task, drawn(task, BATCHES[0], start_of_keys), BATCHES)
    queries, keys = (dataclasses.replace(Layers.of(run.states[0]), groups=GROUPS) for _ in range(2))
    queue, steps, losses = queue_of(run.states[0]), sgd(queries.parameters(), lr, decay=decay), []
    for step in range(STEPS):
        first, second = views(run.states[step], step).chunk(2)
        q = embed(queries, first, bool(hidden))
        follow(keys, queries, momentum)
        k = shuffled_keys(keys, second, run.states[step], bool(hidden))
        logits = torch.cat([(q * k).sum(1, keepdim=True), q @ queue.T], 1) / temperature
        losses.append(descend(steps, F.cross_entropy(logits, torch.zeros(ROWS, dtype=torch.long))))
        queue = torch.cat([queue[ROWS:], k])
    assert_losses(run.losses(), losses)
    assert_variables(run, queries.arrays())
    last = run.states[-1]
    np.testing.assert_allclose(queue_of(last), queue, atol=1e-4)
    followed = last.replace(params=last.aux["key_params"], model_state=last.aux["key_state"])
    assert_variables(run._replace(states=[run.states[0], followed]), keys.arrays())
