"""`voxcam doctor`: each failure with the line to type, and an exit code that says whether live would work."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import typer

from engines.errors import DeviceError
from engines.spec import MOTION_CHANNELS
from realtime.audio.microphone import NoAnswer
from realtime.clock import NS, SystemClock
from realtime.commands import doctor
from realtime.commands.doctor import Finding, fix_for, judge_speed
from realtime.engines_in_use import Engines
from realtime.messages import AudioHop
from tests.fakes import FakeEncoder, FakeGenerator, FakePortrait, FakeShaper, FakeState


@pytest.mark.parametrize(
    ("rate", "cpu_ms", "state", "words"),
    [
        (120, 8.0, "ok", "120 pictures/s"),
        (34, 8.6, "ok", "other programs take the rest (116/s without them)"),
        (20, 8.6, "warn", "other programs take the rest"),
        (34, 28.0, "warn", "just enough"),
        (20, 48.0, "fail", "too slow"),
    ],
)
def test_a_busy_machine_is_not_a_slow_one(rate: float, cpu_ms: float, state: str, words: str) -> None:
    finding = judge_speed(rate, cpu_ms)
    assert finding.state == state
    assert words in finding.what
    assert finding.fix or state == "ok"


def test_a_first_run_that_compiles_is_no_slow_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that nobody compiled yet took 16 s of the two that are measured: doctor said that live would not work."""
    now_ns = 0

    class Clock(SystemClock):
        def now_ns(self) -> int:
            return now_ns

    class FirstRun(FakeGenerator):
        compiled = False

        def draw(self, motion: np.ndarray, portrait: Any, out: np.ndarray | None = None) -> np.ndarray:
            nonlocal now_ns
            moving = bool(np.abs(motion[:14]).max() > 0.01)
            now_ns += int(0.008 * NS) if self.compiled or not moving else 16 * NS
            self.compiled |= moving
            return super().draw(motion, portrait, out)

    class Speaking(FakeShaper):
        def step(self, *given: Any) -> tuple[np.ndarray, FakeState]:
            _, state = super().step(*given)
            return np.full(len(MOTION_CHANNELS), 0.1, np.float32), state

    monkeypatch.setattr(doctor, "SystemClock", Clock)
    monkeypatch.setattr(doctor, "cpu_s", lambda: now_ns / NS)
    monkeypatch.setattr(
        "realtime.faces.load_portrait", lambda *_, **__: SimpleNamespace(portrait=FakePortrait(72, 128))
    )
    monkeypatch.setattr("realtime.engines_in_use.open_engines", lambda: Engines(FakeEncoder(), Speaking(), FirstRun()))
    found = findings(doctor.check_speed)["speed"]
    assert (found.state, found.what) == ("ok", "125 pictures/s at 1280x720, 8.0 ms of CPU each")


@pytest.mark.parametrize("system", ["linux", "macos", "windows"])
def test_every_system_has_a_line_to_type(system: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SYSTEM", system)
    for key in ("portaudio", "microphone", "pyvirtualcam", "camera", "cable"):
        assert fix_for(key)
    if system == "linux":
        assert "exclusive_caps=1" in fix_for("exclusive_caps")
        assert "mokutil" in fix_for("secure_boot")
        assert "usermod" in fix_for("permission")


def findings(check: Callable[[], Iterator[Finding]]) -> dict[str, Finding]:
    return {finding.name: finding for finding in check()}


def cameras(kind: str) -> Callable[[], list[dict[str, str]]]:
    return lambda: [{"device": "/dev/video9", "name": "voxcam", "kind": kind}]


@pytest.mark.parametrize(
    ("kind", "state", "what", "fix"),
    [
        ("loopback", "ok", "is free", ""),
        ("loopback, busy", "fail", "in use by another program", "fuser"),
        ("no permission", "fail", "you may not use /dev/video9", "usermod"),
        ("real camera", "fail", "v4l2loopback is not loaded", "modprobe v4l2loopback exclusive_caps=1"),
    ],
)
def test_what_keeps_the_camera(kind: str, state: str, what: str, fix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SYSTEM", "linux")
    monkeypatch.setattr("realtime.pictures.camera.list_cameras", cameras(kind))
    found = findings(doctor.check_camera)["camera"]
    assert (found.state, what in found.what, fix in found.fix) == (state, True, True)


def test_secure_boot_is_named_where_the_module_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SYSTEM", "linux")
    monkeypatch.setattr("realtime.pictures.camera.list_cameras", list)
    monkeypatch.setattr(doctor, "_secure_boot", lambda: True)
    assert "Key was rejected" in findings(doctor.check_camera)["secure boot"].what


class Heard:
    """A microphone that gives one level."""

    name, rate_hz = "a microphone", 48_000

    def __init__(self, level: float, gap: bool = False) -> None:
        self.level, self.gap, self.hops = level, gap, 0

    def __enter__(self) -> Heard:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def read_hop(self, _: int) -> AudioHop:
        self.hops += 1
        return AudioHop(self.hops, np.full(160, self.level, np.float32), 0, self.gap)


@pytest.mark.parametrize(
    ("level", "state", "what"),
    [(0.2, "ok", "0.2000"), (0.002, "ok", "turn its gain up"), (0.0, "warn", "muted, or not permitted")],
)
def test_a_microphone_that_gives_nothing_or_little_is_told(
    level: float, state: str, what: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("realtime.audio.microphone.Microphone", lambda: Heard(level))
    found = findings(doctor.check_microphone)["microphone"]
    assert found.state == state
    assert what in found.what


def test_no_microphone_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def none() -> None:
        raise DeviceError("this computer shows no microphone")

    monkeypatch.setattr("realtime.audio.microphone.Microphone", none)
    assert findings(doctor.check_microphone)["microphone"].state == "fail"


@pytest.mark.skipif(sys.platform == "darwin", reason="another sound server")
def test_a_sound_server_that_hangs_is_what_is_to_be_mended(monkeypatch: pytest.MonkeyPatch) -> None:
    def hangs() -> None:
        raise NoAnswer

    monkeypatch.setattr("realtime.audio.microphone.Microphone", hangs)
    monkeypatch.setenv("PULSE_SERVER", "tcp:far")
    found = findings(doctor.check_microphone)["microphone"]
    assert (found.state, found.what) == ("fail", "the sound server does not answer")
    assert "PULSE_SERVER=tcp:far" in found.fix


@pytest.mark.parametrize(("state", "code"), [("ok", 0), ("warn", 0), ("fail", 1)])
def test_the_exit_code_says_whether_live_would_work(
    state: str, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def check_one() -> Iterator[Finding]:
        yield Finding("one", state, "as it is", "type this")

    monkeypatch.setattr(doctor, "CHECKS", (check_one,))
    for as_json in (True, False):
        with pytest.raises(typer.Exit) as ended:
            doctor.doctor(as_json)
        assert ended.value.exit_code == code
    out = capsys.readouterr().out
    report = json.loads(out[: out.rindex("}") + 1])
    assert report["works"] is (code == 0)
    assert report["findings"] == [{"name": "one", "state": state, "what": "as it is", "fix": "type this"}]
    assert ("-> type this" in out) == (state != "ok")


def test_a_check_that_breaks_is_a_failure_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def check_broken() -> Iterator[Finding]:
        raise ZeroDivisionError("in the check")
        yield

    monkeypatch.setattr(doctor, "CHECKS", (check_broken, doctor.check_python))
    found = {finding.name: finding for finding in doctor.examine()}
    assert found["broken"].state == "fail"
    assert found["python"].state == "ok"


def test_exclusive_caps_off_is_a_warning(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text, state in (("Y,N", "ok"), ("N,N", "warn")):
        setting = tmp_path / text
        setting.write_text(text)
        monkeypatch.setattr(doctor, "Path", lambda _, setting=setting: setting)
        assert findings(doctor._check_exclusive_caps)["exclusive_caps"].state == state


def test_a_sound_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "SYSTEM", "linux")
    monkeypatch.setattr("shutil.which", lambda _: "/usr/bin/pactl")
    for code, state in ((0, "ok"), (1, "warn")):
        monkeypatch.setattr("subprocess.run", lambda *_, code=code, **__: SimpleNamespace(returncode=code))
        assert findings(doctor.check_cable)["cable"].state == state
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert "apt-get install pulseaudio-utils" in findings(doctor.check_cable)["cable"].fix
