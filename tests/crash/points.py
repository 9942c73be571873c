"""Named points of a labelling run at which a process may be killed, put around production code.

`arm` wraps what runs between two steps of the protocol, in this process alone. Each time a step
begins or ends it asks the fuse, a file with `NAME<tab>NTH<tab>PIDS`, whether this is the moment; if
so, the process blows the fuse, writes the name and its own title into `deaths` beside it, and sends
SIGKILL to the processes named, by default to itself. A name is the steps that are open, outermost
first: `recover > settle > commit: before`.
"""

import functools
import os
import re
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from crash.steps import LEDGER_WRITES, ROLES, STORAGE_STEPS
from sqlalchemy import Engine, event
from sqlalchemy.engine.default import DefaultDialect

census: Counter[str] = Counter()
_OPEN_WRITES = {name.strip("_") for name in LEDGER_WRITES}
_open: list[str] = []
_open_in_heartbeat: list[str] = []
_waited: Counter[str] = Counter()
_fuse: list[Path] = []


def arm(fuse: Path, steps: tuple[str, ...] = STORAGE_STEPS) -> None:
    """Wrap the steps in this process, for good; `fuse` need not exist yet."""
    _fuse[:] = [fuse]
    for step in steps:
        _wrap(step)
    for name in LEDGER_WRITES:
        _wrap(f"storage.ledger.ledger:Ledger.{name}")
    for name in ("replace", "rename", "fsync", "fdatasync", "unlink"):
        _wrap_file_call(name)
    _wrap_sql()


def hit(when: str) -> None:
    """The moment `when` of what is open has come."""
    name = f"{' > '.join(_steps())}: {when}"
    census[name] += 1
    try:
        wanted, nth, pids = _fuse[0].read_text().split("\t")
    except (FileNotFoundError, ValueError):
        return
    if wanted in {name, "*"}:
        _waited[wanted] += 1
        if _waited[wanted] >= int(nth):
            _die(name, [int(pid) for pid in pids.split()] or [os.getpid()])


@contextmanager
def step(name: str) -> Iterator[None]:
    """A step, with a point before and behind it."""
    steps = _steps()
    steps.append(name)
    try:
        hit("before")
        yield
        hit("after")
    finally:
        steps.pop()


def _steps() -> list[str]:
    """What is open; threads that make files durable belong to what the main one does."""
    in_heartbeat = threading.current_thread().name == "heartbeat"
    return _open_in_heartbeat if in_heartbeat else _open


def _die(name: str, pids: list[int]) -> None:
    try:
        _fuse[0].rename(_fuse[0].with_suffix(".blown"))
    except FileNotFoundError:
        return
    _waited.clear()
    with _fuse[0].with_name("deaths").open("a") as deaths:
        deaths.write(f"{name}\t{Path('/proc/self/cmdline').read_text()}\n")
    for pid in [child for parent in pids for child in _children(parent)] + pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def _children(pid: int) -> list[int]:
    """A process's own children; none of this one's, which has none to take with it."""
    listed = Path(f"/proc/{pid}/task/{pid}/children").read_text() if pid != os.getpid() else ""
    return [int(child) for child in listed.split()]


def _wrap(place: str) -> None:
    module_name, _, path = place.partition(":")
    owner: Any = import_module(f"forgefield.{module_name}")
    *classes, name = path.split(".")
    for each in classes:
        owner = getattr(owner, each)
    inner = getattr(owner, name)
    wrapped = _stepped(inner, name.strip("_"))
    setattr(owner, name, wrapped)
    if not classes:
        _replace_imports(name, inner, wrapped)


def _replace_imports(name: str, old: object, new: object) -> None:
    for module_name, module in list(sys.modules.items()):
        ours = module_name.startswith(("forgefield.", "crash.", "__main__"))
        if ours and getattr(module, name, None) is old:
            setattr(module, name, new)


def _stepped(inner: Callable[..., Any], name: str) -> Callable[..., Any]:
    @functools.wraps(inner)
    def outer(*arguments: Any, **named: Any) -> Any:
        with step(name):
            return inner(*arguments, **named)

    return outer


def _wrap_file_call(name: str) -> None:
    inner = getattr(os, name)

    @functools.wraps(inner)
    def outer(*arguments: Any, **named: Any) -> Any:
        role = _role(arguments[-1])
        if role is None:
            return inner(*arguments, **named)
        hit(f"before {name} of {role}")
        done = inner(*arguments, **named)
        hit(f"after {name} of {role}")
        return done

    setattr(os, name, outer)


def _role(target: object) -> str | None:
    path = Path(f"/proc/self/fd/{target}").readlink() if isinstance(target, int) else target
    name = re.sub(r"/\.([^/]+)\.[0-9a-f]{32}(\.\d+)?\.partial$", r"/\1", str(path))
    return next((role for pattern, role in ROLES.items() if re.search(pattern, name)), None)


def _wrap_sql() -> None:
    commit = DefaultDialect.do_commit

    def outer(self: DefaultDialect, connection: Any) -> None:
        if not _OPEN_WRITES & set(_open):
            commit(self, connection)
            return
        with step("commit"):
            commit(self, connection)

    DefaultDialect.do_commit = outer  # type: ignore[method-assign, assignment]

    @event.listens_for(Engine, "before_cursor_execute")
    def _statement(_connection: Any, _cursor: Any, text: str, *_: Any) -> None:
        if _OPEN_WRITES & set(_open) and not text.startswith(("SELECT", "PRAGMA")):
            hit(f"at {' '.join(text.split()[:2])}")
