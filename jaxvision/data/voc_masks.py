"""`voc:DIR` for segmentation: the label maps in SegmentationClass, of PASCAL VOC or as labelme exports them."""

from jaxvision.data import specs, voc_layout
from jaxvision.data.image_files import opened
from jaxvision.data.label_colours import read_colours
from jaxvision.data.label_maps import LabelledImages, class_list
from jaxvision.data.looks_like import or_else
from jaxvision.data.objects import VOC_NAMES
from jaxvision.data.records import Records, Source
from jaxvision.data.splits import source_of

_FOLDERS = ("SegmentationClassPNG", "SegmentationClass")  # labelme's older exports keep arrays in the second


def load(spec: str) -> Source:
    """Read `voc:DIR`: images in JPEGImages, and label maps of the same names in SegmentationClass.

    Splits are the lists in ImageSets/Segmentation; without any, a fixed tenth of all label maps is for validation. The
    classes are VOC's 21, or those of a class_names.txt or classes.txt, or CVAT's labelmap.txt with their colours.

    Raises:
        ValueError: there are no label maps, or no list of images to train on.
    """
    folder = opened(specs.path(spec))
    root = next((year for name in _FOLDERS if (year := voc_layout.year_of(spec, folder, name))), folder)
    images, labels = voc_layout.child(root, *voc_layout.IMAGES), voc_layout.child(root, *_FOLDERS)
    pictures = voc_layout.named_files(images) if images else {}
    maps = voc_layout.named_files(labels) if labels else {}
    lists = voc_layout.read_lists(root, "Segmentation", {*pictures, *maps}, sorted(maps))
    if not lists.splits or images is None or labels is None:
        raise ValueError(
            f"--data={spec}: no ImageSets/Segmentation/train.txt; for label maps of your own use masks:DIR"
            f"{or_else(folder, 'voc')}"
        )
    colours = read_colours(root)
    names = class_list(root) or (colours.names if colours else ("background", *VOC_NAMES))
    splits: dict[str, Records] = {}
    for split, items in lists.splits.items():
        splits[split] = LabelledImages(
            tuple(pictures.get(item, [str(images / f"{item}.jpg")])[0] for item in items),
            tuple(maps.get(item, [str(labels / f"{item}.png")])[0] for item in items),
            len(names),
            colours=colours,
        )
    return source_of(splits, names, origins=lists.origins, left_out=lists.notes)
