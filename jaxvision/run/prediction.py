"""`--mode=predict`: what the network says of a user's images, into pictures, a page and files of figures."""

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from jaxvision.data import video
from jaxvision.data.decode import Pixels
from jaxvision.data.image_files import ImageFiles, images_and_others
from jaxvision.run import prediction_files, prediction_page, report
from jaxvision.run.network import ready
from jaxvision.run.prediction_page import FOLDER, Photo
from jaxvision.run.request import Request
from jaxvision.train import devices, progress
from jaxvision.train.restore import Run
from jaxvision.train.types import Batch, Experiment, Presentation, PyTree, Say, Shown
from jaxvision.train.writer import save_image, save_picture
from jaxvision.weights.imported import Imported

_NAMED = 5  # files that are left out, named in a line
_SMALL = 480  # pixels of the longer side of a copy in the page
_QUALITY = 90  # of a picture whose original is a JPEG
_JPEG = (".jpg", ".jpeg", ".jfif")


def predict(experiment: Experiment, run: Run, request: Request, imported: Imported | None = None) -> None:
    """Predict for the images of --input: a picture of each in predictions/, predictions.html, .json and .csv.

    Args:
        experiment: its last stage has the network, its presentation says how to show the outputs.
        run: where and how the stages are run.
        request: says which images and which checkpoint to use; its command goes into the page.
        imported: weights of a whole network to use instead of a checkpoint's.

    Raises:
        ValueError: the experiment predicts nothing for an image, --input is missing or names no image, or there is no
            checkpoint.
    """
    shown, flags = experiment.presentation, request.flags
    if shown is None:
        raise ValueError("--mode=predict: this experiment has nothing to predict for an image")
    records = asked_images("predict", flags.input, run)
    batches = shown.data(records)
    with progress.busy("reading the first images"):
        first = devices.first_batch(batches)
    network, state = ready(experiment.stages[-1], run, first, flags.checkpoint, imported)
    drawn = _Drawn(shown, run.workdir, records, Shown(flags.min_score, flags.max_shown))
    with devices.share(batches) as pages, progress.counting("predicting", len(records), "image") as advance:
        for page, batch in enumerate(pages):
            rows = numbered_rows(batch, page)
            if not rows:
                continue  # none of its images can be read
            outputs = network(state, batch)
            for row, index in rows:
                drawn.add(outputs, batch, row, index)
                advance()
            if shown.overlay is None:
                drawn.add_sheet(shown.draw(outputs, batch))
    files = prediction_files.write(run.workdir, drawn.said, shown.document(drawn.said))
    where = f"a picture of each in {run.workdir}/{FOLDER}, figures in " if shown.overlay else ""
    missing = len(records) - len(drawn.said)
    left_out = f", {missing} cannot be read" if missing else ""
    run.writer.say(f"{len(drawn.said)} of {len(records)} images{left_out}: {where}{run.workdir}/{', '.join(files)}")
    order = sorted(drawn.photos, key=lambda photo: photo.file)
    report.safely(
        lambda: prediction_page.write(run.workdir, order, drawn.sheets, request.command, files), run.writer.say
    )


def asked_images(mode: str, pattern: str, run: Run) -> ImageFiles:
    """Return the images of --input.

    Args:
        mode: the mode that reads them.
        pattern: the value of --input.
        run: its workdir takes the frames of a video.

    Raises:
        ValueError: there are no images, or several processes run.
    """
    if not pattern:
        raise ValueError(f"--mode={mode} needs --input: a file, a folder or a quoted pattern such as 'photos/*.jpg'")
    devices.require_one_process(f"--mode={mode}")
    return input_files(pattern, run.workdir, run.writer.say)


def numbered_rows(batch: Batch, number: int) -> list[tuple[int, int]]:
    """Return the rows of a batch that hold an image that was read, each with the image's number in the input.

    Batches of one canvas shape are not in the order of the files, and say which images they hold.

    Args:
        batch: the batch.
        number: how many batches came before it.
    """
    held = batch["_mask"]
    indices = batch.get("image_id", number * len(held) + np.arange(len(held)))
    return [(row, int(indices[row])) for row in np.flatnonzero(held).tolist()]


def input_files(pattern: str, workdir: Path, say: Say) -> ImageFiles:
    """Return the images of --input; of a video, its frames, which are put into the workdir.

    Args:
        pattern: a file, a folder or a glob; a video may be followed by ",every=N" for one frame in N.
        workdir: the folder of the run.
        say: is told how many files are no images, and their names.

    Raises:
        ValueError: there are no images, or the video cannot be read.
    """
    file, _, every = pattern.partition(",every=")
    if not video.is_video(file) or not Path(file).expanduser().is_file():
        found, others = images_and_others(pattern)
        if others:
            names = ", ".join(others[:_NAMED]) + (", …" if len(others) > _NAMED else "")
            say(f"{len(others)} files are no images by their names and are left out: {names}")
        return found
    if every and not (every.isdecimal() and int(every)):
        raise ValueError(f"--input={pattern}: every=N takes one frame in N, a number from 1")
    with progress.busy(f"reading the frames of {Path(file).name}"):
        frames = video.extract(str(Path(file).expanduser()), workdir / "frames", int(every or 1))
    return ImageFiles(tuple(frames))


class _Drawn:
    """The predictions of the images so far, and their pictures, each in a file named after its image."""

    def __init__(self, shown: Presentation, workdir: Path, records: ImageFiles, much: Shown) -> None:
        self._shown, self._workdir, self._records, self._much = shown, workdir, records, much
        self._stems = prediction_files.unique_stems(records.files)
        self.said: list[dict[str, Any]] = []
        self.photos: list[Photo] = []
        self.sheets = 0

    def add(self, outputs: PyTree, batch: Batch, row: int, index: int) -> None:
        """Describe and draw the image of a row, which is number `index` of the input."""
        file, stem = self._records.name(index), self._stems[index]
        said = {"file": file, **self._shown.describe(outputs, batch, row)}
        self.said.append(said)
        least = self._much.min_score
        found = tuple(pair for pair in prediction_files.classes(said) if least is None or pair[1] >= least)
        photo = Photo(file, found[: self._much.most])
        if self._shown.label_map is not None:
            save_picture(self._workdir / "label_maps" / f"{stem}.png", self._shown.label_map(outputs, batch, row))
        if self._shown.overlay is not None:
            image = self._records[index]["image"]
            picture = self._shown.overlay(image, outputs, batch, row, self._much)
            photo = self._save(photo, stem, picture)
        self.photos.append(photo)

    def add_sheet(self, picture: Pixels) -> None:
        """Save a picture of several images."""
        save_picture(self._workdir / f"predictions-{self.sheets:03d}.png", picture)
        self.sheets += 1

    def _save(self, photo: Photo, stem: str, picture: Pixels) -> Photo:
        jpeg = Path(photo.file).suffix.lower() in _JPEG
        large = Path(FOLDER) / f"{stem}{'.jpg' if jpeg else '.png'}"
        small = Path(FOLDER) / "small" / f"{stem}.jpg"
        image = Image.fromarray(picture)
        save_image(self._workdir / large, image, quality=_QUALITY)  # which a PNG has none of
        image.thumbnail((_SMALL, _SMALL))
        save_image(self._workdir / small, image, quality=_QUALITY)
        return photo._replace(picture=large.as_posix(), small=small.as_posix(), size=image.size)
