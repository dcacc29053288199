"""The server that runs of this folder are forked from."""

from collections.abc import Iterator

import pytest

from tests.steadfast.killing import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server for a module, with a log of its own."""
    started = Server(tmp_path_factory.mktemp("server") / "log")
    yield started
    started.close()
