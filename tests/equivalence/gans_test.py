"""Five steps of DCGAN and BiGAN, an update of each player, lead where the same game written in torch leads."""

import dataclasses

import jax
import numpy as np
import pytest

from jaxvision.models.dcgan import Discriminator, Encoder, Generator
from jaxvision.tasks import collapse
from jaxvision.tasks.gan import gan, latents
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import example_keys
from jaxvision.train.types import Task, TrainState
from tests.equivalence.layers import F, Layers, Tensor, descend, flatten, nchw, torch
from tests.equivalence.steps import (
    GREY,
    STEPS,
    Run,
    assert_losses,
    assert_variables,
    drawn,
    five_steps,
    photos,
)

pytestmark = pytest.mark.peer
SIZE, ROWS, LATENT, WIDTH = 16, 8, 6, 1 / 32
ADAM = Optimizer(rule="adam", lr=2e-4, momentum=0.5)  # Radford et al. 2016, section 4
BATCHES = [{"image": photos(ROWS, SIZE, SIZE, seed)} for seed in range(STEPS)]


def trained(task: Task) -> Run:
    def aux(state: TrainState, shapes: dict) -> dict:
        average = {"average": state.params["generator"], "average_state": state.model_state["generator"]}
        return {**average, "recent": collapse.healthy()}

    return five_steps(task, drawn(task, BATCHES[0], aux), BATCHES)


@jax.jit
def latents_of(state: TrainState) -> tuple[jax.Array, jax.Array]:
    """Draw the latents of a step: those that the discriminator learns from, then the generator's fresh ones."""
    keys = jax.vmap(lambda key: jax.random.split(key, 3))(example_keys(state, ROWS, None))
    return latents(keys[:, 0], LATENT, "uniform"), latents(keys[:, 1], LATENT, "uniform")


@dataclasses.dataclass(frozen=True)
class Players:
    """The networks, in torch."""

    net: Layers
    kernel: int

    def part(self, name: str, remembers: bool) -> Layers:
        part = self.net.part(name)
        return part if remembers else part.forgetting()

    def generate(self, z: Tensor, remembers: bool) -> Tensor:
        """Radford et al. 2016, section 3: batch norm and ReLU behind each layer but the last, then tanh."""
        net, (padding, more) = self.part("generator", remembers), {5: (2, 1), 4: (1, 0)}[self.kernel]
        x = net.dense(z, "project").reshape(len(z), 4, 4, -1).permute(0, 3, 1, 2)
        x = F.relu(net.norm(x, "bn0"))
        x = F.relu(net.norm(net.up(x, "layer1", 2, padding, more), "bn1"))
        return torch.tanh(net.up(x, "image", 2, padding, more))

    def judge(self, x: Tensor, remembers: bool, z: Tensor | None = None) -> Tensor:
        """Judge images; pairs with a latent, which meet in a hidden layer, too (Donahue et al. 2017, section 3)."""
        net = self.part("discriminator", remembers)
        seen = self._convolutions(net, x)
        logits = net.dense(seen, "score")
        if z is not None:
            hidden = F.leaky_relu(net.dense(torch.cat([seen, z], 1), "joint"), 0.2)
            logits = logits + net.dense(hidden, "joint_score")
        return logits[:, 0]

    def encode(self, x: Tensor, remembers: bool) -> Tensor:
        net = self.part("encoder", remembers)
        return net.dense(self._convolutions(net, x), "latent")

    def adam(self, name: str) -> torch.optim.Adam:
        return torch.optim.Adam(list(self.net.part(name).parameters().values()), 2e-4, (0.5, 0.999))

    def _convolutions(self, net: Layers, x: Tensor) -> Tensor:
        """Stride 2, LeakyReLU of slope 0.2, and batch norm behind each but the first."""
        padding = {5: 2, 4: 1}[self.kernel]
        x = F.leaky_relu(net.conv(x, "conv1", 2, padding), 0.2)
        return flatten(F.leaky_relu(net.norm(net.conv(x, "conv2", 2, padding), "bn2"), 0.2))


def given(run: Run, step: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return images and both kinds of latents of a step."""
    z, fresh = (torch.from_numpy(np.asarray(each, np.float64)) for each in latents_of(run.states[step]))
    return nchw(BATCHES[step]["image"], GREY, GREY), z, fresh


def entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


@pytest.mark.parametrize(("kernel", "smooth"), [(5, 0.0), (4, 0.1)])
def test_dcgan(kernel: int, smooth: float):
    """Real and fake images are normalised apart; the discriminator's statistics take in both, but not the last turn."""
    networks = Generator(SIZE, width=WIDTH, kernel=kernel), Discriminator(SIZE, WIDTH, kernel)
    run = trained(gan(*networks, ADAM.make(STEPS), ADAM.make(STEPS), latent_dim=LATENT, smooth=smooth))
    play = Players(Layers.of(run.states[0]), kernel)
    adams = {name: play.adam(name) for name in ("discriminator", "generator")}
    losses: dict[str, list[float]] = {name: [] for name in adams}
    for step in range(STEPS):
        images, z, fresh = given(run, step)
        fake = play.generate(z, remembers=False).detach()
        loss = entropy(play.judge(images, True), 1 - smooth) + entropy(play.judge(fake, True), 0.0)
        losses["discriminator"].append(descend(adams["discriminator"], loss))
        loss = entropy(play.judge(play.generate(fresh, True), False), 1.0)
        losses["generator"].append(descend(adams["generator"], loss))
    for name, values in losses.items():
        assert_losses(run.losses(f"loss_{name}"), values)
    assert_variables(run, play.net.arrays())


def test_bigan():
    """Generator and encoder learn together, each to have its pairs taken for the other's (Donahue et al. 2017)."""
    kernel = 4
    networks = Generator(SIZE, width=WIDTH, kernel=kernel), Discriminator(SIZE, WIDTH, kernel, latent_dim=LATENT)
    encoder = Encoder(LATENT, SIZE, WIDTH, kernel)
    run = trained(gan(*networks, ADAM.make(STEPS), ADAM.make(STEPS), latent_dim=LATENT, encoder=encoder))
    play = Players(Layers.of(run.states[0]), kernel)
    adams = {name: play.adam(name) for name in ("discriminator", "generator", "encoder")}
    losses: dict[str, list[float]] = {name: [] for name in adams}
    for step in range(STEPS):
        images, z, fresh = given(run, step)
        codes, fake = play.encode(images, False).detach(), play.generate(z, False).detach()
        loss = entropy(play.judge(images, True, codes), 1.0) + entropy(play.judge(fake, True, z), 0.0)
        losses["discriminator"].append(descend(adams["discriminator"], loss))
        terms = {
            "generator": entropy(play.judge(play.generate(fresh, True), False, fresh), 1.0),
            "encoder": entropy(play.judge(images, False, play.encode(images, True)), 0.0),
        }
        for name, term in terms.items():
            losses[name].append(descend(adams[name], term))
    for name, values in losses.items():
        assert_losses(run.losses(f"loss_{name}"), values)
    assert_variables(run, play.net.arrays())
