"""Sound files of any kind, read block by block: a three-hour recording never sits in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from engines.errors import InputError

BLOCK_S = 0.1
SILENT_PEAK = 1e-4  # -80 dB
CLIPPED_LEVEL = 0.999
CLIPPED_SHARE = 0.002
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
        self._clipped = 0
        self._sndfile: Any = None
        self._container: Any = None
        if not self.path.exists():
            raise InputError(f"there is no sound {self.path}", "check the path")
        if self.path.is_dir():
            raise InputError(f"{self.path} is a folder, not a sound", FIX)
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
            self._sndfile = soundfile.SoundFile(str(self.path))
        except (soundfile.LibsndfileError, OSError, TypeError) as error:
            if isinstance(error, PermissionError):
                raise InputError(f"the sound {self.path} may not be read", "check its permissions") from error
            self._open_with_av()
            return
        if self._sndfile.format == "MP3":
            # libsndfile 1.2 repeats parts of an mp3 that is read block by block.
            self._sndfile.close()
            self._sndfile = None
            self._open_with_av()
            return
        self.rate_hz, self.channels = self._sndfile.samplerate, self._sndfile.channels
        count = self._sndfile.frames
        if count == 0:
            raise InputError(f"the sound {self.path} is empty (no samples)", FIX)
        self.seconds = count / self.rate_hz if count < 2**40 else None

    def _open_with_av(self) -> None:
        import av

        try:
            self._container = av.open(str(self.path))
        except (av.FFmpegError, OSError, ValueError) as error:
            raise InputError(f"cannot read {self.path} as sound ({_reason(error)})", FIX) from error
        if not self._container.streams.audio:
            raise InputError(f"{self.path} holds no sound", FIX)
        stream = self._container.streams.audio[0]
        self.rate_hz = stream.rate or 0
        self.channels = stream.codec_context.channels
        if self._container.duration:
            self.seconds = self._container.duration / av.time_base

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
        """(samples, channels) float32 blocks to the end; InputError where the sound is damaged or not a number."""
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
            yield block
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
        if self._samples and self.peak < SILENT_PEAK:
            return [f"{self.path.name} is silent: the mouth stays shut"]
        if self._clipped > CLIPPED_SHARE * self._samples * max(self.channels, 1):
            return [f"{self.path.name} is clipped (too loud when recorded): lips may follow it less well"]
        return []


def to_mono(block: np.ndarray) -> np.ndarray:
    """(samples, channels) -> (samples,) float32, the mean of the channels."""
    return block[:, 0] if block.shape[1] == 1 else block.mean(1, dtype=np.float32)


def _reason(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:100] if str(error).strip() else type(error).__name__
