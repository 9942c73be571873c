"""A Ctrl-C that the interpreter drops is raised again by long work."""

import gc
import os
import signal
import threading
import weakref

import pytest

from forgefield.platform.interrupts import ctrl_c_kept, leave_if_pressed


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


Capture = pytest.CaptureFixture[str]


class Thing:
    """Something to die."""


def test_ctrl_c_is_raised_at_once_and_forgotten_afterwards(capfd: Capture) -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt), ctrl_c_kept():
        press()
    leave_if_pressed()
    assert signal.getsignal(signal.SIGINT) is before
    assert capfd.readouterr().err.startswith("\nStopping"), "the end may take a while"


def test_one_that_the_shell_had_ignored_is_heard() -> None:
    """As in the background of a script."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), ctrl_c_kept():
            press()
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_one_that_a_callback_lost_is_raised_again() -> None:
    """As in imports, which end with callbacks on locks that die."""
    with ctrl_c_kept():
        thing = Thing()
        watched = weakref.ref(thing, lambda _: press())
        del thing
        assert watched() is None
        with pytest.raises(KeyboardInterrupt):
            leave_if_pressed()
    gc.collect()


def test_other_threads_leave_signals_alone() -> None:
    seen: list[object] = []

    def look() -> None:
        with ctrl_c_kept():
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGINT)]
