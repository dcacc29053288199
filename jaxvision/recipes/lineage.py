"""Comparison of detectors, as tables and as a figure: what a run measured of each, and what the papers publish."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jaxvision.recipes.comparison_table import Ran
from jaxvision.recipes.detection_times import PARTS
from jaxvision.train.types import Result
from jaxvision.viz.panels import Panel, panels
from jaxvision.viz.table import table

PROPOSALS = "proposals"  # name of the stage of Selective Search, and of its part of times and disk space
STEPS = ("proposals", "network", "features", "SVMs", "box regression")  # parts of the training time
_STEP_OF = {"proposals": "proposals", "features": "features", "svm": "SVMs", "regression": "box regression"}
DISK = ("proposals", "features", "network")  # parts of the disk space
UNKNOWN = math.nan


class Measured(NamedTuple):
    """What this run measured of a detector; NaN where it was not measured."""

    ap: Mapping[str, float]  # average precision: "AP50", "AP"
    training: Mapping[str, float]  # seconds of training, for each of `STEPS`
    testing: Mapping[str, float]  # seconds for an image, for each of `PARTS` but the last
    disk: Mapping[str, float]  # megabytes, for each of `DISK`
    parameters: float  # number of parameters


class Published(NamedTuple):
    """What is published about a detector; NaN where nothing is."""

    network: str
    voc07: float  # mean AP at IoU 0.5 on VOC07's test split
    coco: float  # AP on COCO
    training: float  # hours of training, in the papers
    slides_training: float  # hours of training, in the slides of CS231n
    testing: float  # seconds for an image without Selective Search, in the papers
    slides_testing: float  # seconds for an image with Selective Search, in the slides of CS231n
    features: float  # gigabytes of the features of windows


PUBLISHED = {
    "rcnn": Published("VGG-16", 0.660, UNKNOWN, 84.0, UNKNOWN, 47.0, 49.0, 200.0),
    "fast_rcnn": Published("VGG-16", 0.669, 0.197, 9.5, 8.75, 0.32, 2.3, UNKNOWN),
    "faster_rcnn": Published("VGG-16", 0.699, 0.219, 48.0, UNKNOWN, 0.198, 0.2, UNKNOWN),
    "yolo": Published("its own", 0.634, UNKNOWN, UNKNOWN, UNKNOWN, 1 / 45, UNKNOWN, UNKNOWN),
}
_NOTHING = Published("", *[UNKNOWN] * 7)  # about a detector of no paper
TITLES = {"rcnn": "R-CNN", "fast_rcnn": "Fast R-CNN", "faster_rcnn": "Faster R-CNN", "yolo": "YOLO"}
PAPER, SLIDES = "papers (search not counted)", "slides of CS231n (search counted)"
_SOURCES = (
    "Sources of what is printed. R-CNN and Fast R-CNN: Girshick 2015, on an Nvidia K40, seconds without Selective "
    "Search (Ren et al. 2015, table 5, have 1.51 s for it, and 1.83 s in all); with truncated SVD Fast R-CNN takes "
    "0.22 s. The room of features: the notes of R-CNN's code, for VOC07. Faster R-CNN: Ren et al. 2015 and the notes "
    "of its code, about two days for the four steps, seconds with its own proposals. YOLO: Redmon et al. 2016, trained "
    "on VOC07 and VOC12, 45 images a second on a Titan X. The slides of Stanford's CS231n have other times, which "
    "count the search; they print 8.75 hours for training Fast R-CNN where the paper has 9.5, so both are given."
)


def measured(ran: Ran, disk: Mapping[str, float]) -> Measured:
    """Collect the measurements of a detector.

    Args:
        ran: what a run of the detector's experiment has written.
        disk: megabytes of its proposals and features.

    Returns:
        The measurements.
    """
    seconds: dict[str, list[float]] = {step: [] for step in STEPS}
    for stage in ran.stages:
        seconds[_STEP_OF.get(stage, "network")].append(ran.seconds(stage))
    return Measured(
        {key: ran.value(f"val/{key}") for key in ("AP50", "AP")},
        {step: _total(times) for step, times in seconds.items()},
        {part: ran.value(f"test/seconds_{part}") for part in PARTS[:-1]},
        {**dict.fromkeys(DISK, 0.0), **disk, "network": ran.value("test/network_megabytes")},
        ran.value("test/parameters"),
    )


def mean(measurements: Iterable[Measured]) -> Measured:
    """Return the mean of a detector's measurements over its runs, NaN where one is not known."""
    every = list(measurements)

    def over(field: str) -> dict[str, float]:
        of_runs = [getattr(one, field) for one in every]
        return {key: float(np.mean([values[key] for values in of_runs])) for key in of_runs[0]}

    parameters = float(np.mean([one.parameters for one in every]))
    return Measured(over("ap"), over("training"), over("testing"), over("disk"), parameters)


def summary(measurements: Mapping[str, Measured], notes: Sequence[str]) -> Result:
    """Return the tables "lineage" with the `notes`, the picture "lineage_figure", and each detector's metrics."""
    text = "\n\n".join(
        [_measured_table(measurements), _training_table(measurements), *notes, _published_table(measurements), _SOURCES]
    )
    metrics = {f"{method}/{key}": value for method, one in measurements.items() for key, value in _metrics(one).items()}
    known = {key: value for key, value in metrics.items() if not math.isnan(value)}
    return {**known, "lineage": text, "lineage_figure": _figure(measurements)}


def _metrics(one: Measured) -> dict[str, float]:
    return {
        **one.ap,
        "training_minutes": _total(one.training.values()) / 60,
        "seconds_an_image": _total(one.testing.values()),
        "seconds_without_search": _without_search(one),
        "megabytes": _total(one.disk.values()),
    }


def _measured_table(measurements: Mapping[str, Measured]) -> str:
    parts = [part.replace("_", "-") for part in PARTS[:-1]]
    columns = ["detector", "AP50", "AP", *(f"{part}, ms" for part in parts), "an image, ms", "without search, ms"]
    rows = {
        _title(method): [
            *(_cell(value, ".3f") for value in one.ap.values()),
            *(
                _cell(1000 * value, ".1f")
                for value in (*one.testing.values(), _total(one.testing.values()), _without_search(one))
            ),
        ]
        for method, one in measurements.items()
    }
    return table(columns, rows)


def _without_search(one: Measured) -> float:
    """Return the seconds for an image without Selective Search, as the papers do; proposals of an RPN count."""
    searched = not math.isnan(one.training[PROPOSALS])
    return _total(s for part, s in one.testing.items() if not (searched and part == PROPOSALS))


def _training_table(measurements: Mapping[str, Measured]) -> str:
    columns = ["trained in minutes", *STEPS, "all", *(f"{part}, MB" for part in DISK), "parameters, millions"]
    rows = {
        _title(method): [
            *(_cell(value / 60, ".2f") for value in (*one.training.values(), _total(one.training.values()))),
            *(_cell(value, ".1f") for value in one.disk.values()),
            _cell(one.parameters / 1e6, ".2f"),
        ]
        for method, one in measurements.items()
    }
    return table(columns, rows)


def _published_table(methods: Iterable[str]) -> str:
    columns = (
        *("as printed", "network", "VOC07 mAP", "COCO AP", "training, h", "the same, slides"),
        *("an image, s, without search", "with search, slides", "features, GB"),
    )
    rows = {}
    for method in filter(PUBLISHED.__contains__, methods):
        network, *values = PUBLISHED[method]
        rows[_title(method)] = [network, *(_cell(value, ".3g") for value in values)]
    return table(columns, rows)


def _figure(measurements: Mapping[str, Measured]) -> np.ndarray:
    """Draw the measurements of the run above the published ones."""
    ones, published = list(measurements.values()), [PUBLISHED.get(method, _NOTHING) for method in measurements]

    def here(field: str, keys: Sequence[str], unit: float = 1.0) -> dict[str, Float[np.ndarray, " N"]]:
        parts = {key.replace("_", "-"): np.array([getattr(one, field)[key] / unit for one in ones]) for key in keys}
        return {key: values for key, values in parts.items() if np.nansum(values) > 0} or {"nothing": _unknown(ones)}

    def there(field: str) -> Float[np.ndarray, " N"]:
        return np.array([getattr(one, field) for one in published])

    return panels(
        [_title(method) for method in measurements],
        {
            "Measured here": (
                Panel("AP50", "", here("ap", ("AP50",))),
                Panel("AP, IoU 0.5 to 0.95", "", here("ap", ("AP",))),
                Panel("Training", "minutes", here("training", STEPS, 60.0)),
                Panel("Testing", "seconds an image", here("testing", PARTS[:-1])),
                Panel("Disk", "megabytes", here("disk", DISK)),
            ),
            "As printed": (
                Panel("VOC07, mean AP at IoU 0.5", "", {"": there("voc07")}),
                Panel("COCO, AP", "", {"": there("coco")}),
                Panel("Training", "hours", {PAPER: there("training"), SLIDES: there("slides_training")}, False),
                Panel("Testing", "seconds an image", {PAPER: there("testing"), SLIDES: there("slides_testing")}, False),
                Panel("Features on disk", "gigabytes", {"": there("features")}),
            ),
        },
    )


def _unknown(ones: Sequence[Measured]) -> Float[np.ndarray, " N"]:
    return np.full(len(ones), UNKNOWN)


def _title(method: str) -> str:
    return TITLES.get(method, method.replace("_", " "))


def _total(parts: Iterable[float]) -> float:
    """Return the sum of the known parts; NaN if none is known."""
    known = [value for value in parts if not math.isnan(value)]
    return sum(known) if known else UNKNOWN


def _cell(value: float, form: str) -> str:
    return "–" if math.isnan(value) else format(value, form)
