"""Only what numba compiles is told as compiling, not what a busy machine is slow at."""

from __future__ import annotations

import time

import numba
import pytest

from engines import compiling
from engines.compiling import Compiling, watch_compiling


def test_what_numba_compiles_is_counted_and_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PATIENCE_S", 0.0)
    told: list[str] = []
    kernel = numba.njit(lambda x: x + 1)
    with watch_compiling(told.append) as watched:
        time.sleep(0.05)
        assert (watched.seconds, told) == (0.0, [])
        assert kernel(1) == 2
        assert numba.njit(lambda x: x + 3)(1) == 4  # should the timer have come between two of them
    assert 0 < watched.seconds < 30
    assert told == ["compiling for this computer, once: up to a minute"]


def test_a_slow_machine_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "PATIENCE_S", 0.0)
    told: list[str] = []
    kernel = numba.njit(lambda x: x + 1)
    kernel(1)
    with watch_compiling(told.append) as watched:
        assert kernel(2) == 3
        time.sleep(0.05)
    assert (watched.seconds, told) == (0.0, [])


def test_one_kernel_that_was_made_at_once_is_not_told() -> None:
    """As one that is first needed in the midst of a long rendering."""
    told: list[str] = []
    watched = Compiling(told.append)
    watched.on_start(None)
    watched.on_end(None)
    watched._wonder()
    watched.patience.cancel()
    assert told == []
    watched.on_start(None)
    assert told == ["compiling for this computer, once: up to a minute"]
