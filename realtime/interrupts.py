"""Ctrl-C, SIGTERM and a closed terminal: a KeyboardInterrupt in the main thread.

It comes once, and again where a library has swallowed it.

An exception that leaves a library's callback or `__del__` goes nowhere: Python prints it and goes on. numba's compiler
calls back for every kernel, so at a first start that is a likely moment.
"""

from __future__ import annotations

import _thread
import os
import signal
import stat
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from realtime.clock import NS, SystemClock

AGAIN_S = 0.05  # the callback has returned by then; if not, once more
DESCRIPTORS = 256  # as many are looked through for the terminal
DEAF_NS = 4 * NS  # an impatient second Ctrl-C must not cut short what puts the devices back


class Interrupts:
    """Installed once by the command line; `came` is for loops that look by themselves."""

    def __init__(self) -> None:
        self.came = False
        self._deaf_until_ns = 0
        self._terminals: set[int] = set()
        self._clock = SystemClock()
        self._hook_before: Callable[[Any], object] = sys.unraisablehook

    def install(self) -> None:
        self.came, self._deaf_until_ns = False, 0
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)  # also where a shell started us with it ignored
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup ignores it
            self._terminals = {os.fstat(number).st_rdev for number in (0, 1, 2) if _is_terminal(number)}
            signal.signal(hangup, self._hung_up)
        if sys.unraisablehook != self._unraisable:
            self._hook_before, sys.unraisablehook = sys.unraisablehook, self._unraisable

    def heed(self) -> None:
        """Somebody has seen it and ends the work: none is raised for a while."""
        self._deaf_until_ns = self._clock.now_ns() + DEAF_NS

    def _signalled(self, number: int, frame: object) -> None:
        self.came = True
        if self._clock.now_ns() >= self._deaf_until_ns:
            self.heed()
            raise KeyboardInterrupt

    def _hung_up(self, number: int, frame: object) -> None:
        """The terminal is gone: what is still said goes nowhere, and the end is as after SIGTERM, which may be held."""
        _lead_nowhere(self._terminals)
        signal.raise_signal(signal.SIGTERM)

    def _unraisable(self, what: Any) -> None:
        if not self.came:
            self._hook_before(what)
            return
        if not issubclass(what.exc_type, KeyboardInterrupt):
            return  # the finaliser of something that the interrupt left half made
        self._deaf_until_ns = 0
        again = threading.Timer(AGAIN_S, _signal_main)
        again.daemon = True
        again.start()


def _is_terminal(number: int) -> bool:
    try:
        return os.isatty(number) and stat.S_ISCHR(os.fstat(number).st_mode)
    except OSError:  # closed
        return False


def _lead_nowhere(devices: set[int]) -> None:
    """Let every descriptor of these terminals write to nowhere, also copies that are put back later."""
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in range(DESCRIPTORS):
        with suppress(OSError):  # not open
            found = os.fstat(number)
            if stat.S_ISCHR(found.st_mode) and found.st_rdev in devices:
                os.dup2(nowhere, number, inheritable=number <= 2)
    os.close(nowhere)


def _signal_main() -> None:
    if hasattr(signal, "pthread_kill"):  # ends a sleep, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)


interrupts = Interrupts()
