"""Labels by the numbers that a network gives them."""

import numpy as np
import pytest

from jaxvision.data.classes import Renumbered, by_name, renumbered, without_images
from jaxvision.data.records import Record, Source


class Three:
    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> Record:
        maps = np.array([[0, 1], [2, 255]], np.uint8)
        return {"image": np.zeros((2, 2, 3), np.uint8), "label": 1, "labels": np.array([2, 0]), "label_map": maps}

    def name(self, index: int) -> str:
        return f"three/{index}"


def test_labels_follow_the_names():
    source = renumbered(Source({"train": Three()}, ("cat", "dog", "ant")), ("N/A", "ant", "bee", "cat", "N/A", "dog"))
    record = source["train"][0]
    assert source.num_classes == 6 and isinstance(source["train"], Renumbered)
    assert record["label"] == 5 and record["labels"].tolist() == [1, 3]
    assert record["label_map"].tolist() == [[3, 5], [1, 255]]
    assert source["train"].name(0) == "three/0" and source["train"].extent(0) == (2, 2)
    assert source["train"].encoded(0)["label"] == 5


def test_other_names_stay_as_they_are():
    source = Source({"train": Three()}, ("cat", "dog", "ant"))
    assert renumbered(source, ("cat", "dog", "bee")) is source
    assert renumbered(source, ()) is source
    assert renumbered(source, ("cat", "dog", "ant")) is source


def test_a_source_of_names_only():
    source = without_images(("a", "b"))
    assert source.num_classes == 2 and source["val"][0]["image"].dtype == np.uint8
    with pytest.raises(ValueError, match="--data=none .* use it with --init_from"):
        without_images(())
    assert source["test[:5]"][0]["image"].dtype == np.uint8


def test_data_of_a_trained_network_has_its_classes_or_is_refused():
    source = by_name("folder:x", Source({"train": Three()}, ("cat", "dog", "ant")), ("ant", "bee", "cat", "dog"))
    assert source.class_names == ("ant", "bee", "cat", "dog") and source["train"][0]["label"] == 3
    with pytest.raises(ValueError, match="folder:x: has classes that this run did not learn: ant; it learned cat, dog"):
        by_name("folder:x", Source({"train": Three()}, ("cat", "dog", "ant")), ("cat", "dog"))
