"""Samples of a generator that draws its latent as a colour."""

from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from jaxvision.data.latents import draw_latents
from jaxvision.evals.latent_space import between
from jaxvision.run.request import Flags, Request
from jaxvision.run.sampling import labels_of, sample, sampled_batch
from jaxvision.train import devices, loop
from jaxvision.train.restore import Run
from jaxvision.train.steps import init_state, no_step
from jaxvision.train.types import Batch, Experiment, Sampler, Stage, Task, TrainState
from jaxvision.train.writer import Writer


def sampler_of(*names: str) -> Sampler:
    return Sampler(partial(draw_latents, dim=3, prior="uniform"), partial(between, prior="uniform"), names)


def predict(state: TrainState, batch: Batch) -> dict:
    shade = jnp.round(127.5 * (batch["z"] + 1)).astype(jnp.uint8)
    if "label" in batch:
        shade = shade.at[:, 0].set(batch["label"].astype(jnp.uint8))
    return {"samples": jnp.broadcast_to(shade[:, None, None], (len(shade), 4, 5, 3))}


class Images:
    """Batches of four images."""

    def __init__(self, shard: int, shards: int) -> None:
        self.close = lambda: None

    def __next__(self) -> Batch:
        return {"image": np.zeros((4, 4, 5, 3), np.uint8)}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    where = devices.choose("jit", jax.devices()[:1])
    return Run(tmp_path, jax.random.PRNGKey(0), where, Writer(tmp_path))


def experiment_of(run: Run, *names: str) -> Experiment:
    task = Task(lambda key, batch: init_state(key, {"params": {}}, {}), no_step, predict)
    experiment = Experiment((Stage("train", task, Images, 0),), sampler=sampler_of(*names))
    loop.train(experiment, run)
    return experiment


def test_samples_are_drawn_from_the_latents_that_are_kept(run: Run):
    flags = Flags(samples=6, seed=3, truncation=0.5, interpolate=3)
    sample(experiment_of(run), run, Request("gan/dcgan", None, flags, ""))
    kept = np.load(run.workdir / "samples" / "latents.npz")
    assert kept["z"].shape == (6, 3) and np.abs(kept["z"]).max() <= 0.5 and kept["seed"] == 3 and "label" not in kept
    for number in (0, 3, 5):  # of the first and the second batch, and the last of the second
        drawn = np.asarray(Image.open(run.workdir / "samples" / f"{number:04d}.png"))
        np.testing.assert_array_equal(drawn[2, 2], np.round(127.5 * (kept["z"][number] + 1)).astype(np.uint8))
    names = {path.name for path in (run.workdir / "samples").iterdir()}
    assert names == {*(f"{i:04d}.png" for i in range(6)), "grid.png", "interpolations.png", "latents.npz"}


def test_fewer_samples_leave_none_of_the_earlier_ones(run: Run, capsys: pytest.CaptureFixture[str]):
    experiment = experiment_of(run)
    sample(experiment, run, Request("gan/dcgan", None, Flags(samples=5, interpolate=3), ""))
    (run.workdir / "samples" / "mine.png").touch()  # which is not ours to remove
    sample(experiment, run, Request("gan/dcgan", None, Flags(samples=2), ""))
    names = {path.name for path in (run.workdir / "samples").iterdir()}
    assert names == {"0000.png", "0001.png", "grid.png", "latents.npz", "mine.png"}
    assert "removed 4 pictures of an earlier --mode=sample" in capsys.readouterr().err


def test_the_class_that_is_asked_for(run: Run, capsys: pytest.CaptureFixture[str]):
    experiment = experiment_of(run, "cat", "dog", "7")
    sample(experiment, run, Request("gan/conditional", None, Flags(samples=3, label="dog"), ""))
    assert np.asarray(Image.open(run.workdir / "samples" / "0002.png"))[0, 0, 0] == 1
    assert np.load(run.workdir / "samples" / "latents.npz")["label"].tolist() == [1, 1, 1]
    assert "3 samples" in (said := capsys.readouterr().err) and "/, together in grid.png;" in said
    sample(experiment, run, Request("gan/conditional", None, Flags(samples=18, label="dog", interpolate=2), ""))
    assert "10 of them together in grid.png and interpolations.png of the first 17;" in capsys.readouterr().err
    assert sampled_batch(experiment.sampler)["label"].tolist() == [0]


def test_labels_by_name_number_and_in_turn():
    sampler = sampler_of("cat", "dog", "7")
    assert labels_of(sampler, "", 5).tolist() == [0, 1, 2, 0, 1]
    assert [labels_of(sampler, label, 1).item() for label in ("dog", "0", "7")] == [1, 0, 2]
    for label in ("cow", "3", "-1"):
        with pytest.raises(ValueError, match=f"--label={label}: should be one of cat, dog, 7"):
            labels_of(sampler, label, 1)
    with pytest.raises(ValueError, match="is not told classes"):
        labels_of(sampler_of(), "cat", 1)
    assert labels_of(sampler_of(), "", 2) is None


def test_what_draws_no_images_is_refused(run: Run):
    with pytest.raises(ValueError, match="--mode=sample: this experiment draws no images"):
        sample(Experiment(()), run, Request("a/b", None, Flags(), ""))
    with pytest.raises(ValueError, match="--interpolate needs --samples of 2"):
        sample(experiment_of(run), run, Request("a/b", None, Flags(samples=1, interpolate=4), ""))
    assert not (run.workdir / "samples").exists()  # refused before anything is drawn
