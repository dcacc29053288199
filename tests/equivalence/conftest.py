"""Steps are compared with the plain forms of all ops; the forms for CPUs have tests of their own in `tests/ops`."""

import pytest


@pytest.fixture(autouse=True, scope="module")
def _plain(plain: None) -> None:
    """Use `plain` in every module of this folder."""
