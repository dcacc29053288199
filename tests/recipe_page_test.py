"""docs/recipes.md says what is built: its tables against those of tests/wiring, which another test builds."""

import pytest

from jaxvision.train.optim import Optimizer
from tests.wiring import recipe, recipe_page, recipe_words

TABLE = """[quick]
data: digits
stage train: 10 steps
  data: train | crop_pad(size=8, pad=1) | shuffled, by 4
  task: classification
    tx: adam 0.9, lr 0.1 cosine over 10 steps
    tx.decay: 0, no norms and biases

[paper]
data: voc:VOCdevkit/VOC2007
average of the weights: decay 0.999
stage proposals: 1000 steps
  data: trainval | resize(canvases=Canvases(600, 1000), shorts=(), mask_size=0) | horizontal_flip(probability=0.5) | place(max_boxes=8) | shuffled by shape, by 1
  val, detections: test | resize(canvases=Canvases(600, 1000), shorts=(), mask_size=0) | in order, by 1
  lr: 0.1 at first, 0.1 in the middle, 0.01 at last
  task: detection
    tx: momentum 0.9, lr 0.001 step over 1000 steps
    tx.decay: 0.0005, no norms and biases
    tx.accumulate: 2
    tx.warmup_steps: 100
    tx.lr_scale: (bias$=2, fc8/=10)
    tx.freeze: (backbone/conv[12]_)
    tx.decay_scale: (local/bias$=0, x=0.5)
    mean: the data's mean
    std: (1, 1, 1)
    detecting.score_threshold: 0.05
    detecting.nms_iou: 0.3
    detecting.detections: 100
    proposing.test_after_nms: 300
    origin: own
stage regions: 500 steps
  otherwise as proposals
predict: a user's images | unchanged | in order, by 1
"""  # noqa: E501
PAGE = """# Recipes

## a/b

Words.

### `paper`

| | here | paper or its code | said in | where they differ |
|---|---|---|---|---|
| batch | 1 | 1 | here | |
| length | 7 updates; 2 epochs | 2 epochs | there | |
| test | whole | half | there | ≠ as it is |

### `other`, otherwise as `paper`

What it is.

| | here | paper or its code | said in | where they differ |
|---|---|---|---|---|
| batch | 2 | 2 | there | |

## Presets of no single paper

- `c/d`: nobody's.
"""
BUILT = {
    "a/b": {
        "paper": {"batch": "1", "length": "7 updates; 2 epochs", "test": "whole"},
        "other": {"batch": "2", "length": "7 updates; 2 epochs", "test": "whole"},
    },
    "c/d": {"paper": {"batch": "1"}},
}


def test_the_page_says_what_is_built():
    page, built = recipe_page.PAGE.read_text(), recipe_page.built()
    assert not list(recipe_page.faults(page, built))
    assert page == recipe_page.written(page, built), "python -m tests.wiring.recipe_page --write"


def test_a_page_without_faults_stays_as_it_is():
    assert not list(recipe_page.faults(PAGE, BUILT)) and recipe_page.written(PAGE, BUILT) == PAGE


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("| 1 | 1 |", "| 3 | 1 |", "a/b, paper, batch: built is 1"),
        ("| 1 | 1 |", "| 1 | 4 |", "a/b, paper, batch: explain the difference between '1' and '4'"),
        ("| 1 | 1 |", "| 1 | ? |", "a/b, paper, batch: say what the paper says"),
        ("≠ as it is", "", "a/b, paper, test: explain the difference"),
        ("| 2 epochs |", "| 3 epochs |", "a/b, paper, length: explain the difference"),
        ("| batch | 2 | 2 | there | |\n", "", "a/b, other, batch: built is 2"),
        ("| batch | 2 |", "| test | whole | whole | there | |\n| batch | 2 |", "built is the same as in paper"),
        ("### `other`", "### `further`", "a/b: no table of the preset other"),
        ("`c/d`", "nothing", "c/d: no table of the preset paper"),
    ],
)
def test_what_is_not_as_built_is_said(old: str, new: str, fault: str):
    assert old in PAGE
    assert any(fault in line for line in recipe_page.faults(PAGE.replace(old, new, 1), BUILT))


def test_the_page_is_written_anew_with_its_facts():
    old = PAGE.replace("| 1 | 1 |", "| 3 | 1 |", 1).replace("≠ as it is", "as it is")
    assert recipe_page.written(old, BUILT) == PAGE
    fewer = {**BUILT, "a/b": {"paper": BUILT["a/b"]["paper"]}}
    assert recipe_page.written(PAGE, fewer) == PAGE, "facts of a preset that is gone are left to a person"
    grown = {**BUILT, "e/f": {"paper": {"batch": "9"}}}
    assert "## e/f\n\n### `paper`\n\n" in recipe_page.written(PAGE, grown)
    assert "| batch | 9 | ? | ? | |" in recipe_page.written(PAGE, grown)


def test_a_recipe_is_read_from_a_table(tmp_path, monkeypatch):
    monkeypatch.setattr(recipe, "FOLDER", tmp_path)
    (tmp_path / "some.txt").write_text(TABLE)
    assert recipe.recipes("some") == {
        "paper": {
            "optimizer": "SGD, momentum 0.9",
            "learning rate": "0.001; biases × 2; fc8 × 10; conv1 and conv2 fixed",
            "schedule": "linear rise from 0 of it over 100, then × 0.1 at 250 and 375",
            "weight decay": "0.0005 of kernels only; none of the biases of the layer `local`; `x` × 0.5",
            "batch": "1, 2 accumulated",
            "length": "proposals: 500 updates; 0.2 epochs; regions: 250 updates; 0.1 epochs",
            "preprocessing": "0 to 255, less the mean of each channel",
            "augmentation": "shorter side 600, longer at most 1000; mirrored",
            "test": "shorter side 600, longer at most 1000; parameters averaged with decay 0.999; 300 proposals; "
            "NMS at 0.3, scores from 0.05, "
            "100 detections of an image at most",
        }
    }


def test_what_a_table_leaves_out_as_usual_is_the_optimizers_default():
    assert Optimizer().milestones == (0.5, 0.75) and Optimizer().factor == 0.1
    stage = recipe.Stage("train", 8, {}, {"tx": "momentum 0.9, lr 1 step over 8 steps", "tx.decay": "0, x"})
    (found,) = recipe.updates(stage)
    assert recipe._schedule(found) == "× 0.1 at 4 and 6"


def test_a_transform_without_words_is_quoted():
    assert recipe_words.transforms("shear(angle=3) | add_seed") == "`shear(angle=3)`"
    assert recipe_words.call("crop(size=(3, 4), fill=f(x=1))").named == {"size": "(3, 4)", "fill": "f(x=1)"}
