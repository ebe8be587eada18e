"""Ctrl-C and SIGTERM: a KeyboardInterrupt in the main thread, once, and again where a library has swallowed it.

An exception that leaves a library's callback or `__del__` goes nowhere: Python prints it and goes on. numba's compiler
calls back for every kernel, so at a first start that is a likely moment.
"""

from __future__ import annotations

import _thread
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from realtime.clock import NS, SystemClock

AGAIN_S = 0.05  # the callback has returned by then; if not, once more
DEAF_NS = 4 * NS  # an impatient second Ctrl-C must not cut short what puts the devices back


class Interrupts:
    """Installed once by the command line; `came` is for loops that look by themselves."""

    def __init__(self) -> None:
        self.came = False
        self._deaf_until_ns = 0
        self._clock = SystemClock()
        self._hook_before: Callable[[Any], object] = sys.unraisablehook

    def install(self) -> None:
        self.came, self._deaf_until_ns = False, 0
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)  # also where a shell started us with it ignored
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


def _signal_main() -> None:
    if hasattr(signal, "pthread_kill"):  # ends a sleep, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)


interrupts = Interrupts()
