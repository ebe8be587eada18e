"""Files that play, say that they are synthetic, and are never half there."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from engines.errors import OutputError
from realtime.messages import Picture
from realtime.provenance import SOURCE_TYPE, XMP_UUID
from realtime.video_file import VideoFile

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


def test_gaps_in_the_pictures_stay_gaps(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with VideoFile(path, 16_000, 1) as file:
        file.open(120, 160, 25)
        for i in (0, 1, 10, 5, 10, 30):  # a stream that slept may go back to what is written already
            file.send(Picture(i, np.zeros((120, 160, 3), np.uint8), 0, 0, 0))
        file.hear(np.zeros((16_000, 1), np.float32))
    with av.open(str(path)) as container:
        assert [round(picture.time * 25) for picture in container.decode(video=0)] == [0, 1, 10, 30]


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


@pytest.mark.parametrize(("name", "keep"), [("out.mp4", False), ("out.mp4", True), ("out.mkv", False)])
def test_a_full_disk_leaves_nothing(tmp_path: Path, name: str, keep: bool) -> None:
    path = tmp_path / name
    file = VideoFile(path, 16_000, 1, keep=keep)
    file.open(120, 160, 25)

    class FullDisk:
        def __init__(self, container: object) -> None:
            self.container = container

        def mux(self, packet: object) -> None:
            raise OSError(errno.ENOSPC, "No space left on device")

        def close(self) -> None:
            self.container.close()  # type: ignore[attr-defined]

    file._container = FullDisk(file._container)

    def fill() -> None:
        for i in range(200):
            file.send(Picture(i, np.random.default_rng(i).integers(0, 255, (120, 160, 3), np.uint8), 0, 0, 0))

    with pytest.raises(OutputError, match="free some space"):
        fill()
    file.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("suffix", [".mkv", ".webm"])
def test_a_call_that_fills_the_disk_is_kept_up_to_there(tmp_path: Path, suffix: str) -> None:
    """The file may grow to 60 kB (RLIMIT_FSIZE): nothing can be finished either."""
    script = (
        "import resource, signal, sys, numpy as np\n"
        "from pathlib import Path\n"
        "from engines.errors import OutputError\n"
        "from realtime.messages import Picture\n"
        "from realtime.video_file import VideoFile\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "file = VideoFile(Path(sys.argv[1]), 16_000, 1, keep=True)\n"
        "file.open(120, 160, 25)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))\n"
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
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    assert f"call{suffix} ends after" in done.stdout
    assert [left.name for left in tmp_path.iterdir()] == [path.name]
    with av.open(str(path)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 2


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
