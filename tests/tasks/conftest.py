"""Tasks are tested with the plain forms of all ops; those of a CPU have tests of their own."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _plain(plain: None) -> None:
    """Use `plain` in every module of this folder."""
