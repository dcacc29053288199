"""Tiny networks for a GAN, and a batch for them."""

from functools import cache

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from jaxvision.tasks.gan import gan
from jaxvision.train import devices
from jaxvision.train.optim import Optimizer
from jaxvision.train.types import Task
from tests.tasks.training import ONE

DIM = 3  # of latents


class Generator(nn.Module):
    """Points of the plane, or images of 4 × 4 pixels; optionally with batch norm."""

    norm: bool = False
    images: bool = True
    hidden: int = 16

    @nn.compact
    def __call__(self, z, label=None, *, train, edit=None):
        x = z if label is None else jnp.concatenate([z, jax.nn.one_hot(label, 3)], axis=-1)
        x = nn.Dense(self.hidden)(x)
        x = nn.relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x) if self.norm else x)
        if not self.images:
            return {"image": nn.Dense(2)(nn.relu(nn.Dense(self.hidden)(x)))}
        return {"image": nn.tanh(nn.Dense(48)(x)).reshape(-1, 4, 4, 3)}


class Discriminator(nn.Module):
    """Two layers over the image, its label and its latent."""

    norm: bool = False
    hidden: int = 16

    @nn.compact
    def __call__(self, image, label=None, z=None, *, train):
        seen = [image.reshape(len(image), -1)]
        seen += [] if label is None else [jax.nn.one_hot(label, 3)]
        x = nn.Dense(self.hidden)(jnp.concatenate(seen + ([] if z is None else [z]), axis=-1))
        x = nn.leaky_relu(nn.BatchNorm(use_running_average=not train, momentum=0.9)(x) if self.norm else x, 0.2)
        return {"logits": nn.Dense(1)(nn.leaky_relu(nn.Dense(self.hidden)(x), 0.2))[:, 0]}


class Encoder(nn.Module):
    @nn.compact
    def __call__(self, image, *, train):
        return {"z": nn.Dense(DIM)(image.reshape(len(image), -1))}


def batch_of(rows: int = 8) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (rows, 4, 4, 3), np.uint8)
    z = rng.uniform(-1, 1, (rows, DIM)).astype(np.float32)
    return {"image": image, "label": np.arange(rows, dtype=np.int32) % 3, "z": z, "_mask": np.ones(rows, bool)}


@cache
def adam(lr: float = 0.01):
    return Optimizer(rule="adam", lr=lr, momentum=0.5).make(100)


@cache
def task_of(norm: bool = False, lr: float = 0.01, **fields) -> Task:
    return gan(Generator(norm), Discriminator(norm), adam(lr), adam(lr), latent_dim=DIM, **fields)


def start(task: Task, batch: dict | None = None):
    return jax.jit(task.init)(jax.random.PRNGKey(0), batch or batch_of())


def predict(task: Task, state, batch: dict | None = None):
    return devices.compile_predict(task, ONE)(state, batch or batch_of())
