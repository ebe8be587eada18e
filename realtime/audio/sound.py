"""Sound files of any kind, read block by block: a three-hour recording never sits in memory."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from engines.errors import InputError, WrongInput

BLOCK_S = 0.1
SILENT_PEAK = 1e-4  # -80 dB
QUIET_PEAK = 0.004  # -48 dB: below it the encoder misses words (docs/decisions.md)
CLIPPED_LEVEL = 0.999
CLIPPED_SHARE = 0.002
MP3_BEGINS = (b"\xff\xfb", b"\xff\xfa", b"\xff\xf3", b"\xff\xf2", b"\xff\xe3", b"\xff\xe2")
HEADERLESS = ("amrnb", "amrwb")  # FFmpeg takes plain text for these; real files begin with #!AMR
RAW_STREAMS = ("mp3", "aac", "ac3", "eac3", "dts", "amr")  # their length is guessed where no header tells it
OPPOSED, AGREED = -0.5, -0.2  # correlation of two channels: turned below the one, left as they are above the other
CELL_S, MEMORY_S = 0.02, 1.0  # a step of that judgement, and over how long it hears
FIRST_CELLS = 3  # with sound, before anything is turned
TURN_CELLS = 5  # over which the sign of a channel changes: no click
SHORT = 0.95  # of what a file announces: less has been lost
PCM = (b"\x01\x00", b"\x03\x00", b"\xfe\xff")  # kinds of WAV whose samples all take as many bytes
LARGEST_CHUNK = 2**31 - 2**16  # bytes that a header may promise and mean it
RATES_HZ = (4_000, 384_000)
FIX = "give a sound such as wav, flac, mp3, m4a, ogg, opus or a video with sound"


class SoundFile:
    """An open sound: `rate_hz`, `channels`, `seconds` (None where unknown) and `blocks()`.

    libsndfile reads what it can; everything else (m4a, video) goes through PyAV.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.rate_hz = 0
        self.channels = 0
        self.seconds: float | None = None
        self.peak = 0.0
        self._samples = 0
        self._phase: PhaseKeeper | None = None
        self._clipped = 0
        self._ended = False  # `blocks` came to the end
        self._guessed = False  # `seconds` is no more than a guess from the bit rate
        self._sndfile: Any = None
        self._container: Any = None
        if not self.path.exists():
            raise WrongInput(f"there is no sound {self.path}", "check the path")
        if self.path.is_dir():
            raise WrongInput(f"{self.path} is a folder, not a sound", FIX)
        if not self.path.is_file():
            raise WrongInput(f"{self.path} is a pipe or a device, not a file", "save the sound to a file first")
        if self.path.stat().st_size == 0:
            raise InputError(f"the sound {self.path} is empty (0 bytes)", FIX)
        try:
            self._open()
            if not RATES_HZ[0] <= self.rate_hz <= RATES_HZ[1]:
                raise InputError(f"{self.path} has {self.rate_hz} samples a second", "convert it to 48000")
        except BaseException:
            self.close()
            raise

    def _open(self) -> None:
        import soundfile

        try:
            with self.path.open("rb") as file:
                begin = file.read(4)
        except OSError as error:
            raise InputError(f"the sound {self.path} may not be read", "check its permissions") from error
        # libsndfile 1.2 repeats parts of an mp3 that is read block by block, and chats on stderr about others.
        if begin[:3] == b"ID3" or begin[:2] in MP3_BEGINS or self.path.suffix.lower() in (".mp3", ".mp2"):
            self._open_with_av()
            return
        try:
            # Bytes: it takes no text with what is not UTF-8. On Windows every name is text.
            self._sndfile = soundfile.SoundFile(str(self.path) if os.name == "nt" else os.fsencode(self.path))
        except (soundfile.LibsndfileError, OSError, TypeError):
            self._open_with_av()
            return
        self.rate_hz, self.channels = self._sndfile.samplerate, self._sndfile.channels
        count = self._sndfile.frames
        if count == 0:
            raise InputError(f"the sound {self.path} is empty (no samples)", FIX)
        self.seconds = max(count, claimed_samples(self.path)) / self.rate_hz if count < 2**40 else None

    def _open_with_av(self) -> None:
        import av

        try:
            self._container = av.open(media_url(self.path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"cannot read {self.path} as sound ({_reason(error)})", FIX) from error
        if self._container.format.name in HEADERLESS:
            raise InputError(f"cannot read {self.path} as sound (it has no header of any kind)", FIX)
        if not self._container.streams.audio:
            raise InputError(f"{self.path} holds no sound", FIX)
        stream = self._container.streams.audio[0]
        if stream.codec_context is None:
            raise InputError(f"the sound of {self.path} is of a kind that is not known", FIX)
        self.rate_hz = stream.codec_context.sample_rate or 0
        if not self.rate_hz:
            raise InputError(f"cannot read {self.path} as sound (nothing in it can be decoded)", FIX)
        self.channels = stream.codec_context.channels
        self._guessed = self._container.format.name in RAW_STREAMS
        if stream.duration and stream.time_base:
            self.seconds = float(stream.duration * stream.time_base)
        elif self._container.duration:
            self.seconds = self._container.duration / av.time_base
            self._guessed |= len(self._container.streams) > 1  # it may be the pictures' length

    @property
    def read_s(self) -> float:
        """Seconds of sound that `blocks` has given so far."""
        return self._samples / self.rate_hz if self.rate_hz else 0.0

    def __enter__(self) -> SoundFile:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        for opened in (self._sndfile, self._container):
            if opened is not None:
                opened.close()
        self._sndfile = self._container = None

    def blocks(self, block_samples: int | None = None) -> Iterator[np.ndarray]:
        """(samples, channels) float32 blocks to the end; InputError where the sound is damaged or not a number.

        Two channels in anti-phase are brought into phase: their mean would be silence.
        """
        self._phase = PhaseKeeper(self.rate_hz)
        limit = block_samples or max(1, round(self.rate_hz * BLOCK_S))
        any_samples = False
        for block in self._cut(self._decoded(limit), limit):
            if len(block) == 0:
                continue
            any_samples = True
            top = float(np.abs(block).max())
            if not np.isfinite(top):
                at = self._samples / self.rate_hz
                raise InputError(f"{self.path} holds values that are not numbers near {at:.1f} s", "export it again")
            if top > 1.0:
                block = np.clip(block, -1.0, 1.0)
            self.peak = max(self.peak, top)
            if top >= CLIPPED_LEVEL:
                self._clipped += int((np.abs(block) >= CLIPPED_LEVEL).sum())
            self._samples += len(block)
            yield self._phase.push(block)
        self._ended = True
        if not any_samples:
            raise InputError(f"the sound {self.path} is empty (no samples)", FIX)

    def _decoded(self, limit: int) -> Iterator[np.ndarray]:
        if self._sndfile is not None:
            while True:
                try:
                    block = self._sndfile.read(limit, dtype="float32", always_2d=True)
                except (RuntimeError, OSError) as error:
                    raise InputError(f"{self.path} is damaged ({_reason(error)})", "use another copy") from error
                if len(block) == 0:
                    return
                yield block
        else:
            yield from self._decoded_with_av()

    def _decoded_with_av(self) -> Iterator[np.ndarray]:
        import av

        assert self._container is not None
        to_float = av.AudioResampler(format="fltp")
        try:
            for packet_sound in self._container.decode(audio=0):
                for sound in to_float.resample(packet_sound):
                    yield sound.to_ndarray().T
            for sound in to_float.resample(None):
                yield sound.to_ndarray().T
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"{self.path} is damaged ({_reason(error)})", "use another copy") from error

    @staticmethod
    def _cut(blocks: Iterator[np.ndarray], limit: int) -> Iterator[np.ndarray]:
        for block in blocks:
            for at in range(0, len(block), limit):
                yield np.ascontiguousarray(block[at : at + limit], np.float32)

    def warnings(self) -> list[str]:
        """What a user should know, once the sound has been read."""
        if self._ended and self.seconds and not self._guessed and self.read_s < SHORT * self.seconds - BLOCK_S:
            return [
                f"{self.path.name} ends after {self.read_s:.1f} s of {self.seconds:.1f} s: it is cut short or damaged"
            ]
        if self._ended and self.peak < SILENT_PEAK:  # many begin with silence
            return [f"{self.path.name} is silent: the mouth stays shut"]
        if self._ended and self.peak < QUIET_PEAK:
            peak_db = 20 * np.log10(self.peak)
            return [
                f"{self.path.name} is very quiet (peak {peak_db:.0f} dB): lips may follow it less well, make it louder"
            ]
        if self._clipped > CLIPPED_SHARE * self._samples * max(self.channels, 1):
            return [f"{self.path.name} is clipped (too loud when recorded): lips may follow it less well"]
        if self._phase is not None and self._phase.turned_samples > self._samples / 2:
            return [f"{self.path.name} has its two channels in anti-phase: the right one was turned over"]
        return []


class PhaseKeeper:
    """Two channels in, two out whose mean is no silence: the right one's sign is turned while it opposes the left.

    Judged by their correlation over the last second, in steps of 20 ms; the sign changes over 100 ms. What comes out
    depends on the samples alone, not on how they are cut into blocks, and never waits.
    """

    def __init__(self, rate_hz: int) -> None:
        self.opposed = False
        self.turned_samples = 0
        self._cell = np.zeros((2, max(2, round(rate_hz * CELL_S))), np.float32)
        self._filled = 0
        self._keep = 1 - CELL_S / MEMORY_S
        self._left_left = self._right_right = self._left_right = 0.0
        self._heard = 0  # cells with sound in both channels
        self._sign = self._next_sign = 1.0  # of the right channel, where this cell begins and ends

    def push(self, block: np.ndarray) -> np.ndarray:
        """(samples, channels) float32 in and out; the very block where nothing is to be turned or it isn't stereo."""
        if block.shape[1] != 2:
            return block
        out, at, size = block, 0, self._cell.shape[1]
        while at < len(block):
            taken = min(len(block) - at, size - self._filled)
            self._cell[:, self._filled : self._filled + taken] = block[at : at + taken].T
            if min(self._sign, self._next_sign) < 1.0:
                if out is block:
                    out = block.copy()
                along = np.arange(self._filled, self._filled + taken, dtype=np.float32) / np.float32(size)
                out[at : at + taken, 1] *= self._sign + (self._next_sign - self._sign) * along
                self.turned_samples += taken
            self._filled += taken
            at += taken
            if self._filled == size:
                self._judge()
        return out

    def _judge(self) -> None:
        """A cell is full: what it says of the sign in the next one."""
        left, right = self._cell - self._cell.mean(1, keepdims=True)
        products = float(left @ left), float(right @ right), float(left @ right)
        self._filled, self._sign = 0, self._next_sign
        if min(products[:2]) > len(left) * SILENT_PEAK**2:  # else what was found before still holds
            self._heard += 1
            self._left_left = self._keep * self._left_left + products[0]
            self._right_right = self._keep * self._right_right + products[1]
            self._left_right = self._keep * self._left_right + products[2]
            bound = AGREED if self.opposed else OPPOSED
            loudness = float(np.sqrt(self._left_left * self._right_right))
            self.opposed = self._heard >= FIRST_CELLS and self._left_right < bound * loudness
        step = -2 / TURN_CELLS if self.opposed else 2 / TURN_CELLS
        self._next_sign = min(1.0, max(-1.0, self._sign + step))


def claimed_samples(path: Path) -> int:
    """How many samples a channel a WAV's header promises, for libsndfile tells what is there; 0 where it says nothing.

    A recorder that could not go back to its header leaves 0 or the largest number there: those say nothing.
    """
    with path.open("rb") as file:
        head = file.read(12)
        if head[:4] != b"RIFF" or head[8:] != b"WAVE":
            return 0
        block_bytes = 0
        while len(head := file.read(8)) == 8:
            size = int.from_bytes(head[4:], "little")
            if head[:4] == b"data":
                return size // block_bytes if block_bytes and size < LARGEST_CHUNK else 0
            if head[:4] == b"fmt ":
                body = file.read(size + size % 2)
                block_bytes = int.from_bytes(body[12:14], "little") if body[:2] in PCM else 0
            else:
                file.seek(size + size % 2, os.SEEK_CUR)
    return 0


def media_url(path: Path) -> str:
    """A path as FFmpeg takes it for one: the colon of 12:30.mp3 would name a protocol."""
    return f"file:{os.path.abspath(path)}"


def to_mono(block: np.ndarray) -> np.ndarray:
    """(samples, channels) -> (samples,) float32, the mean of the channels."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(1, dtype=np.float32)


def _reason(error: BaseException) -> str:
    """The library's own words, without error numbers and the path that our message names already."""
    text = (getattr(error, "strerror", None) or str(error)).strip()
    return text.splitlines()[0][:100] if text else type(error).__name__
