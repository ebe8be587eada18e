"""What travels from stage to stage. Messages never change; the end of a stream carries its cause."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class AudioHop:
    """10 ms of sound: (160,) float32 at 16 kHz, -1..1. `gap` marks input that was lost and filled with zeros."""

    index: int
    samples: np.ndarray
    captured_ns: int  # when its last sample was captured
    gap: bool = False


@dataclass(frozen=True, slots=True)
class AudioCode:
    """What one encoder step said: the motion for the generator (26,) and readings for meters."""

    index: int  # step k ends at sample 320 (k + 1)
    motion: np.ndarray
    captured_ns: int
    emotion: np.ndarray | None = None  # probabilities, spec order
    presence: float = 0.0  # probability that somebody speaks
    snr_db: float = 0.0


@dataclass(frozen=True, slots=True)
class Picture:
    """One image for the sinks: (height, width, 3) uint8 RGB.

    `pixels` belongs to a pool and is reused: a sink is done with it when its `send` returns.
    """

    index: int  # shows media time index / picture rate
    pixels: np.ndarray
    end_sample: int  # the newest sound that it may have heard
    captured_ns: int  # when the newest sample that it did hear was captured
    due_ns: int


@dataclass(frozen=True, slots=True)
class Stop:
    """The end of a stream, and its cause when that was an error."""

    at_ns: int
    error: BaseException | None = None
