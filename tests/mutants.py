"""One-line mistakes, each of which a test must find: `make mutants` makes them one by one and counts.

python tests/mutants.py flip suppression  # those whose names hold one of the words

Each is made in a copy of the checkout, with the changes that are not committed, and only the tests that should find it
are run there. First the same tests run without a mistake, since a test that fails anyway finds nothing. Exit code 0:
all mistakes were found; 1: one was not; 2: a text is no longer where it was, or a test does not run.
"""

import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
SECONDS = 600  # most that the tests of one mutant may take
FAILED, STOPPED = 1, 2  # pytest's exit codes of a test that failed, and ours of a mutant that cannot be tried


class Mutant(NamedTuple):
    """A mistake: `text`, which the file has once, becomes `replacement`."""

    name: str
    file: str
    text: str
    replacement: str
    tests: tuple[str, ...]  # files of tests, or single ones as pytest names them


def wiring(*experiments: str) -> tuple[str, ...]:
    """Return the tests of the tables of these experiments."""
    return tuple(f"tests/wiring_test.py::test_an_experiment_is_wired_as_its_table_says[{name}]" for name in experiments)


MUTANTS = (
    Mutant(
        "validate on the training images",
        "jaxvision/recipes/segmentation.py",
        "return self._on_canvas(self.source[self.config.val_split])",
        "return self._on_canvas(self.source[self.config.train_split])",
        wiring("segmentation/unet"),
    ),
    Mutant(
        "train without augmentation",
        "jaxvision/recipes/classification.py",
        "transform = self.config.augment.make(self.config.image_size)",
        "transform, _ = self.config.test.make(self.config.image_size)",
        wiring("classification/resnet"),
    ),
    Mutant(
        "never flip",
        "jaxvision/recipes/classification.py",
        "*([horizontal_flip()] if self.flip else []), *tint",
        "*tint",
        wiring("classification/resnet"),
    ),
    Mutant(
        "boxes stay where they were when the image is mirrored",
        "jaxvision/data/transforms.py",
        "flipped[key] = mirror_boxes(record[key], image.shape[1])",
        "flipped[key] = record[key]",
        ("tests/data/transforms_test.py",),
    ),
    Mutant(
        "normalise by the wrong mean",
        "jaxvision/recipes/segmentation.py",
        " mean=self.source.mean,",
        " mean=(0.0, 0.0, 0.0),",
        wiring("segmentation/segnet"),
    ),
    Mutant(
        "normalise by the wrong standard deviation",
        "jaxvision/recipes/pretext.py",
        "mean, std = self.source.mean, self.source.std",
        "mean, std = self.source.mean, self.source.mean",
        wiring("ssl/rotation"),
    ),
    Mutant(
        "the last of the four steps starts from random weights",
        "jaxvision/recipes/alternating_training.py",
        "(*whole, *last_hooks), _take_network),",
        "(*whole, *last_hooks), None),",
        wiring("detection/faster_rcnn"),
    ),
    Mutant(
        "SimCLR's batch norm sees one device",
        "experiments/ssl/simclr.py",
        "norm = partial(BatchNorm, axis_name=axis_name)",
        "norm = BatchNorm",
        wiring("ssl/simclr"),
    ),
    Mutant(
        "the generator's average is off",
        "jaxvision/recipes/gan.py",
        "average_decay=play.average_decay,",
        "average_decay=0.0,",
        wiring("gan/dcgan"),
    ),
    Mutant(
        "ten times the paper's learning rate",
        "experiments/classification/resnet.py",
        '        optimizer=Optimizer(lr=0.1, weight_decay=1e-4, schedule="step"',
        '        optimizer=Optimizer(lr=1.0, weight_decay=1e-4, schedule="step"',
        wiring("classification/resnet"),
    ),
    Mutant(
        "a schedule for another number of steps",
        "jaxvision/recipes/detection.py",
        "optimizer.make(self.config.steps),",
        "optimizer.make(1),",
        wiring("detection/mask_rcnn"),
    ),
    Mutant(
        "Caffe's networks get pixels divided by their standard deviation",
        "jaxvision/data/pixel_scale.py",
        "255: _ONES}",
        "255: std}",
        ("tests/data/pixel_scale_test.py",),
    ),
    Mutant(
        "U-Net's tiles keep away from the image's border",
        "jaxvision/data/segmentation.py",
        "rng.integers(-(inner // 2), room + inner // 2 + 1)",
        "rng.integers(1, room)",
        ("tests/data/segmentation_test.py",),
    ),
    Mutant(
        "momentum is not used",
        "jaxvision/train/optim.py",
        "velocity = [optax.trace(o.momentum, o.nesterov)] if o.momentum else []",
        "velocity = []",
        ("tests/train/optim_test.py",),
    ),
    Mutant(
        "every epoch in the same order",
        "jaxvision/data/order.py",
        "return int(_permutation(self.length, self.seed, epoch)[offset])",
        "return int(_permutation(self.length, self.seed, 0)[offset])",
        ("tests/data/order_test.py",),
    ),
    Mutant(
        "intersections are a pixel too wide",
        "jaxvision/ops/boxes.py",
        "width = jnp.minimum(x1, u1) - jnp.maximum(x0, u0)",
        "width = jnp.minimum(x1, u1) - jnp.maximum(x0, u0) + 1",
        ("tests/ops/boxes_test.py",),
    ),
    Mutant(
        "the threshold of non-maximum suppression is ignored",
        "jaxvision/ops/nms.py",
        "threshold=iou_threshold, slots=max_outputs",
        "threshold=0.5, slots=max_outputs",
        ("tests/ops/nms_test.py",),
    ),
    Mutant(
        "NT-Xent ignores its temperature",
        "jaxvision/losses/contrastive.py",
        "others.reshape(2 * total, -1)) / temperature",
        "others.reshape(2 * total, -1))",
        ("tests/losses/contrastive_test.py",),
    ),
    Mutant(
        "pixels without a label count",
        "jaxvision/losses/segmentation.py",
        "counted = labels != ignore",
        "counted = labels >= 0",
        ("tests/losses/segmentation_test.py",),
    ),
    Mutant(
        "cells without an object weigh as much as those with one",
        "jaxvision/losses/cells.py",
        '"no_object": no_object * jnp.where(',
        '"no_object": jnp.where(',
        ("tests/losses/cells_test.py",),
    ),
    Mutant(
        "average precision of 2007 computed as in 2010",
        "jaxvision/evals/voc_ap.py",
        '"voc07_11pt": eleven_point_ap',
        '"voc07_11pt": area_ap',
        ("tests/evals/voc_ap_test.py",),
    ),
    Mutant(
        "Caffe's momentum as torch's",
        "jaxvision/train/optim.py",
        "return [*decay, *rate, *velocity]",
        "return [*decay, *velocity, *rate]",
        ("tests/train/optim_test.py", "tests/equivalence/caffe_test.py"),
    ),
    Mutant(
        "YOLO descends the whole loss",
        "jaxvision/tasks/yolo.py",
        "return loss / 2, {",
        "return loss, {",
        ("tests/tasks/yolo_test.py::test_a_step_of_the_outputs_is_darknets", "tests/equivalence/yolo_test.py"),
    ),
)


class Outcome(NamedTuple):
    """The end of a mutant."""

    killed: bool
    by: str  # the first test that failed, or why there is none
    seconds: float


def apply(mutant: Mutant, root: Path) -> str:
    """Make the mistake in the checkout `root`, and return what the file was before.

    Raises:
        ValueError: the file does not have the text exactly once.
    """
    file = root / mutant.file
    before = file.read_text()
    if (count := before.count(mutant.text)) != 1:
        raise ValueError(f"{mutant.name}: {mutant.file} has its text {count} times, not once: {mutant.text}")
    file.write_text(before.replace(mutant.text, mutant.replacement))
    return before


def tried(mutant: Mutant, root: Path) -> Outcome:
    """Make the mistake, run the tests that should find it, and take it back."""
    before, start = apply(mutant, root), time.monotonic()
    try:
        code, output = pytest(mutant.tests, root)
    finally:
        (root / mutant.file).write_text(before)
    seconds = time.monotonic() - start
    if code == FAILED:
        return Outcome(True, re.findall(r"^FAILED (\S+)", output, re.MULTILINE)[0], seconds)
    return Outcome(False, "nothing" if code == 0 else f"pytest ended with {code}: {output.strip()[-300:]}", seconds)


def pytest(arguments: tuple[str, ...], root: Path) -> tuple[int, str]:
    """Run tests of a checkout up to the first that fails; return the exit code and the output."""
    options = ("-x", "-q", "-p", "no:cacheprovider", "-p", "no:randomly")
    done = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", *options, *arguments],
        cwd=root,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    return done.returncode, done.stdout + done.stderr


def copied(root: Path) -> None:
    """Copy the files of this checkout that git does not ignore."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    for name in filter(None, listed.stdout.split("\0")):
        if (ROOT / name).is_file():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, root / name)


def sound(mutants: Sequence[Mutant], root: Path) -> bool:
    """Return True if all their tests pass without a mistake; else print what failed."""
    code, output = pytest(tuple(dict.fromkeys(test for mutant in mutants for test in mutant.tests)), root)
    if code:
        print(f"without a mutant, pytest ended with {code}:\n{output[-2000:]}")
    return code == 0


def main(words: Sequence[str]) -> int:
    """Try the mutants whose names hold one of the words, or all of them, and print a row of each."""
    mutants = [mutant for mutant in MUTANTS if not words or any(word in mutant.name for word in words)]
    width = max((len(mutant.name) for mutant in mutants), default=0)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copied(root)
        try:
            for mutant in mutants:
                (root / mutant.file).write_text(apply(mutant, root))
        except (ValueError, OSError) as error:
            print(f"error: {error}")
            return STOPPED
        if not mutants or not sound(mutants, root):
            return STOPPED
        print(f"{'mutant':{width}}  seconds  killed by", flush=True)
        killed = 0
        for mutant in mutants:
            outcome = tried(mutant, root)
            killed += outcome.killed
            print(f"{mutant.name:{width}}  {outcome.seconds:7.1f}  {outcome.by}", flush=True)
    print(f"{killed} of {len(mutants)} mutants killed")
    return 0 if killed == len(mutants) else FAILED


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
