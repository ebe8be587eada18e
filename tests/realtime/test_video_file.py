"""Files that play, say that they are synthetic, and are never half there."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import av
import numpy as np
import pytest

from engines.errors import OutputError
from realtime.clock import NS, FakeClock
from realtime.messages import Picture
from realtime.pictures.kept_file import KeptFile, cut_to_whole
from realtime.pictures.provenance import SOURCE_TYPE, XMP_UUID
from realtime.pictures.video_file import VideoFile

ROOT = Path(__file__).parents[2]


def write(path: Path, pictures: int = 25, seconds: float = 1.0, rate: int = 48_000, channels: int = 2) -> VideoFile:
    file = VideoFile(path, rate, channels)
    with file:
        file.open(121, 161, 25)
        for i in range(pictures):
            pixels = np.full((121, 161, 3), (i * 9 % 256, 90, 200), np.uint8)
            file.send(Picture(i, pixels, 0, 0, 0))
        tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)
        for begin in range(0, len(tone), rate // 10):
            file.hear(np.repeat(tone[begin : begin + rate // 10, None], channels, 1).astype(np.float32))
    return file


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize(("rate", "channels"), [(16_000, 1), (44_100, 2), (96_000, 6)])
def test_pictures_and_sound_come_back(tmp_path: Path, suffix: str, rate: int, channels: int) -> None:
    path = tmp_path / f"out{suffix}"
    write(path, rate=rate, channels=channels)
    with av.open(str(path)) as container:
        pictures = list(container.decode(video=0))
        assert len(pictures) == 25
        assert pictures[24].time == pytest.approx(0.96, abs=0.002)
        assert (pictures[0].width, pictures[0].height) == (160, 120)
        colour = pictures[10].to_ndarray(format="rgb24")[60, 80].astype(int)
        assert np.abs(colour - (90, 90, 200)).max() <= 6
    with av.open(str(path)) as container:
        sound = list(container.decode(audio=0))
        assert sum(part.samples for part in sound) / sound[0].sample_rate == pytest.approx(1.0, abs=0.07)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize(("height", "matrix"), [(480, 5), (720, 1)])
def test_its_colours_are_told(tmp_path: Path, suffix: str, height: int, matrix: int) -> None:
    """All of them: a player that is told a part guesses the rest from the height."""
    path = tmp_path / f"out{suffix}"
    with VideoFile(path, 16_000, 1, preset="ultrafast") as file:
        file.open(height, 160, 25)
        file.send(Picture(0, np.zeros((height, 160, 3), np.uint8), 0, 0, 0))
    with av.open(str(path)) as container:
        told = container.streams.video[0].codec_context
        assert (told.color_range, told.colorspace, told.color_primaries, told.color_trc) == (1, matrix, 1, 1)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
@pytest.mark.parametrize("keep", [False, True])
def test_pictures_and_sound_begin_at_nought(tmp_path: Path, suffix: str, keep: bool) -> None:
    """What a sound codec puts before the sound is no part of it: no picture stands longer for it."""
    path, rate = tmp_path / f"out{suffix}", 8_000
    tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(rate // 2) / rate)
    sound = np.concatenate([np.zeros(rate // 2), tone]).astype(np.float32)
    with VideoFile(path, rate, 1, keep=keep) as file:
        file.open(120, 160, 25)
        for i in range(25):
            file.send(black(i))
            file.hear(sound[i * 320 : (i + 1) * 320, None])
    with av.open(str(path)) as container:
        times = sorted(packet.pts * packet.time_base for packet in container.demux(video=0) if packet.pts is not None)
    assert [round(time, 3) for time in map(float, times)] == [round(i / 25, 3) for i in range(25)]
    with av.open(str(path)) as container:
        for heard in container.decode(audio=0):
            loud = np.flatnonzero(np.abs(heard.to_ndarray()[0]) > 0.05)
            if len(loud):
                break
        assert heard.time + loud[0] / heard.sample_rate == pytest.approx(0.5, abs=0.005)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
def test_what_aac_puts_before_the_sound_is_short(tmp_path: Path, rate: int) -> None:
    """Players that do not heed it in mkv have the sound late by it."""
    path = tmp_path / "out.mkv"
    write(path, rate=rate, channels=1)
    with av.open(str(path)) as container:
        first = next(packet for packet in container.demux(audio=0) if packet.pts is not None)
        assert -0.025 <= float(first.pts * first.time_base) <= 0


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_says_that_it_is_synthetic(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path)
    with av.open(str(path)) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
    assert tags["digitalsourcetype"] == SOURCE_TYPE
    assert "AI-generated" in tags["comment"]
    if suffix == ".mp4":
        data = path.read_bytes()
        at = data.index(b"uuid" + XMP_UUID)
        size = int.from_bytes(data[at - 4 : at], "big")
        assert SOURCE_TYPE.encode() in data[at : at - 4 + size]
        assert at - 4 + size == len(data)


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("name", ["x" * 251 + ".mp4", "\u8a9e" * 83 + ".webm"])
def test_a_name_as_long_as_it_can_be(tmp_path: Path, name: str, keep: bool) -> None:
    """What is beside it needs a name, too: the unfinished file, and one whose name was taken in the meantime."""
    with VideoFile(tmp_path / name, 16_000, 1, keep=keep) as file:
        file.open(120, 160, 25)
        file.send(black(0))
        (tmp_path / name).touch()
    assert sorted(tmp_path.iterdir()) == sorted([tmp_path / name, file.path])
    assert file.path.stat().st_size > 500


def test_gaps_in_the_pictures_stay_gaps(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with VideoFile(path, 16_000, 1) as file:
        file.open(120, 160, 25)
        for i in (0, 1, 10, 5, 10, 30):  # a stream that slept may go back to what is written already
            file.send(Picture(i, np.zeros((120, 160, 3), np.uint8), 0, 0, 0))
        file.hear(np.zeros((16_000, 1), np.float32))
    with av.open(str(path)) as container:
        assert [round(picture.time * 25) for picture in container.decode(video=0)] == [0, 1, 10, 30]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_first_picture_that_comes_late_stands_from_the_beginning(tmp_path: Path, suffix: str) -> None:
    """Sound that waited in a pipe while the program started has no pictures of its own."""
    path = tmp_path / f"out{suffix}"
    with VideoFile(path, 16_000, 1, preset="ultrafast", keep=True) as file:
        file.open(120, 160, 25)
        file.hear(np.zeros((16_000, 1), np.float32))
        for i in range(20, 25):
            file.send(black(i))
    assert file.pictures == 5
    with av.open(str(path)) as container:
        assert [round(picture.time * 25) for picture in container.decode(video=0)] == [0, 20, 21, 22, 23, 24]


def test_nothing_is_there_until_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    file = VideoFile(path, 16_000, 1)
    file.open(120, 160, 25)
    file.send(Picture(0, np.zeros((120, 160, 3), np.uint8), 0, 0, 0))
    assert not path.exists()
    file.abandon()
    assert list(tmp_path.iterdir()) == []


def test_no_picture_no_file(tmp_path: Path) -> None:
    file = VideoFile(tmp_path / "out.mp4", 16_000, 1)
    file.open(120, 160, 25)
    file.close()
    file.close()
    assert list(tmp_path.iterdir()) == []


def black(index: int) -> Picture:
    return Picture(index, np.zeros((120, 160, 3), np.uint8), 0, 0, 0)


class Muxer:
    """A container that can be watched and disturbed at its work."""

    def __init__(self, container: Any) -> None:
        self.container = container

    def mux(self, packet: object) -> None:
        self.container.mux(packet)

    def close(self) -> None:
        self.container.close()


class FullDisk(Muxer):
    def mux(self, packet: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


def fill(file: VideoFile) -> None:
    """Send pictures until the disk is full."""
    for i in range(200):
        file.send(Picture(i, np.random.default_rng(i).integers(0, 255, (120, 160, 3), np.uint8), 0, 0, 0))


def test_a_block_of_no_samples_is_nothing(tmp_path: Path) -> None:
    """A microphone that comes back may begin with one."""
    path = tmp_path / "out.mkv"
    with VideoFile(path, 16_000, 1) as file:
        file.open(120, 160, 25)
        file.send(black(0))
        file.hear(np.zeros((0, 1), np.float32))
        file.hear(np.zeros((0, 6), np.float32))
        file.hear(np.zeros((640, 1), np.float32))
    with av.open(str(path)) as container:
        assert sum(part.samples for part in container.decode(audio=0)) >= 640


def test_closing_waits_for_what_is_being_written(tmp_path: Path) -> None:
    """The user quits while the disk stalls: a worker that was left behind is still in the container."""
    path, inside, disk = tmp_path / "call.mkv", threading.Event(), threading.Event()
    crowded: list[str] = []

    class Stalled(Muxer):
        def mux(self, packet: object) -> None:
            if threading.current_thread() is worker:
                inside.set()
                disk.wait(20)
                inside.clear()
            elif inside.is_set():
                crowded.append("mux")
            super().mux(packet)

        def close(self) -> None:
            if inside.is_set():
                crowded.append("close")
            super().close()

    def work() -> None:
        for i in range(100):
            file.send(black(i))
            file.hear(np.zeros((640, 1), np.float32))

    file = VideoFile(path, 16_000, 1, preset="ultrafast", keep=True)
    file.open(120, 160, 25)
    file._container = Stalled(file._container)
    worker = threading.Thread(target=work)
    closing = threading.Thread(target=file.close)
    worker.start()
    assert inside.wait(20)
    closing.start()
    closing.join(0.5)
    disk.set()
    closing.join()
    worker.join()  # what it still had is left out
    assert crowded == []
    assert [left.name for left in tmp_path.iterdir()] == ["call.mkv"]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) == file.pictures > 0


def test_a_whole_video_that_cannot_take_its_name_is_kept(tmp_path: Path) -> None:
    """On Windows, where a player has the old one open; here a folder came in between."""
    path = tmp_path / "out.mp4"
    file = VideoFile(path, 16_000, 1, overwrite=True)
    file.open(120, 160, 25)
    file.send(black(0))
    path.mkdir()
    with pytest.raises(
        OutputError, match=r"out\.mp4 cannot be replaced .*: the whole video is .*, rename it"
    ) as refused:
        file.close()
    (kept,) = (left for left in tmp_path.iterdir() if left != path)
    assert str(kept) in str(refused.value)
    with av.open(str(kept)) as container:
        assert container.streams.video[0].frames == 1
    check_marks(kept)


@pytest.mark.parametrize("keep", [False, True])
def test_two_recordings_of_one_name_are_both_kept(tmp_path: Path, keep: bool) -> None:
    path = tmp_path / "call.mp4"
    file = VideoFile(path, 16_000, 1, keep=keep)
    file.open(120, 160, 25)
    file.send(black(0))
    write(path, pictures=3)  # another program, which ends first
    file.close()
    for kept, count in ((path, 3), (tmp_path / "call.new.mp4", 1)):
        with av.open(str(kept)) as container:
            assert container.streams.video[0].frames == count
    assert file.path.name == "call.new.mp4"
    assert len(file.notes) == 1
    assert "call.new.mp4" in file.notes[0]


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".mp4"])
def test_a_recording_that_never_began_leaves_the_old_one(tmp_path: Path, suffix: str) -> None:
    """The disk is full at once: nothing in the new file plays."""
    path = tmp_path / f"call{suffix}"
    write(path, pictures=3)
    before = path.read_bytes()
    file = VideoFile(path, 16_000, 1, overwrite=True, keep=True)
    file.open(120, 160, 25)
    file._container = FullDisk(file._container)
    with pytest.raises(OutputError, match="free some space"):
        fill(file)
    file.close()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("fails", [False, True])
def test_an_interrupt_while_it_is_finished_waits(tmp_path: Path, keep: bool, fails: bool) -> None:
    """Ctrl-C while the index goes to the front: the file is whole, then the program ends; or says why it is not."""
    path = tmp_path / "out.mp4"

    class Interrupted(Muxer):
        def close(self) -> None:
            super().close()
            signal.raise_signal(signal.SIGINT)
            if fails:
                raise OSError(errno.EIO, "Input/output error")

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        file = VideoFile(path, 16_000, 1, keep=keep)
        file.open(120, 160, 25)
        file.send(black(0))
        file._container = Interrupted(file._container)
        with pytest.raises(OutputError if fails else KeyboardInterrupt):
            file.close()
        assert signal.getsignal(signal.SIGINT) == signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    file.close()
    assert [left.name for left in tmp_path.iterdir()] == ([] if fails and not keep else ["out.mp4"])
    if not fails:
        with av.open(str(path)) as container:
            assert container.streams.video[0].frames == 1
        check_marks(path)


@pytest.mark.parametrize("keep", [False, True])
def test_an_interrupt_at_any_line_of_its_start_leaves_nothing(tmp_path: Path, keep: bool) -> None:
    sources = {VideoFile.open.__code__, KeptFile.__init__.__code__}
    left = 0

    def interrupt_later(frame: FrameType, event: str, _: object) -> Any:
        nonlocal left
        if frame.f_code not in sources:
            return None
        if event == "line":
            left -= 1
            if left == 0:
                raise KeyboardInterrupt
        return interrupt_later

    before = sys.gettrace()
    for line in range(1, 200):
        left = line
        try:
            with VideoFile(tmp_path / "out.mp4", 48_000, 1, keep=keep) as file:
                sys.settrace(interrupt_later)
                try:
                    file.open(120, 160, 25)
                finally:
                    sys.settrace(before)
        except KeyboardInterrupt:
            assert list(tmp_path.iterdir()) == [], line
        else:
            break
    assert 20 < line < 199  # each line of it was tried


@pytest.mark.parametrize(("name", "keep"), [("out.mp4", False), ("out.mp4", True), ("out.mkv", False)])
def test_a_full_disk_leaves_nothing(tmp_path: Path, name: str, keep: bool) -> None:
    path = tmp_path / name
    file = VideoFile(path, 16_000, 1, keep=keep)
    file.open(120, 160, 25)
    file._container = FullDisk(file._container)
    with pytest.raises(OutputError, match="free some space"):
        fill(file)
    file.close()
    assert list(tmp_path.iterdir()) == []


def boxes(path: Path) -> list[str]:
    """The kinds of an mp4's outer boxes."""
    data, at, kinds = path.read_bytes(), 0, []
    while at < len(data):
        kinds.append(data[at + 4 : at + 8].decode("latin"))
        at += int.from_bytes(data[at : at + 4], "big")
    assert at == len(data)
    return kinds


def check_marks(path: Path) -> None:
    with av.open(str(path)) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
    assert tags["digitalsourcetype"] == SOURCE_TYPE
    assert "AI-generated" in tags["comment"]


@pytest.mark.parametrize(("suffix", "kilobytes"), [(".mkv", 60), (".webm", 60), (".mp4", 2_000)])
def test_a_call_that_fills_the_disk_is_kept_up_to_there(tmp_path: Path, suffix: str, kilobytes: int) -> None:
    """The file may grow to so much (RLIMIT_FSIZE): nothing can be finished either."""
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from engines.errors import OutputError\n"
        "from realtime.messages import Picture\n"
        "from realtime.pictures.video_file import VideoFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "file = VideoFile(Path(sys.argv[1]), 16_000, 1, keep=True)\n"
        "file.open(120, 160, 25)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]),) * 2)\n"
        "try:\n"
        "    for i in range(2_000):\n"
        "        noise = np.random.default_rng(i).integers(0, 255, (120, 160, 3), np.uint8)\n"
        "        file.send(Picture(i, noise, 0, 0, 0))\n"
        "        file.hear(np.zeros((640, 1), np.float32))\n"
        "except OutputError as error:\n"
        "    print(error)\n"
        "file.close()\n"
    )
    path = tmp_path / f"call{suffix}"
    command = [sys.executable, "-c", script, str(path), str(1_000 * kilobytes)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert f"call{suffix} ends after" in done.stdout
    assert [left.name for left in tmp_path.iterdir()] == [path.name]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 2
    check_marks(path)
    if suffix == ".mp4":
        assert boxes(path)[-2:] == ["mdat", "uuid"]  # the last fragment is whole; what was cut off made room for XMP


RECORDS = (
    "import sys, numpy as np\n"
    "from pathlib import Path\n"
    "from realtime.messages import Picture\n"
    "from realtime.pictures.video_file import VideoFile\n"
    "file = VideoFile(Path(sys.argv[1]), 16_000, 1, preset='ultrafast', keep=True)\n"
    "file.open(120, 160, 25)\n"
    "for i in range(130):\n"
    "    file.send(Picture(i, np.full((120, 160, 3), i, np.uint8), 0, 0, 0))\n"
    "    file.hear(np.zeros((640, 1), np.float32))\n"
    "print('recorded', flush=True)\n"
    "sys.stdin.read()\n"
    "file.close()\n"
)


def test_a_killed_program_leaves_a_recording_that_plays(tmp_path: Path) -> None:
    """All but the fragment that was being made, under a name that can be seen."""
    command = [sys.executable, "-c", RECORDS, str(tmp_path / "call.mp4")]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        assert program.stdout.readline() == "recorded\n"
        program.kill()
    assert [left.name for left in tmp_path.iterdir()] == [f"call.{program.pid}.part.mp4"]
    left = tmp_path / f"call.{program.pid}.part.mp4"
    with av.open(str(left)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 75
    with av.open(str(left)) as container:
        assert sum(part.samples for part in container.decode(audio=0)) >= 3 * 16_000
    check_marks(left)


def test_a_recording_that_ends_is_a_plain_mp4(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    subprocess.run([sys.executable, "-c", RECORDS, str(path)], cwd=ROOT, input="", text=True, timeout=60, check=True)
    assert [left.name for left in tmp_path.iterdir()] == ["call.mp4"]
    assert "moof" not in boxes(path)
    assert boxes(path)[-2:] == ["moov", "uuid"]
    with av.open(str(path)) as container:
        assert container.streams.video[0].frames == 130  # its index knows them all
    check_marks(path)


class NarrowDisk:
    """A raw file that is full once, when it should grow past so many bytes; somebody makes room at once."""

    def __init__(self, file: Any, most_bytes: int) -> None:
        self.file, self.most_bytes, self.refused = file, most_bytes, 0

    def write(self, data: memoryview) -> int:
        room = self.most_bytes - self.file.tell()
        if self.refused or len(data) <= room:
            return int(self.file.write(data))
        if room > 0:
            return int(self.file.write(data[:room]))
        self.refused += 1
        raise OSError(errno.ENOSPC, "No space left on device")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def test_after_a_write_that_fails_what_comes_is_dropped(tmp_path: Path) -> None:
    """An end that is written over the beginning, as muxers do, would spoil it."""
    path = tmp_path / "call.part.mp4"
    kept = KeptFile(path, FakeClock())
    kept._file = NarrowDisk(kept._file, 12)  # type: ignore[assignment]
    assert kept.write(b"beginning ") == 10
    with pytest.raises(OSError, match="No space left"):
        kept.write(b"middle")
    assert kept.seek(0) == 0
    assert kept.write(b"index") == 5  # as if it were there: who writes is to end soon
    kept.end()
    kept.end()
    assert (kept.seek(3), kept.write(b"end"), kept.tell()) == (3, 3, 0)  # a muxer that is closed later
    assert path.read_bytes() == b"beginning mi"


@pytest.mark.parametrize("more_bytes", [0, 1_000])
def test_an_mp4_that_cannot_be_finished_is_kept(tmp_path: Path, more_bytes: int) -> None:
    """The disk is full when the end is written: index and mark have no room any more."""
    path = tmp_path / "call.mp4"
    file = VideoFile(path, 16_000, 1, preset="ultrafast", keep=True)
    file.open(120, 160, 25)
    for i in range(130):
        file.send(Picture(i, np.full((120, 160, 3), i, np.uint8), 0, 0, 0))
        file.hear(np.zeros((640, 1), np.float32))
    assert file._kept is not None
    disk = NarrowDisk(file._kept._file, file._kept.tell() + more_bytes)
    file._kept._file = disk  # type: ignore[assignment]
    with pytest.raises(OutputError, match="No space left"):
        file.close()
    assert disk.refused == 1
    assert [left.name for left in tmp_path.iterdir()] == ["call.mp4"]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 75
    check_marks(path)


def test_a_file_is_closed_when_the_disk_has_taken_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor may be another file's by then."""
    clock, begun, done = FakeClock(), threading.Event(), threading.Event()
    order: list[str] = []

    class Watched(NarrowDisk):
        def close(self) -> None:
            order.append("closed")
            self.file.close()

    def slow_sync(_: int) -> None:
        begun.set()
        assert done.wait(20)
        order.append("synced")

    monkeypatch.setattr("realtime.pictures.kept_file.os.fsync", slow_sync)
    kept = KeptFile(tmp_path / "call.mp4", clock)
    kept._file = Watched(kept._file, 1_000)  # type: ignore[assignment]
    kept.write(b"one")
    assert not begun.is_set()
    clock.advance(6 * NS)
    kept.write(b"two")
    assert begun.wait(20)
    syncing = kept._syncing
    assert syncing is not None
    wait = syncing.join
    monkeypatch.setattr(syncing, "join", lambda: (done.set(), wait()))  # who waits for it lets it end
    kept.end()
    done.set()
    wait()
    assert order == ["synced", "closed"]


def box(kind: bytes, content: bytes) -> bytes:
    return (8 + len(content)).to_bytes(4, "big") + kind + content


def test_a_mark_that_has_no_room_is_not_left_half(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a box at its end would make a whole file look broken; its other tags say the same."""

    def append_half(path: Path) -> None:
        with path.open("ab") as file:
            file.write(b"\0\0\1\0uuid" + XMP_UUID)
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("realtime.pictures.kept_file.append_xmp_box", append_half)
    path = tmp_path / "call.mp4"
    whole = box(b"ftyp", b"isom") + box(b"moov", b"heads") + box(b"mdat", b"pictures")
    path.write_bytes(whole + box(b"moof", b"more heads") + b"\0\0\1\0mdat broken off")
    assert cut_to_whole(path)
    assert path.read_bytes() == whole


def test_a_recording_of_no_whole_fragment_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "call.mp4"
    path.write_bytes(b"\0\0\0\x10ftypisom\0\0\2\0" + b"\0\0\1\0moov")
    assert not cut_to_whole(path)


def test_colours_of_large_pictures_are_bt709(tmp_path: Path) -> None:
    path = tmp_path / "large.mp4"
    with VideoFile(path, 16_000, 1) as file:
        file.open(720, 1280, 25)
        file.send(Picture(0, np.full((720, 1280, 3), (200, 60, 30), np.uint8), 0, 0, 0))
    with av.open(str(path)) as container:
        picture = next(container.decode(video=0))
    assert int(picture.colorspace) == 1
    luma = picture.to_ndarray()[:720].mean()
    assert luma == pytest.approx(16 + 219 * (0.2126 * 200 + 0.7152 * 60 + 0.0722 * 30) / 255, abs=2)


@pytest.mark.skipif(os.name == "nt", reason="Windows removes no folder of an open file")
def test_a_folder_that_has_gone_is_told(tmp_path: Path) -> None:
    folder = tmp_path / "calls"
    folder.mkdir()
    file = VideoFile(folder / "out.mp4", 16_000, 1, preset="ultrafast", keep=True)
    file.open(120, 160, 25)
    for i in range(5):
        file.send(black(i))
    shutil.rmtree(folder)
    with pytest.raises(OutputError, match=r"out\.mp4 cannot be finished \(No such file") as told:
        file.close()
    assert told.value.fix == "name another folder"
