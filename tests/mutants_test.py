"""The mutants of `make mutants` still fit the code; whether tests kill them takes minutes and is not tried here."""

import ast
from pathlib import Path

import pytest

from tests import mutants
from tests.mutants import MUTANTS, Mutant, apply, tried


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_s_text_is_found_once_and_its_tests_exist(mutant: Mutant):
    text = (mutants.ROOT / mutant.file).read_text()
    assert text.count(mutant.text) == 1, f"{mutant.file} has changed: write the mutant anew"
    ast.parse(text.replace(mutant.text, mutant.replacement))
    assert mutant.text != mutant.replacement
    path, _, test = mutant.tests[0].partition("::")
    assert test.partition("[")[0] in (mutants.ROOT / path).read_text()


def test_names_are_unique_and_all_areas_have_mutants():
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 15
    areas = {part for mutant in MUTANTS for part in Path(mutant.file).parts[:2]}
    assert {"experiments", "recipes", "data", "ops", "losses", "train", "evals"} <= areas


def checkout(folder: Path, test: str) -> Mutant:
    (folder / "one.py").write_text("ONE = 1\n")
    (folder / "one_test.py").write_text(test)
    return Mutant("one is two", "one.py", "ONE = 1", "ONE = 2", ("one_test.py",))


def test_a_mutant_dies_of_a_test_that_fails_and_of_nothing_else(tmp_path: Path):
    finds = checkout(tmp_path, "from one import ONE\n\ndef test_one():\n    assert ONE == 1\n")
    outcome = tried(finds, tmp_path)
    assert outcome.killed and outcome.by == "one_test.py::test_one" and (tmp_path / "one.py").read_text() == "ONE = 1\n"
    outcome = tried(checkout(tmp_path, "import two\n"), tmp_path)
    assert not outcome.killed and outcome.by.startswith("pytest ended with 2")


def test_a_text_that_has_moved_stops_the_run(tmp_path: Path):
    mutant = checkout(tmp_path, "")
    (tmp_path / "one.py").write_text("ONE = 3\n")
    with pytest.raises(ValueError, match="one is two: one.py has its text 0 times, not once: ONE = 1"):
        apply(mutant, tmp_path)
