import numpy as np
import pytest
from faster_coco_eval.core import mask as run_lengths

from jaxvision.evals.coco_ap import coco_ap, encode
from jaxvision.viz.masks import paste
from tests.evals.detection_cases import NAMES, evaluate, random_batches, real_rows, single


def peer_stats(batches, kind):
    """The twelve figures of pycocotools, from plain dictionaries."""
    coco = pytest.importorskip("pycocotools.coco")
    cocoeval = pytest.importorskip("pycocotools.cocoeval")
    truth, results = coco.COCO(), []
    truth.dataset = {"images": [], "annotations": [], "categories": [{"id": k} for k in range(1, len(NAMES))]}
    for image_id, found, true, (outputs, batch, row) in real_rows(batches):
        truth.dataset["images"].append({"id": image_id, "height": 150, "width": 190})
        for t in true:
            entry = {"id": len(truth.dataset["annotations"]) + 1, "image_id": image_id, "category_id": t["label"]}
            rle = peer_rle(batch["masks"][row, t["row"]], t["box"])
            area = float(run_lengths.area(rle)) if kind else xywh(t["box"])[2] * xywh(t["box"])[3]
            entry |= {"bbox": xywh(t["box"]), "segmentation": rle, "area": area, "iscrowd": int(t["ignore"])}
            truth.dataset["annotations"].append(entry)
        for d in found:
            entry = {"image_id": image_id, "category_id": d["label"], "score": d["score"]}
            box = {"bbox": xywh(d["box"])}
            masks = {"segmentation": peer_rle(outputs["masks"][row, d["row"]], d["box"])}
            results.append({**entry, **(masks if kind == "segm" else box)})
    truth.createIndex()
    evaluator = cocoeval.COCOeval(truth, truth.loadRes(results), kind or "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return dict(zip(("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large", "", "", "AR_100"), evaluator.stats))  # noqa: B905


def xywh(box):
    return [box[0], box[1], box[2] - box[0], box[3] - box[1]]


def peer_rle(crop, box):
    mask = paste(crop, np.array(box), (150, 190)) >= 0.5
    return run_lengths.encode(np.asfortranarray(mask, np.uint8))


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("scale", [1.0, 1.7])
def test_boxes_equal_pycocotools(seed, scale):
    batches = random_batches(seed, scale=scale)
    found, expected = evaluate(coco_ap(NAMES), batches), peer_stats(batches, None)
    assert found == pytest.approx({k: v for k, v in expected.items() if k and v > -1}, abs=1e-9)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(3))
def test_masks_equal_pycocotools(seed):
    batches = random_batches(seed, scale=2.0)
    for outputs, batch in batches:  # masks worth matching: most detections' are like the objects'
        outputs["masks"] = np.where(outputs["scores"][..., None, None] > 0.3, 1.0, outputs["masks"]).astype(np.float32)
        batch["masks"] |= True
        batch["masks"][:, ::2, :5, :7] = False
    found, boxes, masks = (
        evaluate(coco_ap(NAMES, masks=True), batches),
        peer_stats(batches, "bbox"),
        peer_stats(batches, "segm"),
    )
    expected = boxes | {f"mask_{k}": v for k, v in masks.items() if k}
    assert found == pytest.approx({k: v for k, v in expected.items() if k and v > -1}, abs=1e-9)
    assert 0.0 < found["mask_AP"] != found["AP"]


OBJECTS = [[0, 0, 10, 10], [20, 20, 60, 60]]


def test_perfect_detections():
    found = evaluate(coco_ap(("bg", "x")), [single(OBJECTS, [0.9, 0.8], OBJECTS)])
    assert found == pytest.approx(dict.fromkeys(("AP", "AP50", "AP75", "AP_small", "AP_medium", "AR_100"), 1.0))


def test_worked_example():
    case = single([OBJECTS[0], [70, 70, 80, 80], [20, 20, 60, 48]], [0.9, 0.8, 0.7], OBJECTS)  # the last has IoU 0.7
    found = evaluate(coco_ap(("bg", "x")), [case])
    full, half = (51 + 50 * 2 / 3) / 101, 51 / 101  # recall 0, 0.01 … 0.5 is reached at precision 1
    assert found["AP50"] == pytest.approx(full, abs=1e-12)
    assert found["AP75"] == pytest.approx(half, abs=1e-12)
    assert found["AP"] == pytest.approx((full * 5 + half * 5) / 10, abs=1e-12)  # 0.5 to 0.7, 0.75 to 0.95
    assert found["AR_100"] == pytest.approx(0.75, abs=1e-12)


def test_detections_in_a_crowd_do_not_count():
    inside = [[20, 20, 30, 30], [40, 40, 50, 55]]
    case = single([OBJECTS[0], *inside], [0.5, 0.9, 0.8], OBJECTS, ignore=[0, 1])
    assert evaluate(coco_ap(("bg", "x")), [case])["AP"] == pytest.approx(1.0)


def test_images_without_objects_count_their_false_positives():
    right, empty = single(OBJECTS[:1], [0.5], OBJECTS[:1]), single([[5, 5, 9, 9]], [0.9], [], image_id=1)
    assert evaluate(coco_ap(("bg", "x")), [right, empty])["AP"] == pytest.approx(0.5)


def test_no_detections_at_all():
    case = single(np.zeros((0, 4)), [], OBJECTS)
    assert evaluate(coco_ap(("bg", "x")), [case])["AP"] == 0.0


def test_sizes_are_of_the_original_image():
    big = [[0, 0, 60, 60]]
    assert "AP_medium" in evaluate(coco_ap(("bg", "x")), [single(big, [0.9], big)])
    found = evaluate(coco_ap(("bg", "x")), [single(big, [0.9], big, scale=2.0)])
    assert "AP_small" in found and "AP_medium" not in found


def test_sizes_go_by_the_area_of_the_batch():
    outputs, batch = single([[0, 0, 60, 60]], [0.9], [[0, 0, 60, 60]])
    found = evaluate(coco_ap(("bg", "x")), [(outputs, {**batch, "area": np.array([[500.0]])})])
    assert "AP_small" in found and "AP_medium" not in found


def test_areas_that_are_not_stated_are_those_of_masks_or_boxes():
    boxes = [[0, 0, 99, 99], [10, 10, 80, 80]]
    outputs, batch = single(boxes, [0.9, 0.8], boxes)
    batch |= {"area": np.array([[np.nan, 2000.0]])}
    assert {"AP_large", "AP_medium"} <= evaluate(coco_ap(("bg", "x")), [(outputs, batch)]).keys()
    corner = np.zeros((1, 2, 28, 28), bool)
    corner[..., :7, :7] = True  # a sixteenth of the box, some 600 square pixels of the first
    masks = {**outputs, "masks": corner * 1.0}, {**batch, "masks": corner}
    found = evaluate(coco_ap(("bg", "x"), masks=True), [masks])
    assert {"AP_small", "AP_medium", "mask_AP_small"} <= found.keys() and "AP_large" not in found


@pytest.mark.parametrize(("objects", "detections"), [(40, 60), (125, 125), (600, 608)])
def test_every_detection_of_the_network_counts(objects, detections):
    x, y = np.divmod(np.arange(objects), 32)
    boxes = np.stack([x * 3, y * 3, x * 3 + 2, y * 3 + 2], axis=1).tolist()
    outputs, batch = single(boxes, np.ones(objects), boxes)
    spare = ((0, 0), (0, detections - objects))
    outputs = {k: np.pad(v, (*spare, *((0, 0),) * (v.ndim - 2))) for k, v in outputs.items()}
    found = evaluate(coco_ap(("bg", "x")), [(outputs, batch)])
    assert found["AP"] == pytest.approx(1.0) and found["AR_100"] == pytest.approx(min(1, 100 / objects))
    assert (f"AR_{detections}" in found) == (detections > 100) and found.get(f"AR_{detections}", 1.0) == 1.0


def test_objects_without_an_outline_count_for_boxes_only():
    outputs, batch = single(OBJECTS, [0.9, 0.8], OBJECTS)
    full = np.ones((1, 2, 14, 14))
    case = (
        {**outputs, "masks": full},
        {**batch, "masks": full * [[[[1]], [[0]]]], "outlined": np.array([[True, False]])},
    )
    found = evaluate(coco_ap(("bg", "x"), masks=True), [case])
    assert found["AP"] == found["mask_AP"] == pytest.approx(1.0)
    assert "AP_medium" in found and "mask_AP_medium" not in found


def test_masks_are_pasted_into_the_original_image():
    outputs, batch = single([[0, 0, 40, 40]], [0.9], [[0, 0, 40, 40]], scale=2.0)
    disc = np.hypot(*(np.mgrid[:28, :28] - 13.5)) < 12
    full = {**batch, "masks": disc[None, None]}
    found = evaluate(coco_ap(("bg", "x"), masks=True), [({**outputs, "masks": disc[None, None] * 1.0}, full)])
    assert found["mask_AP"] == pytest.approx(1.0)
    hole = np.ones((1, 1, 28, 28)) * (np.arange(28) < 14)
    found = evaluate(coco_ap(("bg", "x"), masks=True), [({**outputs, "masks": hole}, full)])
    assert found["AP"] == pytest.approx(1.0) and found["mask_AP50"] == 0.0


@pytest.mark.parametrize("seed", range(6))
def test_encode_equals_that_of_the_package(seed):
    rng = np.random.default_rng(seed)
    shape, top, left = (9, 13), int(rng.integers(0, 5)), int(rng.integers(0, 5))
    part = rng.random((int(rng.integers(0, 5)), int(rng.integers(0, 9)))) < 0.5
    mask = np.zeros(shape, bool)
    mask[top : top + part.shape[0], left : left + part.shape[1]] = part
    expected = run_lengths.encode(np.asfortranarray(mask, np.uint8))
    assert encode(part, shape, top, left) == encode(mask, shape) == expected
    assert encode(np.ones(shape, bool), shape) == run_lengths.encode(np.ones(shape, np.uint8, order="F"))


def test_masks_of_bytes_go_to_255():
    outputs, batch = single([[0, 0, 40, 40]], [0.9], [[0, 0, 40, 40]])
    crop = np.tile(np.linspace(0, 255, 28, dtype=np.uint8), (28, 1))[None, None]
    case = {**outputs, "masks": crop / 255.0}, {**batch, "masks": crop}
    assert evaluate(coco_ap(("bg", "x"), masks=True), [case])["mask_AP"] == pytest.approx(1.0)
    case = {**outputs, "masks": np.ones(crop.shape)}, {**batch, "masks": np.minimum(crop, 1)}
    assert evaluate(coco_ap(("bg", "x"), masks=True), [case])["mask_AP"] == 0.0
