"""The delayed microphone: each sample leaves at its due time, on clocks that drift, without gaps."""

from __future__ import annotations

from dataclasses import dataclass, field
from types import SimpleNamespace

import numpy as np
import pytest

from realtime.audio.audio_out import AudioOut
from realtime.audio.delay_line import DelayLine
from realtime.clock import NS, FakeClock

RATE = 48_000


@dataclass
class Simulation:
    """A microphone and an output, each with a clock of its own, and blocks in bursts."""

    line: DelayLine
    out_ppm: float = 0.0
    burst: int = 1
    errors_ms: list[float] = field(default_factory=list)
    heard: list[np.ndarray] = field(default_factory=list)

    def run(self, seconds: float, tone_hz: float = 400.0, start_s: float = 0.0, plays: bool = True) -> None:
        block = RATE // 100
        in_block, out_block, out_s = 0, 0, start_s
        latency_ns = 10_000_000
        for step in range(round(seconds * 100)):
            now_s = start_s + (step + 1) * 0.01
            if (step + 1) % self.burst == 0:
                for _ in range(self.burst):
                    at = (start_s + in_block * 0.01) + np.arange(block) / RATE
                    in_block += 1
                    sound = np.sin(2 * np.pi * tone_hz * at).astype(np.float32)[:, None]
                    self.line.push(sound, round((start_s + in_block * 0.01) * NS))
            while plays and out_s < now_s:
                out = np.empty(block, np.float32)
                self.line.pull(out, round(out_s * NS) + latency_ns)
                self.heard.append(out)
                out_block += 1
                out_s = start_s + out_block * 0.01 / (1 + self.out_ppm * 1e-6)
            self.errors_ms.append(self.line.error_ns / 1e6)


@pytest.mark.parametrize("out_ppm", [0.0, 200.0, -200.0, 500.0, -500.0])
def test_stays_in_step_on_drifting_clocks(out_ppm: float) -> None:
    line = DelayLine(RATE, RATE, 80_000_000)
    simulation = Simulation(line, out_ppm)
    simulation.run(90)
    settled = np.array(simulation.errors_ms[4_000:])
    assert np.abs(settled).max() < 5
    assert line.correction * 1e6 == pytest.approx(-out_ppm, abs=120)
    silent, skipped = line.silent_samples, line.skipped_samples
    simulation.run(30, start_s=90)
    assert (line.silent_samples - silent, line.skipped_samples - skipped) == (0, 0)


def test_the_tone_comes_out_whole_and_delayed() -> None:
    line = DelayLine(RATE, RATE, 60_000_000)
    simulation = Simulation(line)
    simulation.run(12)
    heard = np.concatenate(simulation.heard)[8 * RATE : 11 * RATE]
    # Sample i leaves at i / RATE + 10 ms and must be the sound of 60 ms before.
    times = (8 * RATE + np.arange(len(heard))) / RATE + 0.010 - 0.060
    inphase = np.mean(heard * np.exp(-2j * np.pi * 400.0 * times)) * 2j
    assert abs(inphase) == pytest.approx(1.0, abs=0.01)
    late_ms = -np.angle(inphase) / (2 * np.pi * 400.0) * 1000
    assert abs(late_ms) < 1.0
    assert np.abs(np.diff(heard, 2)).max() < 0.01  # no click


def test_bursts_from_the_sound_server_do_not_tear_it() -> None:
    line = DelayLine(RATE, RATE, 90_000_000)
    simulation = Simulation(line, burst=4)
    simulation.run(30)
    heard = np.concatenate(simulation.heard)[-10 * RATE :]
    assert np.abs(np.diff(heard, 2)).max() < 0.01


def test_another_lookahead_moves_the_sound_at_once() -> None:
    line = DelayLine(RATE, RATE, 60_000_000)
    simulation = Simulation(line)
    simulation.run(10)
    simulation.heard.clear()
    jumps = line.jumps
    line.delay_ns = 140_000_000
    simulation.run(3, start_s=10)
    assert abs(line.error_ns) < 5_000_000
    line.delay_ns = 60_000_000
    simulation.run(3, start_s=13)
    assert abs(line.error_ns) < 5_000_000
    assert line.jumps > jumps
    # The steepest slope of the tone is 0.052 a sample; a click would be up to 2.
    assert np.abs(np.diff(np.concatenate(simulation.heard))).max() < 0.11


@pytest.mark.parametrize("change", ["delay", "capture"])
def test_a_small_change_at_once_is_mended_at_once(change: str) -> None:
    """20 ms are less than what makes a settled line jump: left to the resampler it would take 20 s."""
    line = DelayLine(RATE, RATE, 80_000_000)
    simulation = Simulation(line)
    simulation.run(15)
    jumps = line.jumps
    if change == "delay":
        line.delay_ns += 20_000_000
        simulation.run(3, start_s=15)
    else:  # the microphone was away, and comes back with another delay of its own
        push = line.push
        line.push = lambda block, captured_ns: push(block, captured_ns + 20_000_000)  # type: ignore[method-assign]
        simulation.run(3, start_s=15)
    assert abs(line.error_ns) < 4_000_000
    assert line.jumps == jumps + 1


def test_a_settled_line_does_not_jump_for_what_creeps() -> None:
    line = DelayLine(RATE, RATE, 80_000_000)
    simulation = Simulation(line, out_ppm=100.0)
    simulation.run(12)
    jumps, push = line.jumps, line.push

    def creep(block: np.ndarray, captured_ns: int) -> None:
        line.delay_ns += 3_000  # the picture's path, as it is measured anew: 0.3 ms a second
        push(block, captured_ns)

    line.push = creep  # type: ignore[method-assign]
    simulation.run(48, start_s=12)
    assert line.jumps == jumps
    assert abs(line.error_ns) < 10_000_000


@pytest.mark.parametrize("moves", ["delay", "both"])
def test_due_times_that_creep_are_followed_as_they_move(moves: str) -> None:
    """By its error alone the sound would be 10 ms late; where delay and capture make up for each other, it stays."""
    line = DelayLine(RATE, RATE, 120_000_000)
    simulation = Simulation(line)
    simulation.run(12)
    jumps, push, later_ns = line.jumps, line.push, 0

    def creep(block: np.ndarray, captured_ns: int) -> None:
        nonlocal later_ns
        line.delay_ns -= 15_000  # 1.5 ms a second: a machine that has become less busy
        later_ns += 15_000 if moves == "both" else 0
        push(block, captured_ns + later_ns)

    line.push = creep  # type: ignore[method-assign]
    simulation.run(30, start_s=12)
    assert np.abs(simulation.errors_ms[-2_000:]).max() < 3
    assert line.correction == pytest.approx(1.5e-3 if moves == "delay" else 0.0, abs=2e-4)
    assert line.jumps == jumps


def test_too_short_a_delay_plays_as_early_as_can_be_and_never_tears() -> None:
    line = DelayLine(RATE, RATE, 5_000_000)  # less than the output's own latency
    simulation = Simulation(line)
    simulation.run(20)
    heard = np.concatenate(simulation.heard)[-5 * RATE :]
    assert np.abs(np.diff(heard, 2)).max() < 0.02


def test_muted_is_silence_at_the_same_pace() -> None:
    line = DelayLine(RATE, RATE, 60_000_000)
    simulation = Simulation(line)
    simulation.run(5)
    line.muted = True
    simulation.run(5, start_s=5)
    assert np.abs(np.concatenate(simulation.heard)[-RATE:]).max() == 0


def test_after_an_output_was_away_nothing_old_is_heard() -> None:
    line = DelayLine(RATE, RATE, 80_000_000)
    simulation = Simulation(line)
    simulation.run(10)
    simulation.run(10, tone_hz=3_000, start_s=10, plays=False)
    line.begin_anew()
    simulation.heard.clear()
    simulation.run(3, start_s=20)
    heard = np.concatenate(simulation.heard)
    spectrum = np.abs(np.fft.rfft(heard[: RATE // 2])) ** 2
    assert spectrum[round(3_000 / 2) - 20 : round(3_000 / 2) + 20].sum() < 1e-4 * spectrum.sum()
    assert abs(line.error_ns) < 4_000_000
    assert np.abs(heard[: RATE // 2]).max() > 0.9


def test_an_output_that_was_lost_amid_a_jump_does_not_end_it_later() -> None:
    line = DelayLine(RATE, RATE, 60_000_000)
    simulation = Simulation(line)
    simulation.run(10)
    line.delay_ns += 80_000_000
    jumps, start_s = line.jumps, 10.0
    while line.jumps == jumps:  # until it has left something that fades out over the next block
        assert start_s < 12
        simulation.run(0.01, start_s=start_s)
        start_s += 0.01
    line.begin_anew()
    out = np.ones(480, np.float32)
    line.pull(out, round(start_s * NS))
    assert not out.any()


def test_an_output_that_takes_too_little_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    class Sound:
        PortAudioError = RuntimeError

    device = {"name": "their sink", "default_samplerate": 48_000.0, "max_output_channels": 2}
    monkeypatch.setattr("realtime.audio.audio_out.import_sounddevice", lambda: Sound)
    monkeypatch.setattr("realtime.audio.audio_out.find_device", lambda *_: (0, device))
    clock, told = FakeClock(NS), list[str]()
    output = AudioOut("their sink", RATE, 80_000_000, clock)
    output.tell = told.append
    times = SimpleNamespace(outputBufferDacTime=0.02, currentTime=0.0)

    def live(seconds: int, share: float) -> None:
        for _ in range(seconds):
            clock.advance(NS)
            for _ in range(round(100 * share)):
                output._callback(np.zeros((480, 2), np.float32), 480, times, None)
            output.revive()

    live(20, 1.0)
    assert told == []
    live(20, 0.55)
    assert len(told) == 1
    assert told[0].startswith("their sink takes only")
