"""Inception as the judge of samples: how it is asked for, what figures are called, and how it sees images."""

import dataclasses
from pathlib import Path

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from experiments.gan import conditional, dcgan
from jaxvision.data.inputs import Inputs
from jaxvision.recipes import gan_inception
from jaxvision.recipes.gan import GanSetup, smoke
from jaxvision.recipes.gan_inception import InceptionJudge, judge_of
from jaxvision.recipes.gan_judge import GanJudge, JudgedGanConfig
from jaxvision.train.devices import first_batch
from jaxvision.train.steps import init_state

CONFIG = smoke(JudgedGanConfig(data="digits:count=32", batch_size=16, judge_steps=2))


def setup(**fields: object) -> GanSetup:
    config = dataclasses.replace(CONFIG, **fields)
    return GanSetup(Inputs().source(config.data), config, Inputs())


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "pt_inception.pth").touch()
    return tmp_path / "pt_inception.pth"


def test_a_judge_is_asked_for_by_name(file: Path):
    assert isinstance(judge_of(setup(), CONFIG), GanJudge)
    parts = setup(extractor=f"inception:{file}")
    judge = judge_of(parts, parts.config)
    assert isinstance(judge, InceptionJudge) and judge.stages() == () and judge.name == "inception"
    for wrong, said in (
        ("inception:", "write judge, or inception:FILE"),
        ("vgg:a", "write judge"),
        ("inception:no", "no such"),
    ):
        with pytest.raises(ValueError, match=f"--extractor={wrong}: {said}"):
            judge_of(parts, dataclasses.replace(CONFIG, extractor=wrong))


@pytest.mark.parametrize("experiment", [dcgan, conditional])
def test_nothing_is_trained_before_the_gan_and_figures_name_inception(experiment, file: Path, monkeypatch):
    config = dataclasses.replace(experiment.PRESETS["smoke"], extractor=f"inception:{file}")
    (stage,) = experiment.build(config, Inputs()).stages
    assert stage.name == "train" and stage.warm_start is not None
    monkeypatch.setattr(gan_inception.fid_inception, "read", lambda file: {"params": str(file)})
    state = init_state(jax.random.PRNGKey(0), {"params": {}}, {}, {"extractor": "random"})
    assert stage.warm_start(state, {}).aux["extractor"] == {"params": str(file)}
    (figures,) = [hook for hook in stage.hooks if hook.name == "val"]
    seen = iter(np.random.default_rng(0).normal(size=(8, 16, 4)).astype(np.float32))

    def predict(state, batch):
        features = next(seen)
        return {"features": features, "real_features": features + 1, "probabilities": np.full((16, 1008), 1 / 1008)}

    names = set(figures.run(predict, state))
    assert {
        "val/fid_inception_running",
        "val/kid_inception_running",
        "val/inception_score_inception_running",
    } <= names, names
    assert not [name for name in names if "resnet" in name or "class" in name]


class FirstRow(nn.Module):
    """A network whose features are the first channel of the image's first row."""

    @nn.compact
    def __call__(self, images):
        return {"pool": images[:, 0, :, 0], "logits": jnp.zeros((len(images), 1008))}


def test_images_are_seen_at_the_size_and_range_of_the_weights():
    images = jnp.asarray([[[[0.0] * 3, [255.0] * 3]] * 2])
    found = gan_inception._features(FirstRow(), {}, images)
    row = np.asarray(found["features"])[0]
    assert row.shape == (299,) and (row[0], row[-1]) == (-1.0, 1.0)
    np.testing.assert_allclose(row[149], 0.0, atol=1e-5)  # half-pixel centres: the middle is between both
    assert found["probabilities"].shape == (1, 1008)


def test_samples_are_compared_with_the_split_that_is_asked_for():
    parts = setup(judged_split="train[:50%]", flip=True)
    assert sum(int(b["_mask"].sum()) for b in parts.val()(0, 1)) == 16 != len(parts.source["val"])
    assert first_batch(parts.train())["image"].shape == (16, 32, 32, 3)


def test_cifars_preset_is_that_of_studiogan():
    config = dcgan.PRESETS["cifar10"]
    assert (config.batch_size, config.play.discriminator_steps, config.steps) == (2 * 64, 2, 200_000)
    assert (config.network.latent_dim, config.network.prior, config.judged_split) == (128, "normal", "train")
    assert config.flip and config.generator.lr == config.discriminator.lr == 2e-4 and config.generator.momentum == 0.5
    generator, discriminator = dcgan._networks(config)
    assert {type(net).__name__ for net in (generator, discriminator)} == {"StudioGenerator", "StudioDiscriminator"}
    other = dataclasses.replace(config, network=dataclasses.replace(config.network, size=64))
    with pytest.raises(ValueError, match="--network.size=64: StudioGAN's networks are of 32 pixels"):
        dcgan._networks(other)
