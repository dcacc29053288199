"""Which labels are used: balanced, seeded, each record once."""

import numpy as np
import pytest

from jaxvision.data.folder import LabelledFiles
from jaxvision.data.label_subset import Rows, class_balanced, labels_of
from jaxvision.data.records import Subset
from tests.data.numbers import Numbers

LABELS = np.random.default_rng(0).permutation(np.arange(1000) % 4)


@pytest.mark.parametrize("share", [0.02, 0.1, 1.0])
def test_every_class_gives_as_many_and_no_record_is_used_twice(share: float):
    chosen = class_balanced(LABELS, share, seed=3)
    assert len(np.unique(chosen.all)) == len(chosen.all) == share * 1000
    per_class = share * 250
    assert np.bincount(LABELS[chosen.held_out]).tolist() == [max(1, round(0.2 * per_class))] * 4
    assert set(np.bincount(LABELS[chosen.all])) == {per_class}


def test_another_seed_draws_others_and_a_larger_share_holds_the_smaller():
    small, large = class_balanced(LABELS, 0.02, seed=1), class_balanced(LABELS, 0.1, seed=1)
    np.testing.assert_array_equal(small.fit, class_balanced(LABELS, 0.02, seed=1).fit)
    assert set(small.all) < set(large.all)
    assert set(class_balanced(LABELS, 0.02, seed=2).all) != set(small.all)


def test_nothing_is_held_out_where_nothing_is_chosen():
    chosen = class_balanced(np.array([0, 1, 1]), 1.0, held_out=0.0)
    assert chosen.fit.tolist() == [0, 1, 2] and not len(chosen.held_out)


def test_a_rare_class_gives_what_it_has_and_unreadable_records_nothing():
    labels = np.array([0] * 50 + [1] * 3 + [-1] * 7)
    chosen = class_balanced(labels, 0.5)
    assert np.bincount(labels[chosen.all]).tolist() == [15, 3] and len(chosen.held_out) == 4


@pytest.mark.parametrize("share", [0.0, 1.5, float("nan")])
def test_a_share_that_is_none_is_an_error(share: float):
    with pytest.raises(ValueError, match="give a number above 0 and up to 1"):
        class_balanced(LABELS, share)


def test_a_share_without_two_of_each_class_is_an_error():
    with pytest.raises(ValueError, match="class 0 has 1 of 1000 examples.*give a larger share"):
        class_balanced(LABELS, 0.004)


def test_labels_are_read_from_records_and_broken_ones_marked():
    class Broken(Numbers):
        def __getitem__(self, index):
            if index == 2:
                raise OSError("cut short")
            return super().__getitem__(index)

    assert labels_of(Broken(5)).tolist() == [0, 1, -1, 3, 4]


def test_no_file_is_opened_for_labels_that_a_reader_holds():
    files = LabelledFiles(("gone/1.png", "gone/2.png", "gone/3.png"), np.array([2, 0, 1], np.int32))
    assert labels_of(Subset(files, np.array([2, 0]))).tolist() == [1, 2]


def test_rows_of_smaller_sets_come_round_again():
    rows = Rows((np.array([4, 5]), np.arange(6)))
    assert len(rows) == 6 and rows.name(3) == "row 3"
    assert [rows[i]["row"].tolist() for i in range(6)] == [[4, 0], [5, 1], [4, 2], [5, 3], [4, 4], [5, 5]]
