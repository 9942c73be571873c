"""Forks one storage worker a line on its stdin, so that libraries load once.

`{"folder": …, "url": …, "seconds": …}` in, `{"code": …, "said": […]}` out.
"""

# ruff: noqa: T201 - the test reads stdout

import json
import os
import select
import signal
import sys
import time
import traceback
from pathlib import Path
from typing import Any

from crash.points import arm, census
from crash.storage_worker import Plan, work

from forgefield.storage.errors import StorageError


def forked(order: dict[str, Any]) -> dict[str, Any]:
    """One worker's life: its exit code, negative for a signal, and all whole lines it said."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        os.dup2(writer, sys.stdout.fileno())
        _child(order)
    os.close(writer)
    said = _read_until(reader, time.monotonic() + order["seconds"], child)
    _, status = os.waitpid(child, 0)
    return {"code": os.waitstatus_to_exitcode(status), "said": said}


def _child(order: dict[str, Any]) -> None:
    code = 1
    try:
        folder = Path(order["folder"])
        arm(folder / "fuse")
        work(folder, order["url"], Plan(order["upto"], order["batch"], order["tour"]))
        code = 0
    except StorageError as error:
        print("refused", error, flush=True)
        code = StorageError.exit_code
    except BaseException:  # noqa: BLE001 - a fork must not return into its parent's code
        print("broken", traceback.format_exc().replace("\n", "⏎"), flush=True)
    for name in census if order["tour"] else ():
        print("point", name, flush=True)
    os._exit(code)


def _read_until(reader: int, end: float, child: int) -> list[str]:
    said, killed = b"", False
    while True:
        ready, _, _ = select.select([reader], [], [], max(0.0, end - time.monotonic()))
        if not ready and not killed:
            os.kill(child, signal.SIGKILL)
            killed, end = True, end + 60
        elif not (more := os.read(reader, 1 << 16)):
            os.close(reader)
            return said.decode().split("\n")[:-1]
        else:
            said += more


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(forked(json.loads(line))), flush=True)
