"""Counts instead of times: what one picture costs in engine calls, bytes copied, allocations and arithmetic.

The guard in CI holds these against bench/budgets.toml. Counts are the same on every machine, so a breach is a change
in the code, not a busy computer.
"""

from __future__ import annotations

import gc
import math
import sys
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.graph_cost import graph_cost
from bench.rig import HOP, Rig, shipped_speech
from engines.building.build import models
from engines.card import card_path
from realtime.latent_ring import LatentRing
from realtime.messages import AudioHop
from realtime.meters import Meters
from realtime.pacer import Pacer
from realtime.pipeline import FaceStage, VoiceStage

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BUDGETS = Path(__file__).parent / "budgets.toml"
PICTURE_RATE = 25
LEAST_STRETCHES, MOST_STRETCHES, QUIET_BYTES = 3, 10, 4  # bytes a picture, below which no further stretch is looked at
SELDOM = 10  # what is made in fewer than one of so many pictures is no cost of a picture
ARRAY_BYTES = 1024  # smaller arrays come from NumPy's own store, and numbers and tuples from Python's


@dataclass(frozen=True, slots=True)
class Allocations:
    kept_bytes: int  # still held after the run
    peak_bytes: int  # largest sum at any moment above what is held


@dataclass(frozen=True, slots=True)
class Counts:
    """Of one picture at 25 pictures/s, unless said otherwise."""

    engine_calls: float
    engine_bytes_copied: float  # into the engines' input buffers
    arrays_made: float  # of ARRAY_BYTES or more, by Python and NumPy
    array_bytes: float  # all of them together
    kept_bytes: float
    largest_passing_bytes: int
    graph_mflop: dict[str, float]  # by model, one call
    parameter_bytes: dict[str, int]
    weight_file_bytes: int  # all that is shipped


class _Stream:
    """The path of sound to pictures, stepped by hand in one thread."""

    def __init__(self, rig: Rig, engines: Any) -> None:
        self.ring = LatentRing()
        self.engines = engines
        self.pacer = Pacer(PICTURE_RATE, 0)
        meters = Meters()
        self.voice = VoiceStage(engines.encoder, engines.shaper, self.ring, meters)
        self.face = FaceStage(engines.generator, rig.portrait, self.ring, self.pacer, meters, size=rig.portrait.size)
        self.out = np.empty_like(rig.portrait.photo)
        self.sound = shipped_speech()
        self.hop = 0
        self.pictures = 0

    def picture(self) -> None:
        """Hear what the next picture needs, and draw it."""
        end = self.pacer.end_sample(self.pictures)
        while self.ring.end_sample < end:
            at = self.hop * HOP % (len(self.sound) - HOP)
            self.voice.hear(AudioHop(self.hop, self.sound[at : at + HOP], 0))
            self.hop += 1
        self.face.draw(self.pictures, self.out)
        self.pictures += 1


def count_allocations(rig: Rig, pictures: int = 50) -> Allocations:
    """What Python and NumPy allocate over a stretch of pictures, after the first 55 have filled every cache."""
    with rig.engines() as engines:
        stream = _Stream(rig, engines)
        for _ in range(25):
            stream.picture()
        tracemalloc.start()
        try:
            for _ in range(30):  # objects from before the tracing are replaced by traced ones first
                stream.picture()
            peak, kept = _least_peak(stream, pictures), _least_growth(stream, pictures)
        finally:
            tracemalloc.stop()
    return Allocations(max(0, kept), peak)


def _least_peak(stream: _Stream, pictures: int) -> int:
    """Largest sum above what was held, the least of some stretches: what waits for the collector lies above it."""
    least = math.inf
    for _ in range(MOST_STRETCHES):
        gc.collect()
        tracemalloc.reset_peak()
        held = tracemalloc.get_traced_memory()[0]
        for _ in range(pictures):
            stream.picture()
        least = min(least, tracemalloc.get_traced_memory()[1] - held)
    return round(least)


def _least_growth(stream: _Stream, pictures: int) -> int:
    """Growth of a stretch, the least of some: what grows with every picture does so in each, a larger table in one."""
    least, held = math.inf, _held_bytes()
    for stretch in range(MOST_STRETCHES):
        for _ in range(pictures):
            stream.picture()
        earlier, held = held, _held_bytes()
        least = min(least, held - earlier)
        if least <= QUIET_BYTES * pictures and stretch >= LEAST_STRETCHES - 1:
            break
    return round(least)


def _held_bytes() -> int:
    """What is held for good: neither what waits for the collector nor what Python's own cache of attributes holds.

    That keeps the names that were looked up, 4,096 of them at most. Numba asks three of each named tuple, by strings
    made anew, which fill it sooner or later, as their addresses are used again or not.
    """
    gc.collect()
    clear = getattr(sys, "_clear_internal_caches", None) or getattr(sys, "_clear_type_cache", None)
    if clear is not None:
        clear()
    return tracemalloc.get_traced_memory()[0]


class ArrayTrace:
    """A trace function that looks at memory between any two bytecode instructions: what one of them allocates shows
    as a peak, even where it is let go at once."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, int], list[int]] = {}  # bytes made, by the instruction that follows
        self._before = 0

    def __call__(self, frame: Any, event: str, argument: Any) -> ArrayTrace:
        if event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        else:  # what grows up to a call is the frame that the tracing itself asks for
            grown = tracemalloc.get_traced_memory()[1] - self._before
            if grown >= ARRAY_BYTES:
                self._found.setdefault((frame.f_code, frame.f_lasti), []).append(grown)
        tracemalloc.reset_peak()
        self._before = tracemalloc.get_traced_memory()[0]
        return self

    def forget(self) -> None:
        """Begin again."""
        self._found.clear()

    def arrays(self, least: int) -> list[int]:
        """Bytes of each array made by instructions that made `least` and more. Where fewer were made, a table of the
        interpreter's was enlarged, which happens in some runs and not in others."""
        return [grown for made in self._found.values() if len(made) >= least for grown in made]


def count_arrays(rig: Rig, pictures: int = 50, change: Callable[[Any], None] = lambda engines: None) -> list[int]:
    """Bytes of each array made over some pictures. `change` may alter the engines first."""
    trace = ArrayTrace()
    with rig.engines() as engines:
        change(engines)
        stream = _Stream(rig, engines)
        for _ in range(25):
            stream.picture()
        tracemalloc.start()
        found = sys.gettrace()
        try:
            for _ in range(5):
                stream.picture()
            sys.settrace(trace)
            stream.picture()  # Python 3.13 looks between a function's instructions from its second call on
            trace.forget()
            for _ in range(pictures):
                stream.picture()
        finally:
            sys.settrace(found)
            tracemalloc.stop()
    return trace.arrays(max(2, pictures // SELDOM))


def count(rig: Rig, pictures: int = 50) -> Counts:
    """All counts, on the shipped engines."""
    allocations = count_allocations(rig, pictures)
    arrays = count_arrays(rig, pictures)
    with rig.engines() as engines:
        stream = _Stream(rig, engines)
        stream.picture()
        parts = [part.session for part in (engines.encoder, engines.generator) if getattr(part, "session", None)]
        sessions = [getattr(session, "inner", session) for session in parts]  # what stands in for it counts nothing
        calls, copied = sum(s.calls for s in sessions), sum(s.bytes_copied for s in sessions)
        for _ in range(pictures):
            stream.picture()
        calls = sum(s.calls for s in sessions) - calls
        copied = sum(s.bytes_copied for s in sessions) - copied
    costs = {name: graph_cost(card_path(name).with_name(f"{name}.onnx")) for name in models()}
    weights = card_path("encoder").parent
    return Counts(
        engine_calls=calls / pictures,
        engine_bytes_copied=copied / pictures,
        arrays_made=len(arrays) / pictures,
        array_bytes=sum(arrays) / pictures,
        kept_bytes=allocations.kept_bytes / pictures,
        largest_passing_bytes=allocations.peak_bytes,
        graph_mflop={name: round(cost.mflop, 3) for name, cost in costs.items()},
        parameter_bytes={name: cost.parameter_bytes for name, cost in costs.items()},
        weight_file_bytes=sum(file.stat().st_size for file in weights.iterdir() if file.is_file()),
    )


def read_budgets() -> dict[str, Any]:
    return tomllib.loads(BUDGETS.read_text(encoding="utf-8"))


def breaches(counts: Counts, budgets: dict[str, Any]) -> list[str]:
    """What is over budget, in words; empty where all is within."""
    found = []
    for name, limit in budgets["picture"].items():
        value = getattr(counts, name)
        if value > limit:
            found.append(f"{name} is {value:,.0f}, the budget {limit:,}")
    for table, values in (("graph_mflop", counts.graph_mflop), ("parameter_bytes", counts.parameter_bytes)):
        for model, value in values.items():
            limit = budgets[table].get(model)
            if limit is None:
                found.append(f"{model} has no budget for {table}")
            elif value > limit:
                found.append(f"{table} of {model} is {value:,.1f}, the budget {limit:,}")
    if counts.weight_file_bytes > budgets["shipped"]["weight_file_bytes"]:
        limit = budgets["shipped"]["weight_file_bytes"]
        found.append(f"shipped weights are {counts.weight_file_bytes:,} bytes, the budget {limit:,}")
    return found
