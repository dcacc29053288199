"""The ids that a set's own files have for its images and classes, for results that are compared with those files."""

from typing import NamedTuple

from jaxvision.data.annotated_images import AnnotatedImages
from jaxvision.data.records import Records, Subset


class OriginalIds(NamedTuple):
    """Ids of a split's records and of its labels."""

    images: tuple[int | str, ...]  # of record 0, 1, …
    categories: tuple[int | str, ...]  # of label 1, 2, …; -1: a class that the set lacks


def original_ids(records: Records) -> OriginalIds | None:
    """Return the ids of a split's images and classes; None where its reader keeps none, or several sets are joined."""
    if isinstance(records, Subset):
        ids = original_ids(records.parent)
        return ids and ids._replace(images=tuple(ids.images[index] for index in records.indices.tolist()))
    if isinstance(records, AnnotatedImages) and records.category_ids:
        return OriginalIds(records.ids, records.category_ids)
    return None
