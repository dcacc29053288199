"""`--mode=embed`: the features of a user's images, as arrays, as tables, and as a page of nearest neighbours."""

import csv
import io
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int
from PIL import Image

from jaxvision.data import decode
from jaxvision.files import atomic_open, atomic_write
from jaxvision.run.network import ready
from jaxvision.run.prediction import asked_images, numbered_rows
from jaxvision.run.prediction_files import unique_stems
from jaxvision.run.request import Request
from jaxvision.train import devices, progress
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment
from jaxvision.train.writer import save_image
from jaxvision.viz import page
from jaxvision.weights.imported import Imported

FOLDER = "embedding"
"""The folder of a workdir with the features."""

NEIGHBOURS = 6
_SMALL = 128  # pixels of the longer side of a picture in the page
_BLOCK = 1024  # rows whose similarities are computed at once
_MOST = 1000  # images on the page


def embed(experiment: Experiment, run: Run, request: Request, imported: Imported | None = None) -> None:
    """Compute the features of the images of --input: features.npz and .csv, two TSV files, and neighbours.html.

    Args:
        experiment: its last stage has the network, its embedding says how images are read.
        run: where and how the stages are run.
        request: says which images and which checkpoint to use.
        imported: weights of a whole network to use instead of a checkpoint's.

    Raises:
        ValueError: the experiment has no features of whole images, --input is missing or names no image that can be
            read, or there is no checkpoint.
    """
    flags = request.flags
    if experiment.embedding is None:
        raise ValueError(
            "--mode=embed: this experiment has no features of whole images; classifiers and the methods of ssl do"
        )
    records = asked_images("embed", flags.input, run)
    data = experiment.embedding(records)
    network, state = ready(experiment.stages[-1], run, devices.first_batch(data), flags.checkpoint, imported)
    rows: list[np.ndarray] = []
    read: list[int] = []
    with devices.share(data) as batches, progress.counting("embedding", len(records), "image") as advance:
        for number, batch in enumerate(batches):
            features = np.asarray(network(state, batch)["features"], np.float32)
            for row, index in numbered_rows(batch, number):
                rows.append(features[row])
                read.append(index)
                advance()
    if not rows:
        raise ValueError(f"--input={flags.input}: none of its {len(records)} images can be read")
    names = [records.name(index) for index in read]
    folder = run.workdir / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    features = np.stack(rows)
    write_features(folder, names, features)
    page_path = write_neighbours(folder, names, features)
    missing = f", {len(records) - len(names)} cannot be read" if len(names) < len(records) else ""
    run.writer.say(
        f"{len(names)} of {len(records)} images{missing}: {features.shape[1]} features each in {folder}/features.npz "
        f"and .csv; neighbours in {page_path}; for projector.tensorflow.org: vectors.tsv and metadata.tsv"
    )


def write_features(folder: Path, names: Sequence[str], features: Float32[np.ndarray, "N F"]) -> None:
    """Write features.npz ("files", "features"), features.csv, vectors.tsv and metadata.tsv.

    Args:
        folder: the folder that they go into.
        names: the file of each row.
        features: the features.
    """
    with atomic_open(folder / "features.npz") as file:
        np.savez(file, files=np.array(names), features=features)
    columns = ["file", *(f"f{i}" for i in range(features.shape[1]))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([name, *map(_short, row)] for name, row in zip(names, features.tolist(), strict=True))
    atomic_write(folder / "features.csv", text.getvalue())
    atomic_write(folder / "vectors.tsv", "".join("\t".join(map(_short, row)) + "\n" for row in features.tolist()))
    # Of one column, a projector wants no heading.
    atomic_write(folder / "metadata.tsv", "".join(" ".join(name.split()) + "\n" for name in names))


def nearest(
    features: Float32[np.ndarray, "N F"], count: int
) -> tuple[Int[np.ndarray, "N K"], Float32[np.ndarray, "N K"]]:
    """Find the rows whose direction is nearest to that of each row, itself left out.

    Args:
        features: the rows.
        count: neighbours of each; fewer where there are not as many other rows.

    Returns:
        The positions, nearest first, and the cosines.
    """
    unit = features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)
    count = min(count, len(unit) - 1)
    places, cosines = [], []
    for start in range(0, len(unit), _BLOCK):
        alike = unit[start : start + _BLOCK] @ unit.T
        alike[np.arange(len(alike)), start + np.arange(len(alike))] = -np.inf
        best = np.argsort(-alike, axis=1, kind="stable")[:, :count]
        places.append(best)
        cosines.append(np.take_along_axis(alike, best, axis=1))
    return np.concatenate(places), np.concatenate(cosines).astype(np.float32)


def write_neighbours(folder: Path, names: Sequence[str], features: Float32[np.ndarray, "N F"]) -> Path:
    """Write neighbours.html: each image, and beside it those with the nearest features; return its path.

    Args:
        folder: the folder that it goes into, with the small copies of the images in small/.
        names: the file of each row.
        features: the features.
    """
    shown = np.unique(np.linspace(0, len(names) - 1, min(len(names), _MOST)).round().astype(int))
    places, cosines = nearest(features, NEIGHBOURS)
    needed = sorted({int(i) for i in shown} | {int(i) for i in places[shown].ravel()})
    stems = unique_stems(names)
    small = {i: _small_copy(folder, names[i], stems[i]) for i in progress.counted(needed, "small copies", unit="image")}
    lines = []
    for row in shown.tolist():
        near = zip(places[row].tolist(), cosines[row].tolist(), strict=True)
        cells = "".join(_figure(folder, names[i], small[i], f"{cosine:.3f}") for i, cosine in near)
        lines.append(f'<li>{_figure(folder, names[row], small[row], "")}<div class="near">{cells}</div></li>')
    more = f" {len(shown)} of {len(names)} images are shown, spread evenly." if len(shown) < len(names) else ""
    parts = (
        "<h1>Nearest neighbours</h1>",
        f"<p>Each image, and beside it those whose features point most nearly the same way, with the cosine.{more}</p>",
        f'<ul class="rows">{"".join(lines)}</ul>',
    )
    path = folder / "neighbours.html"
    atomic_write(path, page.document("Nearest neighbours", parts, style=_STYLE))
    return path


def _figure(folder: Path, name: str, small: str, caption: str) -> str:
    original = Path(os.path.relpath(Path(name).absolute(), folder.absolute()))
    words = page.text(caption) or page.name(Path(name).name)
    image = f'<img loading="lazy" alt="{page.text(Path(name).name)}" src="{page.address(Path(small))}">'
    return f'<figure><a href="{page.address(original)}">{image}</a><figcaption>{words}</figcaption></figure>'


def _small_copy(folder: Path, name: str, stem: str) -> str:
    path = folder / "small" / f"{stem}.jpg"
    image = decode.Encoded(name)
    scale = min(1.0, _SMALL / max(image.width, image.height))
    size = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    copy = Image.fromarray(decode.crop(image, (0.0, 0.0, float(image.width), float(image.height)), size))
    save_image(path, copy, quality=85)
    return path.relative_to(folder).as_posix()


def _short(value: float) -> str:
    return f"{value:.6g}"


_STYLE = """
.rows{list-style:none;padding:0}.rows li{display:flex;gap:24px;padding:12px 0;border-bottom:1px solid var(--thin);
content-visibility:auto;contain-intrinsic-size:auto 150px}.rows figure{width:128px;flex:none}
.rows li>figure{border-right:1px solid var(--line);padding-right:20px;width:160px}
.near{display:flex;flex-wrap:wrap;gap:12px}.rows img{width:128px;height:112px;object-fit:contain;background:var(--soft)}
"""
