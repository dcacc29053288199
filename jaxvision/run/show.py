"""`--mode=show`: the training data as the network will see it, as a page and pictures; also for a run's report."""

import json
from pathlib import Path
from typing import Any

from jaxvision.data.classes import NO_DATA
from jaxvision.data.inputs import Inputs
from jaxvision.data.source_log import SourceLog
from jaxvision.files import atomic_write
from jaxvision.run.data_section import section
from jaxvision.run.overview import Overview, collect
from jaxvision.run.request import Request
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment, Say
from jaxvision.train.writer import save_picture
from jaxvision.viz import page

DATA = "data.json"  # the overview of a run's training data, for its report

_NAMED = 20  # classes in a line


def show(experiment: Experiment, run: Run, request: Request, inputs: Inputs, log: SourceLog) -> None:
    """Write show.html and show-….png about the training data.

    Args:
        experiment: its stages have the training data.
        run: its workdir gets the files.
        request: the experiment's name and settings, and the command for the page.
        inputs: opens the data.
        log: the sources that were opened.

    Raises:
        ValueError: the experiment has no training data.
    """
    if not log.opened or getattr(request.config, "data", "") == NO_DATA:
        raise ValueError(f"--mode=show: {request.experiment} has no training data to show; give it with --data")
    overview = collect(experiment, inputs, request.config, log)
    document = _save(overview, run.workdir, "show")
    title = f"Data of {request.experiment}"
    parts = (f"<h1>{page.text(title)}</h1>", page.command(request.command), section("Data", document, run.workdir))
    atomic_write(run.workdir / "show.html", page.document(title, parts))
    for line in lines(document):
        run.writer.say(line)
    run.writer.say(f"written to {run.workdir}/show.html; {len(overview.pictures)} pictures beside it")


def keep(experiment: Experiment, workdir: Path, config: Any, inputs: Inputs, log: SourceLog, say: Say) -> None:
    """Write data.json and pictures of the first training batches, for the report, in a moment also of large sets.

    An error becomes a line: broken data stops the training itself, with the same reason.

    Args:
        experiment: its stages have the training data.
        workdir: of the run.
        config: the experiment's settings.
        inputs: opens the data.
        log: the sources that were opened.
        say: shows the user a line.
    """
    try:
        overview = collect(experiment, inputs, config, log, most=300, seconds=0.1)
        atomic_write(workdir / DATA, json.dumps(_save(overview, workdir, "images/data")))
    except Exception as error:
        say(f"the report has no overview of the data: {type(error).__name__}: {error}")


def lines(document: dict[str, Any]) -> list[str]:
    """Return a line for each split of an overview, with the images or objects of its most frequent classes."""
    said = []
    for source in document["sources"]:
        first, unit = (1 if source["unit"] == "objects" else 0), source["unit"]
        for split in source["splits"]:
            amounts = list(zip(source["class_names"], split["classes"], strict=True))[first:]
            counted = sorted((pair for pair in amounts if pair[1]), key=lambda pair: -pair[1])
            shown = ", ".join(f"{name} {amount}" for name, amount in counted[:_NAMED])
            rest = f" and {len(counted) - _NAMED} more classes" if len(counted) > _NAMED else ""
            partly = f" in {split['read']} of them" if split["read"] < split["images"] else ""
            if shown and unit != "pixels":
                of_objects = f", {sum(amount for _, amount in counted)} objects" if unit == "objects" else ""
                said.append(f"{split['name']}: {split['images']} images{of_objects}{partly}: {shown}{rest}")
    return said


def _save(overview: Overview, workdir: Path, prefix: str) -> dict[str, Any]:
    """Save the pictures under a prefix; return the document with their paths from the workdir."""
    files = {name: f"{prefix}-{name}" for name in overview.pictures}
    for name, picture in overview.pictures.items():
        save_picture(workdir / files[name], picture)
    pictures = [{**each, "file": files[each["file"]]} for each in overview.document["pictures"]]
    return {**overview.document, "pictures": pictures}
