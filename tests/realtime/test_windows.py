"""What is different on Windows, as far as it can be seen elsewhere: its functions are played."""

from __future__ import annotations

import ctypes
import errno
import os
import select
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from engines.errors import ConfigError, DeviceError, OutputError, WrongTarget
from realtime.audio import microphone
from realtime.audio.cable import Cable
from realtime.audio.microphone import find_device, import_sounddevice
from realtime.commands.encode import sounds_in
from realtime.commands.keys import Keys
from realtime.messages import Picture
from realtime.pictures.camera import open_camera
from realtime.pictures.preview import PreviewSink
from realtime.pictures.sinks import RawSink
from realtime.targets import checked_target

ROOT = Path(__file__).parents[2]
PICTURE = Picture(0, np.zeros((32, 48, 3), np.uint8), 0, 0, 0)


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "win32")


class Console:
    """kernel32, as far as keys are read by it: (kind of event, key is down, letter)."""

    def __init__(self, *events: tuple[int, bool, str]) -> None:
        self.events = list(events)

        def count(_console: object, number: Any) -> int:
            number._obj.value = len(self.events)
            return 1

        def read(_console: object, record: Any, _most: int, number: Any) -> int:
            found = record._obj
            found.kind, found.key.down, found.key.letter = self.events.pop(0)
            number._obj.value = 1
            return 1

        self.GetStdHandle: Callable[..., int] = lambda number: 3
        self.GetNumberOfConsoleInputEvents, self.ReadConsoleInputW = count, read


def test_keys_of_a_console_that_are_letters(windows: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An arrow is none, nor half of one: msvcrt's two parts are \xe0 and a letter, as `s` of Ctrl-Left."""
    console = Console(
        *[(1, True, "m"), (1, False, "m"), (1, True, "\0"), (1, False, "\0"), (1, True, "\x1b"), (2, True, "q")],
        *[(1, True, "\xe0"), (1, True, "+")],
    )
    monkeypatch.setattr(ctypes, "windll", SimpleNamespace(kernel32=console), raising=False)
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(isatty=lambda: True))
    with Keys() as keys:
        assert keys.on
        assert list(iter(keys.pressed, "")) == ["m", "\xe0", "+"]
        console.events.append((1, True, "q"))
        assert keys.pressed() == "q"


@pytest.mark.parametrize("stdin", [None, SimpleNamespace(isatty=lambda: False)])
def test_no_keys_without_a_console(windows: None, monkeypatch: pytest.MonkeyPatch, stdin: object) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    with Keys() as keys:
        assert keys.pressed() == ""


@pytest.mark.parametrize(("system", "one"), [("win32", True), ("darwin", True), ("linux", False)])
def test_sounds_whose_names_differ_in_capitals(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, system: str, one: bool
) -> None:
    """On Windows and macOS their codes would be one file, and --overwrite would lose one of them."""
    (tmp_path / "Take1.wav").touch()
    (tmp_path / "take1.flac").touch()
    monkeypatch.setattr("sys.platform", system)
    if one:
        with pytest.raises(ConfigError, match=r"Take1\.wav and take1\.flac would both become take1\.npz"):
            sounds_in(tmp_path)
    else:
        assert len(sounds_in(tmp_path)) == 2


def test_advice_on_a_cable_can_be_typed_into_cmd(windows: None) -> None:
    with pytest.raises(DeviceError, match='--audio-out "CABLE Input"'):
        Cable().__enter__()


CTRL_BREAK = """
import os, signal, time
signal.SIGBREAK = signal.SIGUSR1
from realtime.interrupts import interrupts
from realtime.pictures.kept_file import uninterrupted
interrupts.install()
try:
    with uninterrupted():
        os.kill(os.getpid(), signal.SIGBREAK)
        time.sleep(0.1)
        print("the file is whole")
    time.sleep(10)
except KeyboardInterrupt:
    print("stopped", interrupts.came)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="another signal plays it")
def test_ctrl_break_ends_it_as_sigterm_does() -> None:
    command = [sys.executable, "-c", CTRL_BREAK]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("the file is whole\nstopped True\n", "")


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ("error\n'obs' backend: not installed\n'unitycapture' backend: no device", "('obs' backend: not installed)"),
        ("error\n'v4l2loopback' backend: no device\n", "('v4l2loopback' backend: no device)"),
        ("", "(RuntimeError)"),
    ],
)
def test_of_two_kinds_of_camera_the_one_that_we_advise_is_told(
    monkeypatch: pytest.MonkeyPatch, lines: str, reason: str
) -> None:
    def none(*_: object, **__: object) -> None:
        raise RuntimeError(lines)

    library = ModuleType("pyvirtualcam")
    library.__dict__["Camera"] = none
    monkeypatch.setitem(sys.modules, "pyvirtualcam", library)
    with pytest.raises(DeviceError) as told:
        open_camera(640, 360, 25, None)
    assert f"cannot be opened {reason}: " in str(told.value)


DEVICES = (  # name, sound system, inputs, outputs
    ("Sound Mapper - Input", 0, 2, 0),
    ("Headset (USB)", 0, 1, 0),
    ("CABLE Input (VB-Audio Virtual C", 0, 0, 2),
    ("Old card", 0, 1, 0),
    ("Headset (USB)", 1, 1, 0),
    ("Array", 1, 2, 0),
    ("CABLE Input (VB-Audio Virtual Cable)", 1, 0, 2),
    ("Old card", 1, 4, 0),
)


class PortAudio:
    """sounddevice as on Windows: each device by MME, first and with short names, and by WASAPI."""

    PortAudioError = type("PortAudioError", (Exception,), {})

    def __init__(self, wasapi_input: int = 5) -> None:
        self.default = SimpleNamespace(device=(0, 2))
        self.wasapi_input = wasapi_input

    def query_devices(self) -> list[dict[str, Any]]:
        keys = ("name", "hostapi", "max_input_channels", "max_output_channels")
        return [dict(zip(keys, device, strict=True)) for device in DEVICES]

    def query_hostapis(self) -> tuple[dict[str, Any], ...]:
        return (
            {"name": "MME", "devices": [0, 1, 2, 3], "default_input_device": 0, "default_output_device": 2},
            {
                "name": "Windows WASAPI",
                "devices": [4, 5, 6, 7],
                "default_input_device": self.wasapi_input,
                "default_output_device": 6,
            },
        )


@pytest.mark.parametrize(
    ("wanted", "direction", "number", "elsewhere"),
    [
        (None, "input", 5, 0),
        ("default", "output", 6, 2),
        ("Headset (USB)", "input", 4, 1),
        ("cable input", "output", 6, 2),
        ("CABLE Input (VB-Audio Virtual C", "output", 2, 2),  # as it is called by MME alone
        ("Old card", "input", 3, 3),  # by WASAPI it is opened with its four channels only
        ("1", "input", 1, 1),
    ],
)
def test_devices_are_taken_by_wasapi(
    monkeypatch: pytest.MonkeyPatch, wanted: str | None, direction: str, number: int, elsewhere: int
) -> None:
    monkeypatch.setattr(microphone, "import_sounddevice", PortAudio)
    for system, expected in (("win32", number), ("linux", elsewhere)):
        monkeypatch.setattr("sys.platform", system)
        assert find_device(wanted, direction)[0] == expected


@pytest.mark.parametrize("wasapi_input", [-1, 7])
def test_without_wasapis_default_mmes_is_taken(
    windows: None, monkeypatch: pytest.MonkeyPatch, wasapi_input: int
) -> None:
    monkeypatch.setattr(microphone, "import_sounddevice", lambda: PortAudio(wasapi_input))
    assert find_device(None, "input")[0] == 0


@pytest.mark.parametrize(("system", "fix"), [("win32", "pip install"), ("linux", "sudo apt-get install libportaudio2")])
def test_a_missing_portaudio(monkeypatch: pytest.MonkeyPatch, system: str, fix: str) -> None:
    def missing() -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(microphone, "_sounddevice", missing)
    monkeypatch.setattr("sys.platform", system)
    with pytest.raises(DeviceError, match=f"not installed: {fix}"):
        import_sounddevice()


@pytest.mark.skipif(not hasattr(select, "epoll"), reason="what says EINVAL when it is written to")
def test_raw_pictures_whose_reader_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    with select.epoll() as pipe:
        with pytest.raises(OSError, match="Invalid argument"):
            RawSink(pipe.fileno()).send(PICTURE)
        monkeypatch.setattr("sys.platform", "win32")
        with pytest.raises(OutputError, match="has ended"):
            RawSink(pipe.fileno()).send(PICTURE)


class Gone:
    """A pipe whose reader has gone, as Windows tells it; at its end it tries to write what is left."""

    def write(self, _: object) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    def close(self) -> None:
        self.write(b"")


def test_a_preview_window_that_has_gone(windows: None) -> None:
    window: Any = SimpleNamespace(stdin=Gone(), stdout=None, kill=lambda: None, wait=lambda: 0)
    sink = PreviewSink()
    sink._window, sink._small = window, PICTURE.pixels
    with pytest.raises(OutputError, match="the preview window was closed"):
        sink.send(PICTURE)
    sink.close()


@pytest.mark.parametrize("letter", list('<>:"|?*\n'))
def test_letters_that_windows_takes_in_no_name(windows: None, tmp_path: Path, letter: str) -> None:
    with pytest.raises(WrongTarget, match="Windows takes no"):
        checked_target(tmp_path / f"a{letter}b.mp4", False, (".mp4",))


@pytest.mark.parametrize("name", ["con.mp4", "NUL.mp4", "Com1.tar.mp4", "lpt9 .mp4", "conout$.mp4", "com\xb9.mp4"])
def test_names_that_windows_keeps_for_devices(windows: None, tmp_path: Path, name: str) -> None:
    with pytest.raises(WrongTarget, match="for a device"):
        checked_target(tmp_path / name, False, (".mp4",))


def test_names_that_windows_has_no_room_for(windows: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "exists", lambda path: path == tmp_path)  # Windows says no more of such a name
    monkeypatch.setattr(Path, "is_dir", lambda path: path == tmp_path)
    checked_target(tmp_path / ("\U0001f600" * 125 + "x.mp4"), False, (".mp4",))
    with pytest.raises(WrongTarget, match="File name too long"):
        checked_target(tmp_path / ("\U0001f600" * 126 + ".mp4"), False, (".mp4",))


def test_what_windows_takes(windows: None, tmp_path: Path) -> None:
    for name in ("console.mp4", "com.mp4", "com10.mp4", "a;b 'c' \xfc \u65e5.mp4", "a.con.mp4"):
        assert checked_target(tmp_path / name, False, (".mp4",)).name == name
    with pytest.raises(WrongTarget, match=r"mkdir (?!-p)"):
        checked_target(tmp_path / "no" / "a.mp4", False, (".mp4",))
