"""Which processes of a group live, read from /proc."""

import os
import time


def members(group: int) -> list[int]:
    """Return the processes of a group that still live; those that wait for their parent do not count."""
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/stat") as file:
                fields = file.read().rpartition(")")[2].split()
        except OSError:
            continue
        if group in (int(fields[2]), int(fields[3])) and fields[0] != "Z":
            found.append(int(name))
    return found


def left(group: int, seconds: float) -> list[int]:
    """Wait for all processes of a group to end, for so many seconds; return those that have not."""
    until = time.monotonic() + seconds
    while (alive := members(group)) and time.monotonic() < until:
        time.sleep(0.1)
    return alive
