"""Class names in the order of the logits."""

from jaxvision.data.coco_names import COCO_ID_OF_LABEL, COCO_NAMES
from jaxvision.data.objects import VOC_NAMES
from jaxvision.weights.preprocess import label_names


def test_imagenets_thousand():
    names = label_names("imagenet")
    assert len(names) == 1000
    assert (names[0], names[207], names[281], names[999]) == ("tench", "golden retriever", "tabby", "toilet tissue")


def test_cocos_ids_and_our_labels_are_the_same_categories():
    names = label_names("coco")
    assert len(names) == 91 and names[0] == "background"
    for label, name in enumerate(COCO_NAMES, start=1):
        assert names[COCO_ID_OF_LABEL[label]] == name
    unused = [number for number, name in enumerate(names) if name == "N/A"]
    assert unused == [12, 26, 29, 30, 45, 66, 68, 69, 71, 83]  # and 91, for which there is no logit


def test_vocs_are_those_of_our_reader():
    assert label_names("voc") == ("background", *VOC_NAMES)
