"""Records that hold nothing but their own index, for tests of splits and orders."""

import dataclasses

from jaxvision.data.records import Records


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Records whose label is their index."""

    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> dict:
        return {"label": index}

    def name(self, index: int) -> str:
        return f"numbers/{index}"


def labels(records: Records) -> list[int]:
    """The label of every record, in order."""
    return [records[i]["label"] for i in range(len(records))]
