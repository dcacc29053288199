"""What a detector's data must have before the first step, and the slots for objects in its batches."""

from collections.abc import Mapping

from absl import logging

from jaxvision.data.object_counts import Slots, training_slots
from jaxvision.data.records import Records, Source, counts

_MANY = 128  # slots from which on a message says that they cost memory


def check_objects(
    source: Source,
    data: str,
    train_split: str,
    val_split: str,
    *,
    training: bool = True,
    masks: bool = False,
    most: Mapping[str, int],
) -> None:
    """Refuse data from which nothing can be learned, and say what evaluation cannot measure.

    Args:
        source: the images of `data`.
        data: the flag `--data`.
        train_split: the split that is trained on.
        val_split: the split that is evaluated.
        training: False where a trained network is only used.
        masks: whether masks are learned too.
        most: flags that limit the detections of an image, with their values.

    Raises:
        ValueError: no training image has an object or, with `masks`, none has an object with an outline.
    """
    if training:
        require_objects(source[train_split], data, train_split, "there is nothing to learn")
    known = counts(source[train_split], outlined=True) if training and masks else None
    if known is not None and not known.any():
        raise ValueError(
            f"--data={data}: none of the objects of {train_split} has an outline, from which masks are learned; "
            "detection/faster_rcnn learns boxes alone"
        )
    evaluated = counts(source[val_split])
    if evaluated is None:
        return
    if not evaluated.any():
        logging.warning(
            "%s: none of its %d images has an object: average precision is undefined, and left out",
            val_split,
            len(evaluated),
        )
    for flag, limit in most.items():
        if (largest := int(evaluated.max(initial=0))) > limit:
            logging.warning(
                "%s: an image has %d objects, of which at most %d can be found; raise %s",
                val_split,
                largest,
                limit,
                flag,
            )


def require_objects(records: Records, data: str, split: str, reason: str) -> None:
    """Refuse a split without objects.

    Args:
        records: the images of the split.
        data: the flag `--data`.
        split: the name of the split.
        reason: why the experiment needs objects, for the error.

    Raises:
        ValueError: no image has an object.
    """
    known = counts(records)
    if known is not None and not known.any():
        raise ValueError(
            f"--data={data}: none of the {len(known)} images of {split} has an object: {reason}; check the annotations"
        )


def slots_of(records: Records, split: str, wanted: int, *, training: bool = True) -> Slots:
    """Choose the slots for objects of training images, and say where that costs objects or memory.

    Args:
        records: the images of the split.
        split: the name of the split.
        wanted: the flag `--view.max_objects`; 0: from the data.
        training: False where a trained network is only used: nothing is said.

    Returns:
        The slots.
    """
    slots = training_slots(records, wanted)
    if not training:
        return slots
    if slots.too_many:
        logging.warning(
            "%s: %d of %d images have more than %d objects; the smallest of them are ignored in training, neither "
            "objects nor background: --view.max_objects=0 has room for all, and takes more memory",
            split,
            slots.too_many,
            len(records),
            slots.objects,
        )
    elif slots.objects > _MANY and not wanted:
        logging.warning(
            "%s: every training image has slots for %d objects, as one image needs; if memory runs out, choose fewer "
            "with --view.max_objects: objects that do not fit are then ignored",
            split,
            slots.objects,
        )
    return slots
