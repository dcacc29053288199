import numpy as np

from jaxvision.data.annotated_images import AnnotationsBuilder
from jaxvision.data.joined import Joined
from jaxvision.data.original_ids import original_ids
from jaxvision.data.records import Subset


def test_ids_of_a_set_and_of_a_part_of_it():
    builder = AnnotationsBuilder()
    for number in (31, "b", 7):
        builder.image(f"{number}.png", number)
    records = builder.build("here", (90, 3))
    assert original_ids(records) == ((31, "b", 7), (90, 3))
    part = Subset(Subset(records, np.array([2, 0])), np.array([1]))
    assert original_ids(part) == ((31,), (90, 3))
    assert original_ids(Joined((records, records))) is None
    assert (
        original_ids(builder.build("here")) is None and original_ids(Subset(builder.build("x"), np.array([0]))) is None
    )
