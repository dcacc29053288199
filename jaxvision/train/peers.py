"""Connections between processes that train together, which break when one of them ends: then the others end, too.

A process that waits for another's part of a sum notices late that it will never come, and JAX's own watch tells of it
after minutes, in many lines. The system closes the connections of a process at once, however it ends.
"""

import atexit
import contextlib
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator

GRACE = 5.0  # seconds in which the main thread may end by itself, once another process is gone
_NOTICED = 2.0  # seconds between the error of a sum and the news of a broken connection, at most
_WAIT = 120.0  # seconds for the others to connect
_GOODBYE = b"."


class JointError(ValueError):
    """What all processes do together has failed, such as a checkpoint, and the end of one of them may be why."""


class _Watch:
    """What is known of the other processes."""

    def __init__(self) -> None:
        self.ending = False
        self.lost = threading.Event()
        self.text = ""

    def listen(self, connection: socket.socket, number: int) -> None:
        """Wait until a process says goodbye, or ends without; then end this one, unless it does so by itself."""
        try:
            well = connection.recv(1) == _GOODBYE
        except OSError:
            well = False
        if well or self.ending or self.lost.is_set():
            return
        self.text = (
            f"process {number} of those that train together has ended; start all of them again: the same commands go "
            "on from the last checkpoint"
        )
        self.lost.set()
        time.sleep(GRACE)
        sys.stderr.write(f"error: {self.text}\n")
        sys.stderr.flush()
        os._exit(2)


@contextlib.contextmanager
def watched(number: int, count: int, host: str, share: Callable[[int], int]) -> Iterator[None]:
    """Watch the other processes during the `with`.

    Args:
        number: of this process, from 0.
        count: of processes.
        host: the name of the host of process 0.
        share: gives all processes the number that process 0 passes to it.

    Raises:
        ValueError: another process has ended.
    """
    watch, connections = _Watch(), dict(_connected(number, count, host, share))
    for other, connection in connections.items():
        threading.Thread(target=watch.listen, args=(connection, other), daemon=True).start()
    try:
        yield
        _say_goodbye(connections)
    except KeyboardInterrupt as error:
        if getattr(error, "agreed", False):  # `signals.Interrupted` of all processes at the same step
            _say_goodbye(connections)
        else:
            atexit.register(os._exit, 2)
        raise
    except Exception as error:
        atexit.register(os._exit, 2)  # JAX would wait at the exit for processes that do not come
        may_be_theirs = not isinstance(error, ValueError) or isinstance(error, JointError)
        if may_be_theirs and watch.lost.wait(_NOTICED):
            raise ValueError(watch.text) from None
        raise
    finally:
        watch.ending = True
        for connection in connections.values():
            connection.close()


def _connected(number: int, count: int, host: str, share: Callable[[int], int]) -> Iterator[tuple[int, socket.socket]]:
    """Yield the connections of this process: of the first one with every other one."""
    if number:
        connection = socket.create_connection((host, share(0)), _WAIT)
        connection.sendall(number.to_bytes(4, "little"))
        yield 0, _kept_alive(connection)
        return
    with socket.create_server(("", 0), backlog=count) as server:
        share(server.getsockname()[1])
        server.settimeout(_WAIT)
        for _ in range(count - 1):
            connection, _ = server.accept()
            yield int.from_bytes(connection.recv(4, socket.MSG_WAITALL), "little"), _kept_alive(connection)


def _kept_alive(connection: socket.socket) -> socket.socket:
    """Let the system ask every few seconds whether the other host is there, which may lose its power."""
    connection.settimeout(None)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in (("TCP_KEEPIDLE", 10), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 2)):
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _say_goodbye(connections: dict[int, socket.socket]) -> None:
    for connection in connections.values():
        with contextlib.suppress(OSError):
            connection.sendall(_GOODBYE)
