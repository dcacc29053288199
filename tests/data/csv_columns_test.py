import pytest

from jaxvision.data import csv_columns


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("path,x0,y0,x1,y1,class", (1, 0, (1, 2, 3, 4), False, 5, ())),
        ("filename,width,height,class,xmin,ymin,xmax,ymax", (1, 0, (4, 5, 6, 7), False, 3, (1, 2))),
        ("image_id, x_min, y_min, x_max, y_max, Label", (1, 0, (1, 2, 3, 4), False, 5, ())),
        ("Image Path,x1,y1,x2,y2,class_name", (1, 0, (1, 2, 3, 4), False, 5, ())),
        ("ImageID,Source,LabelName,Confidence,XMin,XMax,YMin,YMax", (1, 0, (4, 6, 5, 7), False, 2, ())),
        ("image,x,y,width,height,label", (1, 0, (1, 2, 3, 4), True, 5, ())),
        ("label_name,bbox_x,bbox_y,bbox_width,bbox_height,image_name,image_width,image_height",
         (1, 5, (1, 2, 3, 4), True, 0, (6, 7))),
        ("a.jpg,1,2,3,4,cat", (0, 0, (1, 2, 3, 4), False, 5, ())),
        ("a.jpg,,,,,", (0, 0, (1, 2, 3, 4), False, 5, ())),
        ("dir/image 1.jpg,1.5,2,3,4e1,", (0, 0, (1, 2, 3, 4), False, 5, ())),
    ],
)  # fmt: skip
def test_columns(line, expected):
    assert csv_columns.of(line.split(",")) == expected


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes",
         "VGG Image Annotator"),
        ("path,class", "has no four columns of a box among path, class; expected "),
        ("path,xmin,ymin,xmax,ymax", "has no a column of classes"),
        ("a.jpg,cat", "cannot tell its columns; expected "),
        ("a.jpg,1,2,3,cat,4", "cannot tell its columns"),
        ("a.jpg,1,2,nan,4,cat", "cannot tell its columns"),
        ("x0,y0,x1,y1,class", "cannot tell its columns"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_one_line(line, reason):
    text = csv_columns.of(line.split(","))
    assert isinstance(text, str) and reason.replace("has no a", "has no") in text and "\n" not in text


def test_the_least_number_of_columns():
    columns = csv_columns.of(["path", "x0", "y0", "x1", "y1", "class", "note"])
    assert not isinstance(columns, str) and columns.least == 6
