"""What every benchmark runs on: the shipped engines, a portrait, and a sound with events in it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import InputError
from engines.spec import SPEC
from realtime.audio.sound import SoundFile
from realtime.audio.sources import BlockSource, HopCutter
from realtime.engines_in_use import open_engines
from realtime.faces import load_portrait
from realtime.pictures.sinks import NullSink
from realtime.pipeline import Pipeline

CAMERA = (1280, 720)
HOP = SPEC.hop_samples
SILENCE_S, EVENT_S = 0.9, 0.35  # between events, and of each
JITTER_S = 0.2
LOUD = 0.5  # of the loudest 10 ms: what counts as the middle of a vowel


def shipped_photo() -> Path:
    return Path(str(files("realtime") / "assets" / "portrait.jpg"))


def shipped_speech() -> np.ndarray:
    """The speech that comes along, (samples,) float32 at 16 kHz."""
    return read_sound(Path(str(files("realtime") / "assets" / "speech.opus")))


def read_sound(path: Path) -> np.ndarray:
    """Any sound file as (samples,) float32, 16 kHz, mono: by the same resampler as live sound."""
    with SoundFile(path) as sound:
        cutter = HopCutter(sound.rate_hz)
        hops = [hop.copy() for block in sound.blocks() for hop in cutter.push(block)]
        hops += [hop.copy() for hop in cutter.finish()]
    if not hops:
        raise InputError(f"{path} holds no sound", "use another file")
    return np.concatenate(hops)


def hops_of(samples: np.ndarray, seconds: float = 0.0) -> Iterator[np.ndarray]:
    """(160, 1) blocks, as a microphone gives them; over and over for `seconds` where that is given."""
    hops = len(samples) // HOP
    for k in range(round(seconds * SPEC.sample_rate_hz) // HOP if seconds else hops):
        at = k % hops * HOP
        yield samples[at : at + HOP, None]


@dataclass
class Rig:
    """Engines and a portrait, opened once for a whole benchmark."""

    portrait: Any
    camera: tuple[int, int] = CAMERA
    seed: int = 0

    @classmethod
    def open(cls, photo: Path | None = None, camera: tuple[int, int] = CAMERA) -> Rig:
        portrait = load_portrait(photo or shipped_photo(), camera=camera).portrait
        return cls(portrait, camera)

    def engines(self) -> Any:
        engines = open_engines(seed=self.seed)
        engines.take_up(self.portrait)  # as live does: kernels that load within the stream would be what is measured
        return engines

    def pipeline(
        self,
        engines: Any,
        samples: np.ndarray,
        *,
        picture_rate: int,
        lookahead_ms: int,
        paced: bool,
        seconds: float = 0.0,
        **more: Any,
    ) -> Pipeline:
        """The real path, from an array of sound (again and again for `seconds`) to a sink that looks at nothing."""
        source = BlockSource(hops_of(samples, seconds), SPEC.sample_rate_hz, 1, paced=paced)
        height, width = self.portrait.size
        return Pipeline(
            source,
            engines.encoder,
            engines.shaper,
            engines.generator,
            self.portrait,
            [NullSink()],
            size=(height, width),
            picture_rate=picture_rate,
            lookahead_ms=lookahead_ms,
            **more,
        )


@dataclass(frozen=True)
class Events:
    """Silence with loud beginnings of speech in it."""

    samples: np.ndarray
    at: np.ndarray  # sample at which each begins


def make_events(seconds: float, seed: int = 0) -> Events:
    """Vowels cut out of the shipped speech, each with a sudden beginning, at times spread evenly over a grid's phases.

    How long a sound waits for the next picture is most of what is measured. At times drawn at random the median of 18
    events was off by 12 ms; these times follow the golden ratio.
    """
    speech = shipped_speech()
    random = np.random.default_rng(seed)
    count = len(speech) // HOP
    level = np.sqrt((speech[: count * HOP].reshape(count, HOP) ** 2).mean(1))
    length = round(EVENT_S * SPEC.sample_rate_hz)
    loud = [hop for hop in np.flatnonzero(level > LOUD * level.max()) if hop * HOP + length < len(speech)]
    # A floor as a microphone has it: digital silence would be an easier case than any that is real.
    samples = (random.standard_normal(round(seconds * SPEC.sample_rate_hz)) * 3e-4).astype(np.float32)
    starts: list[int] = []
    first = random.uniform(0, 1)
    while (at := round(SPEC.sample_rate_hz * _event_s(len(starts), first))) + length < len(samples):
        begin = int(random.choice(loud)) * HOP
        piece = speech[begin : begin + length].copy()
        piece[-800:] *= np.linspace(1, 0, 800, dtype=np.float32)
        samples[at : at + length] += piece
        starts.append(at)
    return Events(samples, np.array(starts))


def _event_s(k: int, first: float) -> float:
    """When event k begins; `first` (0..1) shifts the phases of all."""
    golden = (np.sqrt(5) - 1) / 2
    return float(1.0 + k * (EVENT_S + SILENCE_S + 0.1) + JITTER_S * ((first + k * golden) % 1))


class Timed:
    """Wraps one method of an engine and keeps how long each call took, ms."""

    def __init__(self, engine: Any, method: str) -> None:
        self._engine, self._call = engine, getattr(engine, method)
        self.ms: list[float] = []
        setattr(self, method, self._timed)

    def _timed(self, *arguments: Any, **named: Any) -> Any:
        began = time.perf_counter_ns()
        result = self._call(*arguments, **named)
        self.ms.append((time.perf_counter_ns() - began) / 1e6)
        return result

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)
