"""What a window is taken for, case by case."""

import numpy as np

from jaxvision.evals.detection import iou
from jaxvision.fits.window_labels import ImageObjects, labels, negatives, overlaps, pairs

OBJECTS = ImageObjects(
    np.array([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 80, 40]], np.float32),
    np.array([2, 1, 2], np.int32),
    np.array([False, False, True]),  # the last is a crowd
)
WINDOWS = np.array(
    [
        [0, 0, 10, 10],  # the first object itself
        [0, 0, 10, 6],  # IoU 0.6 with it
        [0, 0, 10, 4],  # 0.4
        [0, 0, 10, 2],  # 0.2
        [20, 0, 30, 5],  # 0.5 with the second
        [50, 5, 54, 9],  # inside of the crowd
        [39, 0, 79, 39],  # about the crowd
        [90, 90, 99, 99],  # nothing near
    ],
    np.float32,
)


def found(objects: ImageObjects = OBJECTS, windows: np.ndarray = WINDOWS):
    return overlaps(iou(windows, objects.boxes), windows, objects)


def test_tuning_takes_half_an_overlap_for_an_object_and_leaves_crowds_out():
    np.testing.assert_array_equal(labels(found(), OBJECTS, 0.5), [2, 2, 0, 0, 1, -1, -1, 0])


def test_machines_take_little_overlap_with_their_own_class_for_a_negative():
    first = [True, True, True, True, False, False, False, True]
    second = [False, False, False, True, True, False, False, True]
    np.testing.assert_array_equal(
        negatives(found(), OBJECTS, 3, 0.3), np.stack([first, second, [True] * 5 + [False] * 2 + [True]], 1)
    )


def test_regressors_take_much_overlap():
    windows, objects = pairs(found(), 0.6)
    assert windows.tolist() == [0, 1] and objects.tolist() == [0, 0]


def test_without_objects_all_is_background():
    none = ImageObjects(np.zeros((0, 4), np.float32), np.zeros(0, np.int32), np.zeros(0, bool))
    seen = found(none)
    assert not labels(seen, none, 0.5).any()
    assert negatives(seen, none, 2, 0.3).all() and not len(pairs(seen, 0.6)[0])


def test_without_windows_there_is_nothing():
    seen = found(windows=np.zeros((0, 4), np.float32))
    assert labels(seen, OBJECTS, 0.5).shape == (0,) and negatives(seen, OBJECTS, 2, 0.3).shape == (0, 2)


def test_the_crowd_is_no_object_to_any_stage():
    assert found().iou[:, 2].max() == -1
    own = found(windows=OBJECTS.boxes)
    assert labels(own, OBJECTS, 0.5).tolist() == [2, 1, -1] and pairs(own, 0.6)[0].tolist() == [0, 1]
