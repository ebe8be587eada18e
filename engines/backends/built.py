"""What a backend's `build` is told, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Built:
    """An engine file's content and the flags it was built with."""

    content: bytes
    flags: dict[str, Any] = field(default_factory=dict)
    note: str = ""
    timing_cache: bytes = b""  # kernel timings worth keeping for the next build


@dataclass(frozen=True, slots=True)
class BuildOptions:
    """What a build may be told beside model, precision and device."""

    compute_capability: tuple[str, ...] = ()
    calibration: dict[str, Any] | None = None  # input name -> (T, ...) array, for int8
    timing_cache: bytes = b""
    progress: Callable[[str], None] = lambda text: None
