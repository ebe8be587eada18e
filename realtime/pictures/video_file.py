"""Pictures and sound into an mp4, mkv or webm file that says it is synthetic.

Written beside the target and renamed when it is whole; a stream that is interrupted still ends as a playable file. What
live records is kept whatever happens (kept_file.py): a killed program leaves NAME.PROCESS.part.mp4, which plays.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from errno import ENOSPC
from fractions import Fraction
from math import inf
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import OutputError
from realtime.audio.sound import media_url
from realtime.messages import Picture
from realtime.pictures.kept_file import MP4_OPTIONS, KeptFile, cut_to_whole, holds_cluster, sync, uninterrupted
from realtime.pictures.provenance import SOURCE_TYPE, ContentSigner, append_xmp_box
from realtime.pictures.sinks import Sink
from realtime.targets import checked_target, name_beside, readable, taken_notes, unless_taken

CODECS = {".mp4": ("libx264", "aac"), ".mkv": ("libx264", "aac"), ".webm": ("libvpx-vp9", "libopus")}
FORMATS = {".mp4": "mp4", ".mkv": "matroska", ".webm": "webm"}
# AAC puts 1,024 samples before the sound, which GStreamer plays in mkv: no slower ones, which would last 64 or 128 ms.
SOUND_RATES_HZ = (44_100, 48_000)
OPUS_RATE_HZ = 48_000
CRF = "18"  # x264's: nobody sees the difference


class VideoFile(Sink):
    """H.264 and AAC in mp4 or mkv, VP9 and Opus in webm. Picture times come from their indices: gaps stay gaps."""

    wants_sound = True

    def __init__(
        self,
        path: Path,
        rate_hz: int,
        channels: int,
        *,
        overwrite: bool = False,
        preset: str = "veryfast",
        portrait_name: str = "",
        signer: ContentSigner | None = None,
        keep: bool = False,
    ) -> None:
        """signer: puts a C2PA manifest into the finished mp4; keep: also what a full disk or a kill cuts short."""
        self.path = checked_target(Path(path), overwrite, tuple(CODECS))
        self._overwrite = overwrite
        self._signer = signer
        self._keep = keep
        self.name = str(path)
        self.notes: list[str] = []
        self.pictures = 0
        hidden = "" if keep else "."
        self._temporary = name_beside(self.path, f"{os.getpid()}.part", hidden)
        self._rate_hz, self._channels = rate_hz, channels if channels <= 2 else 1
        self._preset, self._portrait_name = preset, readable(portrait_name)
        self._lock = threading.Lock()  # a codec or container that two threads use ends the program
        self._container: Any = None
        self._kept: KeptFile | None = None
        self._sound_samples = 0
        self._early: deque[np.ndarray] = deque()  # sound that is ahead of its pictures
        self._newest = -1
        self._failed = False
        self._opening = False  # the file may be there already, its container not yet: an interrupt came between

    def open(self, height: int, width: int, picture_rate: int) -> None:
        import av
        from av.video.reformatter import Colorspace, VideoReformatter

        self._av = av
        suffix = self.path.suffix.lower()
        picture_codec, sound_codec = CODECS[suffix]
        plain = MP4_OPTIONS if self._keep else {"movflags": "use_metadata_tags+faststart"}
        options = plain if suffix == ".mp4" else {}
        self._opening = True
        try:
            if self._keep:
                self._kept = KeptFile(self._temporary)
            target = self._kept or media_url(self._temporary)
            self._container = av.open(target, "w", format=FORMATS[suffix], options=options)
        except (av.FFmpegError, OSError) as error:
            reason = error.strerror or error
            raise OutputError(f"{self.path} cannot be written ({reason})", "name another folder") from error
        self._opening = False
        self._container.metadata.update(
            {
                "title": f"voxcam {self._portrait_name}".strip(),
                "comment": "AI-generated: a synthetic talking face made from a photo by voxcam",
                "digitalSourceType": SOURCE_TYPE,
            }
        )
        pictures = self._container.add_stream(picture_codec, rate=picture_rate)
        # Codecs of 4:2:0 want even sides: an odd last row or column is left out.
        self._height, self._width = height // 2 * 2, width // 2 * 2
        pictures.width, pictures.height, pictures.pix_fmt = self._width, self._height, "yuv420p"
        self._time_base = Fraction(1, picture_rate)
        pictures.codec_context.time_base = self._time_base
        if picture_codec == "libx264":
            pictures.options = {"crf": CRF, "preset": self._preset}
            pictures.codec_context.thread_count = 2
        else:
            pictures.options = {"crf": "30", "b": "0", "deadline": "realtime", "cpu-used": "8", "row-mt": "1"}
        pictures.codec_context.color_range = 1  # limited
        pictures.codec_context.colorspace = 1 if self._height >= 720 else 5  # BT.709, BT.601
        # The photo's own colours. Untold, players take 480 and 576 lines for old television's: other greens and reds.
        pictures.codec_context.color_primaries = pictures.codec_context.color_trc = 1  # BT.709
        self._colorspace = Colorspace.ITU709 if self._height >= 720 else Colorspace.ITU601
        self._pictures = pictures
        rate = self._rate_hz
        if sound_codec == "libopus":
            rate = OPUS_RATE_HZ
        elif rate not in SOUND_RATES_HZ:
            rate = 48_000
        sound = self._container.add_stream(sound_codec, rate=rate)
        sound.layout = "stereo" if self._channels == 2 else "mono"
        sound.codec_context.bit_rate = 128_000 if self._channels == 2 else 96_000
        self._sound = sound
        self._to_codec = av.AudioResampler(format=sound.codec_context.format, layout=sound.layout, rate=rate)
        self._reformatter = VideoReformatter()

    def send(self, picture: Picture) -> None:
        with self._lock:
            if self._container is not None:  # it may be closed while its worker still has some
                self._send(picture)

    def _send(self, picture: Picture) -> None:
        if picture.index <= self._newest:  # the stream went back to sound that was lost
            return
        late, self._newest = self._newest < 0 < picture.index, picture.index
        raw = self._av.VideoFrame.from_ndarray(picture.pixels[: self._height, : self._width], format="rgb24")
        raw.pts = picture.index
        raw.time_base = self._time_base
        converted = self._reformatter.reformat(
            raw, format="yuv420p", dst_colorspace=self._colorspace, src_colorspace=self._colorspace
        )
        # Sound that waited in a pipe is older than the first picture, which stands for the ones before it.
        for pts in (0, picture.index) if late else (picture.index,):
            converted.pts, converted.time_base = pts, raw.time_base
            self._write(self._container, self._pictures, converted)
        self.pictures += 1
        self._hear_until(self._container, (picture.index + 1) * self._time_base)

    def hear(self, block: np.ndarray) -> None:
        with self._lock:
            if self._container is None or not len(block):  # no codec takes a block of no samples
                return
            if self._keep:
                self._hear(self._container, block)
            else:
                self._early.append(block)

    def cut_sound(self) -> None:
        """Let the sound end with the newest picture: offline it is seconds ahead, and no more pictures come."""
        with self._lock:
            self._early.clear()

    def _hear_until(self, container: Any, end_s: Fraction | float) -> None:
        while self._early and self._sound_samples < end_s * self._rate_hz:
            self._hear(container, self._early.popleft())

    def _hear(self, container: Any, block: np.ndarray) -> None:
        if block.shape[1] > self._channels:
            block = block.mean(1, keepdims=True, dtype=np.float32)
        packed = np.ascontiguousarray(block.reshape(1, -1), np.float32)
        sound = self._av.AudioFrame.from_ndarray(
            packed, format="flt", layout="stereo" if self._channels == 2 else "mono"
        )
        sound.sample_rate = self._rate_hz
        sound.pts = self._sound_samples
        sound.time_base = Fraction(1, self._rate_hz)
        self._sound_samples += len(block)
        for ready in self._to_codec.resample(sound):
            self._write(container, self._sound, ready)

    def _write(self, container: Any, stream: Any, data: Any) -> None:
        try:
            for packet in stream.encode(data):
                container.mux(packet)
        except (self._av.FFmpegError, OSError) as error:
            self._failed = True
            fix = _what_helps(error)
            what = f"ends after at most {self.pictures} pictures" if self._plays() else "cannot be written"
            raise OutputError(f"{self.path} {what} ({error.strerror or error})", fix) from error

    def _plays(self) -> bool:
        """Nothing more can be written: does what is there play? An mp4 is cut to what does."""
        if self._kept is not None:
            self._kept.end()
        if not self._keep or not self.pictures:
            return False
        plays = cut_to_whole if self.path.suffix.lower() == ".mp4" else holds_cluster
        return plays(self._temporary)

    def close(self) -> None:
        with self._lock, uninterrupted():
            self._finish()

    def _finish(self) -> None:
        container, self._container = self._container, None
        if container is None:
            if self._opening:
                self._opening = False
                self._leave()
            return
        if self._failed or not self.pictures:
            self._close_and_remove(container)
            return
        try:
            self._hear_until(container, inf)
            for ready in self._to_codec.resample(None) if self._sound_samples else ():
                self._write(container, self._sound, ready)
            self._write(container, self._sound, None)
            self._write(container, self._pictures, None)
        except OutputError:
            self._close_and_remove(container)
            raise
        try:
            container.close()
            if self._kept is not None:
                self._kept.end()
            if self.path.suffix.lower() == ".mp4":
                append_xmp_box(self._temporary)
            if self._signer is not None:
                self._signer.sign(self._temporary, f"voxcam {self._portrait_name}".strip())
            if self._keep:
                sync(self._temporary)
        except (self._av.FFmpegError, OSError) as error:
            self._leave()
            reason = error.strerror or error
            raise OutputError(f"{self.path} cannot be finished ({reason})", _what_helps(error)) from error
        except OutputError as error:  # it was not signed
            self._leave()
            if self._keep:
                raise OutputError(f"{self.path} is kept without a signature ({error.what})", error.fix) from error
            raise
        try:
            self._take_name()
        except OSError as error:  # Windows: a player has the old one open
            fix = f"the whole video is {self._temporary}, rename it"
            raise OutputError(f"{self.path} cannot be replaced ({error.strerror})", fix) from error

    def _close_and_remove(self, container: Any) -> None:
        if self._kept is not None:
            self._kept.end()  # an end over its beginning would spoil it
        with suppress(self._av.FFmpegError, OSError):  # the disk is full
            container.close()
        self._leave()

    def _leave(self) -> None:
        """What became of a file that could not be finished: kept up to there where that plays, else removed."""
        with suppress(OSError):
            if self._plays():
                self._take_name()
            else:
                self._temporary.unlink(missing_ok=True)

    def _take_name(self) -> None:
        """Be called as was wished; beside what has taken that name in the meantime, unless it may be replaced."""
        wished, self.path = self.path, unless_taken(self.path, self._overwrite)
        self.notes += taken_notes(wished, self.path)
        os.replace(self._temporary, self.path)

    def abandon(self) -> None:
        """Close without leaving a file."""
        self._failed, self._keep = True, False
        self.close()


def _what_helps(error: Exception) -> str:
    """Against a write that failed: its folder may be full, gone or refused."""
    return "free some space and try again" if getattr(error, "errno", None) == ENOSPC else "name another folder"
