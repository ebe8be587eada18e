"""The microphone through PortAudio (the only module that imports sounddevice)."""

from __future__ import annotations

import atexit
import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any, Protocol, TypeVar

import numpy as np

from engines.errors import DeviceError
from realtime.audio.sources import DeviceSource, Source
from realtime.clock import Clock
from realtime.interrupts import interrupts

MICROPHONE_FIX = "voxcam devices lists what there is"
WASAPI = "Windows WASAPI"  # as PortAudio calls it
WASAPI_CHANNELS = 2  # it opens a device with more of them (an array of four microphones) at its own number only
ANSWER_S = 5.0  # a sound server that takes longer hangs
CLOSE_S = 2.0  # how long the end waits for a device to close
LOCK_S = 1.0  # and for a scan
T = TypeVar("T")


class NoAnswer(DeviceError):
    """The sound server takes what is asked and says nothing."""

    def __init__(self) -> None:
        server = os.environ.get("PULSE_SERVER")
        fix = "systemctl --user restart pipewire pipewire-pulse   (or pulseaudio -k)"
        if sys.platform == "darwin":
            fix = "sudo killall coreaudiod"
        elif server:
            fix = f"check that pactl info answers, and that PULSE_SERVER={server} is right"
        super().__init__("the sound server does not answer", fix)


def answered(work: Callable[[], T], limit_s: float | None = None) -> T:
    """Do it in a thread of its own, or NoAnswer: C code that waits for a sound server hears neither Ctrl-C nor SIGTERM.

    What comes too late goes on alone.
    """
    if sys.platform == "win32":  # its sound system wants to be used in the thread that opened it
        return work()
    interrupts.impatient = True
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=run, name="sound", daemon=True)
    thread.start()
    try:
        thread.join(ANSWER_S if limit_s is None else limit_s)
    finally:
        if not done and not failed:
            interrupts.speak_again()  # sounddevice leads stderr to nowhere while it looks for devices
    if failed:
        raise failed[0]
    if not done:
        STREAMS.hangs = True
        raise NoAnswer
    return done[0]


def import_sounddevice() -> Any:
    """sounddevice, or a DeviceError that names the missing library, or NoAnswer."""
    try:
        return _sounddevice()
    except (ImportError, OSError) as error:
        fix = "sudo apt-get install libportaudio2"
        if sys.platform in ("win32", "darwin"):  # it comes inside the library
            fix = "pip install --force-reinstall sounddevice"
        raise DeviceError("PortAudio, which reads microphones, is not installed", fix) from error


@cache
def _sounddevice() -> Any:
    """Importing it asks the sound server for its devices."""

    def load() -> Any:
        import sounddevice

        return sounddevice

    loaded = answered(load)
    atexit.unregister(loaded._exit_handler)
    atexit.register(lambda: STREAMS.at_end(loaded._exit_handler))
    return loaded


def find_device(wanted: str | int | None, direction: str) -> tuple[int, dict[str, Any]]:
    """PortAudio's number and description of a device by name, part of a name, or number.

    direction is "input" or "output". DeviceError names the nearest choices. Windows shows each device once by each of
    its sound systems: WASAPI's comes first, which is the quickest and knows the whole name, unless the device has more
    channels than it gives two of.
    """
    sd = import_sounddevice()
    key = f"max_{direction}_channels"
    try:
        devices = [dict(device) for device in sd.query_devices()]
        wasapi = _wasapi(sd)
    except sd.PortAudioError as error:
        raise DeviceError(f"the sound system does not answer ({error})", "voxcam doctor") from error
    usable = {i: device for i, device in enumerate(devices) if device[key] > 0}
    quick = [i for i in wasapi.get("devices", ()) if i in usable and usable[i][key] <= WASAPI_CHANNELS]
    word = "microphone" if direction == "input" else "sound output"
    if not usable:
        raise DeviceError(f"this computer shows no {word}", "connect one, then voxcam devices")
    if wanted is None or wanted == "default":
        number = wasapi.get(f"default_{direction}_device", -1)
        if number not in quick:
            number = sd.default.device[0 if direction == "input" else 1]
        if number not in usable:
            number = next((i for i, device in usable.items() if device["name"] == "default"), next(iter(usable)))
        return number, usable[number]
    text = str(wanted)
    if text.isdecimal() and int(text) in usable:
        return int(text), usable[int(text)]
    exact = [i for i, device in usable.items() if device["name"] == text]
    partly = [i for i, device in usable.items() if text.lower() in device["name"].lower()]
    for matches in (exact, partly):
        if matches:
            number = next((i for i in matches if i in quick), matches[0])
            return number, usable[number]
    names = ", ".join(sorted({device["name"] for device in usable.values()})[:6])
    raise DeviceError(f"no {word} is called {text!r} (there are: {names})", MICROPHONE_FIX)


def _wasapi(sd: Any) -> dict[str, Any]:
    """What PortAudio says of Windows' own sound system: `devices`, `default_input_device`; empty elsewhere."""
    if sys.platform != "win32":
        return {}
    return next((dict(host) for host in sd.query_hostapis() if host["name"] == WASAPI), {})


class Stream(Protocol):
    """A PortAudio stream of this program."""

    def suspend(self) -> None:
        """Close it."""

    def resume(self) -> None:
        """Find its device and open it; DeviceError when that cannot be."""


class Streams:
    """The PortAudio streams of this program: `lock` is held by who opens or closes one.

    PortAudio lists devices once. What has come back is found by a new scan only, and that ends all streams: they are
    closed and opened again together.
    """

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self.scans = 0
        self.hangs = False  # a call of ours has not come back in time: the end waits for no other one
        self._streams: list[Stream] = []

    def add(self, stream: Stream) -> None:
        with self.lock:
            self._streams.append(stream)

    def close(self, stream: Stream, work: Callable[[], object]) -> None:
        """`work` closes it; from now on no scan opens it again. Waits as `at_end` does."""

        def close() -> None:
            with self.lock:
                if stream in self._streams:
                    self._streams.remove(stream)
                work()

        self.at_end(close)

    def at_end(self, work: Callable[[], object], limit_s: float | None = None, least_s: float = 0.0) -> None:
        """Do what belongs to the end, but wait for it no longer than this: `least_s` where something hangs already."""
        with contextlib.suppress(NoAnswer):
            answered(work, least_s if self.hangs else CLOSE_S if limit_s is None else limit_s)

    @contextlib.contextmanager
    def lock_at_end(self) -> Iterator[None]:
        """The lock, unless a scan that hangs keeps it."""
        held = self.lock.acquire(timeout=0.0 if self.hangs else LOCK_S)
        self.hangs |= not held
        try:
            yield
        finally:
            if held:
                self.lock.release()

    def scan(self) -> None:
        """List the devices anew, unless another thread has just done so. Takes some 0.1 s, more on a busy machine."""
        sd, before = import_sounddevice(), self.scans
        with self.lock:
            if self.scans != before or not self._streams:
                return
            for stream in self._streams:
                stream.suspend()
            for step in (sd._terminate, sd._initialize):
                with contextlib.suppress(sd.PortAudioError):  # then nothing is found: the next scan comes
                    step()
            self.scans += 1
            for stream in self._streams:
                with contextlib.suppress(DeviceError):
                    stream.resume()


STREAMS = Streams()


@contextlib.contextmanager
def hushed() -> Iterator[None]:
    """Keep what C libraries write to stderr off the screen: ALSA tells of each underrun and each device it misses.

    It would tear the view, and bury our own line about what is wrong. That line comes afterwards, as an exception, and
    notes go into the view. `with STREAMS.lock, hushed():` where there is none, so that no note is said meanwhile.
    """
    if sys.stderr is None:  # its descriptor is closed, or another file's
        yield
        return
    sys.stderr.flush()
    with STREAMS.lock:  # a scan leads stderr to nowhere as well, and puts back what it found
        try:
            kept = os.dup(2)
        except OSError:  # closed: nothing is to be seen anyway
            kept = -1
        else:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, 2)
            os.close(nowhere)
    try:
        yield
    finally:
        if kept >= 0:
            sys.stderr.flush()
            with STREAMS.lock_at_end():
                os.dup2(kept, 2)
                os.close(kept)


def _kind(device: dict[str, Any]) -> tuple[int, int]:
    """Rate and channels to open an input at: its own, and no more than two."""
    return round(device["default_samplerate"]) or 48_000, min(2, device["max_input_channels"])


class Microphone(DeviceSource):
    """A PortAudio input at its own rate, in blocks of the driver's choice."""

    def __init__(self, wanted: str | int | None = None, clock: Clock | None = None) -> None:
        self._sd = import_sounddevice()
        self._wanted = wanted
        self._number, device = find_device(wanted, "input")
        self._stream: Any = None
        super().__init__(*_kind(device), clock)
        self.name = device["name"]
        self.hears_cable: Callable[[], bool] = lambda: False  # whether what is open is this program's own output
        self._scanning: threading.Thread | None = None

    def _callback(self, block: np.ndarray, count: int, times: Any, status: Any) -> None:
        self._on_block(block, bool(status))

    def _open_device(self) -> None:
        sd = self._sd
        try:
            with STREAMS.lock, hushed():
                self._stream = sd.InputStream(
                    device=self._number,
                    samplerate=self.device_rate_hz,
                    channels=self.ring.channels,
                    dtype="float32",
                    blocksize=0,
                    latency="low",
                    callback=self._callback,
                )
                if self.hears_cable():  # before any of it is heard
                    raise OSError("there is none but the cable itself")
                self._stream.start()
            self.device_latency_ms = 1000 * float(self._stream.latency)
        except (sd.PortAudioError, ValueError, OSError) as error:
            self._close_device()
            raise DeviceError(f"the microphone {self.name!r} cannot be opened ({error})", "voxcam doctor") from error

    def _close_device(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.abort(ignore_errors=True)
                stream.close(ignore_errors=True)
            except self._sd.PortAudioError:
                return  # the device is gone already

    def __enter__(self) -> Source:
        answered(self._enter)
        return self

    def _enter(self) -> Source:
        with STREAMS.lock:
            STREAMS.add(self)
            return super().__enter__()

    def close(self) -> None:
        STREAMS.close(self, super().close)

    def suspend(self) -> None:
        self._interrupted = True
        self._close_device()

    def resume(self) -> None:
        self._number, device = find_device(self._wanted, "input")
        self._use_kind(*_kind(device))
        self._open_device()
        self._give_time()

    def look_after(self) -> None:
        """Leave the cable, where the sound server has moved this stream there; the way back is as after a loss."""
        if self._stream is None or self.lost or not self.hears_cable():
            return
        with STREAMS.lock:
            if self._stream is not None:  # the end may have come
                self.suspend()

    def _try_again(self) -> None:
        """Scan in a thread of its own: the zero hops must not wait for it."""
        if self._scanning is None or not self._scanning.is_alive():
            self._scanning = threading.Thread(target=STREAMS.scan, name="scan", daemon=True)
            self._scanning.start()
