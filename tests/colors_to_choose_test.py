"""The colours that colourisation chooses from: read from a file, and counted in the images."""

from pathlib import Path

import numpy as np
import pytest

from experiments.ssl.colorization import PRESETS, colors_to_choose, frequencies
from jaxvision.data.inputs import Inputs
from jaxvision.recipes.pretext import PretextSetup


def test_a_file_without_colours_is_refused_in_one_line(tmp_path: Path):
    nothing, empty, words = tmp_path / "nothing.npy", tmp_path / "empty.npy", tmp_path / "words.npy"
    nothing.touch()
    np.save(empty, np.zeros((0, 2), np.float32))
    np.save(words, np.array([["red", "blue"]]))
    for file in (nothing, empty, words):
        with pytest.raises(ValueError, match=rf"^--bins={file}: .*; give .* of colours \(a, b\)[^\n]*$"):
            colors_to_choose(str(file))


def test_the_papers_colours_and_those_of_a_screen_have_names(tmp_path: Path):
    assert colors_to_choose("").shape == (261, 2)
    assert colors_to_choose(PRESETS["paper"].bins).shape == (313, 2)
    np.save(tmp_path / "own.npy", np.array([[0, 0], [10, -20]]))
    assert colors_to_choose(str(tmp_path / "own.npy")).tolist() == [[0, 0], [10, -20]]


def test_the_bins_that_are_given_are_counted():
    config = PRESETS["smoke"]
    inputs = Inputs()
    setup = PretextSetup(inputs.source(config.data), config, inputs, lambda outputs, batch: batch["image"], ())
    bins = np.array([[0, 0], [40, 0], [-40, 0], [0, 40], [0, -40], [90, 90], [-90, -90]], np.float32)
    counts = np.asarray(frequencies(setup, bins))
    assert counts.shape == (7,) and counts.sum() > 0 and counts.argmax() == 0  # digits lie on black
