"""Where pictures go. Each sink has a thread and a short queue of its own, so that a slow one holds nobody up."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from errno import ENOSPC

import numpy as np

from engines.errors import OutputError, VoxcamError
from realtime.broken_pipe import reader_is_gone
from realtime.clock import NS, Clock, Doorbell, SystemClock
from realtime.messages import Picture
from realtime.pictures.picture_pool import PicturePool

MOST_SOUND_BYTES = 64_000_000  # minutes of sound that wait for a stuck sink


class Sink(AbstractContextManager["Sink"]):
    """One place for pictures. `send` may take as long as it likes: it runs in the sink's own thread."""

    name = "sink"
    wants_sound = False
    delay_ms = 0.0  # from `send` to where a viewer has it, where the device tells
    notes: Sequence[str] = ()  # what a user should know once it is closed

    @property
    def lost(self) -> bool:
        """The device is away, and is being waited for."""
        return False

    def open(self, height: int, width: int, picture_rate: int) -> None:
        """Get ready; DeviceError or OutputError when that cannot be."""

    def send(self, picture: Picture) -> None:
        raise NotImplementedError

    def hear(self, block: np.ndarray) -> None:
        """(samples, channels) float32 sound at the source's rate; only where `wants_sound`."""

    def close(self) -> None:
        """Finish and give everything back; may be called twice."""

    def __enter__(self) -> Sink:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class NullSink(Sink):
    """Looks at nothing: for measuring, and for `--camera none`."""

    name = "null"

    def send(self, picture: Picture) -> None:
        return


class RawSink(Sink):
    """Raw RGB pictures to standard output, for ffmpeg and GStreamer pipes."""

    name = "raw"

    def __init__(self, descriptor: int | None = None) -> None:
        self._descriptor = sys.stdout.fileno() if descriptor is None else descriptor

    def send(self, picture: Picture) -> None:
        # Not through sys.stdout: a reader that stands still would hold its lock, for which the program's end waits.
        rest = picture.pixels.data.cast("B")
        try:
            while rest:
                rest = rest[os.write(self._descriptor, rest) :]
        except OSError as error:
            if not reader_is_gone(error):
                raise
            raise OutputError("the program that reads the raw pictures has ended") from error


class SinkWorker:
    """Runs one sink in a thread.

    With `patient`, a full queue makes the giver wait (offline: no picture is lost). Without, the oldest waiting
    picture is dropped and counted (live: the newest counts).
    """

    def __init__(
        self, sink: Sink, pool: PicturePool, *, patient: bool, depth: int = 2, clock: Clock | None = None
    ) -> None:
        self.sink = sink
        self.sent = 0
        self.dropped = 0
        self.error: BaseException | None = None
        self._pool, self._patient, self._depth = pool, patient, depth
        self._clock = clock or SystemClock()
        self._pictures: deque[Picture] = deque()
        self._sound: deque[np.ndarray] = deque()
        self._lock = threading.Lock()
        self._work = Doorbell()
        self._room = Doorbell()
        self._ending = False
        self.on_sent: list[Callable[[Picture, int], None]] = []  # called with (picture, sent_ns) in the sink's thread
        self._thread = threading.Thread(target=self._run, name=f"sink {sink.name}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def give(self, picture: Picture) -> None:
        """Hand a picture over; the worker holds its buffer until it is sent or dropped."""
        if self.error is not None or self._ending:
            return
        self._pool.hold(picture.pixels)
        while self._patient and len(self._pictures) >= self._depth and self.error is None and not self._ending:
            self._room.wait(NS // 4)
        dropped = None
        with self._lock:
            if len(self._pictures) >= self._depth:
                dropped = self._pictures.popleft()
            self._pictures.append(picture)
        if dropped is not None:
            self.dropped += 1
            self._pool.release(dropped.pixels)
        self._work.ring()

    def give_sound(self, block: np.ndarray) -> None:
        if self.error is not None or self._ending:
            return
        if len(self._sound) * block.nbytes > MOST_SOUND_BYTES:
            self.error = OutputError(f"{self.sink.name} does not keep up with the sound", "write to a faster disk")
            return
        self._sound.append(block)
        self._work.ring()

    def stop(self, timeout_s: float) -> bool:
        """Send what waits, then end. False when the sink did not return in time: it is left behind."""
        self._ending = True
        self._work.ring()
        self._room.ring()
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        try:
            while True:
                while self._sound:
                    self.sink.hear(self._sound.popleft())
                with self._lock:
                    picture = self._pictures.popleft() if self._pictures else None
                if picture is None:
                    if self._ending and not self._sound:
                        return
                    self._work.wait(NS // 4)
                    continue
                self._room.ring()
                self._send(picture)
        except BaseException as error:
            self.error = (
                error if isinstance(error, VoxcamError | KeyboardInterrupt) else _as_output_error(self.sink, error)
            )
        finally:
            with self._lock:
                waiting, self._pictures = list(self._pictures), deque()
            for picture in waiting:
                self._pool.release(picture.pixels)
            self._room.ring()

    def _send(self, picture: Picture) -> None:
        try:
            self.sink.send(picture)
        finally:
            sent_ns = self._clock.now_ns()
            for call in self.on_sent:
                call(picture, sent_ns)
            self._pool.release(picture.pixels)
        self.sent += 1


def _as_output_error(sink: Sink, error: BaseException) -> VoxcamError:
    fix = "free some space and try again" if isinstance(error, OSError) and error.errno == ENOSPC else ""
    wrapped = OutputError(f"{sink.name} failed ({type(error).__name__}: {error})", fix)
    wrapped.__cause__ = error
    return wrapped
