"""A recording that outlives what happens to it: a full disk, an interrupt at its end, a killed program, a power cut.

An mp4 is written in fragments of a second, each of which plays without what follows; its end turns it into a plain one
(FFmpeg's hybrid_fragmented: an index at the end, the fragments' heads hidden in the media box). mkv and webm are made
like that by themselves.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from realtime.clock import NS, Clock, SystemClock
from realtime.pictures.provenance import append_xmp_box

FRAGMENT_US = 1_000_000
# delay_moov: written before anything else, the heads could not say what a codec puts before the sound.
MP4_OPTIONS = {"movflags": "hybrid_fragmented+delay_moov+use_metadata_tags", "frag_duration": str(FRAGMENT_US)}
SYNC_NS = 5 * NS
CLUSTER = b"\x1f\x43\xb6\x75"  # Matroska's name of a second or so of pictures and sound
HEADS_BYTES, LEAST_CLUSTER_BYTES = 65_536, 1_000


class KeptFile:
    """What a muxer writes to.

    After the first write that fails it drops what comes: an end that is half written over the beginning would spoil
    what is there. Every five seconds the disk is told to take what has come, in a thread: that may take its time.
    """

    def __init__(self, path: Path, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._synced_ns = self._clock.now_ns()
        self._syncing: threading.Thread | None = None
        self._ended = False
        self._file = path.open("w+b", buffering=0)

    def write(self, data: bytes) -> int:
        if self._ended:
            return len(data)
        view, done = memoryview(data), 0
        try:
            while done < len(view):
                done += self._file.write(view[done:])
        except OSError:
            self._ended = True
            raise
        if self._clock.now_ns() - self._synced_ns > SYNC_NS and not (self._syncing and self._syncing.is_alive()):
            self._synced_ns = self._clock.now_ns()
            self._syncing = threading.Thread(target=self._sync, name="sync", daemon=True)
            self._syncing.start()
        return done

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return offset if self._ended else self._file.seek(offset, whence)

    def tell(self) -> int:
        return 0 if self._ended else self._file.tell()

    def _sync(self) -> None:
        with suppress(OSError):  # the next write tells
            os.fsync(self._file.fileno())

    def end(self) -> None:
        """Take no more; may be called twice."""
        self._ended = True
        if self._syncing is not None:
            self._syncing.join()
        self._file.close()


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Ctrl-C and SIGTERM wait until a file is finished, unless that fails: half an end plays nowhere."""
    if threading.current_thread() is not threading.main_thread():  # where none comes
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        for number in handlers:
            signal.signal(number, lambda number, _: came.append(number))
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])


def sync(path: Path) -> None:
    """Let a finished file be on the disk before it takes its name."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def holds_cluster(path: Path) -> bool:
    """Whether an mkv or webm whose writing broke off holds pictures: heads, and the beginning of a first cluster."""
    with path.open("rb") as file:
        begin = file.read(HEADS_BYTES)
    at = begin.find(CLUSTER)
    return at >= 0 and path.stat().st_size > at + LEAST_CLUSTER_BYTES


def cut_to_whole(path: Path) -> bool:
    """Cut an mp4 whose writing broke off to what plays, and mark it as synthetic where there is room for that.

    False when nothing in it plays. What was cut is left as it is.
    """
    found, whole = set(), 0
    with path.open("rb+") as file:
        size, at = os.fstat(file.fileno()).st_size, 0
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length = int.from_bytes(head[:4], "big")
            if length == 1:
                length = int.from_bytes(head[8:], "big")
            if length < 8 or at + length > size:
                break
            at += length
            found.add(head[4:8])
            if head[4:8] in (b"moov", b"mdat", b"uuid"):
                whole = at
        file.truncate(whole)
    if not found >= {b"moov", b"mdat"}:
        return False
    if b"uuid" in found:
        return True
    try:
        append_xmp_box(path)
    except OSError:  # the disk is full: its other tags say the same
        os.truncate(path, whole)
    return True
