"""Five steps of each pretext task lead where the paper's loss on the same questions, written in torch, leads."""

from functools import partial

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from skimage import color

from jaxvision.losses.colorization import rebalancing
from jaxvision.models.dcgan import Discriminator
from jaxvision.models.pretext_heads import Colorizer, ContextEncoder, PieceClassifier
from jaxvision.models.resnet import ResNet
from jaxvision.ops.images import unit
from jaxvision.ops.lab import color_bins
from jaxvision.ops.patches import NEIGHBOURS
from jaxvision.ops.permutations import spread
from jaxvision.tasks.colorization import colorization
from jaxvision.tasks.context_encoder import context_encoder
from jaxvision.tasks.pretext import pretext
from jaxvision.tasks.questions import Questions, jigsaw, relative_patch, rotation
from jaxvision.train.optim import Optimizer
from jaxvision.train.steps import example_keys
from tests.equivalence.layers import F, Layers, Tensor, descend, flatten, nchw, sgd, small_resnet, torch
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
ROWS, SIZE, PUZZLES = 8, 32, 6
BATCHES = [{"image": photos(ROWS, SIZE, SIZE, seed)} for seed in range(STEPS)]
ASKS = {
    "rotation": rotation(mean=GREY, std=SPREAD),
    "relative_patch": relative_patch(mean=GREY, std=SPREAD, patch=8, gap=2, jitter=1, least_pixels=16),
    "jigsaw": jigsaw(jnp.asarray(spread(PUZZLES), jnp.int32), cell=10, tile=8, shift=1),
}
HEADS = {"rotation": (4, 0, 0), "relative_patch": (len(NEIGHBOURS), 12, 8), "jigsaw": (PUZZLES, 12, 16)}


def encoder() -> nn.Module:
    return ResNet(None, 10, stem="cifar", width=1 / 16)


def answer(net: Layers, pieces: np.ndarray) -> Tensor:
    """A tower for each piece, with shared weights, joined by a layer (Doersch et al. 2015, figure 3)."""
    count = pieces.shape[1]
    x = small_resnet(net.part("encoder"), nchw(pieces.reshape(-1, *pieces.shape[2:])))["pool"]
    if net.has("fc6"):
        x = F.relu(net.norm(net.dense(x, "fc6"), "fc6_bn"))
    x = x.reshape(len(x) // count, -1)
    if net.has("fc7"):
        x = F.relu(net.norm(net.dense(x, "fc7"), "fc7_bn"))
    return net.dense(x, "answer")


@pytest.mark.parametrize("name", list(ASKS))
def test_questions_that_are_answered_by_a_class(name: str):
    """With the recipe of Gidaris et al. 2018: Nesterov momentum, weight decay 5e-4 of kernels."""
    model = PieceClassifier(encoder(), *HEADS[name])
    optimizer = Optimizer(lr=0.003, weight_decay=5e-4, nesterov=True)
    task = pretext(model, optimizer.make(STEPS), ASKS[name], mean=GREY, std=SPREAD)
    run = five_steps(task, drawn(task, BATCHES[0]), BATCHES)
    ask = jax.jit(lambda state, images: ASKS[name](example_keys(state, ROWS, None), unit(images)))
    net, losses = Layers.of(run.states[0]), []
    steps = sgd(net.parameters(), 0.003, decay=5e-4, nesterov=True, decays=lambda path, leaf: leaf.dim() > 1)
    for step, batch in enumerate(BATCHES):
        asked: Questions = ask(run.states[step], jnp.asarray(batch["image"]))
        pieces = np.asarray(asked.pieces).reshape(-1, *asked.pieces.shape[2:])
        answers = torch.from_numpy(np.array(asked.answers)).long().flatten()
        losses.append(descend(steps, F.cross_entropy(answer(net, pieces), answers)))
    assert_losses(run.losses(), losses)
    assert_variables(run, net.arrays())


def up(net: Layers, x: Tensor, i: int) -> Tensor:
    return F.relu(net.norm(net.up(x, f"up{i}", 2, 1), f"up{i}_bn"))


def color_targets(lab: np.ndarray, bins: np.ndarray, cells: int) -> np.ndarray:
    """Zhang et al. 2016, section 2.2: Gaussian weights of the five nearest bins of a cell's mean colour."""
    side = lab.shape[1] // cells
    mean = lab[..., 1:].reshape(len(lab), cells, side, cells, side, 2).mean((2, 4))
    distances = ((mean[..., None, :] - bins) ** 2).sum(-1)
    weights = np.where(distances <= np.sort(distances, -1)[..., 4:5], np.exp(-distances / (2 * 5.0**2)), 0)
    return weights / weights.sum(-1, keepdims=True)


def lightness_alone(image: np.ndarray) -> np.ndarray:
    """Return sRGB of the same luminance without colour, in 0..255."""
    y = color.rgb2xyz(image)[..., 1:2]
    return np.repeat(255 * np.where(y > 0.0031308, 1.055 * y ** (1 / 2.4) - 0.055, 12.92 * y), 3, axis=-1)


def test_colorization_with_rebalanced_bins():
    bins = color_bins()
    frequencies = np.random.default_rng(2).uniform(0, 1, len(bins)).astype(np.float32)
    weights = np.asarray(jax.jit(rebalancing)(frequencies, bins))
    model = Colorizer(encoder(), len(bins))
    optimizer = Optimizer(rule="adam", lr=1e-3)
    task = colorization(model, optimizer.make(STEPS), mean=GREY, std=SPREAD, bins=bins, weights=jnp.asarray(weights))
    run = five_steps(task, drawn(task, BATCHES[0]), BATCHES)
    net, losses = Layers.of(run.states[0]), []
    adam = torch.optim.Adam(list(net.parameters().values()), 1e-3, (0.9, 0.999))
    for batch in BATCHES:
        lab = np.stack([color.rgb2lab(image) for image in batch["image"]])
        x = small_resnet(net.part("encoder"), nchw(lightness_alone(batch["image"]), GREY, SPREAD))["layer4"]
        logits = net.conv(up(net, x, 1), "colors").permute(0, 2, 3, 1)
        targets = color_targets(lab, bins.astype(np.float64), SIZE // 4)
        entropy = -(torch.from_numpy(targets) * logits.log_softmax(-1)).sum(-1)
        rarity = torch.from_numpy(weights.astype(np.float64)[targets.argmax(-1)])
        losses.append(descend(adam, (rarity * entropy).mean()))
    assert_losses(run.losses(), losses)
    assert_variables(run, net.arrays())


HOLE, OVERLAP, ADVERSARIAL = 16, 2, 0.1


def fill(net: Layers, images: Tensor) -> Tensor:
    """Pathak et al. 2016, section 3: a layer within each channel, one across channels, and transposed convolutions."""
    x = F.relu(_channelwise(net, small_resnet(net.part("encoder"), images)["layer4"]))
    x = F.relu(net.norm(net.conv(x, "across"), "across_bn"))
    return torch.tanh(net.up(up(net, x, 1), "fill", 2, 1))


def _channelwise(net: Layers, x: Tensor) -> Tensor:
    kernel, bias = net.leaf("bottleneck", "kernel"), net.leaf("bottleneck", "bias")
    flat = x.flatten(2)
    return torch.stack([flat[:, c] @ kernel[c] + bias[:, c] for c in range(len(kernel))], 1).reshape(x.shape)


def judged(net: Layers, x: Tensor) -> Tensor:
    x = F.leaky_relu(net.conv(x, "conv1", 2, 1), 0.2)
    x = F.leaky_relu(net.norm(net.conv(x, "conv2", 2, 1), "bn2"), 0.2)
    return net.dense(flatten(x), "score")[:, 0]


def test_context_encoder_with_its_judge():
    """Section 3.3: the judge steps first; then (1 - λ)·L2, ten times as heavy in the overlap, plus λ·adversarial."""
    adams = [Optimizer(rule="adam", lr=lr, momentum=0.5) for lr in (2e-3, 2e-4)]
    model, judge = ContextEncoder(encoder(), HOLE), Discriminator(HOLE, 1 / 32, 4)
    make = partial(context_encoder, hole=HOLE, overlap=OVERLAP, adversarial=ADVERSARIAL, mean=GREY, std=SPREAD)
    task = make(model, judge, *(adam.make(STEPS) for adam in adams))
    run = five_steps(task, drawn(task, BATCHES[0]), BATCHES)
    net = Layers.of(run.states[0])
    critic, everything = net.part("discriminator"), net.parameters()
    own = [leaf for path, leaf in everything.items() if not path.startswith("discriminator/")]
    steps = torch.optim.Adam(own, 2e-3, (0.5, 0.999))
    critics = torch.optim.Adam(list(critic.parameters().values()), 2e-4, (0.5, 0.999))
    low, high = (SIZE - HOLE) // 2, (SIZE + HOLE) // 2
    weights = torch.full((HOLE, HOLE), 10.0, dtype=torch.float64)
    weights[OVERLAP : HOLE - OVERLAP, OVERLAP : HOLE - OVERLAP] = 1
    found: dict[str, list[float]] = {"loss": [], "loss_discriminator": []}
    for batch in BATCHES:
        seen, truth = nchw(batch["image"], GREY, SPREAD), nchw(batch["image"], GREY, GREY)[:, :, low:high, low:high]
        seen[:, :, low + OVERLAP : high - OVERLAP, low + OVERLAP : high - OVERLAP] = 0
        filled = fill(net, seen)
        loss = F.softplus(-judged(critic, truth)).mean() + F.softplus(judged(critic, filled.detach())).mean()
        found["loss_discriminator"].append(descend(critics, loss))
        fooled = F.softplus(-judged(critic.forgetting(), filled)).mean()
        error = (weights * (filled - truth) ** 2).mean()
        found["loss"].append(descend(steps, (1 - ADVERSARIAL) * error + ADVERSARIAL * fooled))
    for name, losses in found.items():
        assert_losses(run.losses(name), losses)
    assert_variables(run, net.arrays())
