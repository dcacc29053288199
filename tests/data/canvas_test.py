import dataclasses
import io
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, pipeline, sources
from jaxvision.data.canvas import Canvases, canvases
from jaxvision.data.inputs import Inputs
from jaxvision.data.outlines import Outlines, Polygons
from jaxvision.data.records import INDEX, NOTE, Record, Subset

RNG = np.random.default_rng(0)


def image(width: int, height: int) -> np.ndarray:
    """Smooth colours, so that resizing hardly changes them."""
    x, y = np.linspace(0, 200, width), np.linspace(0, 200, height)
    return np.stack(np.broadcast_arrays(x[None], y[:, None], 100), axis=-1).astype(np.uint8)


def record(width: int, height: int, *boxes: tuple[float, ...], **more) -> Record:
    rows = np.array(boxes, np.float32).reshape(-1, 4)
    return {"image": image(width, height), "boxes": rows, "labels": np.arange(1, len(rows) + 1, dtype=np.int32), **more}


def place(canvas: Canvases, item: Record, max_boxes: int = 4, **options) -> Record:
    return canvas.evaluate(max_boxes, **options)(item, np.random.default_rng(0))


def test_the_papers_canvases():
    assert canvases(800, 1333).shapes == ((800, 1344), (1344, 800))
    assert canvases(600, 1000, 16).shapes == ((608, 1008), (1008, 608))
    assert canvases(128, 128).shapes == ((128, 128),)
    for short, long in ((0, 10), (20, 10)):
        with pytest.raises(ValueError, match="needs 0 < short <= long"):
            canvases(short, long)


@pytest.mark.parametrize(
    "width, height, size, shape",
    [
        (640, 480, (60, 80), (64, 96)),
        (480, 640, (80, 60), (96, 64)),
        (400, 100, (24, 96), (64, 96)),  # the longer side limits
        (100, 400, (96, 24), (96, 64)),
        (30, 30, (60, 60), (64, 96)),  # enlarged; the first of two that are as good
        (1000, 1, (1, 96), (64, 96)),
        (1, 1000, (96, 1), (96, 64)),
    ],
)
def test_sizes_are_limited_by_both_sides(width, height, size, shape):
    placed = place(canvases(60, 96), record(width, height))
    assert placed["size"].tolist() == list(size) and placed["image"].shape == (*shape, 3)
    np.testing.assert_allclose(placed["size"] / placed["scale"], [height, width], rtol=1e-6)
    assert {key: str(value.dtype) for key, value in placed.items()} == {
        "image": "uint8",
        "size": "float32",
        "scale": "float32",
        "image_id": "int32",
        "boxes": "float32",
        "labels": "int32",
        "valid": "bool",
        "ignore": "bool",
        "area": "float32",
    }


def test_the_canvas_holds_the_resized_image_and_the_fill():
    item = record(50, 30)
    placed = place(canvases(60, 96), item, fill=(10.4, 20.6, 30.0))
    height, width = placed["size"].astype(int)
    assert (height, width) == (58, 96)
    np.testing.assert_array_equal(placed["image"][:58, :96], decode.resize(item["image"], (96, 58)))
    assert (placed["image"][58:] == np.array([10, 21, 30])).all()
    same = place(Canvases(30, 50, ((40, 64),)), item)
    np.testing.assert_array_equal(same["image"][:30, :50], item["image"])
    assert same["image"][30:].max() == same["image"][:, 50:].max() == 0


def test_boxes_move_with_the_image_and_are_padded():
    item = record(
        80, 40, (0, 0, 80, 40), (8, 4, 16, 12), crowd=np.array([False, True]), difficult=np.array([False, False])
    )
    placed = place(canvases(20, 96), {**item, INDEX: 12})
    assert placed["boxes"].tolist() == [[0, 0, 40, 20], [4, 2, 8, 6], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert placed["labels"].tolist() == [1, 2, 0, 0] and placed["valid"].tolist() == [True, True, False, False]
    assert placed["ignore"].tolist() == [False, True, False, False] and placed["image_id"] == 12
    assert item["boxes"].tolist() == [[0, 0, 80, 40], [8, 4, 16, 12]]  # the record is as it was


def test_without_objects_or_annotations_all_is_padding():
    for item in (record(80, 40), {"image": image(80, 40)}):
        placed = place(canvases(20, 96), item, mask_size=7)
        assert not placed["valid"].any() and placed["boxes"].shape == (4, 4) and placed["masks"].shape == (4, 7, 7)


def test_the_largest_of_too_many_are_kept_in_order_and_noted():
    boxes = [(0, 0, 2, 2), (0, 0, 9, 9), (1, 1, 4, 4), (0, 0, 8, 1), (3, 3, 6, 6)]
    placed = place(canvases(40, 96), record(80, 40, *boxes), 3)
    assert placed["labels"].tolist() == [2, 3, 5] and placed["valid"].all()
    assert placed[NOTE] == "the 2 smallest of 5 objects are dropped; raise --view.max_objects=3"
    assert place(canvases(40, 96), record(80, 40, *boxes, **{NOTE: "x"}), 3)[NOTE].startswith("x; the 2 smallest")


def test_objects_that_do_not_fit_are_covered_by_regions_to_ignore():
    large = [(0, 0, 40, 40), (40, 0, 80, 40)]
    small = [(x, y, x + 2, y + 2) for x in (4, 6, 60, 62) for y in (4, 20)]
    item = record(80, 40, *small[:3], *large, *small[3:], area=np.full(10, 7, np.float32))
    placed = canvases(40, 80, 8).train(2, regions=2, flip=0.0)(item, RNG)
    assert placed["labels"][:2].tolist() == [4, 5] and placed["valid"].all() and placed["area"].tolist() == [7] * 4
    assert placed["ignore"].tolist() == [False, False, True, True]
    assert placed["boxes"].tolist() == [list(map(float, box)) for box in (*large, (4, 4, 8, 22), (60, 4, 64, 22))]
    assert placed[NOTE].startswith("the 8 smallest of 10 objects are ignored, neither objects nor background; raise")
    each = canvases(40, 80, 8).train(2, regions=16, flip=0.0)(item, RNG)
    assert sorted(each["boxes"][2:10].tolist()) == sorted(list(map(float, box)) for box in small)
    assert each["valid"].tolist() == [True] * 10 + [False] * 8
    fits = canvases(40, 80, 8).train(12, regions=2, flip=0.0)(item, RNG)
    assert fits["valid"].sum() == 10 and not fits["ignore"].any() and NOTE not in fits


def test_areas_are_those_of_the_annotations_whatever_the_scale():
    item = record(80, 40, (0, 0, 80, 40), (8, 4, 16, 12), area=np.array([9, np.nan], np.float32))
    placed = canvases(20, 96).train(3, flip=1.0)(item, RNG)
    np.testing.assert_array_equal(placed["area"], np.array([9, np.nan, 0], np.float32))
    assert np.isnan(place(canvases(20, 96), record(80, 40, (0, 0, 8, 4)))["area"][0])


def test_flips_mirror_image_boxes_and_masks():
    mask = np.zeros((1, 40, 80), bool)
    mask[0, 5:25, 10:15] = True
    item = record(80, 40, (10, 5, 30, 25), masks=mask)
    canvas = canvases(20, 96)
    straight = canvas.train(2, flip=0.0, mask_size=8)(item, RNG)
    flipped = canvas.train(2, flip=1.0, mask_size=8)(item, RNG)
    np.testing.assert_array_equal(flipped["image"][:20, :40], straight["image"][:20, :40][:, ::-1])
    assert straight["boxes"][0].tolist() == [5, 2.5, 15, 12.5] and flipped["boxes"][0].tolist() == [25, 2.5, 35, 12.5]
    np.testing.assert_array_equal(flipped["masks"][0], straight["masks"][0][:, ::-1])
    assert straight["masks"][0, :, :2].min() == 255 and straight["masks"][0, :, 2:].max() == 0


def test_scales_are_drawn_from_those_given_on_one_canvas():
    canvas, item = canvases(60, 96), record(80, 60, (0, 0, 80, 60))
    transform = canvas.train(2, shorts=(30, 45, 60), flip=0.0)
    placed = [transform(item, np.random.default_rng(seed)) for seed in range(40)]
    assert {one["size"][0] for one in placed} == {30, 45, 60}
    assert {one["image"].shape for one in placed} == {(64, 96, 3)}
    assert all(one["boxes"][0].tolist() == [0, 0, *one["size"][::-1]] for one in placed)
    with pytest.raises(ValueError, match="none may be larger than short=60"):
        canvas.train(2, shorts=(60, 80))


def test_masks_are_crops_of_their_boxes_from_either_form():
    square = np.array([[10, 10], [30, 10], [30, 30], [10, 30]], np.float32)
    lazy = Outlines((Polygons((square,)), None), 80, 40)
    item = record(80, 40, (10, 10, 30, 30), (0, 0, 40, 40))
    for masks in (lazy, lazy.pixels()):
        crops = place(canvases(20, 96), {**item, "masks": masks}, mask_size=8)["masks"]
        assert crops.shape == (4, 8, 8) and crops.dtype == np.uint8 and crops[0].min() == 255
    placed = place(canvases(20, 96), {**item, "masks": lazy}, mask_size=8)
    assert placed["outlined"].tolist() == [True, False, False, False] and not placed["ignore"].any()
    assert "outlined" not in place(canvases(20, 96), {**item, "masks": lazy})
    with pytest.raises(ValueError, match="^has boxes but no masks"):
        place(canvases(20, 96), item, mask_size=8)
    scene = sources.load("scenes:count=2,size=48")["train"][0]
    placed = place(canvases(96, 96), scene, 8, mask_size=28)
    for box, crop, mask in zip(scene["boxes"], placed["masks"], scene["masks"], strict=False):
        assert abs(crop.mean() / 255 - mask.sum() / np.prod(box[2:] - box[:2])) < 0.03  # the same share of the box


@dataclasses.dataclass(frozen=True)
class Files:
    """Encoded images of the given sizes; size 0 is a broken file."""

    sizes: tuple[tuple[int, int], ...]

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Record:
        found = self.encoded(index)
        return {**found, "image": found["image"].pixels()}

    def encoded(self, index: int) -> Record:
        width, height = self.sizes[index]
        if not width:
            return {"image": decode.Encoded(b"torn", self.name(index))}
        buffer = io.BytesIO()
        Image.fromarray(image(width, height)).save(buffer, "png")
        return {"image": decode.Encoded(buffer.getvalue(), self.name(index))}

    def name(self, index: int) -> str:
        return f"{index}.png"


def test_groups_are_known_without_decoding_and_batches_have_one_shape():
    files = Files(((8, 6), (6, 8), (0, 0), (8, 8), (4, 30), (30, 4), (9, 6), (6, 9)))
    canvas = canvases(6, 10, 2)
    groups = canvas.groups(files)
    assert groups.tolist() == [0, 1, 0, 0, 1, 0, 0, 1]
    assert canvas.groups(Subset(files, np.array([1, 0]))).tolist() == [1, 0]
    transform = pickle.loads(pickle.dumps(canvas.train(2, shorts=(4, 6))))
    training = Inputs(seed=1).train(files, transform, 2, groups)(0, 1)
    shapes = {next(training)["image"].shape[1:3] for _ in range(12)}
    assert shapes == set(canvas.shapes) and list(training.skipped) == ["2.png"]
    batches = list(pipeline.evaluate(files, canvas.evaluate(2), 2, groups=groups)(0, 1))
    assert [batch["image"].shape[1:3] for batch in batches] == [(6, 10)] * 3 + [(10, 6)] * 2
    assert sorted(int(i) for batch in batches for i in batch["image_id"][batch["_mask"]]) == [0, 1, 3, 4, 5, 6, 7]


def test_more_shapes_waste_less_canvas():
    wide = canvases(60, 96)
    four = Canvases(60, 96, (*wide.shapes, (64, 64), (64, 80)))
    assert [four.shapes[four.choose(*size)] for size in ((640, 480), (100, 100), (160, 100), (480, 640))] == [
        (64, 80),
        (64, 64),
        (64, 96),
        (96, 64),
    ]


def test_one_given_canvas_takes_every_image():
    single = Canvases(60, 96, ((40, 40),))
    for width, height in ((640, 480), (10, 500), (7, 7)):
        placed = place(single, record(width, height, (0, 0, width, height)))
        assert placed["image"].shape == (40, 40, 3) and placed["size"].max() == 40
        np.testing.assert_allclose(placed["boxes"][0], [0, 0, *placed["size"][::-1]], rtol=1e-6)


def test_proposals_go_with_the_image_and_are_padded():
    item = record(
        80, 40, (10, 5, 30, 25), proposals=np.array([[8, 4, 16, 12], [0, 0, 80, 40], [1, 2, 3, 4]], np.float32)
    )
    canvas = canvases(20, 96)
    straight = canvas.evaluate(2, max_proposals=5)(item, RNG)
    assert straight["proposals"][:2].tolist() == [[4, 2, 8, 6], [0, 0, 40, 20]] and not straight["proposals"][3:].any()
    assert straight["proposal_valid"].tolist() == [True, True, True, False, False]
    flipped = canvas.train(2, flip=1.0, max_proposals=2)(item, RNG)
    assert flipped["proposals"].tolist() == [[32, 2, 36, 6], [0, 0, 40, 20]] and flipped["proposal_valid"].all()
    assert "proposals" not in canvas.evaluate(2)(item, RNG)
    with pytest.raises(ValueError, match="^has no proposals"):
        canvas.evaluate(2, max_proposals=5)(record(80, 40), RNG)
