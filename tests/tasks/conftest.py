"""Tasks are tested with the plain forms of all ops, which compile sooner; those of a CPU have tests of their own."""

from collections.abc import Iterator

import pytest

from jaxvision.ops.dispatch import plain_forms


@pytest.fixture(autouse=True, scope="module")
def _plain() -> Iterator[None]:
    with plain_forms():
        yield
