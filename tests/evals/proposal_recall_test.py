import numpy as np
import pytest

from jaxvision.evals.proposal_recall import proposal_recall
from tests.evals.coco_ap_test import xywh
from tests.evals.detection_cases import evaluate, random_batches, real_rows, single


def proposals_of(case):
    outputs, batch = case
    return {
        "proposals": outputs["boxes"],
        "proposal_scores": outputs["scores"],
        "proposal_valid": outputs["valid"],
    }, batch


def plain_recall(batches, count, threshold):
    """One image after the other: each proposal, best first, takes the free object that it overlaps most."""
    hits = objects = 0
    for _, found, true, _ in real_rows(batches):
        free = [t["box"] for t in true if not t["ignore"]]
        objects += len(free)
        for proposal in sorted(found, key=lambda d: -d["score"])[:count]:
            overlaps = [overlap(proposal["box"], box) for box in free]
            if overlaps and max(overlaps) >= threshold:
                free.pop(len(overlaps) - 1 - overlaps[::-1].index(max(overlaps)))
                hits += 1
    return hits / objects


def overlap(a, b):
    sides = [min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1)]
    shared = max(sides[0], 0) * max(sides[1], 0)
    return shared / (xywh(a)[2] * xywh(a)[3] + xywh(b)[2] * xywh(b)[3] - shared) if shared else 0.0


@pytest.mark.parametrize("seed", range(5))
def test_equals_plain_loops(seed):
    batches = random_batches(seed, scale=2.0)
    found = evaluate(proposal_recall((1, 3, 9)), map(proposals_of, batches))
    for count in (1, 3, 9):
        each = [plain_recall(batches, count, t) for t in np.linspace(0.5, 0.95, 10)]
        assert found[f"proposal_recall50_{count}"] == pytest.approx(each[0], abs=1e-9)
        assert found[f"proposal_AR_{count}"] == pytest.approx(np.mean(each), abs=1e-9)


@pytest.mark.peer
@pytest.mark.parametrize("seed", range(3))
def test_equals_pycocotools(seed):
    coco, cocoeval = (pytest.importorskip(f"pycocotools.{name}") for name in ("coco", "cocoeval"))
    batches, truth, results = random_batches(seed), coco.COCO(), []
    truth.dataset = {"images": [], "annotations": [], "categories": [{"id": 1}]}
    for image_id, found, true, _ in real_rows(batches):
        truth.dataset["images"].append({"id": image_id})
        for t in true:
            entry = {"id": len(truth.dataset["annotations"]) + 1, "image_id": image_id, "category_id": 1, "area": 1.0}
            truth.dataset["annotations"].append({**entry, "bbox": xywh(t["box"]), "iscrowd": int(t["ignore"])})
        results += [
            {"image_id": image_id, "category_id": 1, "bbox": xywh(d["box"]), "score": d["score"]} for d in found
        ]
    truth.createIndex()
    evaluator = cocoeval.COCOeval(truth, truth.loadRes(results), "bbox")
    evaluator.params.useCats, evaluator.params.maxDets = 0, [2, 5, 9]
    evaluator.evaluate()
    evaluator.accumulate()
    ours = evaluate(proposal_recall((2, 5, 9)), map(proposals_of, batches))
    for i, count in enumerate((2, 5, 9)):
        recall = evaluator.eval["recall"][:, 0, 0, i]
        assert ours[f"proposal_AR_{count}"] == pytest.approx(recall.mean(), abs=1e-9)
        assert ours[f"proposal_recall50_{count}"] == pytest.approx(recall[0], abs=1e-9)


def test_worked_example():
    objects = [[0, 0, 10, 10], [20, 20, 30, 30]]
    case = proposals_of(
        single([[70, 70, 80, 80], objects[1], [0, 0, 10, 7.2]], [0.9, 0.8, 0.7], objects, true_labels=[1, 2])
    )
    found = evaluate(proposal_recall((2, 1, 300)), [case])
    assert found["proposal_recall50_1"] == 0.0
    assert found["proposal_recall50_2"] == found["proposal_AR_2"] == 0.5
    assert found["proposal_recall50_300"] == 1.0
    assert found["proposal_AR_300"] == pytest.approx((5 * 1.0 + 5 * 0.5) / 10)  # IoU 0.72 passes 0.5 … 0.7
