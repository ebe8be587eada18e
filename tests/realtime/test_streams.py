"""PortAudio lists devices once: what was lost is found by a new scan, which ends every stream of the program."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.errors import DeviceError
from realtime.audio import microphone
from realtime.audio.audio_out import AudioOut
from realtime.audio.microphone import STREAMS, Microphone
from realtime.clock import NS, FakeClock
from realtime.commands.live_session import LiveSession
from realtime.messages import AudioHop

MICROPHONE, OUTPUT, TONE_HZ = "headset", "cable", 1_000


class FakePortAudio:
    """As far as sounddevice is used: `there` is what the computer has, `listed` what the last scan has seen of it."""

    class PortAudioError(Exception):
        pass

    def __init__(self) -> None:
        self.there = {MICROPHONE, OUTPUT}
        self.microphone_kind = (48_000, 2)  # its own rate and channels; it opens at no other
        self.default = SimpleNamespace(device=(0, 1))
        self.next_scan_sees: list[set[str]] = []  # a sound server that is just starting shows a part of it
        self.scans = -1
        self.streams: list[FakeStream] = []
        self.InputStream = self.OutputStream = self._open
        self._initialize()

    def _open(self, **options: Any) -> FakeStream:
        return FakeStream(self, **{name: options[name] for name in ("device", "callback", "samplerate", "channels")})

    def _terminate(self) -> None:
        self.listed: list[str] = []
        for stream in self.streams:
            stream.running = False

    def _initialize(self) -> None:
        self.scans += 1
        seen = self.next_scan_sees.pop(0) if self.next_scan_sees else self.there
        self.listed = sorted(seen & self.there, reverse=True)

    def query_devices(self) -> list[dict[str, Any]]:
        rate_hz, channels = self.microphone_kind
        kinds = {MICROPHONE: (float(rate_hz), channels, 0), OUTPUT: (48_000.0, 0, 2)}
        keys = ("default_samplerate", "max_input_channels", "max_output_channels")
        return [{"name": name, **dict(zip(keys, kinds[name], strict=True))} for name in self.listed]

    def unplug(self, *names: str) -> None:
        self.there -= set(names)
        for stream in self.streams:
            stream.running &= stream.name not in names


class FakeStream:
    latency = 0.01

    def __init__(
        self, host: FakePortAudio, device: int, callback: Callable[..., None], samplerate: int, channels: int
    ) -> None:
        self.host, self.callback, self.running = host, callback, False
        self.name, self.kind, self.samples = host.listed[device], (samplerate, channels), 0
        if self.name not in host.there:
            raise host.PortAudioError("gone")
        if self.name == MICROPHONE and self.kind != host.microphone_kind:
            raise host.PortAudioError("Invalid sample rate")
        host.streams.append(self)

    def start(self) -> None:
        self.running = True

    def abort(self, ignore_errors: bool = True) -> None:
        self.running = False

    def close(self, ignore_errors: bool = True) -> None:
        self.running = False

    def turn(self) -> None:
        """One block of 10 ms, where it runs."""
        if self.running:
            times = SimpleNamespace(outputBufferDacTime=0.02, currentTime=0.0)
            rate_hz, channels = self.kind
            at = self.samples + np.arange(rate_hz // 100)
            self.samples += len(at)
            tone = 0.25 * np.sin(2 * np.pi * TONE_HZ / rate_hz * at).astype(np.float32)
            self.callback(np.repeat(tone[:, None], channels, axis=1), len(at), times, None)


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    host = FakePortAudio()
    for module in ("microphone", "audio_out"):
        monkeypatch.setattr(f"realtime.audio.{module}.import_sounddevice", lambda: host)
    return host


class Call:
    """A microphone and an output at work, in real time but without devices."""

    def __init__(self, host: FakePortAudio) -> None:
        self.host = host
        self.microphone, self.output = Microphone(MICROPHONE), AudioOut(OUTPUT, 48_000, 80_000_000)
        self.told: list[str] = []
        self.output.tell = self.told.append
        self.hops: list[AudioHop] = []

    def __enter__(self) -> Call:
        self.microphone.__enter__()
        self.output.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.output.__exit__()
        self.microphone.close()

    def turn(self) -> None:
        """10 ms of both devices and of the voice thread."""
        for stream in list(self.host.streams):
            stream.turn()
        if isinstance(hop := self.microphone.read_hop(NS // 100), AudioHop):
            self.hops.append(hop)

    def until(self, condition: Callable[[], bool]) -> None:
        """Turn until it holds; `revive` looks at every tenth turn, as if a second had passed."""
        for turn in range(3_000):
            if condition():
                return
            self.turn()
            if turn % 10 == 9:
                self.output.revive()
        raise AssertionError("it never came")

    @property
    def plays(self) -> bool:
        return any(stream.running and stream.name == OUTPUT for stream in self.host.streams)

    @property
    def hears(self) -> bool:
        return not self.microphone.lost and any(s.running and s.name == MICROPHONE for s in self.host.streams)


def test_a_scan_that_sees_the_microphone_only_is_not_the_last_one(host: FakePortAudio) -> None:
    """A sound server that starts shows its devices one after the other."""
    with Call(host) as call:
        call.until(lambda: len(call.hops) > 20)
        host.unplug(MICROPHONE, OUTPUT)
        call.until(lambda: call.microphone.lost and host.scans >= 1)
        host.next_scan_sees = [{MICROPHONE}]
        host.there = {MICROPHONE, OUTPUT}
        call.until(lambda: call.plays and call.hears)
        assert any("cable is lost, nobody hears you" in line for line in call.told)
        call.until(lambda: "cable is back" in call.told)
    assert [hop.index for hop in call.hops] == list(range(len(call.hops)))
    assert not any(stream.running for stream in host.streams)


def check_tone(sound: np.ndarray, rate_hz: int) -> None:
    """(samples,) is the headset's tone and nothing else: at the right pitch, and nowhere torn."""
    t = np.arange(len(sound)) / rate_hz
    waves = np.stack([np.sin(2 * np.pi * TONE_HZ * t), np.cos(2 * np.pi * TONE_HZ * t)], 1)
    found = np.linalg.lstsq(waves, sound, rcond=None)[0]
    assert np.hypot(*found) == pytest.approx(0.25, rel=0.01)
    assert np.abs(sound - waves @ found).max() < 2e-3


@pytest.mark.parametrize("kind", [(16_000, 1), (44_100, 2), (8_000, 1), (96_000, 1)])
def test_a_microphone_that_comes_back_as_another_kind(host: FakePortAudio, kind: tuple[int, int]) -> None:
    """A headset that changes its profile: opened at its new rate; codes and taps get the true sound as before."""
    with Call(host) as call:
        tapped: list[np.ndarray] = []
        call.microphone.taps.append(lambda block, captured_ns: tapped.append(block.copy()))
        call.until(lambda: len(call.hops) > 40)
        host.unplug(MICROPHONE)
        call.until(lambda: call.microphone.lost and host.scans >= 1)
        host.microphone_kind = kind
        host.there.add(MICROPHONE)
        call.until(lambda: call.hears)
        back, tapped_back = len(call.hops), len(tapped)
        call.until(lambda: len(call.hops) > back + 60)
        assert [stream.kind for stream in host.streams if stream.running and stream.name == MICROPHONE] == [kind]
        assert (call.microphone.rate_hz, call.microphone.channels) == (48_000, 2)  # as taps were promised
    assert [hop.index for hop in call.hops] == list(range(len(call.hops)))
    assert not any(hop.gap for hop in call.hops[back:])
    for begin, end in ((4, 40), (back + 4, back + 60)):
        check_tone(np.concatenate([hop.samples for hop in call.hops[begin:end]]), 16_000)
    assert sum(hop.gap for hop in call.hops) > 10
    # Silence for the gap, too, or a recording would be out of step by as much.
    assert sum(map(len, tapped)) == pytest.approx(480 * len(call.hops), abs=3 * 480)
    later = np.concatenate(tapped[tapped_back:])
    assert later.shape[1] == 2
    for channel in range(2):
        check_tone(later[2_400:, channel], 48_000)


def test_a_lost_output_costs_the_microphone_few_gaps(host: FakePortAudio) -> None:
    with Call(host) as call:
        call.until(lambda: len(call.hops) > 20)
        host.unplug(OUTPUT)
        for _ in range(40):
            call.output.revive()
        scans = host.scans
        assert 3 <= scans <= 6  # after 1, 2, 4, 8, ... looks
        call.until(lambda: call.hears)
        assert call.microphone.losses <= scans
        assert len([line for line in call.told if "lost" in line]) == 1
        host.there.add(OUTPUT)
        call.until(lambda: "cable is back" in call.told)
        assert call.hears


def test_an_output_that_is_back_begins_with_what_is_said_now(host: FakePortAudio) -> None:
    with Call(host) as call:
        host.unplug(OUTPUT)
        call.output.tap(np.full((4 * 48_000, 1), 0.5, np.float32), 4 * NS)  # said while nobody hears it
        host.there.add(OUTPUT)
        call.until(lambda: call.plays)
        played = np.ones((480, 2), np.float32)
        call.output._callback(played, 480, SimpleNamespace(outputBufferDacTime=0.02, currentTime=0.0), None)
        assert not played.any()


def test_an_output_whose_sink_is_not_made_stays_closed(host: FakePortAudio) -> None:
    """Without its null sink the sound server would play it out of the loudspeakers."""
    with Call(host) as call:
        call.until(lambda: len(call.hops) > 20)
        may = [False]

        def prepare() -> None:
            if not may[0]:
                raise DeviceError("the cable cannot be made")

        call.output.prepare = prepare
        host.unplug(OUTPUT)
        host.there.add(OUTPUT)
        for _ in range(10):
            call.output.revive()
            call.turn()
            assert not call.plays
        may[0] = True
        call.until(lambda: call.plays)


def test_zero_hops_go_on_while_the_scan_takes_its_time(host: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> None:
    with Call(host) as call:
        call.until(lambda: len(call.hops) > 20)
        scanning, release = threading.Event(), threading.Event()

        def slow() -> None:
            scanning.set()
            while not release.is_set():
                time.sleep(0.005)

        monkeypatch.setattr(host, "_terminate", slow)
        host.unplug(MICROPHONE)
        call.until(scanning.is_set)
        before = len(call.hops)
        for _ in range(30):
            call.turn()
        assert len(call.hops) - before >= 10
        assert all(hop.gap for hop in call.hops[before:])
        release.set()
        host.there.add(MICROPHONE)
        call.until(lambda: call.hears)


@pytest.mark.parametrize("hangs", [False, True])
def test_what_is_told_during_a_scan_is_said_after_it(
    hangs: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While PortAudio looks for devices, sounddevice leads stderr to nowhere; nobody waits for one that hangs."""
    monkeypatch.setattr(microphone.interrupts, "speak_again", lambda: None)
    clock = FakeClock(NS)
    session = LiveSession.__new__(LiveSession)
    session.state, session.has_view, session._said = {"notes": []}, False, 0
    session.clock, session._scans_since_ns = clock, 0
    holds, release = threading.Event(), threading.Event()

    def scan() -> None:
        with STREAMS.lock:
            holds.set()
            release.wait(60)

    scanning = threading.Thread(target=scan)
    scanning.start()
    holds.wait(60)
    session.tell("the microphone is lost")
    for _ in range(40):
        session.say_notes()
        clock.advance(NS // 10)
    assert capsys.readouterr().err == ""
    if hangs:
        clock.advance(2 * NS)
        session.say_notes()
        assert capsys.readouterr().err == "note: the microphone is lost\n"
        session.tell("the cable is lost")
    release.set()
    scanning.join()
    session.say_notes()
    session.say_notes()
    lost = "cable" if hangs else "microphone"
    assert capsys.readouterr().err == f"note: the {lost} is lost\n"


@pytest.fixture
def patience(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Little of it, and none of what hangs is left to the tests that follow."""
    monkeypatch.setattr(microphone.interrupts, "speak_again", lambda: None)
    monkeypatch.setattr(microphone, "STREAMS", microphone.Streams())
    monkeypatch.setattr("realtime.audio.audio_out.STREAMS", microphone.STREAMS)
    monkeypatch.setattr("realtime.commands.live_session.STREAMS", microphone.STREAMS)
    for name in ("ANSWER_S", "CLOSE_S", "LOCK_S"):
        monkeypatch.setattr(microphone, name, 0.05)
    yield
    for thread in threading.enumerate():
        if thread.name in ("scan", "sound"):
            thread.join()


@pytest.mark.skipif(sys.platform == "win32", reason="threads are not used there")
@pytest.mark.usefixtures("patience")
@pytest.mark.parametrize("hangs", ["abort", "close", "_terminate"])
def test_a_sound_server_that_hangs_holds_up_no_end(
    hangs: str, host: FakePortAudio, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It has taken what PortAudio asked, and says nothing: whoever waits in C hears no signal."""
    released, hanging = threading.Event(), threading.Event()

    def hang(*_: object, **__: object) -> None:
        hanging.set()
        released.wait(60)

    monkeypatch.setattr(host if hangs == "_terminate" else FakeStream, hangs, hang)
    session = LiveSession.__new__(LiveSession)
    session.state, session.has_view, session._said = {"notes": ["is lost"]}, False, 0
    with Call(host) as call:
        with microphone.hushed():  # as the view is
            call.until(lambda: len(call.hops) > 5)
            if hangs == "_terminate":
                host.unplug(MICROPHONE)
                call.until(hanging.is_set)  # a scan, which keeps the lock
        session.say_notes(wait=True)
    assert hanging.is_set()
    assert microphone.STREAMS.hangs
    assert capsys.readouterr().err == "note: is lost\n"
    microphone.STREAMS.at_end(lambda: released.wait(60))
    released.set()


@pytest.mark.skipif(sys.platform == "win32", reason="threads are not used there")
@pytest.mark.usefixtures("patience")
def test_a_sound_server_that_hangs_at_the_start_is_told(host: FakePortAudio) -> None:
    released = threading.Event()
    host.InputStream = host.OutputStream = lambda **_: released.wait(60)
    for device in (Microphone(MICROPHONE), AudioOut(OUTPUT, 48_000, 0)):
        with pytest.raises(DeviceError, match="the sound server does not answer"):
            device.__enter__()
    released.set()


def test_an_output_that_was_left_is_not_opened_again(host: FakePortAudio) -> None:
    """`revive` may still wait for its turn, in its own thread."""
    with Call(host) as call:
        call.until(lambda: len(call.hops) > 5)
    for _ in range(5):
        call.output.revive()
    assert not call.plays


class ChattyPyAudio:
    """As PyAudio over ALSA without a sound card: what the C library has to say goes to descriptor 2."""

    paFloat32 = 1

    def PyAudio(self) -> ChattyPyAudio:
        os.write(2, b"ALSA lib confmisc.c:855:(parse_card) cannot find card '0'\n")
        return self

    def get_device_count(self) -> int:
        return 1

    def get_device_info_by_index(self, index: int) -> dict[str, Any]:
        return {"name": "jack", "index": 0, "defaultSampleRate": 48_000.0, "maxInputChannels": 1}

    def open(self, **_: Any) -> None:
        os.write(2, b"ALSA lib pcm_dsnoop.c:566: unable to open slave\n")
        raise OSError(-9985, "Device unavailable")

    def terminate(self) -> None:
        return


def test_alsa_says_nothing_beside_our_own_line(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    from realtime.audio.pyaudio_microphone import PyAudioMicrophone

    monkeypatch.setitem(sys.modules, "pyaudio", ChattyPyAudio())
    jack = PyAudioMicrophone("jack")
    with pytest.raises(DeviceError, match="'jack' cannot be opened"):
        jack.__enter__()
    jack.close()
    os.write(2, b"afterwards\n")
    assert capfd.readouterr().err == "afterwards\n"
