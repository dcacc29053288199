"""A process that has imported everything and initialised nothing, from which runs are forked in a moment.

python -m tests.steadfast.server reads jobs as lines of JSON and answers each with a line:
{"argv": ["--experiment=…"], "log": FILE, "seconds": 1.5, "operation": 7, "signal": 9}
The run is sent the signal after so many seconds, or sends it to itself before its so-manieth operation on a file
(opening one to write, renaming, removing, making a folder); with neither it runs to its end.
"""

import faulthandler
import json
import mmap
import os
import signal
import struct
import sys
import time
from typing import Any

from tests.steadfast.processes import left

_OPERATIONS = ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate")


def serve() -> None:
    """Answer jobs until the input ends."""
    import grain  # noqa: F401
    import orbax.checkpoint  # noqa: F401

    import launch
    from jaxvision.run import session  # noqa: F401

    for name in ("gan/toy", "classification/resnet", "gan/dcgan", "ssl/moco", "detection/yolo", "detection/rcnn"):
        launch.load(name)
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(_run(json.loads(line))), flush=True)


def _run(job: dict[str, Any]) -> dict[str, Any]:
    counter = mmap.mmap(-1, 8)
    began = time.monotonic()
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        _be(job, counter)
    code = _wait(child, began + job["seconds"] if job.get("seconds") else None, job.get("signal", signal.SIGKILL))
    return {
        "code": code,
        "seconds": time.monotonic() - began,
        "operations": struct.unpack("<q", counter[:8])[0],
        "left": _others(child),
    }


def _wait(child: int, kill_at: float | None, number: int) -> int:
    """Wait for the child; send it the signal when its time has come."""
    while True:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return os.waitstatus_to_exitcode(status)
        if kill_at is not None and time.monotonic() > kill_at:
            os.kill(child, number)
            kill_at = None
        time.sleep(0.005)


def _others(group: int) -> int:
    """Return how many processes of a group still live half a minute later at most; they are ended then."""
    if alive := left(group, 30):
        os.killpg(group, signal.SIGKILL)
    return len(alive)


def _be(job: dict[str, Any], counter: mmap.mmap) -> None:
    """Be the run: never returns."""
    log = os.open(job["log"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    faulthandler.enable()
    deadly, number, count = job.get("operation"), job.get("signal", signal.SIGKILL), 0

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal count
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if writes or event in _OPERATIONS:
            count += 1
            counter[:8] = struct.pack("<q", count)
            if count == deadly:
                os.kill(os.getpid(), number)

    import launch
    from jaxvision.ops.dispatch import plain_forms

    sys.addaudithook(watch)
    code = 70
    try:
        with plain_forms():  # which compile sooner
            code = launch.main(["launch.py", *job["argv"]])
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    serve()
