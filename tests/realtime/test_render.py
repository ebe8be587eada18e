"""Rendering a file from end to end, with small engines."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile

from engines.errors import ConfigError, OutputError, StreamError
from realtime.clock import NS, SystemClock
from realtime.commands import render as render_module
from realtime.commands.render import render_file
from realtime.engines_in_use import Engines
from realtime.messages import Picture
from realtime.pictures.video_file import VideoFile
from tests.fakes import FakeEncoder, FakeGenerator, FakePortrait, FakeShaper


def engines() -> Engines:
    return Engines(FakeEncoder(), FakeShaper(), FakeGenerator())


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    random = np.random.default_rng(0)
    soundfile.write(path, random.normal(0, 0.1, (44_100, 2)).astype(np.float32), 44_100)
    return path


def test_a_file_with_pictures_sound_and_sheet(tmp_path: Path, speech: Path) -> None:
    out, sheet = tmp_path / "out.mp4", tmp_path / "sheet.png"
    progress: list[tuple[float, float]] = []
    made = render_file(
        FakePortrait(128, 160), engines(), speech, out, sheet=sheet, progress=lambda *at: progress.append(at)
    )
    assert made.complete
    assert (made.pictures, made.seconds) == (25, 1.0)
    assert made.real_time_factor > 0
    assert sheet.exists()
    assert progress
    with av.open(str(out)) as container:
        assert container.streams.video[0].frames == 25
        assert container.streams.audio[0].rate == 44_100
        assert container.streams.audio[0].codec_context.channels == 2


def test_loud_sound_gives_open_pictures_in_the_file(tmp_path: Path) -> None:
    samples = np.zeros((32_000, 1), np.float32)
    samples[16_000:] = 0.5
    soundfile.write(tmp_path / "step.wav", samples, 16_000)
    render_file(FakePortrait(128, 160), engines(), tmp_path / "step.wav", tmp_path / "out.mkv", lookahead_ms=40)
    with av.open(str(tmp_path / "out.mkv")) as container:
        greys = [picture.to_ndarray(format="gray")[60, 80] for picture in container.decode(video=0)]
    assert len(greys) == 50
    assert max(greys[:24]) < 30
    assert min(greys[26:]) > 150


@pytest.mark.parametrize("fault", ["encoder", "generator", "sink"])
def test_a_failure_leaves_no_file(tmp_path: Path, speech: Path, fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = engines()

    def fail(*_: object, **__: object) -> None:
        raise StreamError(f"{fault} broke")

    if fault == "encoder":
        parts.encoder.fail_at = 30
    elif fault == "generator":
        calls = iter(range(10**6))
        draw = parts.generator.draw
        parts.generator.draw = lambda *a, **k: fail() if next(calls) == 12 else draw(*a, **k)
    else:
        monkeypatch.setattr("realtime.pictures.video_file.VideoFile.hear", fail)
    with pytest.raises((StreamError, RuntimeError)):
        render_file(FakePortrait(), parts, speech, tmp_path / "out.mp4")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["speech.wav"]


def test_interrupted_it_leaves_a_file_that_plays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "long.wav", np.full((16_000 * 60, 1), 0.2, np.float32), 16_000)
    parts = engines()
    slow = threading.Event()
    draw = parts.generator.draw

    def draw_slowly(*args: object, **options: object) -> np.ndarray:
        slow.wait(0.01)
        return draw(*args, **options)

    parts.generator.draw = draw_slowly

    def interrupt(done_s: float, _: float) -> None:
        if done_s > 0.4:
            raise KeyboardInterrupt

    made = render_file(FakePortrait(), parts, tmp_path / "long.wav", tmp_path / "out.mp4", progress=interrupt)
    assert not made.complete
    assert 0.4 < made.seconds < 60
    with av.open(str(tmp_path / "out.mp4")) as container:
        assert 10 < sum(1 for _ in container.decode(video=0)) <= made.pictures
        pictures_s, sound_s = (float(stream.duration * stream.time_base) for stream in container.streams)
    assert abs(sound_s - pictures_s) <= 0.1  # no voice goes on over the last picture


def test_interrupted_it_tells_that_the_file_cannot_be_kept(
    tmp_path: Path, speech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The disk is full when the last pictures are written: no file holds what was made so far."""
    sending, send = threading.Event(), VideoFile.send

    def fail_late(file: VideoFile, picture: Picture) -> None:
        if picture.index == 10:
            sending.set()
            time.sleep(0.3)
            raise OutputError("the disk is full")
        send(file, picture)

    def interrupt(*_: float) -> None:
        if sending.wait(20):
            raise KeyboardInterrupt

    monkeypatch.setattr(VideoFile, "send", fail_late)
    with pytest.raises(OutputError, match="the disk is full"):
        render_file(FakePortrait(), engines(), speech, tmp_path / "out.mp4", progress=interrupt)
    assert [path.name for path in tmp_path.iterdir()] == ["speech.wav"]


def test_a_sheet_replaces_nothing_that_it_should_not(tmp_path: Path, speech: Path) -> None:
    photo, out, sheet = tmp_path / "me.jpg", tmp_path / "out.mp4", tmp_path / "sheet.png"
    photo.write_bytes(b"precious")
    with pytest.raises(ConfigError, match=r"me\.jpg exists: add --overwrite"):
        render_module.render(photo, speech, out, sheet=photo)
    with pytest.raises(ConfigError, match="--sheet is the same file as --portrait"):
        render_module.render(photo, speech, out, sheet=photo, overwrite=True)
    out.write_bytes(b"one file, two names")
    sheet.hardlink_to(out)
    with pytest.raises(ConfigError, match="--sheet is the same file as --out"):
        render_module.render(photo, speech, out, sheet=sheet, overwrite=True)
    sheet.unlink()
    sheet.hardlink_to(speech)
    with pytest.raises(ConfigError, match="--sheet is the same file as --audio"):
        render_module.render(photo, speech, out, sheet=sheet, overwrite=True)
    with pytest.raises(ConfigError, match="--out is the same file as --portrait"):
        render_module.render(out, speech, out, overwrite=True)
    assert photo.read_bytes() == b"precious"


def test_an_existing_file_stays_until_the_new_one_is_whole(tmp_path: Path, speech: Path) -> None:
    out = tmp_path / "out.mp4"
    out.write_bytes(b"precious")
    with pytest.raises(ConfigError, match="--overwrite"):
        render_file(FakePortrait(), engines(), speech, out)
    parts = engines()
    parts.encoder.fail_at = 10
    with pytest.raises(RuntimeError):
        render_file(FakePortrait(), parts, speech, out, overwrite=True)
    assert out.read_bytes() == b"precious"
    render_file(FakePortrait(), engines(), speech, out, overwrite=True)
    assert out.stat().st_size > 1_000


def test_a_sheet_that_came_in_the_meantime_stays(tmp_path: Path, speech: Path) -> None:
    out, sheet = tmp_path / "out.mp4", tmp_path / "sheet.png"

    def another_program(*_: float) -> None:
        sheet.write_bytes(b"another's work")

    made = render_file(FakePortrait(), engines(), speech, out, sheet=sheet, progress=another_program)
    assert sheet.read_bytes() == b"another's work"
    assert (tmp_path / "sheet.new.png").stat().st_size > 1_000
    assert made.notes == (f"another program has written {sheet} since: this one is {tmp_path / 'sheet.new.png'}",)
    render_file(FakePortrait(), engines(), speech, out, sheet=sheet, progress=another_program, overwrite=True)
    assert sheet.stat().st_size > 1_000


def test_a_sheet_that_cannot_be_written_is_told(tmp_path: Path, speech: Path) -> None:
    with pytest.raises(OutputError):
        render_file(FakePortrait(), engines(), speech, tmp_path / "out.mp4", sheet=tmp_path / "no" / "sheet.png")


def test_the_closing_line_tells_the_speed(tmp_path: Path, speech: Path) -> None:
    made = render_file(FakePortrait(), engines(), speech, tmp_path / "out.mp4")
    line = render_module.closing_line(made, (32, 48))
    assert "25 pictures 48x32" in line
    assert "real-time factor" in line


def test_compiling_counts_as_start_up_and_is_told(
    speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first run compiles the kernels: that is no part of how fast a video is made. A busy machine is only slow."""
    passed_ns, compiled_s = 0, 600.0

    class SlowStart(Engines):
        def take_up(self, portrait: object) -> float:
            nonlocal passed_ns
            passed_ns = 600 * NS
            return compiled_s

    class Clock(SystemClock):
        def now_ns(self) -> int:
            return super().now_ns() + passed_ns

    monkeypatch.setattr(render_module, "SystemClock", Clock)
    parts = SlowStart(FakeEncoder(), FakeShaper(), FakeGenerator())
    made = render_file(FakePortrait(128, 160), parts, speech, tmp_path / "out.mp4")
    assert made.notes == ("drawing was compiled for this machine in 600 s: once, and kept",)
    assert made.wall_s < 600
    passed_ns, compiled_s = 0, 0.0
    made = render_file(FakePortrait(128, 160), parts, speech, tmp_path / "again.mp4")
    assert made.notes == ()


@pytest.mark.parametrize("pictures", [True, False])
def test_interrupted_it_replaces_nothing(tmp_path: Path, pictures: bool) -> None:
    soundfile.write(tmp_path / "long.wav", np.full((16_000 * 60, 1), 0.2, np.float32), 16_000)
    out, sheet = tmp_path / "out.mp4", tmp_path / "sheet.png"
    out.write_bytes(b"precious")
    sheet.write_bytes(b"precious")
    parts = engines()
    draw, go_on = parts.generator.draw, threading.Event()

    def draw_slowly(*args: object, **options: object) -> np.ndarray:
        go_on.wait(0.01 if pictures else 0.5)
        return draw(*args, **options)

    parts.generator.draw = draw_slowly

    def interrupt(done_s: float, _: float) -> None:
        if done_s > 0.4 or not pictures:
            raise KeyboardInterrupt

    if not pictures:
        parts.encoder.step = lambda chunk, state: (go_on.wait(0.5), FakeEncoder().step(chunk, state))[1]
    made = render_file(
        FakePortrait(), parts, tmp_path / "long.wav", out, sheet=sheet, overwrite=True, progress=interrupt
    )
    assert not made.complete
    assert out.read_bytes() == sheet.read_bytes() == b"precious"
    line = render_module.stopped_line(made, out)
    if pictures:
        assert made.path.name == "out.part.mp4"
        assert "out.part.mp4 holds what was made so far" in line
        with av.open(str(made.path)) as container:
            assert sum(1 for _ in container.decode(video=0)) == made.pictures
    else:
        assert line == "stopped before the first picture: nothing was written"
        assert sorted(path.name for path in tmp_path.iterdir()) == ["long.wav", "out.mp4", "sheet.png"]


@pytest.mark.skipif(os.name == "nt", reason="no such names there")
@pytest.mark.parametrize("stem", ["12:30", os.fsdecode(b"t\xf6n")])
def test_odd_names(tmp_path: Path, speech: Path, stem: str) -> None:
    sound, out = speech.rename(tmp_path / f"{stem}.wav"), tmp_path / f"{stem}.mp4"
    made = render_file(FakePortrait(), engines(), sound, out, title=stem)
    assert out.is_file()
    render_module.closing_line(made, (48, 64)).encode()
