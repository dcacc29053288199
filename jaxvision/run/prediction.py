"""`--mode=predict`: what the network says of a user's images, into predictions.json, pictures and a page."""

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np

from jaxvision.data.image_files import image_files, other_files
from jaxvision.files import atomic_write
from jaxvision.run import report
from jaxvision.run.network import ready
from jaxvision.run.request import Request
from jaxvision.train import devices
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment
from jaxvision.train.writer import save_picture
from jaxvision.weights.imported import Imported

_NAMED = 5  # files that are left out, named in a line


def predict(experiment: Experiment, run: Run, request: Request, imported: Imported | None = None) -> None:
    """Predict for the images of --input, and write predictions.json, predictions-….png, predictions.html.

    Args:
        experiment: its last stage has the network, its presentation says how to show the outputs.
        run: where and how the stages are run.
        request: says which images and which checkpoint to use; its command goes into the page.
        imported: weights of a whole network to use instead of a checkpoint's.

    Raises:
        ValueError: the experiment predicts nothing for an image, --input is missing or names no image, or there is no
            checkpoint.
    """
    shown = experiment.presentation
    if shown is None:
        raise ValueError("--mode=predict: this experiment has nothing to predict for an image")
    if not request.flags.input:
        raise ValueError("--mode=predict needs --input: a file, a folder or a quoted pattern such as 'photos/*.jpg'")
    if jax.process_count() > 1:
        raise ValueError("--mode=predict runs in one process: leave --num_processes out")
    records, others = image_files(request.flags.input), other_files(request.flags.input)
    if others:
        names = ", ".join(others[:_NAMED]) + (", …" if len(others) > _NAMED else "")
        run.writer.say(f"{len(others)} files are no images by their names and are left out: {names}")
    batches = shown.data(records)
    first = devices.first_batch(batches)
    network, state = ready(experiment.stages[-1], run, first, request.flags.checkpoint, imported)
    predictions: list[dict[str, Any]] = []
    stems, pictures = _unique_stems(records.files), 0
    with devices.share(batches) as pages:
        for page, batch in enumerate(pages):
            rows = np.flatnonzero(batch["_mask"])
            if not rows.size:
                continue  # none of its images can be read
            outputs = network(state, batch)
            # Batches of one canvas shape are not in the order of the files, and say which images they hold.
            indices = batch.get("image_id", page * len(batch["_mask"]) + np.arange(len(batch["_mask"])))
            for r in rows:
                file = records.name(int(indices[r]))
                predictions.append({"file": file, **shown.describe(outputs, batch, int(r))})
            save_picture(run.workdir / f"predictions-{pictures:03d}.png", shown.draw(outputs, batch))
            pictures += 1
            if shown.label_map is not None:
                for r in rows:
                    path = run.workdir / "label_maps" / f"{stems[int(indices[r])]}.png"
                    save_picture(path, shown.label_map(outputs, batch, int(r)))
    atomic_write(run.workdir / "predictions.json", json.dumps(shown.document(predictions), indent=2))
    count = f"{len(predictions)} of {len(records)} images"
    run.writer.say(f"{count}: {run.workdir}/predictions.json and predictions-000.png …")
    report.safely(partial(report.write_predictions, run.workdir, pictures, request.command), run.writer.say)


def _unique_stems(files: Sequence[str]) -> list[str]:
    """Return a unique stem for each file: "cat", or "cat-0", "cat-3" where several files are called cat."""
    stems = [Path(file).stem for file in files]
    counts = Counter(stems)
    taken, unique = {stem for stem in stems if counts[stem] == 1}, list[str]()
    for number, stem in enumerate(stems):
        if counts[stem] > 1:  # a file of another folder may be called cat-0 itself
            stem = next(name for name in (f"{stem}-{n}" for n in itertools.count(number)) if name not in taken)
            taken.add(stem)
        unique.append(stem)
    return unique
