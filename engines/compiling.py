"""Whether kernels are compiled just now: asked of numba itself, for a busy machine takes as long over ready ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from numba.core.event import TimingListener, install_listener

PATIENCE_S = 2.0  # nobody wonders before


class Compiling(TimingListener):  # type: ignore[misc]
    """Hears when numba begins and ends a kernel; one that it loads is none."""

    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__()
        self.patience = threading.Timer(PATIENCE_S, self._wonder)
        self.patience.daemon = True
        self._tell = tell
        self._begun = self._due = False

    @property
    def seconds(self) -> float:
        """How long it has compiled."""
        return float(self.duration) if self.done else 0.0

    def on_start(self, event: Any) -> None:
        if not self._begun:
            self._begun = True
            self.patience.start()
        super().on_start(event)
        if self._due:
            self._say()

    def _wonder(self) -> None:
        """Somebody may wonder now, if a kernel is being made, or as soon as another one is."""
        if self._depth > 0:
            self._say()
        else:
            self._due = True

    def _say(self) -> None:
        self._due = False
        self._tell("compiling for this computer, once: up to a minute")


@contextmanager
def watch_compiling(tell: Callable[[str], None]) -> Iterator[Compiling]:
    """What numba compiles meanwhile; `tell` gets a line two seconds after it has begun."""
    compiling = Compiling(tell)
    try:
        with install_listener("numba:compile", compiling):
            yield compiling
    finally:
        compiling.patience.cancel()
