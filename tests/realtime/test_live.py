"""`voxcam live` without devices: keys, log, pipes, OSC, and how it ends."""

from __future__ import annotations

import contextlib
import io
import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from errno import ENOSPC
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from engines.errors import ConfigError, OutputError
from engines.generator import Generator
from engines.spec import SPEC
from realtime.audio.sources import BlockSource
from realtime.commands.live import _open_log
from realtime.commands.live_session import LiveSession
from realtime.commands.options import parse_size
from realtime.engines_in_use import Engines
from realtime.faces import load_portrait
from realtime.pictures.sinks import NullSink
from realtime.pipeline import Pipeline
from tests.fakes import FakeEncoder, FakeGenerator, FakePortrait, FakeShaper

ROOT = Path(__file__).parents[2]
LOUD = [sys.executable, "-m", "tests.rigs.loud_voxcam", "live", "--portrait", "any", "--seed", "1"]


@pytest.fixture
def long_sound(tmp_path: Path) -> Path:
    path = tmp_path / "long.wav"
    soundfile.write(path, np.full((16_000 * 30, 1), 0.1, np.float32), 16_000)
    return path


@pytest.fixture
def session() -> LiveSession:
    source = BlockSource(iter([np.zeros((16_000, 1), np.float32)]), 16_000, 1, paced=True)
    portrait, engines = FakePortrait(), Engines(FakeEncoder(), FakeShaper(), FakeGenerator())
    pipeline = Pipeline(
        source, engines.encoder, engines.shaper, engines.generator, portrait, [NullSink()], size=portrait.size
    )

    def badge(pixels: np.ndarray) -> None:
        return

    return LiveSession(pipeline, engines, Path("me.jpg"), (48, 32), "auto", badge, None, None, 0.0, "null")


def test_keys(session: LiveSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    controls = session.pipeline.controls
    assert session.key("m")
    assert controls.mute
    session.key("m")
    assert not controls.mute
    lookaheads = []
    for _ in range(3):
        session.key("l")
        lookaheads.append(controls.lookahead_ms)
    assert lookaheads == [40, 80, 0]
    emotions = []
    for _ in range(8):
        session.key("e")
        emotions.append(session.engines.shaper.emotion)
    assert emotions[:2] == ["off", "happiness"]
    assert emotions[6] == "auto"
    for _ in range(12):
        session.key("+")
    assert session.engines.shaper.articulation == session.state["articulation"] == 2.0
    for _ in range(20):
        session.key("-")
    assert session.engines.shaper.articulation == 0.5
    session.key("b")
    assert session.pipeline.face.badge is session.badge
    session.key("b")
    assert session.pipeline.face.badge is None
    monkeypatch.chdir(tmp_path)
    session.key("s")
    controls.snapshot.pop()(np.zeros((32, 48, 3), np.uint8))
    session.finish_snapshots()
    assert len(list(tmp_path.glob("voxcam-*.png"))) == 1
    assert session.key("")
    assert session.key("x")
    assert not session.key("q")


def test_the_face_does_not_wait_for_a_snapshot_but_the_end_does(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, written = threading.Event(), []

    def write(path: Path, pixels: np.ndarray) -> None:
        assert disk.wait(30)
        written.append(path)

    monkeypatch.setattr("realtime.pictures.sheet.write_picture", write)
    session._snapshot(np.zeros((32, 48, 3), np.uint8))
    assert written == []
    threading.Timer(0.2, disk.set).start()
    session.finish_snapshots()
    assert session.state["notes"] == [f"snapshot: {written[0]}"]


def test_two_snapshots_of_one_second_are_two(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("realtime.commands.live_session.today", lambda: "today")
    for grey in (0, 1, 2):
        session._snapshot(np.full((32, 48, 3), grey, np.uint8))
    session.finish_snapshots()
    names = ["voxcam-today.new.png", "voxcam-today.new2.png", "voxcam-today.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    assert sorted(session.state["notes"]) == [f"snapshot: {name}" for name in names]


@pytest.mark.parametrize(
    ("error", "note"),
    [
        (OutputError("cannot write it", "free space"), "cannot write it: free space"),
        (MemoryError("all used"), "no snapshot (MemoryError: all used)"),
    ],
)
def test_a_snapshot_that_fails_is_a_note(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch, error: Exception, note: str
) -> None:
    def write(path: Path, pixels: np.ndarray) -> None:
        raise error

    monkeypatch.setattr("realtime.pictures.sheet.write_picture", write)
    session._snapshot(np.zeros((32, 48, 3), np.uint8))
    session.finish_snapshots()
    assert session.state["notes"] == [note]


def test_a_portrait_that_is_read_again_is_ready_before_it_is_shown(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = load_portrait(ROOT / "tests" / "data" / "face.jpg", "face")
    monkeypatch.setattr("realtime.faces.load_portrait", lambda *_, **__: read)
    session.engines.generator = Generator()
    face = session.pipeline.face
    face.height, face.width = read.portrait.size
    ready: list[bool] = []
    monkeypatch.setattr(face, "swap", lambda portrait: ready.append({"bare", "room", "folds"} <= vars(portrait).keys()))
    session.reload()
    assert ready == [True]


def test_a_key_that_is_held_reads_the_photo_once_more_not_thirty_times(
    session: LiveSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The one that follows is for a photo that was saved while the first was being read."""
    begun, may_end, ended = threading.Semaphore(0), threading.Event(), threading.Semaphore(0)
    readings = []

    def reload() -> None:
        readings.append(None)
        begun.release()
        may_end.wait(20)
        ended.release()

    monkeypatch.setattr(session, "reload", reload)
    session.key("r")
    assert begun.acquire(timeout=20)
    for _ in range(30):
        session.key("r")
    assert len(readings) == 1
    may_end.set()
    for _ in range(2):
        assert ended.acquire(timeout=20)
    session.key("r")
    assert ended.acquire(timeout=20)
    assert len(readings) == 3


def test_a_portrait_that_will_not_do_leaves_the_old_one(session: LiveSession, monkeypatch: pytest.MonkeyPatch) -> None:
    before = session.pipeline.face.portrait
    monkeypatch.setattr("realtime.faces.load_portrait", lambda *_, **__: SimpleNamespace(portrait=FakePortrait(64, 64)))
    session.reload()
    assert "another size" in session.state["notes"][-1]
    assert session.pipeline.face.portrait is before
    monkeypatch.undo()

    def fails(*_: object, **__: object) -> None:
        raise MemoryError("all used")

    monkeypatch.setattr("realtime.faces.load_portrait", fails)
    session.reload()
    assert session.state["notes"][-1] == "the portrait stays (MemoryError: all used)"
    assert session.pipeline.face.portrait is before
    monkeypatch.undo()
    session.portrait_path = Path("missing.jpg")
    session.reload()
    assert "the portrait stays" in session.state["notes"][-1]
    new = SimpleNamespace(portrait=FakePortrait(grey=9, own_smile=1.3), notes=["the face is small"])
    monkeypatch.setattr("realtime.faces.load_portrait", lambda *_, **__: new)
    session.reload()
    assert session.pipeline.face.portrait.grey == 9
    assert "the face is small" in session.state["notes"]
    assert session.engines.shaper.reach is session.pipeline.face.portrait.reach  # and moves its mouth so far
    assert session.engines.shaper.smile == 1.3


def test_the_view_draws_in_every_state(session: LiveSession) -> None:
    from rich.console import Console

    from realtime.commands.live_view import draw

    console = Console(width=120, record=True, file=io.StringIO())
    with session.pipeline:
        for _ in range(3):
            session.pipeline.wait(0.2)
            console.print(draw(session.pipeline, session.state))
    session.key("m")
    session.tell("a note")
    console.print(draw(session.pipeline, session.state))
    text = console.export_text()
    for word in ("input", "emotion", "delay", "pictures", "drift", "muted", "a note", "q quit"):
        assert word in text


def test_the_view_fits_into_80_columns(session: LiveSession) -> None:
    from rich.console import Console

    from realtime.commands.live_view import draw

    with session.pipeline:
        session.pipeline.wait(0.4)
    lines = []
    for width in (80, 200):
        console = Console(width=width, record=True, file=io.StringIO())
        console.print(draw(session.pipeline, session.state))
        lines.append(len(console.export_text().splitlines()))
    assert lines[0] == lines[1]  # no line is broken


def test_sizes() -> None:
    assert parse_size("1280x720") == (1280, 720)
    for text in ("1280", "x720", "1281x720", "10x10", "99999x99998", "-2x4"):
        with pytest.raises(ConfigError):
            parse_size(text)


@given(width=st.integers(0, 5_000), height=st.integers(0, 5_000))
def test_every_size_is_taken_or_told(width: int, height: int) -> None:
    text = f"{width}x{height}"
    if width % 2 == 0 and height % 2 == 0 and 160 <= width <= 3840 and 120 <= height <= 2160:
        assert parse_size(text) == (width, height)
    else:
        with pytest.raises(ConfigError):
            parse_size(text)


@given(st.text(max_size=12))
def test_any_text_as_a_size_is_told(text: str) -> None:
    with contextlib.suppress(ConfigError):
        width, height = parse_size(text)
        assert width % 2 == height % 2 == 0


def test_json_log_and_closing_line(long_sound: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--source", str(long_sound), "--camera", "none", "--camera-size", "320x240", "--seconds", "2.5"]
    done = subprocess.run(
        [*LOUD, *options, "--json-log", str(log)], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "pictures in" in done.stdout
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert len(entries) >= 2
    last = entries[-1]
    assert last["codes"] == 126  # 2.5 s, and the rest of the last picture
    assert last["pictures"] + last["late_pictures"] + last["sinks"]["null"]["dropped"] >= 62
    assert last["newest_sample_age"]["count"] > 0
    assert {"cpu_share", "drift_ppm", "sound_delay_ms", "emotion", "stages"} <= set(last)


def test_a_log_takes_no_place_of_another_unasked(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text("yesterday")
    with pytest.raises(ConfigError, match="exists"), _open_log(path, overwrite=False):
        pass
    assert path.read_text() == "yesterday"
    for overwrite in (True, False):
        with _open_log(path if overwrite else Path(os.devnull), overwrite) as log:
            log.write(b"today")
    assert path.read_text() == "today"


class NearlyFull(io.FileIO):
    """A file on a disk with so much room."""

    room = 0

    def write(self, data: Any, /) -> int:
        part = bytes(data)[: self.room - self.tell()]
        if not part:
            raise OSError(ENOSPC, "No space left on device")
        return super().write(part)


def test_a_log_on_a_full_disk_ends_with_a_whole_line(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    with NearlyFull(path, "w") as log:
        session = LiveSession.__new__(LiveSession)
        session.log, session.log_error, session._log_size, told = log, None, 0, []
        session.entry, session.tell = lambda: {"pictures": 12}, told.append  # type: ignore[method-assign]
        log.room = 3 * len('{"pictures": 12}\n') + 5
        for _ in range(6):
            session.write_log()
    assert path.read_text() == 3 * '{"pictures": 12}\n'
    assert told == ["the log stopped (No space left on device): free some space"]


def test_raw_pictures_from_raw_samples() -> None:
    samples = (np.full(48_000, 0.2) * 32_767).astype("<i2").tobytes()
    options = ["--source", "-", "--camera", "none", "--raw", "--camera-size", "320x240", "--no-badge"]
    process = subprocess.Popen(
        [*LOUD, *options], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )

    def speak() -> None:
        assert process.stdin is not None
        for begin in range(0, len(samples), 640):  # 20 ms at a time
            process.stdin.write(samples[begin : begin + 640])
            process.stdin.flush()
            time.sleep(0.02)
        process.stdin.close()

    assert process.stdout is not None
    assert process.stderr is not None
    speaker = threading.Thread(target=speak)
    speaker.start()
    out = process.stdout.read()
    speaker.join()
    err = process.stderr.read()
    process.stdout.close()
    process.stderr.close()
    process.wait(30)
    assert process.returncode == 0, err.decode()
    assert len(out) % (320 * 240 * 3) == 0
    assert len(out) // (320 * 240 * 3) >= 15
    assert max(out) == 20 + round(400 * 0.2)


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (("--source", "-"), 1, "standard input ended without any sound"),
        (("--json-log", "no/log.jsonl"), 2, "there can be no log no/log.jsonl"),
        (("--json-log", "."), 2, "there can be no log ."),
        (("--json-log", "there.jsonl"), 2, "there.jsonl exists"),
    ],
)
def test_mistakes_are_one_line(
    long_sound: Path, tmp_path: Path, options: tuple[str, ...], code: int, words: str
) -> None:
    source = () if "--source" in options else ("--source", str(long_sound))
    (tmp_path / "there.jsonl").touch()
    live = [*LOUD, "--camera", "none", "--camera-size", "320x240", *source, *options]
    done = subprocess.run(
        live,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = [line for line in done.stderr.splitlines() if not line.startswith("live: ")]
    assert done.returncode == code, done.stderr
    assert len(told) == 1
    assert words in told[0]


@pytest.mark.parametrize(
    ("options", "words"), [(("--raw",), "fill the terminal"), (("--source", "-"), "not a terminal")]
)
def test_neither_pictures_nor_sound_are_for_a_terminal(options: tuple[str, ...], words: str, long_sound: Path) -> None:
    source = () if "--source" in options else ("--source", str(long_sound))
    master, slave = pty.openpty()
    live = [*LOUD, "--camera", "none", "--camera-size", "320x240", *source, *options]
    done = subprocess.run(
        live, cwd=ROOT, stdin=slave, stdout=slave, stderr=subprocess.PIPE, text=True, timeout=60, check=False
    )
    os.close(master)
    os.close(slave)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert words in done.stderr


def test_a_pipe_reader_that_leaves_is_one_line(long_sound: Path) -> None:
    options = ["--source", str(long_sound), "--camera", "none", "--raw", "--camera-size", "320x240"]
    process = subprocess.Popen([*LOUD, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read(320 * 240 * 3)
    process.stdout.close()
    err = process.stderr.read().decode()
    process.stderr.close()
    assert process.wait(30) == 1
    assert "the program that reads the raw pictures has ended" in err
    assert "Traceback" not in err
    assert "Exception ignored" not in err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_end_it_in_order(long_sound: Path, number: signal.Signals, tmp_path: Path) -> None:
    out = tmp_path / "call.mp4"
    options = ["--source", str(long_sound), "--camera", "none", "--out", str(out), "--camera-size", "320x240"]
    with subprocess.Popen(
        [*LOUD, *options], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stderr is not None
            assert any("live:" in line for line in process.stderr)
            until_s = time.monotonic() + 60
            while not any(path.stat().st_size > 5_000 for path in tmp_path.glob("*.part.mp4")):  # a second of it
                assert process.poll() is None
                assert time.monotonic() < until_s, "nothing is recorded"
                time.sleep(0.02)
            process.send_signal(number)
            stdout, stderr = process.communicate(timeout=30)
        finally:
            process.kill()
    assert process.returncode == 0, stderr
    assert "pictures in" in stdout
    assert list(tmp_path.glob("*.mp4")) == [out]


def test_q_in_a_terminal_ends_it_and_puts_the_terminal_back(long_sound: Path) -> None:
    import termios

    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    options = ["--source", str(long_sound), "--camera", "none", "--camera-size", "320x240"]
    process = subprocess.Popen(
        [*LOUD, *options], cwd=ROOT, stdin=slave, stdout=slave, stderr=slave, env={**os.environ, "TERM": "xterm"}
    )
    shown = b""
    os.set_blocking(master, False)
    deadline = time.monotonic() + 40

    def read_until(seen: Callable[[], bool]) -> None:
        nonlocal shown
        while not seen() and time.monotonic() < deadline:
            try:
                shown += os.read(master, 65_536)
            except BlockingIOError:
                time.sleep(0.05)

    try:
        read_until(lambda: b"newest sound" in shown)
        assert b"m mute" in shown
        os.write(master, b"m")
        read_until(lambda: b"muted" in shown)
        assert b"muted" in shown
        os.write(master, b"+++++++++q")  # faster than it looks
        read_until(lambda: process.poll() is not None)
        assert process.wait(10) == 0
    finally:
        process.kill()
    with contextlib.suppress(BlockingIOError):  # the rest
        while True:
            shown += os.read(master, 65_536)
    assert float(shown.split(b" pictures in ")[1].split()[0]) < 25, "it went on until its sound had ended"
    assert termios.tcgetattr(slave)[3] == before[3]
    os.close(master)
    os.close(slave)


def test_a_terminal_that_can_only_print_gets_lines(long_sound: Path) -> None:
    master, slave = pty.openpty()
    options = ["--source", str(long_sound), "--camera", "none", "--camera-size", "320x240", "--seconds", "1"]
    done = subprocess.run(
        [*LOUD, *options],
        cwd=ROOT,
        stdin=slave,
        stdout=slave,
        stderr=subprocess.PIPE,
        env={**os.environ, "TERM": "dumb"},
        text=True,
        timeout=60,
        check=False,
    )
    shown = os.read(master, 65_536).decode()
    os.close(master)
    os.close(slave)
    assert (done.returncode, done.stderr) == (0, "live: long.wav -> null (Ctrl-C ends it)\n")
    assert re.search(r"pictures in \d", shown)
    assert "\x1b" not in shown


def test_motion_goes_out_over_osc(long_sound: Path) -> None:
    pytest.importorskip("pythonosc", reason="needs the osc extra")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listener:
        listener.bind(("127.0.0.1", 0))
        listener.settimeout(30)
        target = f"127.0.0.1:{listener.getsockname()[1]}"
        options = ["--source", str(long_sound), "--camera", "none", "--camera-size", "320x240", "--osc", target]
        process = subprocess.Popen(
            [*LOUD, *options, "--seconds", "2"], cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        packets = [listener.recv(65_536) for _ in range(20)]
        assert process.wait(30) == 0
    assert any(b"jawOpen" in packet or b"JawOpen" in packet for packet in packets)


def test_the_shipped_engines_live(long_sound: Path) -> None:
    speech = ROOT / "realtime" / "assets" / "speech.opus"
    command = [sys.executable, "-m", "realtime.cli", "live", "--portrait", str(ROOT / "tests" / "data" / "face.jpg")]
    options = ["--source", str(speech), "--camera", "none", "--camera-size", "320x240", "--seconds", "2"]
    done = subprocess.run([*command, *options], cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout.split(" pictures in")[0].split()[-1]) > 20
    assert SPEC.codes_per_second == 50


def test_a_camera_that_is_not_there_is_told(long_sound: Path) -> None:
    pytest.importorskip("pyvirtualcam", reason="needs the camera extra")
    options = ["--source", str(long_sound), "--camera", "/dev/video97", "--camera-size", "320x240"]
    done = subprocess.run([*LOUD, *options], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "/dev/video97 cannot be opened" in done.stderr
    assert "voxcam doctor" in done.stderr


def test_what_libraries_write_to_stderr_does_not_tear_the_view() -> None:
    script = (
        "import os, sys; from realtime.audio.microphone import hushed\n"
        "os.write(2, b'before\\n')\n"
        "with hushed():\n"
        "    os.write(2, b'ALSA lib: underrun occurred\\n'); print('ours', file=sys.stderr)\n"
        "print('after', file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stderr == "before\nafter\n"


def test_with_stderr_closed_what_is_opened_in_its_place_is_left_alone(tmp_path: Path) -> None:
    script = (
        "import os, sys; from realtime.audio.microphone import hushed\n"
        "assert sys.stderr is None\n"
        "file = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); assert file == 2\n"
        "with hushed():\n"
        "    os.write(file, b'sound')\n"
        "os.write(file, b', more')\n"
    )
    command = ["bash", "-c", 'exec "$@" 2>&-', "-", sys.executable, "-c", script, str(tmp_path / "file")]
    subprocess.run(command, cwd=ROOT, timeout=60, check=True)
    assert (tmp_path / "file").read_bytes() == b"sound, more"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no such device there")
def test_a_closing_line_that_nobody_reads_hides_nothing(long_sound: Path, tmp_path: Path) -> None:
    """The recording is whole, whatever became of the line; what was wrong with the call is still told."""
    command = [*LOUD, "--source", str(long_sound), "--camera", "none", "--camera-size", "320x240", "--seconds", "0.5"]
    for log, code, told in (("log.jsonl", 0, ""), ("/dev/full", 1, "the log stopped")):
        path = tmp_path / log
        with open("/dev/full", "w") as full:
            options = ["--json-log", str(path), *(("--overwrite",) if code else ())]
            done = subprocess.run(
                [*command, *options], cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False
            )
        assert done.returncode == code, done.stderr
        assert told in done.stderr
        assert "disk is full" not in done.stderr
    assert (tmp_path / "log.jsonl").read_text()


def test_what_it_reads_is_not_replaced(long_sound: Path, tmp_path: Path) -> None:
    talk = tmp_path / "talk.mp4"
    talk.write_bytes(b"precious")
    sound = ["--camera", "none", "--overwrite", "--source"]
    mistakes = {
        "--out is the same file as --source": [*sound, str(talk), "--out", str(talk)],
        "--json-log is the same file as --source": [*sound, str(talk), "--json-log", str(talk)],
        "--json-log is the same file as --portrait": [*sound, str(long_sound), "--json-log", str(talk)],
        "--json-log is the same file as --out": [*sound, "-", "--out", "new.mp4", "--json-log", "new.mp4"],
    }
    for words, options in mistakes.items():
        portrait = talk if "--portrait" in words else tmp_path / "me.png"
        done = run_live(["--portrait", str(portrait), *options])
        assert done.returncode == 2
        assert words in done.stderr
    assert talk.read_bytes() == b"precious"


def test_a_command_that_fails_leaves_no_log(long_sound: Path, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    log.write_text("yesterday")
    options = ["--camera", "none", "--json-log", str(log), "--overwrite", "--source", str(long_sound)]
    assert run_live(["--portrait", "any", *options, "--osc", "nowhere"]).returncode == 2
    assert log.read_text() == "yesterday"


@pytest.mark.parametrize("seconds", ["inf", "nan"])
def test_no_length_of_time(long_sound: Path, seconds: str) -> None:
    options = ["--camera", "none", "--source", str(long_sound), "--seconds", seconds]
    done = run_live(["--portrait", "any", *options])
    assert done.returncode == 2
    assert "--seconds" in done.stderr


def run_live(options: list[str]) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-m",
        "tests.rigs.loud_voxcam",
        "live",
        "--seed",
        "1",
        "--camera-size",
        "320x240",
        *options,
    ]
    return subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
