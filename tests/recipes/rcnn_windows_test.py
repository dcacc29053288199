"""The windows of images whose objects and proposals are known."""

import numpy as np
import pytest

from jaxvision.recipes.rcnn_windows import WindowSplit, labelled_windows
from tests.recipes.known_windows import Images, Torn, proposed, split


def test_the_windows_of_an_image_are_its_objects_and_its_proposals():
    own = split()
    assert [len(w) for w in own.windows] == [9, 10, 10, 0, 10, 10] and [own.object_count(i) for i in (0, 1, 3)] == [
        1,
        2,
        0,
    ]
    np.testing.assert_array_equal(own.windows[1][:2], Images()[1]["boxes"])
    rows, objects = own.pairs(1, 0.6)
    assert rows.tolist() == [2, 3, 4, 5, 6, 7] and objects.tolist() == [0, 0, 0, 1, 1, 1]  # no object's own box
    assert own.pairs(0, 0.6)[1].tolist() == [0, 0, 0]  # nor a difficult one's


def test_the_network_learns_from_windows_of_objects_and_of_neither():
    found = labelled_windows(split(), 0.5)
    first = found.images == 0
    assert sorted(found.labels[first].tolist()) == [0, 0, 1, 1, 1, 1]  # what lies on the difficult one is left out
    assert not (found.images == 3).any()
    assert np.bincount(found.labels[found.images == 4]).tolist() == [2, 4, 4]
    nothing = WindowSplit(Images(), lambda: [p[-2:] for p in proposed()])
    with pytest.raises(ValueError, match="no window holds an object; check --data and --train_split"):
        vars(nothing)["objects"] = [o._replace(ignore=np.ones_like(o.ignore)) for o in nothing.objects]
        labelled_windows(nothing, 0.5)


def test_an_image_whose_pixels_cannot_be_read_has_no_windows():
    torn = WindowSplit(Torn(), proposed)
    assert torn.object_count(3) == 0 and torn.object_count(4) == 2 and len(torn.windows[3]) == 0
