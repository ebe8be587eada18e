"""Single key presses from a terminal, without waiting; none where there is no terminal, or while another job has it."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from collections import deque
from contextlib import suppress
from ctypes import wintypes
from types import TracebackType
from typing import Any

from realtime.interrupts import interrupts

TERMINAL_BYTES = 4096  # no terminal lets more wait
LOCAL_MODES = 3  # where termios.tcgetattr keeps them
KEY_EVENT, STANDARD_INPUT = 1, -10  # as Windows' consoles call them
ESCAPE = re.compile(r"\x1b(\[[0-?]*[ -/]*[@-~]|O[ -~])?")  # an arrow, a function key, or Esc itself


def in_foreground(descriptor: int) -> bool:
    """False for a job in the background: its terminal stops it when it reads there, or sets how keys are read."""
    if sys.platform == "win32":
        return True
    try:
        return os.tcgetpgrp(descriptor) == os.getpgrp()
    except OSError:  # not the terminal whose job we are: it stops nobody
        return True


class ConsoleKey(ctypes.Structure):
    """KEY_EVENT_RECORD of Windows."""

    _fields_ = (
        ("down", wintypes.BOOL),
        ("repeats", wintypes.WORD),
        ("key", wintypes.WORD),
        ("scan", wintypes.WORD),
        ("letter", wintypes.WCHAR),
        ("held", wintypes.DWORD),
    )


class ConsoleRecord(ctypes.Structure):
    """INPUT_RECORD: as large as those of the mouse and of the window, which come in the same queue."""

    _fields_ = (("kind", wintypes.WORD), ("key", ConsoleKey))


class Keys:
    """`with Keys() as keys: keys.pressed()` gives the next key or "". The terminal is put back at the end.

    `on`: whether keys are heard now. A job in the background hears none until `fg` brings it forward.
    """

    def __init__(self) -> None:
        self.on = sys.platform == "win32"
        self._before: Any = None
        self._typed: deque[str] = deque()

    def __enter__(self) -> Keys:
        interrupts.terminal.append(self.put_back)
        self._look()
        return self

    def _look(self) -> None:
        """Have keys come one by one, where they are ours; again, where a shell has set its own ways in between."""
        if sys.platform == "win32" or sys.stdin is None or not sys.stdin.isatty():
            return
        import termios
        import tty

        self.on = in_foreground(sys.stdin.fileno())
        if not self.on:
            return
        with suppress(termios.error):  # the terminal is gone
            found = termios.tcgetattr(sys.stdin.fileno())
            if found[LOCAL_MODES] & termios.ICANON:  # by lines
                self._before = found
                tty.setcbreak(sys.stdin.fileno(), termios.TCSANOW)  # and keep what is typed already

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        interrupts.terminal.remove(self.put_back)
        self.put_back()
        self._before, self.on = None, False

    def put_back(self) -> None:
        """The terminal's modes as they were found. At once: what is still to be shown waits where it was stopped."""
        if sys.platform != "win32" and self._before is not None and in_foreground(sys.stdin.fileno()):
            import termios

            with suppress(termios.error):  # the terminal is gone
                termios.tcsetattr(sys.stdin.fileno(), termios.TCSANOW, self._before)

    def pressed(self) -> str:
        if sys.platform == "win32":
            if not self._typed and sys.stdin is not None and sys.stdin.isatty():
                self._typed.extend(_waiting_in_console())
            return self._typed.popleft() if self._typed else ""
        self._look()
        if not self._typed and self.on:
            self._typed.extend(_waiting(sys.stdin.fileno()))
        return self._typed.popleft() if self._typed else ""


def _waiting(descriptor: int) -> str:
    """What was typed since. Not read through sys.stdin: what its buffer takes, select does not see."""
    import select

    if not in_foreground(descriptor) or not select.select([descriptor], [], [], 0)[0]:
        return ""
    return ESCAPE.sub("", os.read(descriptor, TERMINAL_BYTES).decode(errors="ignore"))


def _waiting_in_console() -> str:
    """The same on Windows. Not by msvcrt.getwch, which makes two keys of an arrow, the second one a letter."""
    windows: Any = ctypes  # elsewhere it has no windll
    kernel32 = windows.windll.kernel32
    kernel32.GetStdHandle.restype = wintypes.HANDLE
    console = wintypes.HANDLE(kernel32.GetStdHandle(STANDARD_INPUT))
    record, count, typed = ConsoleRecord(), wintypes.DWORD(), ""
    # Asked each time: reading waits where there is nothing.
    while kernel32.GetNumberOfConsoleInputEvents(console, ctypes.byref(count)) and count.value:
        if not kernel32.ReadConsoleInputW(console, ctypes.byref(record), 1, ctypes.byref(count)):
            break
        if record.kind == KEY_EVENT and record.key.down:
            typed += record.key.letter.strip("\0\x1b")  # Esc, and keys without a character
    return typed
