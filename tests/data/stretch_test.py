import io
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode
from jaxvision.data.records import INDEX, NOTE
from jaxvision.data.stretch import jittered, one_object, stretched


def image(width: int, height: int) -> np.ndarray:
    """Red rises from left to right, green from top to bottom, so that a pixel says where it came from."""
    x, y = np.linspace(0, 255, width), np.linspace(0, 255, height)
    return np.stack(np.broadcast_arrays(x[None], y[:, None], 100), axis=-1).astype(np.uint8)


def record(width: int, height: int, *boxes: tuple[float, ...], **more) -> dict:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return {"image": image(width, height), "boxes": rows, "labels": np.arange(1, len(rows) + 1, dtype=np.int32), **more}


def plain(size: int, max_boxes: int = 4, **changes):
    """Only edges move, unless told otherwise."""
    return jittered(size, max_boxes, **{"saturation": 1.0, "exposure": 1.0, "flip": 0.0, **changes})


def run(transform, item, seed: int = 0) -> dict:
    return transform(item, np.random.default_rng(seed))


@pytest.mark.parametrize(("width", "height"), [(80, 40), (40, 80), (64, 64), (7, 300), (1, 1)])
def test_the_image_fills_its_square_whatever_its_shape(width, height):
    item = record(width, height, (0, 0, width, height), (width / 4, 0, width / 2, height / 2))
    found = run(stretched(64, 4), item)
    assert found["image"].shape == (64, 64, 3) and found["size"].tolist() == [64, 64]
    np.testing.assert_allclose(found["scale"], [64 / height, 64 / width], rtol=1e-6)
    np.testing.assert_allclose(found["boxes"][:2], [[0, 0, 64, 64], [16, 0, 32, 32]], rtol=1e-5)
    assert found["valid"].tolist() == [True, True, False, False] and found["labels"].tolist() == [1, 2, 0, 0]


def test_arrays_are_those_of_the_canvases():
    item = record(30, 20, (1, 1, 9, 9), (2, 2, 8, 8), difficult=np.array([False, True]), **{INDEX: 7, NOTE: "a note"})
    for transform in (stretched(32, 4), plain(32)):
        found = run(transform, item)
        assert {key: str(value.dtype) for key, value in found.items() if key not in (INDEX, NOTE)} == {
            "image": "uint8",
            "size": "float32",
            "scale": "float32",
            "image_id": "int32",
            "valid": "bool",
            "boxes": "float32",
            "labels": "int32",
            "ignore": "bool",
            "area": "float32",
        }
        assert found["image_id"] == 7 and found[NOTE] == "a note"
        assert found["ignore"][found["labels"] == 2].all() and found["ignore"].sum() == 1
    assert not run(plain(32), record(30, 20))["valid"].any()


def test_areas_and_regions_go_with_the_objects():
    boxes = [(x, 0, x + 2 + x // 4, 8) for x in range(0, 24, 4)]
    item = record(30, 20, *boxes, area=np.arange(1, 7, dtype=np.float32))
    for transform in (stretched(32, 8), plain(32, 8, jitter=0.0)):
        found = run(transform, item)
        assert found["area"][:6].tolist() == found["labels"][:6].tolist()
    crowded = run(plain(32, 2, jitter=0.0, regions=3), item)
    assert set(crowded["labels"][:2].tolist()) == {5, 6}
    assert crowded["ignore"].tolist() == [False, False, True, True, True] and crowded["valid"].all()


def test_boxes_stay_on_their_objects():
    """A white square in the image is white under its box, wherever that went."""
    item = record(100, 60, (40, 20, 60, 40))
    item["image"][:] = 50
    item["image"][20:40, 40:60] = 255
    for seed in range(20):
        found = run(jittered(64, 2, saturation=1.0, exposure=1.0, flip=0.5), item, seed)
        x0, y0, x1, y1 = np.rint(found["boxes"][0]).astype(int)
        assert found["image"][y0 + 2 : y1 - 2, x0 + 2 : x1 - 2].min() > 240
        found["image"][max(y0 - 2, 0) : y1 + 2, max(x0 - 2, 0) : x1 + 2] = 0
        assert found["image"].max() < 60


def test_edges_move_by_at_most_the_jitter_and_fill_what_is_outside():
    sides, filled = [], 0
    for seed in range(200):
        found = run(plain(50, fill=(0.0, 0.0, 255.0)), record(100, 100), seed)
        sides.append(50 / found["scale"])
        outside = (found["image"] == (0, 0, 255)).all(axis=-1)
        filled += outside.any()
        rows, columns = np.flatnonzero(~outside.all(axis=1)), np.flatnonzero(~outside.all(axis=0))
        assert (found["image"][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1, 2] == 100).all()
    assert 60 <= np.min(sides) < 75 and 125 < np.max(sides) <= 140 and 120 < filled < 200
    assert np.std(np.array(sides)[:, 0] / np.array(sides)[:, 1]) > 0.1  # the sides are drawn apart


def test_objects_are_cut_at_the_edges_and_slivers_are_gone():
    item = record(100, 100, (0, 0, 4, 100), (0, 40, 50, 60), (99.5, 0, 100, 0.5))
    kept, slivers = set(), 0
    for seed in range(100):
        found = run(plain(100), item, seed)
        real = found["boxes"][found["valid"]]
        kept |= set(found["labels"][found["valid"]].tolist())
        assert (real >= 0).all() and (real <= 100).all()
        slivers += int(2 in found["labels"] and 1 not in found["labels"])
        assert ((real[:, 2:] - real[:, :2]).min(axis=1) > 0.2).all()
    assert kept == {1, 2, 3} and slivers > 10


def test_two_objects_come_in_either_order():
    item = record(50, 50, (10, 10, 20, 20), (20, 20, 30, 30))
    orders = {tuple(run(plain(50, jitter=0.0), item, seed)["labels"][:2]) for seed in range(20)}
    assert orders == {(1, 2), (2, 1)}


def test_encoded_images_give_the_same_and_transforms_can_be_pickled():
    stream = io.BytesIO()
    Image.fromarray(image(90, 70)).save(stream, "PNG")
    item = record(90, 70, (10, 10, 40, 40))
    encoded = {**item, "image": decode.Encoded(stream.getvalue())}
    for transform in (stretched(32, 2), jittered(32, 2)):
        found, again = run(transform, item, 3), run(pickle.loads(pickle.dumps(transform)), encoded, 3)
        assert found.keys() == again.keys()
        for key, value in found.items():
            np.testing.assert_array_equal(value, again[key])
    np.testing.assert_array_equal(item["image"], image(90, 70))


def one(size: int = 32, **changes):
    """Pixels stay as they are, unless told otherwise."""
    return one_object(size, **{"saturation": 1.0, "exposure": 1.0, "flip": 0.0, **changes})


def test_one_object_is_whole_in_its_window_and_as_large_as_the_context_says():
    pixels = np.zeros((60, 120, 3), np.uint8)
    pixels[20:35, 30:60] = 255  # as wide as high, on the square
    item = {"image": pixels, "boxes": np.array([[30, 20, 60, 35]], np.float32), "labels": np.array([4], np.int32)}
    places = set()
    for seed in range(20):
        found = run(one(context=(2.0, 2.0)), item, seed)
        assert found.keys() == {"image", "label"} and found["label"] == 4
        assert found["image"].shape == (32, 32, 3) and found["image"].dtype == np.uint8
        assert found["image"][..., 0].sum() / 255 == pytest.approx(256, rel=0.03)
        places.add(int(found["image"][..., 0].argmax()))
    assert len(places) > 10
    assert run(one(context=(1.0, 1.0)), item)["image"][1:-1, 1:-1].min() == 255


def test_every_object_that_counts_is_shown_and_no_other():
    item = record(64, 64, (1, 1, 9, 9), (20, 20, 40, 30), (5, 40, 30, 60), crowd=np.array([False, True, False]))
    assert {int(run(one(), item, seed)["label"]) for seed in range(30)} == {1, 3}


def test_a_window_beyond_the_border_is_filled():
    item = record(40, 40, (0, 0, 40, 40))
    found = run(one(context=(2.0, 2.0), fill=(7.0, 8.0, 9.0)), item)["image"]
    outside = (found == np.array([7, 8, 9], np.uint8).reshape(1, 1, 3)).all(axis=-1)
    assert {32 * 32 - outside.sum()} <= {h * w for h in (15, 16) for w in (15, 16)}  # whole pixels


def test_an_image_without_objects_is_background():
    for item in (record(50, 30), record(50, 30, (1, 1, 9, 9), difficult=np.array([True]))):
        found = run(one(), item)
        assert found["label"] == 0 and found["label"].dtype == np.int32 and (found["image"][..., 2] == 100).all()


def test_one_object_is_mirrored_and_tinted_like_a_whole_image():
    item = record(40, 40, (0, 0, 40, 40))
    plain_image, mirrored = (run(one(context=(1.0, 1.0), flip=p), item)["image"].astype(int) for p in (0.0, 1.0))
    assert np.abs(plain_image[:, ::-1] - mirrored).max() == 0
    tinted = run(one(context=(1.0, 1.0), exposure=1.5), item, 3)["image"]
    assert np.abs(plain_image - tinted).max() > 10
