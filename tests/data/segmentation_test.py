import io
import pickle

import numpy as np
import pytest
from PIL import Image

from jaxvision.data import decode, pipeline, segmentation, sources
from jaxvision.data.records import INDEX, NOTE, Record

FILL = (10.4, 20.6, 30.0)
FILLED = np.array([10, 21, 30])


def ramp(width: int = 120, height: int = 90) -> Record:
    """Red is the column, green the row, and the label is the one, in image and label map alike, or their sum."""
    y, x = np.indices((height, width))
    return {"image": np.stack([x, y, 0 * x + 200], axis=-1).astype(np.uint8), "label_map": (x + y).astype(np.uint8)}


def offsets(record: Record) -> np.ndarray:
    """Label less (red + green) wherever the label counts: 0 where both show the same pixel."""
    counted = record["label_map"] != 255
    return record["label_map"][counted].astype(int) - record["image"][..., :2].astype(int).sum(axis=-1)[counted]


def draw(transform, record: Record, seed: int = 0) -> Record:
    return transform(record, np.random.default_rng(seed))


def as_file(record: Record, kind: str, **options) -> Record:
    buffer = io.BytesIO()
    Image.fromarray(record["image"]).save(buffer, kind, **options)
    return {**record, "image": decode.Encoded(buffer.getvalue())}


def test_crops_of_the_image_as_it_is_are_exact():
    transform = segmentation.train((40, 50), fill=FILL)
    corners, mirrored = set(), 0
    for seed in range(60):
        found = draw(transform, ramp(), seed)
        assert found["image"].shape == (40, 50, 3) and found["label_map"].shape == (40, 50)
        assert found["image"].dtype == found["label_map"].dtype == np.uint8 and set(found) == {"image", "label_map"}
        assert not offsets(found).any() and found["label_map"].size == 2000
        red = found["image"][0, :, 0].astype(int)
        mirrored += red[0] > red[-1]
        corners.add((red.min(), found["image"][0, 0, 1]))
    assert 15 < mirrored < 45
    lefts, tops = zip(*corners, strict=True)
    assert min(lefts) < 8 and max(lefts) > 62 and min(tops) < 5 and max(tops) > 45
    whole = draw(segmentation.train((90, 120), flip=0.0), ramp())
    np.testing.assert_array_equal(whole["image"], ramp()["image"])
    np.testing.assert_array_equal(whole["label_map"], ramp()["label_map"])


@pytest.mark.parametrize("scales", [(0.3, 0.3), (0.77, 0.77), (1.9, 1.9), (0.5, 2.0)])
def test_resized_labels_stay_on_their_pixels(scales):
    transform = segmentation.train((64, 80), scales=scales, fill=FILL)
    for seed in range(20):
        found = draw(transform, ramp(), seed)
        difference = offsets(found)
        # The border of the image is where antialiasing cannot look beyond.
        assert np.abs(difference).max() <= 3 and abs(difference.mean()) < 0.4
        inside = np.abs(difference) <= 2
        assert inside.mean() > 0.95


@pytest.mark.parametrize("kind, options", [("png", {}), ("jpeg", {"quality": 95, "subsampling": 0})])
def test_encoded_images_are_decoded_at_the_scale_of_the_crop(kind, options):
    y, x = np.indices((301, 403)) // 4
    item = {"image": np.stack([x, y, 0 * x + 90], axis=-1).astype(np.uint8), "label_map": (x + y).astype(np.uint8)}
    for scale in (0.2, 0.4, 1.0):
        transform = segmentation.train((60, 60), scales=(scale, scale), flip=0.0)
        for seed in range(5):
            found = draw(transform, as_file(item, kind, **options), seed)
            plain = draw(transform, item, seed)
            np.testing.assert_array_equal(found["label_map"], plain["label_map"])
            assert np.abs(found["image"].astype(int) - plain["image"]).max() <= (0 if kind == "png" else 6)
            assert abs(offsets(found).mean()) < 0.6


def test_small_images_are_surrounded_at_random():
    transform = segmentation.train((40, 50), flip=0.0, fill=FILL)
    places = set()
    for seed in range(40):
        found = draw(transform, ramp(20, 70), seed)  # narrower, and higher, than the crop
        counted = found["label_map"] != 255
        assert counted.sum() == 40 * 20 and not offsets(found).any()
        assert (found["image"][~counted] == FILLED).all() and (found["image"][counted][:, 2] == 200).all()
        places.add(int(counted[0].argmax()))
    assert min(places) < 4 and max(places) > 26


def test_unlabelled_stays_unlabelled_and_no_label_is_made_up():
    item = ramp()
    item["label_map"] = np.where(item["label_map"] % 7 == 0, 255, 100 * (item["label_map"] % 3)).astype(np.uint8)
    transform = segmentation.train((64, 80), scales=(0.5, 2.0), elastic=4.0)
    assert set(np.unique([draw(transform, item, seed)["label_map"] for seed in range(8)])) == {0, 100, 200, 255}


def test_tiles_supervise_every_pixel_of_the_image_and_mirror_what_lies_outside():
    """U-Net's sizes at an eighth: 64 of which the network labels 40, images of 56; grey values are positions."""
    transform = segmentation.train((64, 64), flip=0.0, inner=(40, 40), mirror=True, fill=FILL)
    item, supervised, corners = ramp(56, 56), np.zeros((56, 56), int), set()
    for seed in range(60):
        found = draw(transform, item, seed)
        middle, labels = found["image"][12:52, 12:52], found["label_map"][12:52, 12:52]
        assert (labels != 255).all() and not offsets({"image": middle, "label_map": labels}).any()
        left, top = middle[0, 0, :2].astype(int)
        corners.add((left, top))
        supervised[top : top + 40, left : left + 40] += 1
        outside = np.pad(item["image"], ((12, 12), (12, 12), (0, 0)), mode="reflect")
        np.testing.assert_array_equal(found["image"], outside[top : top + 64, left : left + 64])
    assert supervised.min() > 2 and supervised[0].mean() > 5 and len(corners) > 10
    assert (found["image"] != FILLED).any(axis=-1).all()


def test_a_deformed_tile_supervises_the_border_too_and_has_no_grey():
    transform = segmentation.train((64, 64), elastic=2.0, rotate=180.0, inner=(40, 40), mirror=True, fill=(1.0,) * 3)
    y, x = np.indices((56, 56))
    item = {"image": np.full((56, 56, 3), 200, np.uint8), "label_map": (y // 4 * 14 + x // 4).astype(np.uint8)}
    seen = np.zeros(256, int)
    for seed in range(40):
        found = draw(transform, item, seed)
        assert (found["image"] == 200).all() and found["image"].shape == (64, 64, 3)
        seen += np.bincount(found["label_map"][12:52, 12:52].ravel(), minlength=256)
    assert (seen[: 14 * 14] > 0).all()  # every block of 4×4 pixels, those in the corners too


def test_grey_values_change_and_labels_do_not():
    transform, plain = (segmentation.train((40, 50), flip=0.0, grey=grey) for grey in (0.3, 0.0))
    ratios = []
    for seed in range(20):
        found, straight = draw(transform, ramp(), seed), draw(plain, ramp(), seed)
        np.testing.assert_array_equal(found["label_map"], straight["label_map"])
        ratios.append(found["image"].mean() / straight["image"].mean())
    assert 0.65 < min(ratios) < 0.9 and 1.05 < max(ratios) < 1.35


def test_evaluation_mirrors_what_lies_around_a_small_image():
    found = draw(segmentation.evaluate((100, 130), mirror=True, fill=FILL), ramp())
    expected = np.pad(ramp()["image"], ((0, 10), (0, 10), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(found["image"], expected)
    assert (found["label_map"][90:] == 255).all() and (found["label_map"][:, 120:] == 255).all()
    one = {"image": np.full((1, 1, 3), 7, np.uint8), "label_map": np.zeros((1, 1), np.uint8)}
    assert (draw(segmentation.evaluate((5, 4), mirror=True), one)["image"] == 7).all()


def test_elastic_deformations_bend_image_and_labels_alike():
    transform = segmentation.train((70, 100), flip=0.0, elastic=5.0, fill=FILL)
    plain = segmentation.train((70, 100), flip=0.0)
    shifts = []
    for seed in range(20):
        found = draw(transform, ramp(), seed)
        counted = found["label_map"] != 255
        pure = counted & (found["image"][..., 2] == 200)  # at the image's border, colours mix with what surrounds it
        off = found["label_map"].astype(int) - found["image"][..., :2].astype(int).sum(axis=-1)
        # Pillow rounds down here, half a level on average for each of the two colours.
        assert np.abs(off[pure] - 1).max() <= 2 and abs(off[pure].mean() - 1) < 0.3
        assert pure.sum() > 0.95 * counted.sum()
        assert (found["image"][~counted][:, 2] < 120).all()
        straight = draw(plain, ramp(), seed)
        shifts.append((found["image"].astype(int) - straight["image"])[pure][:, :2])
    spread = np.concatenate(shifts).std(axis=0)
    assert (spread > 2).all() and (spread < 6).all()


def test_evaluation_fits_the_image_on_its_canvas():
    found = draw(segmentation.evaluate((100, 130), fill=FILL), {**ramp(), INDEX: 3, NOTE: "x", "boxes": 0})
    assert set(found) == {"image", "label_map", "size", "original", INDEX, NOTE}
    np.testing.assert_array_equal(found["image"][:90, :120], ramp()["image"])
    np.testing.assert_array_equal(found["label_map"][:90, :120], ramp()["label_map"])
    assert (found["label_map"][90:] == 255).all() and (found["label_map"][:, 120:] == 255).all()
    assert (found["image"][90:] == FILLED).all() and (found["image"][:, 120:] == FILLED).all()
    assert found["size"].tolist() == found["original"].tolist() == [90, 120] and found["size"].dtype == np.float32


@pytest.mark.parametrize("width, height, size", [(120, 90, (30, 40)), (120, 90, (45, 31)), (3, 200, (20, 20))])
def test_large_images_are_made_smaller_and_mapped_back(width, height, size):
    item = ramp(width, height)
    item["label_map"] = np.where(item["label_map"] > 100, 1, 0).astype(np.uint8)
    found = draw(segmentation.evaluate(size), item)
    down, across = found["size"].astype(int)
    assert found["label_map"].shape == size and (down == size[0] or across == size[1])
    assert (found["label_map"][:down, :across] != 255).all() and (found["label_map"] != 255).sum() == down * across
    back = segmentation.nearest(found["label_map"][:down, :across], (height, width))
    assert back.shape == (height, width) and (back == item["label_map"]).mean() > 0.9
    small = segmentation.nearest(item["label_map"], (int(down), int(across)))
    np.testing.assert_array_equal(found["label_map"][:down, :across], small)


def test_images_to_predict_need_no_labels():
    found = draw(segmentation.evaluate((100, 130)), {"image": ramp()["image"]})
    assert (found["label_map"] == 255).all()
    with pytest.raises(ValueError, match="^has no label map; segmentation needs a source with them"):
        draw(segmentation.train((40, 50)), {"image": ramp()["image"], "label": 1})
    with pytest.raises(ValueError, match="give two factors, the smaller first"):
        segmentation.train((40, 50), scales=(2.0, 0.5))


def test_batches_through_the_pipeline_are_the_same_for_any_number_of_processes():
    records = sources.load("scenes:count=6,size=48")["train"]
    transform = pickle.loads(pickle.dumps(segmentation.train((40, 56), scales=(0.5, 2.0), elastic=3.0)))
    data = pipeline.train(records, transform, 4, seed=3)
    whole, halves = next(data(0, 1)), [next(data(shard, 2)) for shard in range(2)]
    assert {key: (str(value.dtype), value.shape) for key, value in whole.items()} == {
        "image": ("uint8", (4, 40, 56, 3)),
        "label_map": ("uint8", (4, 40, 56)),
    }
    for key in whole:
        np.testing.assert_array_equal(np.concatenate([half[key] for half in halves]), whole[key])
    evaluation = list(pipeline.evaluate(records, segmentation.evaluate((48, 64)), 4)(0, 1))
    assert [batch["_mask"].sum() for batch in evaluation] == [4, 2] and evaluation[0]["original"].shape == (4, 2)
