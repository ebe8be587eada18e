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
        self.patience = threading.Timer(PATIENCE_S, tell, ("compiling for this computer, once: up to a minute",))
        self.patience.daemon = True
        self._begun = False

    @property
    def seconds(self) -> float:
        """How long it has compiled."""
        return float(self.duration) if self.done else 0.0

    def on_start(self, event: Any) -> None:
        if not self._begun:
            self._begun = True
            self.patience.start()
        super().on_start(event)


@contextmanager
def watch_compiling(tell: Callable[[str], None]) -> Iterator[Compiling]:
    """What numba compiles meanwhile; `tell` gets a line two seconds after it has begun."""
    compiling = Compiling(tell)
    try:
        with install_listener("numba:compile", compiling):
            yield compiling
    finally:
        compiling.patience.cancel()
