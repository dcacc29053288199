"""DCGAN: the paper's shapes and parameters, conditions, and edits on the way."""

from collections.abc import Callable
from functools import partial

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jaxvision.losses.gan import gradient_penalty
from jaxvision.models.dcgan import Discriminator, Encoder, Generator, Rules


def count(net, *inputs) -> int:
    variables = jax.eval_shape(lambda: net.init(jax.random.PRNGKey(0), *inputs, train=True))
    return sum(int(np.prod(p.shape)) for p in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize(("kernel", "taps"), [(5, 25), (4, 16)])
def test_parameters_by_hand(kernel: int, taps: int):
    """1024 channels at 4×4 and half as many at each finer map; no bias where batch norm follows."""
    hidden = taps * (1024 * 512 + 512 * 256 + 256 * 128)
    norms = 2 * (512 + 256 + 128)
    ends = 100 * 16 * 1024 + 2 * 1024 + taps * 128 * 3 + 3
    assert count(Generator(64, kernel=kernel), jnp.zeros((1, 100))) == hidden + norms + ends
    ends = taps * 3 * 128 + 128 + 2 * 1024 + 16 * 1024 + 1
    assert count(Discriminator(64, kernel=kernel), jnp.zeros((1, 64, 64, 3))) == hidden + norms - 2 * 128 + ends


@pytest.mark.parametrize("size", [16, 32, 64])
@pytest.mark.parametrize("kernel", [4, 5])
def test_images_fill_their_range_and_maps_double(size: int, kernel: int, filled: Callable):
    net = Generator(size, 1, 1 / 32, kernel)
    z = jax.random.normal(jax.random.PRNGKey(0), (4, 10))
    apply = jax.jit(partial(net.apply, train=True, mutable=["batch_stats"]))
    features, _ = apply(filled(net, z), z)
    sides = sorted(m.shape[1] for m in features.values())
    assert sides == [4 * 2**i for i in range(len(sides))] and features["image"].shape == (4, size, size, 1)
    assert jnp.abs(features["image"]).max() <= 1
    judged = Discriminator(size, 1 / 32, kernel)
    look = partial(judged.init_with_output, train=False)
    seen, _ = jax.eval_shape(look, jax.random.PRNGKey(0), features["image"])
    assert seen["logits"].shape == (4,) and seen["features"].shape == (4, 16 * seen[f"layer{len(sides) - 1}"].shape[-1])


def test_weights_are_drawn_as_the_paper_says():
    """N(0, 0.02²); scales of batch norm around 1; neither batch norm at the image nor at the discriminator's input."""
    z, images = jnp.zeros((1, 100)), jnp.zeros((1, 32, 32, 3))
    key = jax.random.PRNGKey(0)
    made = jax.jit(partial(Generator(32, width=1 / 4, kernel=4).init, train=True))(key, z)["params"]
    judged = jax.jit(partial(Discriminator(32, 1 / 4, 4).init, train=True))(key, images)["params"]
    assert set(made) == {"project", "bn0", "layer1", "bn1", "layer2", "bn2", "image"}
    assert set(judged) == {"conv1", "conv2", "bn2", "conv3", "bn3", "score"}
    for layer in (*made.values(), *judged.values()):
        for name, values in layer.items():
            if name == "bias":
                assert not values.any()
            else:
                center = 1.0 if name == "scale" else 0.0
                np.testing.assert_allclose(values.mean(), center, atol=0.1 / values.size**0.5)
                np.testing.assert_allclose(values.std(), 0.02, rtol=4 / values.size**0.5)


def layers(net, *inputs) -> dict[str, set[str]]:
    """The parameters of each layer."""
    variables = jax.eval_shape(lambda: net.init(jax.random.PRNGKey(0), *inputs, train=True))
    return {name: set(layer) for name, layer in variables["params"].items()}


@pytest.mark.parametrize(
    ("rules", "of_generator", "of_discriminator"),
    [
        (Rules(), ("bn0", "bn1", "bn2"), ("bn2", "bn3")),
        (Rules("everywhere"), ("bn0", "bn1", "bn2", "bn_image"), ("bn1", "bn2", "bn3")),
        (Rules("generator"), ("bn0", "bn1", "bn2"), ()),
        (Rules("nowhere"), (), ()),
        (Rules("nowhere", hidden=7), (), ()),
        (Rules(hidden=7), ("bn0", "bn1", "bn2", "bn_hidden"), ("bn2", "bn3")),
    ],
)
def test_batch_norm_stands_where_the_rules_say_and_a_bias_where_it_does_not(rules, of_generator, of_discriminator):
    made = layers(Generator(32, 3, 1 / 32, 4, rules=rules), jnp.zeros((1, 5)))
    judged = layers(Discriminator(32, 1 / 32, 4, rules=rules), jnp.zeros((1, 32, 32, 3)))
    assert {name for name in made if name.startswith("bn")} == {*of_generator}
    assert {name for name in judged if name.startswith("bn")} == {*of_discriminator}
    follows = {"project": "bn0", "layer1": "bn1", "layer2": "bn2", "image": "bn_image", "hidden": "bn_hidden"}
    for name, norm in follows.items():
        assert name not in made or ("bias" in made[name]) == (norm not in made)
    for name in ("conv1", "conv2", "conv3"):
        assert ("bias" in judged[name]) == (name.replace("conv", "bn") not in judged)
    assert ("hidden" in made) == ("hidden" in judged) == bool(rules.hidden)


def test_pooling_keeps_the_maps_and_relu_cuts_what_is_below_zero():
    z, images = jnp.ones((1, 5)), jnp.asarray(np.random.default_rng(0).uniform(-1, 1, (1, 32, 32, 3)), jnp.float32)
    key, rules = jax.random.PRNGKey(0), Rules("nowhere", leaky=False, pooling=True)
    pooled, strided = (
        jax.eval_shape(partial(net.init_with_output, train=False), key, z)[0]
        for net in (Generator(32, 3, 1 / 32, 4, rules=rules), Generator(32, 3, 1 / 32, 4))
    )
    assert {k: v.shape for k, v in pooled.items()} == {k: v.shape for k, v in strided.items()}
    judged, variables = Discriminator(32, 1 / 32, 4, rules=rules).init_with_output(key, images, train=False)
    kernel = variables["params"]["conv1"]["kernel"]
    assert kernel.shape[:2] == (5, 5)
    plain = jax.lax.conv_general_dilated(
        images, kernel, (1, 1), ((2, 2), (2, 2)), dimension_numbers=("NHWC", "HWIO", "NHWC")
    )
    wanted = jax.nn.relu(plain.reshape(1, 16, 2, 16, 2, -1).max(axis=(2, 4)))
    np.testing.assert_allclose(judged["layer1"], wanted, atol=1e-6)


def test_conditions_are_seen():
    z, labels = jnp.ones((3, 8)), jnp.array([0, 1, 1])
    net = Generator(32, 3, 1 / 32, 4, num_classes=2)
    init_with_output = jax.jit(partial(net.init_with_output, train=False))
    images = init_with_output(jax.random.PRNGKey(0), z, labels)[0]["image"]
    assert jnp.abs(images[0] - images[1]).max() > 1e-5
    # Rows of a product need not be equal to the bit.
    chex.assert_trees_all_close(images[1], images[2], rtol=0, atol=1e-9)
    for condition in ("projection", "concat"):
        judge = Discriminator(32, 1 / 32, 4, 2, condition)
        same = jnp.broadcast_to(images[:1], images.shape)
        init_with_output = jax.jit(partial(judge.init_with_output, train=False))
        logits = init_with_output(jax.random.PRNGKey(0), same, labels)[0]["logits"]
        assert logits[0] != logits[1] and logits[1] == logits[2]


def test_pairs_with_latents():
    images, z = jnp.zeros((2, 32, 32, 3)), jnp.array([[0.0] * 5, [1.0] * 5])
    judge = Discriminator(32, 1 / 32, 4, latent_dim=5)
    logits, _ = jax.jit(partial(judge.init_with_output, train=False))(jax.random.PRNGKey(0), images, None, z)
    assert logits["logits"][0] != logits["logits"][1]
    encoder = Encoder(5, 32, 1 / 32, 4)
    out, _ = jax.eval_shape(partial(encoder.init_with_output, train=False), jax.random.PRNGKey(0), images)
    assert out["z"].shape == (2, 5)


def test_an_edit_replaces_a_map_before_the_next_layer():
    net, z = Generator(32, 3, 1 / 32, 4), jnp.ones((2, 8))
    variables = net.init(jax.random.PRNGKey(0), z, train=False)
    whole = net.apply(variables, z, train=False)
    map_ = whole["layer1"]
    again = net.apply(variables, 0 * z, train=False, edit={"layer1": lambda _: map_})
    np.testing.assert_allclose(again["image"], whole["image"], atol=1e-6)
    ablated = net.apply(variables, z, train=False, edit={"layer1": lambda x: x.at[..., 0].set(0.0)})
    assert (ablated["layer1"][..., 0] == 0).all() and jnp.abs(ablated["image"] - whole["image"]).max() > 0


def test_an_edit_may_stand_for_the_image_and_must_name_a_map():
    net, z = Generator(32, 3, 1 / 32, 4), jnp.ones((1, 8))
    variables = net.init(jax.random.PRNGKey(0), z, train=False)
    assert (net.apply(variables, z, train=False, edit={"image": lambda x: 0 * x})["image"] == 0).all()
    with pytest.raises(ValueError, match="edit names layer9: choose of project, layer1, layer2, image"):
        net.apply(variables, z, train=False, edit={"layer9": lambda x: x})


def test_the_penalty_of_a_discriminator_has_the_gradients_of_plain_convolutions():
    """The convolutions have a derivative of their own, which the penalty differentiates once more."""
    rng = np.random.default_rng(0)
    real, fake = (jnp.asarray(rng.uniform(-1, 1, (2, 32, 32, 3)), jnp.float32) for _ in range(2))
    net = Discriminator(32, 1 / 32, 4, norm=None)
    params = net.init(jax.random.PRNGKey(0), real, train=True)["params"]
    params = jax.tree.map(lambda p: 10 * p, params)  # slopes near 1

    def plain(params, x):
        for i in (1, 2, 3):
            kernel, bias = params[f"conv{i}"]["kernel"], params[f"conv{i}"]["bias"]
            numbers = ("NHWC", "HWIO", "NHWC")
            x = jax.lax.conv_general_dilated(x, kernel, (2, 2), ((1, 1), (1, 1)), dimension_numbers=numbers)
            x = jax.nn.leaky_relu(x + bias[None, None, None], 0.2)
        return x.reshape(len(x), -1) @ params["score"]["kernel"][:, 0]

    ours = lambda p, x: net.apply({"params": p}, x, train=True)["logits"]  # noqa: E731
    found, wanted = (
        jax.jit(jax.grad(lambda p: gradient_penalty(lambda x: f(p, x), real, fake, jax.random.PRNGKey(1))))(params)  # noqa: B023
        for f in (ours, plain)
    )
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-4 * float(jnp.abs(b).max()) + 1e-7)
    assert jnp.abs(found["conv1"]["kernel"]).max() > 0


def test_what_is_judged_is_what_was_asked_for():
    images, labels, z = jnp.zeros((2, 32, 32, 3)), jnp.array([0, 1]), jnp.ones((2, 5))
    key = jax.random.PRNGKey(0)
    with pytest.raises(ValueError, match="num_classes=None.* got a label"):
        Discriminator(32).init(key, images, labels, train=True)
    with pytest.raises(ValueError, match="num_classes=2.* got no label"):
        Discriminator(32, num_classes=2).init(key, images, train=True)
    with pytest.raises(ValueError, match="latent_dim=5.* got no z"):
        Discriminator(32, latent_dim=5).init(key, images, train=True)
    with pytest.raises(ValueError, match="latent_dim=None.* got a z"):
        Discriminator(32).init(key, images, None, z, train=True)
    with pytest.raises(ValueError, match="2 classes got no label"):
        Generator(32, num_classes=2).init(key, z, train=True)


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="size 48, kernel 5: choose size 16, 32 or 64"):
        Generator(48).init(jax.random.PRNGKey(0), jnp.zeros((1, 8)), train=False)
    with pytest.raises(ValueError, match="size 32 got 64x64 images"):
        Discriminator(32).init(jax.random.PRNGKey(0), jnp.zeros((1, 64, 64, 3)), train=False)


def twins(size: int, kernel: int, width: int) -> tuple:
    """Torch modules of the same layers; a linear projection of the latent as a transposed convolution of a pixel."""
    torch = pytest.importorskip("torch")
    nn, deep = torch.nn, {32: 3, 64: 4}[size]
    pad = {"padding": 2 if kernel == 5 else 1}
    more = {"output_padding": 1} if kernel == 5 else {}
    channels = [width * 2**i for i in range(deep)]
    up = [nn.ConvTranspose2d(10, channels[-1], 4, bias=False), nn.BatchNorm2d(channels[-1]), nn.ReLU()]
    for a, b in zip(channels[:0:-1], channels[-2::-1], strict=True):
        up += [nn.ConvTranspose2d(a, b, kernel, 2, bias=False, **pad, **more), nn.BatchNorm2d(b), nn.ReLU()]
    up += [nn.ConvTranspose2d(width, 3, kernel, 2, **pad, **more), nn.Tanh()]
    down = [nn.Conv2d(3, width, kernel, 2, **pad), nn.LeakyReLU(0.2)]
    for a, b in zip(channels, channels[1:], strict=False):
        down += [nn.Conv2d(a, b, kernel, 2, bias=False, **pad), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*up), nn.Sequential(*down, nn.Conv2d(channels[-1], 1, 4))


def converted(module, names: list[str]) -> dict:
    """Variables under `names`, in the order of the layers that have any; kernels as [K, L, in, out]."""
    out = {"params": {}, "batch_stats": {}}
    for name, layer in zip(names, [m for m in module if list(m.parameters())], strict=True):
        if name.startswith("bn"):
            leaves = {"scale": layer.weight, "bias": layer.bias}
            out["batch_stats"][name] = {"mean": layer.running_mean.numpy(), "var": layer.running_var.numpy()}
        else:
            kernel = layer.weight.permute(2, 3, 0, 1) if "Transpose" in type(layer).__name__ else layer.weight
            kernel = kernel if "Transpose" in type(layer).__name__ else kernel.permute(2, 3, 1, 0)
            if name == "project":
                kernel = kernel.permute(2, 0, 1, 3).reshape(kernel.shape[2], -1)
            leaves = {"kernel": kernel.reshape(-1, 1) if name == "score" else kernel}
            leaves |= {} if layer.bias is None else {"bias": layer.bias}
        out["params"][name] = {k: v.detach().numpy() for k, v in leaves.items()}
    return out


@pytest.mark.peer
@pytest.mark.parametrize(("size", "kernel"), [(32, 4), (32, 5), (64, 4), (64, 5)])
def test_torch_twins_have_the_same_parameters_and_outputs(size: int, kernel: int):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    generator, discriminator = twins(size, kernel, width=4)
    for layer in [*generator, *discriminator]:
        if isinstance(layer, torch.nn.BatchNorm2d):
            for tensor in (layer.weight.data, layer.running_var, layer.bias.data, layer.running_mean):
                tensor.uniform_(0.5, 1.5)
    maps = {32: 3, 64: 4}[size]
    names = ["project", "bn0", *(n for i in range(1, maps) for n in (f"layer{i}", f"bn{i}")), "image"]
    ours = [Generator(size, 3, 1 / 32, kernel), Discriminator(size, 1 / 32, kernel)]
    variables = [converted(generator, names)]
    names = ["conv1", *(n for i in range(2, maps + 1) for n in (f"conv{i}", f"bn{i}")), "score"]
    variables.append(converted(discriminator, names))
    z = np.random.default_rng(0).normal(size=(3, 10)).astype(np.float32)
    inputs = [jnp.asarray(z), jnp.asarray(np.random.default_rng(1).uniform(-1, 1, (3, size, size, 3)), jnp.float32)]
    theirs = [torch.from_numpy(z)[..., None, None], torch.from_numpy(np.asarray(inputs[1]).transpose(0, 3, 1, 2))]
    for i, (net, module) in enumerate(zip(ours, (generator, discriminator), strict=True)):
        assert count(net, inputs[i]) == sum(p.numel() for p in module.parameters())
        for train in (False, True):
            outputs, _ = net.apply(variables[i], inputs[i], train=train, mutable=["batch_stats"])
            with torch.no_grad():
                wanted = module.train(train)(theirs[i]).numpy()
            found = outputs["image"].transpose(0, 3, 1, 2) if i == 0 else outputs["logits"]
            np.testing.assert_allclose(found, wanted.reshape(found.shape), atol=2e-5)


def test_half_width_counts_are_the_torch_examples():
    """64 channels at the finest map are half the paper's; that code gives its first and last layers no bias."""
    assert count(Generator(64, 3, 0.5, 4), jnp.zeros((1, 100))) == 3_576_704 + 3
    assert count(Discriminator(64, 0.5, 4), jnp.zeros((1, 64, 64, 3))) == 2_765_568 + 64 + 1
