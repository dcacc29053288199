import math
import sys

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from jaxvision.viz import curves as module
from jaxvision.viz.boxes import color_of
from jaxvision.viz.curves import curves


def run_of(n: int) -> list[dict]:
    rows = []
    for step in range(10, 10 * n + 1, 10):
        row = {"step": step, "time": 0.1 * step, "train/loss": 2.0 / step, "train/learning_rate": 0.1}
        rows.append(row | ({"val/accuracy": 1 - 1 / step, "val/top5": 1.0} if step % 50 == 0 else {}))
    return rows


def arranged(rows: list[dict]) -> dict[str, list[str]]:
    return module._arrange(module._collect(rows))


def test_one_figure_of_all_panels():
    picture = curves(run_of(30))
    assert picture.shape == (800, 1280, 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize(
    "rows",
    [
        [{"step": 0, "train/loss": 1.0}],
        [{"step": 1, "train/loss": 0}, {"step": 2}, {"step": 3, "val/accuracy": 0.5}],
        [{"step": 1, "train/loss": math.nan}, {"step": 2, "train/loss": None}, {"step": 3, "train/loss": math.inf}],
        [{"step": 1, "train/loss": -1.0}, {"step": 2, "train/loss": 1e9}],
        [{"step": 1, "val/$odd_{name": 3.0}],
        [{"step": 10**7, "train/loss": 1e-9}],
    ],
)
def test_odd_runs_are_drawn(rows):
    assert curves(rows).shape == (400, 640, 3) or len(arranged(rows)) > 1


def test_panels_one_by_one():
    pictures = module.panels(run_of(30))
    assert list(pictures) == list(arranged(run_of(30))) and len(pictures) == 3
    assert {picture.shape for picture in pictures.values()} == {(640, 1024, 3)}
    assert module.panels([{"step": 1}]) == {}


@pytest.mark.parametrize("rows", [[], [{"step": 1}], [{"train/loss": 1.0}], [{"step": 1, "time": 2.0, "note/a": "x"}]])
def test_no_metric_is_an_error(rows):
    with pytest.raises(ValueError, match="metrics.jsonl"):
        curves(rows)


def test_metrics_share_panels_by_what_they_are():
    row = {"step": 1, "time": 3.0, "val/fid_inception": 30.0, "learning_rate": 0.1, "val/accuracy": 0.5}
    row |= {
        "val/mean_iou": 0.25,
        "val/iou_cat": 0.5,
        "train/loss": 3.0,
        "train/loss_box": 1.0,
        "val/nll": 2.0,
        "train/flag": True,
    }
    assert arranged([row]) == {
        "loss": ["train/loss", "train/loss_box", "val/nll"],
        "accuracy": ["val/accuracy"],
        "IoU": ["val/mean_iou"],
        "IoU of classes": ["val/iou_cat"],
        "learning rate": ["learning_rate"],
        "fid inception": ["val/fid_inception"],
    }
    assert list(arranged([row])) == [*("loss", "accuracy", "IoU", "IoU of classes", "learning rate", "fid inception")]


def test_learning_rates_of_all_players_share_a_panel():
    row = {
        "step": 1,
        "train/lr": 0.1,
        "train/lr_generator": 2e-4,
        "train/lr_discriminator": 1e-4,
        "train/accuracy": 0.5,
    }
    assert arranged([row])["learning rate"] == ["train/lr", "train/lr_generator", "train/lr_discriminator"]


def test_stages_are_apart():
    rows = [{"stage": stage, "step": 1, "train/loss": loss} for stage, loss in (("pretrain", 5.0), ("probe", 2.0))]
    assert arranged(rows) == {"loss: pretrain": ["pretrain: train/loss"], "loss: probe": ["probe: train/loss"]}
    assert arranged(rows[:1]) == {"loss": ["train/loss"]}


def test_a_metric_belongs_to_what_it_means_whatever_its_range():
    rows = [{"step": step, "val/modes_covered": 1.0, "val/accuracy": 1.0, "alarm/collapse": 0.0} for step in (1, 2)]
    assert arranged(rows) == {
        "accuracy": ["val/accuracy"], "modes covered": ["val/modes_covered"], "collapse": ["alarm/collapse"],
    }  # fmt: skip


def test_a_class_has_its_colour_everywhere():
    rows = [{"step": 1, "val/iou_background": 0.5, "val/iou_cat": 0.5}, {"step": 1, "test/iou_cat": 0.5}]
    colors = module._class_colors(module._collect(rows))
    assert colors["val/iou_cat"] == colors["test/iou_cat"] == "#{:02x}{:02x}{:02x}".format(*color_of(1))
    assert colors["val/iou_background"] == "#787878"


def test_a_slow_pace_is_no_score():
    assert arranged([{"step": 1, "time/steps_per_second": 0.5}]) == {"steps per second": ["time/steps_per_second"]}


def test_values_that_are_not_finite_are_counted():
    rows = [{"step": 1, "a/b": 1.0}, {"step": 2, "a/b": math.nan}, {"step": 3}, {"step": 4, "a/b": None}]
    series = module._collect(rows)["a/b"]
    assert (series.steps.tolist(), series.values.tolist(), series.missing) == ([1.0], [1.0], 2)


def test_smoothing_keeps_lines_and_calms_noise():
    line = np.linspace(5.0, -3.0, 200)
    np.testing.assert_allclose(module._smooth(line), line, atol=1e-12)
    noise = np.random.default_rng(0).normal(size=400)
    assert module._smooth(noise)[20:-20].std() < 0.35


def test_the_same_picture_every_time_without_pyplot():
    before = "matplotlib.pyplot" in sys.modules
    np.testing.assert_array_equal(curves(run_of(3)), curves(run_of(3)))
    assert ("matplotlib.pyplot" in sys.modules) == before


def test_many_series_look_different_and_leave_their_legend_outside():
    row = {f"val/iou_{i}": 0.1 + 0.05 * i for i in range(12)}
    series = module._collect([{"step": 1, **row}, {"step": 2, **row}])
    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.add_subplot()
    module._draw_panel(axes, "IoU of classes", series, module._class_colors(series))
    FigureCanvasAgg(figure).draw()
    assert axes.get_legend().get_window_extent().x0 >= axes.get_window_extent().x1
    assert len({(line.get_color(), line.get_linestyle()) for line in axes.get_lines()}) == 12
    assert axes.get_yscale() == "linear"


def test_a_panel_with_too_many_series_goes_on_in_another():
    rows = [{"step": step, **{f"val/iou_{i}": 0.5 for i in range(40)}} for step in (1, 2)]
    titles = {title: len(names) for title, names in arranged(rows).items()}
    assert titles == {"IoU of classes, 1 of 3": 13, "IoU of classes, 2 of 3": 13, "IoU of classes, 3 of 3": 14}
    assert curves(rows).shape == (800, 1280, 3)


def test_of_several_stages_what_was_measured_once_is_no_curve():
    rows = [{"stage": stage, "step": step, "train/loss": 1.0} for stage in "ab" for step in (1, 2)]
    rows.append({"stage": "a", "step": 2, "time/a_seconds": 9.0})
    assert arranged(rows) == {"loss: a": ["a: train/loss"], "loss: b": ["b: train/loss"]}
    assert list(arranged(rows[-1:] + rows[:1] + [{"stage": "b", "step": 1, "train/loss": 1.0}])) == [
        *("loss: a", "loss: b", "a seconds")
    ]
