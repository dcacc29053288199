"""COCO's ids and names."""

from jaxvision.data import coco_names


def test_the_table_of_cocos_ids_goes_both_ways():
    assert len(coco_names.COCO_ID_OF_LABEL) == len(coco_names.COCO_LABEL_OF_ID) == len(coco_names.COCO_NAMES) == 80
    assert [coco_names.COCO_LABEL_OF_ID[coco_names.COCO_ID_OF_LABEL[label]] for label in range(1, 81)] == list(
        range(1, 81)
    )
    missing = set(range(1, 92)) - set(coco_names.COCO_LABEL_OF_ID)
    assert missing == {12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91}
    by_id = {number: coco_names.COCO_NAMES[label - 1] for number, label in coco_names.COCO_LABEL_OF_ID.items()}
    known = {
        1: "person",
        11: "fire hydrant",
        13: "stop sign",
        44: "bottle",
        62: "chair",
        67: "dining table",
        90: "toothbrush",
    }
    assert {number: by_id[number] for number in known} == known
