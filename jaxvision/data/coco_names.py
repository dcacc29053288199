"""The 80 categories of COCO's detection task, and their ids."""

from collections.abc import Mapping

# The ids that COCO's categories have. Of 1 … 91, eleven were never annotated.
_MISSING = frozenset({12, 26, 29, 30, 45, 66, 68, 69, 71, 83, 91})
_IDS = tuple(number for number in range(1, 92) if number not in _MISSING)
COCO_NAMES = (
    *("person", "bicycle", "car", "motorcycle", "airplane", "bus", "train", "truck", "boat", "traffic light"),
    *("fire hydrant", "stop sign", "parking meter", "bench", "bird", "cat", "dog", "horse", "sheep", "cow", "elephant"),
    *("bear", "zebra", "giraffe", "backpack", "umbrella", "handbag", "tie", "suitcase", "frisbee", "skis", "snowboard"),
    *("sports ball", "kite", "baseball bat", "baseball glove", "skateboard", "surfboard", "tennis racket", "bottle"),
    *("wine glass", "cup", "fork", "knife", "spoon", "bowl", "banana", "apple", "sandwich", "orange", "broccoli"),
    *("carrot", "hot dog", "pizza", "donut", "cake", "chair", "couch", "potted plant", "bed", "dining table", "toilet"),
    *("tv", "laptop", "mouse", "remote", "keyboard", "cell phone", "microwave", "oven", "toaster", "sink"),
    *("refrigerator", "book", "clock", "vase", "scissors", "teddy bear", "hair drier", "toothbrush"),
)
COCO_ID_OF_LABEL: Mapping[int, int] = dict(enumerate(_IDS, 1))  # our 1 … 80 to COCO's 1 … 90
COCO_LABEL_OF_ID: Mapping[int, int] = {number: label for label, number in COCO_ID_OF_LABEL.items()}
