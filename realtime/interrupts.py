"""Ctrl-C, SIGTERM, Windows' Ctrl-Break and a closed terminal: a KeyboardInterrupt in the main thread.

It comes once, and again where a library has swallowed it.

An exception that leaves a library's callback or `__del__` goes nowhere: Python prints it and goes on. numba's compiler
calls back for every kernel, so at a first start that is a likely moment.

Python's own handler waits until the main thread runs Python again, which C code that waits for a sound server may never
let it. So a thread listens, too: where such a server is in use (`impatient`), it ends the program when the main thread
stays deaf, but finishes what must be first.
"""

from __future__ import annotations

import _thread
import os
import select
import signal
import socket
import stat
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from realtime.clock import NS, SystemClock

AGAIN_S = 0.05  # the callback has returned by then; if not, once more
DESCRIPTORS = 256  # as many are looked through for the terminal
DEAF_NS = 4 * NS  # an impatient second Ctrl-C must not cut short what puts the devices back
SEEN_NS = 2 * NS  # a main thread that has not seen it by then waits inside a library
LOOK_NS = NS // 20
HURRY_S = 2.0  # how long one after DEAF_NS lets the main thread end by itself
LAST_NS = NS  # for what should be put back at a sudden end, but may hang as well
STOPPED = b"voxcam: stopped\n"
STOPPED_CODE = 130


class Interrupts:
    """Installed once by the command line; `came` is for loops that look by themselves.

    `to_finish` and `to_put_back` name what a sudden end, without the main thread, does first: files are finished
    however long that takes, all else has a second. `terminal` is put back when the terminal hangs up, too.
    """

    def __init__(self) -> None:
        self.came = False
        self._deaf_until_ns = 0
        self._terminals: set[int] = set()
        self._clock = SystemClock()
        self._hook_before: Callable[[Any], object] = sys.unraisablehook
        self.impatient = False  # what may hang is in use; else long calls of C, as training steps are, are waited for
        self.to_finish: list[Callable[[], object]] = []
        self.to_put_back: list[Callable[[], object]] = []
        self.terminal: list[Callable[[], object]] = []
        self._first_ns = 0
        self._bell: tuple[socket.socket, socket.socket] | None = None  # to hear at, and where C writes each signal
        self._ending = threading.Lock()
        self._stderr = -1

    def install(self) -> None:
        self.came, self.impatient, self._deaf_until_ns = False, False, 0
        self._listen()
        signal.signal(signal.SIGTERM, self._signalled)
        signal.signal(signal.SIGINT, self._signalled)  # also where a shell started us with it ignored
        hangup = getattr(signal, "SIGHUP", None)
        if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:  # nohup ignores it
            self._terminals = {os.fstat(number).st_rdev for number in (0, 1, 2) if _is_terminal(number)}
            signal.signal(hangup, self._hung_up)
        if (ctrl_break := getattr(signal, "SIGBREAK", None)) is not None:
            signal.signal(ctrl_break, self._broken)
        if sys.unraisablehook != self._unraisable:
            self._hook_before, sys.unraisablehook = sys.unraisablehook, self._unraisable

    def heed(self) -> None:
        """Somebody has seen it and ends the work: none is raised for a while."""
        self._deaf_until_ns = self._clock.now_ns() + DEAF_NS

    @contextmanager
    def at_sudden_end(self, works: list[Callable[[], object]], work: Callable[[], object]) -> Iterator[None]:
        """`work` is among `works`, one of the three lists, for so long."""
        works.append(work)
        try:
            yield
        finally:
            works.remove(work)

    def speak_again(self) -> None:
        """Lead stderr where it led at the start: a library that leads it to nowhere for a moment hangs."""
        with suppress(OSError):
            os.dup2(self._stderr, 2)

    def _signalled(self, number: int, frame: object) -> None:
        now_ns = self._clock.now_ns()
        self._silence_bell()
        if not self.came:
            self.came, self._first_ns = True, now_ns
        if now_ns >= self._deaf_until_ns:
            if self.impatient and now_ns - self._first_ns >= DEAF_NS:  # the end takes long, and somebody waits for it
                hurry = threading.Timer(HURRY_S, self._end_now)
                hurry.daemon = True
                hurry.start()
            self.heed()
            raise KeyboardInterrupt

    def _listen(self) -> None:
        with suppress(OSError):  # there is none
            before, self._stderr = self._stderr, os.dup(2)
            if before >= 0:
                os.close(before)
        if self._bell is None:
            self._bell = socket.socketpair()
            for end in self._bell:
                end.setblocking(False)
            if hasattr(os, "register_at_fork"):  # what is sent to a child is no business of ours
                os.register_at_fork(after_in_child=lambda: signal.set_wakeup_fd(-1))
            threading.Thread(target=self._watch, name="interrupts", daemon=True).start()
        signal.set_wakeup_fd(self._bell[1].fileno(), warn_on_full_buffer=False)

    def _rings(self, timeout_s: float | None = 0) -> bool:
        """A signal has come that the main thread has not seen yet."""
        return self._bell is not None and bool(select.select([self._bell[0]], [], [], timeout_s)[0])

    def _silence_bell(self) -> None:
        if self._bell is not None:
            with suppress(OSError):  # it does not ring
                self._bell[0].recv(4096)

    def _held(self) -> bool:
        """Others take the signals now: a file is being finished."""
        ours = (self._signalled, signal.SIG_IGN)  # ignored: the program's last steps
        return any(signal.getsignal(number) not in ours for number in (signal.SIGINT, signal.SIGTERM))

    def _watch(self) -> None:
        while True:
            self._rings(None)
            until_ns, at = self._clock.now_ns() + SEEN_NS, _where_main_is()
            while self._rings():
                if self._held() or _where_main_is() != at:  # it runs: that it has seen it was told a moment too early
                    self._silence_bell()
                elif self.impatient and self._clock.now_ns() >= until_ns:
                    self._end_now()
                self._clock.sleep_until(self._clock.now_ns() + LOOK_NS)

    def _end_now(self) -> None:
        """The end without the main thread, which hangs."""
        if not self._ending.acquire(blocking=False):
            return
        while self._held():
            self._clock.sleep_until(self._clock.now_ns() + LOOK_NS)
        for work in reversed(self.to_finish):
            with suppress(Exception):  # it would have been told by the main thread
                work()
        _all_within(LAST_NS, [*self.terminal, *reversed(self.to_put_back)])
        _all_within(LAST_NS, [lambda: os.write(self._stderr, STOPPED)])
        os._exit(STOPPED_CODE)

    def _hung_up(self, number: int, frame: object) -> None:
        """The terminal is gone: what is still said goes nowhere, and the end is as after SIGTERM, which may be held.

        Where somebody has sent it by hand the terminal lives on: it is put back while it can still be reached.
        """
        for work in self.terminal:
            with suppress(OSError, ValueError):
                work()
        _lead_nowhere(self._terminals)
        signal.raise_signal(signal.SIGTERM)

    def _broken(self, number: int, frame: object) -> None:
        """Ctrl-Break, and what other programs send on Windows: as SIGTERM, which may be held."""
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


def _where_main_is() -> tuple[int, int]:
    """The frame and the instruction: both stay while C code waits."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    return (id(frame), frame.f_lasti) if frame is not None else (0, 0)


def _all_within(limit_ns: int, works: list[Callable[[], object]]) -> None:
    """Do all of it at once, for so long at most."""
    threads = [threading.Thread(target=_quietly, args=(work,), daemon=True) for work in works]
    clock = SystemClock()
    end_ns = clock.now_ns() + limit_ns
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0, end_ns - clock.now_ns()) / NS)


def _quietly(work: Callable[[], object]) -> None:
    with suppress(Exception):  # nobody is left who could be told
        work()


def _signal_main() -> None:
    if hasattr(signal, "pthread_kill"):  # ends a sleep, too
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
    else:
        _thread.interrupt_main(signal.SIGTERM)


interrupts = Interrupts()
