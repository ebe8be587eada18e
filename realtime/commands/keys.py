"""Single key presses from a terminal, without waiting; nothing where there is no terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import Any


class Keys:
    """`with Keys() as keys: keys.pressed()` gives the next key or "". The terminal is put back at the end."""

    def __init__(self) -> None:
        self._before: Any = None

    def __enter__(self) -> Keys:
        if sys.platform != "win32" and sys.stdin is not None and sys.stdin.isatty():
            import termios
            import tty

            self._before = termios.tcgetattr(sys.stdin.fileno())
            tty.setcbreak(sys.stdin.fileno())
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._before is not None:
            import termios

            termios.tcsetattr(sys.stdin.fileno(), termios.TCSADRAIN, self._before)
            self._before = None

    def pressed(self) -> str:
        if sys.platform == "win32":
            import msvcrt

            return msvcrt.getwch() if sys.stdin.isatty() and msvcrt.kbhit() else ""
        if self._before is None:
            return ""
        import select

        return sys.stdin.read(1) if select.select([sys.stdin], [], [], 0)[0] else ""
