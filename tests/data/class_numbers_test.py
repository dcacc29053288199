import pytest

from jaxvision.data.annotated_images import AnnotationsBuilder
from jaxvision.data.class_numbers import ClassNumbers


def part(classes: ClassNumbers, *names: str):
    builder = AnnotationsBuilder()
    builder.image("a.png", "a", 20, 20)
    for name in names:
        assert not builder.object(0, (1, 1, 9, 9), classes.label(name))
    return builder.build("here")


def test_names_are_sorted_and_labels_follow():
    classes = ClassNumbers()
    parts = {"train": part(classes, "rose", "daisy", "rose"), "val": part(classes, "rose")}
    names, splits = classes.settled(parts, {"train": "t", "val": "v"})
    assert names == ("background", "daisy", "rose")
    assert splits["train"].labels().tolist() == [2, 1, 2] and splits["val"].labels().tolist() == [2]
    assert splits["train"].category_ids == ("daisy", "rose")


def test_a_list_of_classes_decides_and_may_have_more():
    classes = ClassNumbers(["rose", "tulip", "daisy"])
    assert classes.label("weed") == 0
    names, splits = classes.settled({"all": part(classes, "daisy", "rose")}, {"all": "x"})
    assert names == ("background", "rose", "tulip", "daisy") and splits["all"].labels().tolist() == [3, 1]


def test_what_training_lacks_and_nothing_at_all_are_refused():
    classes = ClassNumbers()
    parts = {"train": part(classes, "rose"), "val": part(classes, "weed", "weed")}
    with pytest.raises(ValueError, match=r"^v.csv: has classes that the training split lacks: weed \(2 objects\)$"):
        classes.settled(parts, {"train": "t.csv", "val": "v.csv"})
    with pytest.raises(ValueError, match="^t.csv: no object that can be used$"):
        ClassNumbers().settled({"train": part(ClassNumbers())}, {"train": "t.csv"})
