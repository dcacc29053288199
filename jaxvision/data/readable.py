"""A check, before a run, that at least one image of a split can be decoded.

A split that is trained on needs no check: its first batch comes before the first step.
"""

from jaxvision.data.records import Records, fetch


def check_readable(where: str, split: str, records: Records) -> None:
    """Decode images of a split until one succeeds, each at a reduced scale where its format allows it.

    Args:
        where: what the records were read from, for the error.
        split: name of the split, for the error, such as val[:90%].
        records: the split; an empty one passes.

    Raises:
        ValueError: no image can be read.
    """
    reason = ""
    for index in range(len(records)):
        try:
            image = fetch(records, index, encoded=True)["image"]
            if hasattr(image, "pixels"):
                image.pixels(1)
            return
        except (ValueError, OSError) as error:
            reason = reason or str(error)
    if reason:
        raise ValueError(f"{where}: no image of {len(records)} in the split {split!r} can be read; the first: {reason}")
