"""`--mode=train`: every stage, then the curves and a line about the result."""

from jaxvision.run import report
from jaxvision.train import loop
from jaxvision.train.restore import Run
from jaxvision.train.types import Experiment
from jaxvision.train.writer import read_metrics, save_picture


def train(experiment: Experiment, run: Run) -> None:
    """Train every stage, draw the curves, also of a run that stopped, and say what came out and where to look."""
    try:
        loop.train(experiment, run)
    finally:
        rows = read_metrics(run.workdir / "metrics.jsonl")
        if rows and run.writer.active:
            from jaxvision.viz.curves import curves  # matplotlib takes a second, which the first step need not wait

            path = run.workdir / "images" / "curves.png"
            report.safely(lambda: save_picture(path, curves(rows)), run.writer.say)
    values = {k: v for row in rows for k, v in row.items() if "/" in k and not k.startswith(("train/", "time/"))}
    run.writer.say("  ".join(f"{k} {v:.4g}" for k, v in values.items()))
    run.writer.say(f"metrics in {run.workdir}/metrics.jsonl, pictures in {run.workdir}/images/")
