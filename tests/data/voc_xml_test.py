"""One file of PASCAL VOC's XML."""

import pytest

from jaxvision.data.voc_xml import Annotation, Item, read_annotation

BOX = "<bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox>"


def test_the_content_of_a_file(tmp_path):
    text = (
        "<annotation><filename>a.jpg</filename><size><width>20</width><height>10.0</height></size>"
        f"<object><name> dog </name><difficult>1</difficult>{BOX.format(3, 4, 5, 8)}</object>"
        f"<object><name>cat</name>{BOX.format(9, 8, 9, 2)}</object></annotation>"
    )
    (tmp_path / "a.xml").write_text(text)
    dog, cat = Item("dog", (2, 3, 5, 8), True), Item("cat", (8, 1, 9, 8), False)
    assert read_annotation(tmp_path / "a.xml") == Annotation("a.jpg", 20, 10, (dog, cat))


def test_a_namespace_does_not_count(tmp_path):
    text = f'<annotation xmlns="http://x"><object><name>dog</name>{BOX.format(3, 4, 5, 8)}</object></annotation>'
    (tmp_path / "a.xml").write_text(text)
    assert read_annotation(tmp_path / "a.xml") == Annotation("", 0, 0, (Item("dog", (2, 3, 5, 8), False),))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no element found"),
        ("<annotation>", "no element found"),
        ('<?xml version="1.0" encoding="none"?><annotation/>', "unknown encoding"),
        ("<html/>", "its outermost element is <html>, not VOC's <annotation>"),
        ("<!DOCTYPE a><annotation/>", "has a document type"),
    ],
)
def test_other_files_are_named(tmp_path, text, reason):
    (tmp_path / "a.xml").write_text(text)
    with pytest.raises(ValueError, match=f"^{tmp_path}/a.xml: {reason}[^\n]*$"):
        read_annotation(tmp_path / "a.xml")
    with pytest.raises(ValueError, match=f"^{tmp_path}/none.xml: No such file or directory$"):
        read_annotation(tmp_path / "none.xml")
