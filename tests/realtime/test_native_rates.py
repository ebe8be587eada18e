"""Any rate, any channels, any block sizes: the same 16 kHz sound, against sines whose values are known exactly."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engines.spec import SPEC
from realtime.audio.pipe import PipeSource
from realtime.audio.sound import SoundFile
from realtime.audio.sources import BlockSource, DeviceSource, FileSource, Source
from realtime.clock import NS, FakeClock
from realtime.messages import AudioHop, Stop

SECONDS = 2.0
# Up to 0.75 of the smaller Nyquist frequency, where the resampler's pass band begins to fall; sines of 0.35 together.
FLAT, MOST_ERROR = 0.75, 2e-4
EDGE_SAMPLES = 40  # beyond the sound's ends silence is thought to be
KINDS = [(8_000, 1), (11_025, 2), (16_000, 1), (22_050, 1), (44_100, 2), (48_000, 6), (96_000, 2), (192_000, 1)]
WEIGHTS = np.array([1.6, 0.4, 1.0, 0.7, 1.3, 1.0])


def sines(rate_hz: int, below_hz: float, seconds: float = SECONDS) -> np.ndarray:
    """Seven sines, evenly spread up to a frequency, at most 0.35 together; the same sound at every rate."""
    t = np.arange(round(rate_hz * seconds)) / rate_hz
    frequencies = np.linspace(90.0, below_hz, 7)
    return 0.05 * sum(np.sin(2 * np.pi * f * t + k) for k, f in enumerate(frequencies))


def spread(mono: np.ndarray, channels: int) -> np.ndarray:
    """(samples, channels) float32 whose mean is the sound: channels of different loudness."""
    weights = WEIGHTS[:channels] / WEIGHTS[:channels].mean()
    return (mono[:, None] * weights).astype(np.float32)


def highest_hz(rate_hz: int) -> float:
    return FLAT * min(rate_hz, SPEC.sample_rate_hz) / 2


def heard(source: Source) -> np.ndarray:
    hops = []
    with source:
        while not isinstance(message := source.read_hop(NS // 10), Stop):
            if isinstance(message, AudioHop) and not message.gap:
                hops.append(message.samples)
    return np.concatenate(hops)


def error_of(sound: np.ndarray, truth: np.ndarray) -> float:
    count = len(truth)
    assert count <= len(sound) < count + SPEC.hop_samples
    return float(np.abs(sound[:count] - truth)[EDGE_SAMPLES:-EDGE_SAMPLES].max())


class Dribble:
    """A pipe that gives any number of bytes at a time, at most as fast as the reader takes them."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0
        self.random = np.random.default_rng(len(data))

    def read1(self, limit: int) -> bytes:
        count = int(self.random.integers(1, limit + 1))
        self.at += count
        return self.data[self.at - count : self.at]

    read = read1


class Blocks(DeviceSource):
    """A microphone whose driver gives blocks of any size."""

    def __init__(self, sound: np.ndarray, rate_hz: int) -> None:
        super().__init__(rate_hz, sound.shape[1], FakeClock(NS))
        self.sound, self.at, self.ended = sound, 0, False
        self.random = np.random.default_rng(rate_hz)

    def _open_device(self) -> None:
        return

    def _close_device(self) -> None:
        return

    def _over(self) -> bool:
        return self.ended

    def read_hop(self, timeout_ns: int) -> AudioHop | Stop | None:
        if self.at >= len(self.sound) and not self._ready and not self.ended:
            self._ready.extend(self._cutter.finish())
            self.ended = True
        if not self._ready:
            count = int(self.random.integers(1, self.rate_hz // 20))
            self._clock.advance(count * NS // self.rate_hz)  # type: ignore[attr-defined]
            self._on_block(self.sound[self.at : self.at + count], False)
            self.at += count
        return super().read_hop(timeout_ns)


@pytest.mark.parametrize(("rate_hz", "channels"), KINDS)
def test_every_way_in_gives_the_true_sound(rate_hz: int, channels: int, tmp_path: Path) -> None:
    truth = sines(SPEC.sample_rate_hz, highest_hz(rate_hz))
    native = spread(sines(rate_hz, highest_hz(rate_hz)), channels)
    path = tmp_path / "sound.wav"
    soundfile.write(path, native, rate_hz, subtype="FLOAT")
    offline = heard(FileSource(SoundFile(path), paced=False))
    assert error_of(offline, truth) < MOST_ERROR
    ways = {
        "file, live": FileSource(SoundFile(path), paced=True, clock=FakeClock(NS)),
        "microphone": Blocks(native, rate_hz),
    }
    for way, source in ways.items():
        sound = heard(source)
        assert len(sound) == len(offline), way
        # Sums of float32 in another order; else it is the same sound, wherever the blocks end.
        assert np.abs(sound - offline).max() < 1e-6, way


@pytest.mark.parametrize(("rate_hz", "channels"), [(8_000, 1), (44_100, 2), (48_000, 6)])
@pytest.mark.parametrize(("kind", "dtype", "scale"), [("s16le", "<i2", 2**15), ("f32le", "<f4", 1)])
def test_raw_samples_in_pieces_of_any_size(rate_hz: int, channels: int, kind: str, dtype: str, scale: int) -> None:
    truth = sines(SPEC.sample_rate_hz, highest_hz(rate_hz), 0.5)  # as long as it takes
    native = spread(sines(rate_hz, highest_hz(rate_hz), 0.5), channels) * scale
    raw = (np.round(native) if scale > 1 else native).astype(dtype).tobytes()
    sound = heard(PipeSource(Dribble(raw), rate_hz, channels, kind))  # type: ignore[arg-type]
    assert error_of(sound, truth) < MOST_ERROR


@pytest.mark.parametrize("rate_hz", [44_100, 48_000, 96_000])
def test_what_16_khz_cannot_hold_is_gone_and_not_folded_down(rate_hz: int) -> None:
    t = np.arange(round(rate_hz * SECONDS)) / rate_hz
    for tone_hz in (9_000, 12_345, 15_900, 20_000):
        tone = np.sin(2 * np.pi * tone_hz * t)[:, None].astype(np.float32)
        sound = heard(BlockSource(iter([tone]), rate_hz, 1, paced=False))
        assert np.abs(sound[EDGE_SAMPLES : -EDGE_SAMPLES - SPEC.hop_samples]).max() < MOST_ERROR, tone_hz


def test_a_pipe_that_comes_in_bursts_loses_nothing() -> None:
    """Between bursts the stream goes on with silence; what comes is heard from its first sample on."""

    class Bursts:
        def __init__(self, parts: Iterator[bytes]) -> None:
            self.parts, self.rest = parts, b""

        def read1(self, limit: int) -> bytes:
            if not self.rest:
                self.rest = next(self.parts, b"")
                if self.rest:
                    waiting.wait(60)
                    waiting.clear()
            part, self.rest = self.rest[:limit], self.rest[limit:]
            return part

        read = read1

    waiting = threading.Event()
    samples = np.arange(1, 9_601, dtype="<i2")  # no two are alike, none is zero
    parts = [part.tobytes() for part in np.split(samples, 3)]
    source = PipeSource(Bursts(iter(parts)), 16_000, 1, "s16le")  # type: ignore[arg-type]
    hops: list[AudioHop] = []
    begun = time.monotonic()
    with source:
        waiting.set()
        while not isinstance(message := source.read_hop(NS // 10), Stop):
            assert time.monotonic() - begun < 60
            if message is None:
                continue
            hops.append(message)
            if message.gap and not waiting.is_set() and sum(hop.gap for hop in hops) % 10 == 0:
                waiting.set()
    assert sum(hop.gap for hop in hops) >= 20
    sound = np.concatenate([hop.samples for hop in hops if not hop.gap]) * 32_768
    assert np.array_equal(sound[sound > 0], samples)
