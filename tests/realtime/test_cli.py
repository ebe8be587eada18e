"""The command line: good help, lazy loading, one clear line for every kind of bad input, exit codes 2 and 1."""

from __future__ import annotations

import errno
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import soundfile
import typer

from engines.errors import OutputError, Stopped
from engines.motion import expression
from engines.portrait import Portrait
from realtime import cli, faces
from realtime.commands import options
from realtime.commands.progress import progress_bar

ROOT = Path(__file__).parents[2]

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Run a command line in this process: exit code, stdout, stderr."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    monkeypatch.setenv("COLUMNS", "160")

    def run_it(*arguments: str | Path) -> tuple[int, str, str]:
        capfd.readouterr()
        with pytest.raises(SystemExit) as ended:
            cli.main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert "Traceback" not in err
        return int(ended.value.code or 0), out, err

    yield run_it
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """A folder of good and bad inputs."""
    cv2.imwrite(str(tmp_path / "grey.png"), np.full((400, 400, 3), 120, np.uint8))
    cv2.imwrite(str(tmp_path / "tiny.png"), np.full((40, 40, 3), 120, np.uint8))
    (tmp_path / "text.jpg").write_text("no picture")
    (tmp_path / "empty.jpg").touch()
    face = Path(__file__).parents[1] / "data" / "face.jpg"
    (tmp_path / "face.jpg").write_bytes(face.read_bytes())
    soundfile.write(tmp_path / "good.wav", np.full((8_000, 1), 0.01, np.float32), 16_000)
    soundfile.write(tmp_path / "none.wav", np.zeros((0, 1), np.float32), 16_000)
    nan = np.full((8_000, 1), np.nan, np.float32)
    soundfile.write(tmp_path / "nan.wav", nan, 16_000, subtype="FLOAT")
    (tmp_path / "text.wav").write_text("no sound")
    (tmp_path / "empty.wav").touch()
    (tmp_path / "there.mp4").write_bytes(b"precious")
    (tmp_path / "bad.npz").write_bytes(b"PK\x03\x04 not really")
    return tmp_path


BAD = [
    # portrait, audio, out, more options, exit code, words
    ("missing.jpg", "good.wav", "out.mp4", [], 2, "there is no photo"),
    ("text.jpg", "good.wav", "out.mp4", [], 1, "not a picture"),
    ("empty.jpg", "good.wav", "out.mp4", [], 1, "is empty"),
    ("tiny.png", "good.wav", "out.mp4", [], 1, "too small"),
    ("grey.png", "good.wav", "out.mp4", [], 1, "no face"),
    ("bad.npz", "good.wav", "out.mp4", [], 1, "voxcam enroll"),
    ("face.jpg", "missing.wav", "out.mp4", [], 2, "there is no sound"),
    ("face.jpg", "text.wav", "out.mp4", [], 1, "cannot read"),
    ("face.jpg", "empty.wav", "out.mp4", [], 1, "is empty"),
    ("face.jpg", "none.wav", "out.mp4", [], 1, "is empty"),
    ("face.jpg", "nan.wav", "out.mp4", [], 1, "not numbers"),
    ("face.jpg", ".", "out.mp4", [], 2, "is a folder"),
    (".", "good.wav", "out.mp4", [], 2, "is a folder, not a photo"),
    ("face.jpg", "good.wav", "there.mp4", [], 2, "--overwrite"),
    ("face.jpg", "good.wav", "no/out.mp4", [], 2, "there is no folder"),
    ("face.jpg", "good.wav", "out.gif", [], 2, "no known ending"),
    ("face.jpg", "good.wav", "out.mp4", ["--fps", "31"], 2, "31 pictures a second"),
    ("face.jpg", "good.wav", "out.mp4", ["--lookahead-ms", "50"], 2, "0, 40, 80"),
    ("face.jpg", "good.wav", "out.mp4", ["--size", "huge"], 2, "--size"),
    ("face.jpg", "good.wav", "out.mp4", ["--emotion", "happines"], 2, "happiness"),
    ("face.jpg", "good.wav", "out.mp4", ["--emotion", "happiness:7"], 2, "between 0 and 1"),
    ("face.jpg", "good.wav", "out.mp4", ["--sheet", "sheet.tif"], 2, "no known ending"),
    ("face.jpg", "good.wav", "out.mp4", ["--fps", "many"], 2, "--fps"),
    ("face.jpg", "good.wav", "out.mp4", ["--no-such-option"], 2, "--no-such-option"),
    ("face.jpg", "good.wav", "out.mp4", ["--threads", "0"], 2, "--threads"),
]


@pytest.mark.parametrize(("portrait", "audio", "out", "options", "code", "words"), BAD)
def test_bad_input_of_render(
    run: Run, inputs: Path, portrait: str, audio: str, out: str, options: list[str], code: int, words: str
) -> None:
    before = sorted(path.name for path in inputs.iterdir())
    options = [str(inputs / option) if option.endswith(".tif") else option for option in options]
    got, stdout, stderr = run(
        "render", "--portrait", inputs / portrait, "--audio", inputs / audio, "--out", inputs / out, *options
    )
    lines = [line for line in stderr.splitlines() if line.startswith("voxcam: ")]
    assert got == code, stderr
    assert len(lines) == 1, stderr
    assert words in lines[0]
    assert stdout == ""
    assert sorted(path.name for path in inputs.iterdir()) == before  # no half file
    assert (inputs / "there.mp4").read_bytes() == b"precious"


LIVE_BAD = [
    (["--camera-size", "big"], 2, "no picture size"),
    (["--camera-size", "641x360"], 2, "cannot be"),
    (["--fps", "7"], 2, "7 pictures a second"),
    (["--source", "missing.wav", "--camera", "none"], 2, "there is no sound"),
    (["--source", "-", "--source-format", "mp3", "--camera", "none"], 2, "no sample format"),
    (["--source", "-", "--microphone", "x", "--camera", "none"], 2, "exclude each other"),
    (["--make-cable", "--audio-out", "x", "--camera", "none"], 2, "exclude each other"),
    (["--microphone", "no such microphone", "--camera", "none"], 1, "microphone"),
    (["--seconds", "0"], 2, "--seconds"),
    (["--source", "good.wav", "--source-rate", "8000", "--camera", "none"], 2, "--source-rate"),
    (["--source-channels", "2", "--camera", "none"], 2, "--source-channels"),
    (["--av-offset-ms", "20", "--camera", "none"], 2, "--av-offset-ms"),
]


SLIPS = [
    (["--emotion", "hapy"], "happy"),
    (["--engine", "tensorflow"], "no backend 'tensorflow'"),
    (["--engine", "openvino:bf17"], "no precision 'bf17'"),
    (["--engine", "auto:bf16"], "no backend 'auto'"),
]


@pytest.mark.parametrize(
    ("command", "options", "words"),
    [
        *((command, *slip) for command in ("render", "live") for slip in SLIPS),
        ("live", ["--osc", "nowhere"], "not HOST:PORT"),
    ],
)
def test_a_slip_is_told_before_a_photo_is_analysed(
    run: Run, inputs: Path, monkeypatch: pytest.MonkeyPatch, command: str, options: list[str], words: str
) -> None:
    monkeypatch.setattr("realtime.faces.load_portrait", None)
    sound = inputs / "good.wav"
    named = ["--out", inputs / "out.mp4", "--audio", sound] if command == "render" else ["--source", sound]
    code, _, stderr = run(command, "--portrait", inputs / "face.jpg", *named, *options)
    assert code == 2
    assert words in stderr
    assert stderr.count("\n") == 1


@pytest.mark.parametrize(("options", "code", "words"), LIVE_BAD)
def test_bad_input_of_live(run: Run, inputs: Path, options: list[str], code: int, words: str) -> None:
    got, _, stderr = run("live", "--portrait", inputs / "face.jpg", *options)
    assert got == code, stderr
    assert len([line for line in stderr.splitlines() if line.startswith("voxcam: ")]) == 1
    assert words in stderr


def test_bad_input_of_enroll(run: Run, inputs: Path) -> None:
    assert run("enroll", inputs / "grey.png", "--out", inputs / "p.npz")[0] == 1
    assert run("enroll", inputs / "face.jpg", "--out", inputs / "p.npz", "--size", "odd")[0] == 2
    assert run("enroll", inputs / "face.jpg", "--out", inputs / "bad.npz")[0] == 2
    cut = ("--size", "face", "--camera-size", "1280x720")
    code, _, told = run("enroll", inputs / "face.jpg", "--out", inputs / "p.npz", *cut)
    assert (code, told) == (2, "voxcam: --size face and --camera-size exclude each other: leave one out\n")
    assert not (inputs / "p.npz").exists()


def test_a_portrait_that_came_in_the_meantime_stays(run: Run, inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clip takes a minute; what was made of it is not thrown away."""
    out, analyse = inputs / "me.npz", faces.analyse_photo

    def another_program(*arguments: Any) -> faces.Portrayed:
        out.write_bytes(b"another's work")
        return analyse(*arguments)

    monkeypatch.setattr(faces, "analyse_photo", another_program)
    code, told, notes = run("enroll", inputs / "face.jpg", "--out", out, "--size", "face")
    assert code == 0
    assert out.read_bytes() == b"another's work"
    assert f"another program has written {out} since: this one is {inputs / 'me.new.npz'}" in notes
    assert told.startswith(f"{inputs / 'me.new.npz'}: 256x256")
    assert Portrait.load(inputs / "me.new.npz").size == (256, 256)


@pytest.mark.parametrize(("teeth", "watched"), [("smile.jpg", False), ("smile.mp4", True)])
def test_only_a_clip_is_watched(
    run: Run, inputs: Path, monkeypatch: pytest.MonkeyPatch, teeth: str, watched: bool
) -> None:
    seen: list[object] = []

    def analyse(*arguments: Any) -> None:
        seen.append(arguments[-1])
        raise OutputError("as far as needed")

    monkeypatch.setattr(faces, "analyse_photo", analyse)
    assert run("enroll", inputs / "face.jpg", "--out", inputs / "me.npz", "--teeth", inputs / teeth)[0] == 1
    assert [progress is not None for progress in seen] == [watched]


def test_a_photo_that_will_not_do_leaves_no_folder(run: Run, inputs: Path) -> None:
    code, _, _ = run("enroll", inputs / "grey.png", "--out", inputs / "new" / "dir" / "x.npz")
    assert code == 1
    assert not (inputs / "new").exists()


def test_a_name_that_no_file_can_have_in_a_folder_that_is_not_there_yet(
    run: Run, inputs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faces, "analyse_photo", lambda *_: None)
    for more in ((), ("--overwrite",)):
        told = run("enroll", inputs / "face.jpg", "--out", inputs / "new" / f"{'a' * 300}.npz", *more)
        assert told == (2, "", f"voxcam: no file can be called {'a' * 40}... (File name too long): name another\n")


def test_unknown_commands_and_no_command(run: Run) -> None:
    code, _, stderr = run("rendr")
    assert code == 2
    assert "Did you mean 'render'" in stderr
    code, stdout, _ = run("--help")
    assert code == 0
    for name in (*cli.COMMANDS, "train", "bench"):
        assert name in stdout
    assert run("--version")[1].startswith("voxcam ")


@pytest.mark.parametrize("name", list(cli.COMMANDS))
def test_every_command_has_help(run: Run, name: str) -> None:
    code, stdout, _ = run(name, "--help")
    assert code == 0
    assert "Usage" in stdout


def test_help_loads_nothing_heavy() -> None:
    listing = "import sys; from realtime import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass\n"
    listing += (
        "print([m for m in ('torch', 'cv2', 'onnxruntime', 'numba', 'av', 'train', 'bench') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_errors_of_ours_are_one_line_too(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: str) -> None:
        raise ZeroDivisionError("in the\nmiddle")

    monkeypatch.setattr(cli, "load_command", broken)
    code, _, stderr = run("doctor")
    assert code == 1
    assert stderr.splitlines() == ["voxcam: ZeroDivisionError: in the middle (VOXCAM_DEBUG=1 shows where)"]


def test_stopped_with_something_kept_is_one_line(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(_: str) -> None:
        raise Stopped("stopped before the end: the file holds what was made so far")

    monkeypatch.setattr(cli, "load_command", stopped)
    code, _, stderr = run("render")
    assert code == 130
    assert stderr.splitlines() == ["voxcam: stopped before the end: the file holds what was made so far"]


def test_interrupted_before_anything_ran(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "load_command", interrupted)
    assert run("doctor")[0] == 130


def test_the_end_of_a_damaged_file_is_no_interrupt(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def cut(_: str) -> None:
        raise typer.Abort from EOFError("Ran out of input")

    monkeypatch.setattr(cli, "load_command", cut)
    code, _, stderr = run("doctor")
    assert code == 1
    assert "Ran out of input" in stderr


@pytest.mark.parametrize("stderr", ["2>/dev/full", "2>&1 >/dev/null | true"])
def test_a_note_that_nobody_reads_ends_nothing(tmp_path: Path, stderr: str) -> None:
    kept = tmp_path / "said"
    program = "import time; from realtime.cli import say; time.sleep(.3); say('one'); say('two'); say('three')"
    command = f"({sys.executable} -c {shlex.quote(program)}; echo $? > {kept}) {stderr}"
    subprocess.run(["sh", "-c", command], cwd=ROOT, capture_output=True, timeout=60, check=False)
    assert kept.read_text().strip() == "0"


@pytest.mark.skipif(not Path("/dev/fd").is_dir(), reason="no list of open files there")
def test_a_note_to_a_closed_stream_leaves_no_file_open(tmp_path: Path) -> None:
    with (tmp_path / "said").open("w") as stream:
        pass
    before = len(os.listdir("/dev/fd"))
    cli.say("word", stream)
    assert len(os.listdir("/dev/fd")) == before


@pytest.mark.parametrize("closed", [">&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_streams_that_the_shell_closed(closed: str, tmp_path: Path) -> None:
    kept = tmp_path / "said"
    command = f"exec {sys.executable} -m realtime --version {closed}"
    told = subprocess.run(["sh", "-c", f"({command}); echo $? > {kept}"], capture_output=True, text=True, timeout=60)
    assert kept.read_text().strip() == "0"
    assert told.stderr == ""


def test_progress_is_silent_where_no_terminal_shows_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    with progress_bar("watching") as progress:
        progress(1.0, 2.0)
    assert capsys.readouterr() == ("", "")


def test_help_names_every_look() -> None:
    """It is written out there, for the looks' own module compiles kernels."""
    assert set(options.LOOKS.split(", ")) == set(expression.LOOKS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("live", "--portrait", ""), "--portrait is empty"),
        (("live", "--portrait=", "--camera", "none"), "--portrait is empty"),
        (("enroll", ""), "an argument is empty"),
        (("encode", "-a", "", "-o", "there.npz"), "-a is empty"),
    ],
)
def test_an_empty_argument_is_no_folder(run: Run, arguments: tuple[str, ...], told: str) -> None:
    code, _, err = run(*arguments)
    assert code == 2
    assert err == f"voxcam: {told}: give a value\n"


def test_windows_calls_a_reader_that_has_gone_an_invalid_argument(monkeypatch: pytest.MonkeyPatch) -> None:
    gone = OSError(errno.EINVAL, "Invalid argument")
    assert cli.reader_is_gone(BrokenPipeError())
    assert not cli.reader_is_gone(gone)
    monkeypatch.setattr(sys, "platform", "win32")
    assert cli.reader_is_gone(gone)
    assert not cli.reader_is_gone(OSError(errno.EINVAL, "Invalid argument", "a?b.npz"))
    monkeypatch.undo()
