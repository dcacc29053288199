"""`--mode=sample`: images that a trained generator draws, with the latents that they were drawn from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float32, Int32, UInt8

from jaxvision.files import atomic_open
from jaxvision.run.network import ready
from jaxvision.run.request import Flags, Request
from jaxvision.train import devices, progress
from jaxvision.train.restore import Run
from jaxvision.train.types import Batch, Experiment, Predict, Sampler, Say, TrainState
from jaxvision.train.writer import save_picture
from jaxvision.weights.imported import Imported

FOLDER = "samples"
"""The folder of a workdir with the samples."""

_IN_GRID, _OF_CLASS = 400, 10  # most samples in the grid; of each class, where there are classes
_WAYS = 16  # most ways from a sample to the next


def sample(experiment: Experiment, run: Run, request: Request, imported: Imported | None = None) -> None:
    """Draw samples: samples/grid.png, a PNG of each, and latents.npz.

    Pictures that an earlier one left there are removed.

    Args:
        experiment: its last stage trains the generator, its sampler draws latents.
        run: where and how the stages are run.
        request: says how many samples, of which class, how far from the middle, and with which seed.
        imported: weights of a whole generator to use instead of a checkpoint's.

    Raises:
        ValueError: the experiment has no generator of images, there is no checkpoint, --label names no class, or
            --interpolate has a single sample.
    """
    from jaxvision.viz import gan as viz  # matplotlib takes a second, which the other modes need not wait

    sampler, flags = experiment.sampler, request.flags
    if sampler is None:
        raise ValueError("--mode=sample: this experiment draws no images; gan/dcgan, gan/conditional and gan/joint do")
    devices.require_one_process("--mode=sample")
    if flags.interpolate and flags.samples < 2:
        raise ValueError("--interpolate needs --samples of 2 or more")
    wanted = labels_of(sampler, flags.label, flags.samples)
    stage = experiment.stages[-1]
    assert stage.data is not None
    first = devices.first_batch(stage.data)
    network, state = ready(stage, run, first, flags.checkpoint, imported)
    z = sampler.draw(np.random.default_rng(flags.seed), flags.samples) * np.float32(flags.truncation)
    rows = len(first["image"])
    images = generated(network, state, z, wanted, rows)
    folder = run.workdir / FOLDER
    kept: dict[str, Any] = {"z": z, "seed": flags.seed, "truncation": flags.truncation}
    if wanted is not None:
        kept |= {"label": wanted, "class_names": np.array(sampler.class_names)}
        grid = viz.by_class(images, wanted, sampler.class_names, most=_OF_CLASS)
        shown = int(np.minimum(np.bincount(wanted), _OF_CLASS).sum())
    else:
        grid, shown = viz.samples(images, most=_IN_GRID), min(len(images), _IN_GRID)
    _remove_older(folder, len(images), run.writer.say)
    save_picture(folder / "grid.png", grid)
    for number, image in enumerate(images):
        save_picture(folder / f"{number:04d}.png", image)
    if flags.interpolate:
        save_picture(folder / "interpolations.png", _ways(network, state, sampler, z, wanted, rows, flags))
    with atomic_open(folder / "latents.npz") as file:
        np.savez(file, **kept)
    together = "together" if shown == len(images) else f"{shown} of them together"
    part = f" of the first {_WAYS + 1}" if len(images) > _WAYS + 1 else ""
    more = f" and interpolations.png{part}" if flags.interpolate else ""
    run.writer.say(f"{len(images)} samples in {folder}/, {together} in grid.png{more}; their latents in latents.npz")


def _remove_older(folder: Path, count: int, say: Say) -> None:
    """Remove what an earlier --mode=sample left there and the new one does not write over; `say` tells of it."""
    old = [path for path in folder.glob("*.png") if path.stem.isdecimal() and int(path.stem) >= count]
    old += [folder / "interpolations.png"] if (folder / "interpolations.png").exists() else []
    for path in old:
        path.unlink()
    if old:
        say(f"{folder}: removed {len(old)} pictures of an earlier --mode=sample")


def labels_of(sampler: Sampler, label: str, count: int) -> Int32[np.ndarray, " N"] | None:
    """Return the class of each sample, None for a generator without classes.

    Args:
        sampler: has the names of the classes.
        label: the name or the number of a class; "" for all in turn.
        count: the number of samples.

    Raises:
        ValueError: there is no such class, or the generator takes none.
    """
    names = sampler.class_names
    if not names:
        if label:
            raise ValueError(f"--label={label}: this generator is not told classes; gan/conditional's is")
        return None
    if not label:
        return np.arange(count, dtype=np.int32) % len(names)
    number = names.index(label) if label in names else int(label) if label.isdecimal() else -1
    if not 0 <= number < len(names):
        raise ValueError(f"--label={label}: should be one of {', '.join(names[:20])}{' …' if len(names) > 20 else ''}")
    return np.full(count, number, np.int32)


def generated(
    network: Predict,
    state: TrainState,
    z: Float32[np.ndarray, "N Z"],
    labels: Int32[np.ndarray, " N"] | None,
    rows: int,
) -> UInt8[np.ndarray, "N H W C"]:
    """Draw an image of each latent.

    Args:
        network: the compiled `predict`.
        state: the trained state.
        z: the latents.
        labels: the class of each, where the generator takes one.
        rows: rows of a batch, as many as the network was compiled for.
    """
    parts = progress.counted(list(_batches(z, labels, rows)), "drawing samples")
    return np.concatenate([np.asarray(network(state, batch)["samples"]) for batch in parts])[: len(z)]


def sampled_batch(sampler: Sampler) -> Batch:
    """Return a batch of one row, which shows the shapes that the generator reads, for an export."""
    batch = {"z": sampler.draw(np.random.default_rng(0), 1)}
    return {**batch, "label": np.zeros(1, np.int32)} if sampler.class_names else batch


def _batches(z: Float32[np.ndarray, "N Z"], labels: Int32[np.ndarray, " N"] | None, rows: int) -> Iterator[Batch]:
    """Yield batches of `rows` rows; the last one is filled up with its first rows."""
    for start in range(0, len(z), rows):
        index = np.resize(np.arange(start, min(start + rows, len(z))), rows)
        yield {"z": z[index], **({} if labels is None else {"label": labels[index]})}


def _ways(
    network: Predict,
    state: TrainState,
    sampler: Sampler,
    z: Float32[np.ndarray, "N Z"],
    labels: Int32[np.ndarray, " N"] | None,
    rows: int,
    flags: Flags,
) -> UInt8[np.ndarray, "H W 3"]:
    """Draw the ways from the first samples to the next ones, of the class of the first."""
    from jaxvision.viz import gan as viz

    count, most = max(flags.interpolate, 2), min(len(z) - 1, _WAYS)
    path = sampler.between(z[:most], z[1 : most + 1], count)
    own = None if labels is None else labels[:most].repeat(count)
    images = generated(network, state, path.reshape(-1, path.shape[-1]), own, rows)
    return viz.interpolations(images.reshape(most, count, *images.shape[1:]))
