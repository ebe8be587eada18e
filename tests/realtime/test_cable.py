"""Whose a cable is: one that a living program made stays, however that program was started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from realtime.audio import cable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="there are no such cables there")


@pytest.fixture
def other() -> Iterator[subprocess.Popen[bytes]]:
    """A program whose command line says nothing of voxcam."""
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        yield process
        process.kill()


class Pactl:
    """The modules of a sound server, as `pactl list short modules` shows them."""

    def __init__(self, properties: str) -> None:
        self.modules = {
            "21": f"module-null-sink\tsink_name=voxcam_cable sink_properties='{properties}' norewinds=1\t",
            "22": "module-remap-source\tsource_name=voxcam_microphone master=voxcam_cable.monitor\t",
        }

    def __call__(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        if arguments[0] == "unload-module":
            del self.modules[arguments[1]]
        listed = "\n".join(f"{number}\t{module}" for number, module in self.modules.items())
        return subprocess.CompletedProcess(arguments, 0, listed, "")


@pytest.mark.parametrize(
    ("made_by", "stays"),
    [
        ("voxcam.pid={pid} voxcam.started={started}", True),
        ("voxcam.pid={pid}", True),  # an older version's
        ("voxcam.pid={pid} voxcam.started=1", False),  # another program has got the number since
        ("voxcam.pid=999999999 voxcam.started=1", False),
        ("voxcam.pid={own} voxcam.started={started}", False),
        ("", False),
    ],
)
def test_only_what_a_killed_program_left_is_removed(
    other: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch, made_by: str, stays: bool
) -> None:
    started = cable._started(other.pid)
    words = made_by.format(pid=other.pid, started=started, own=os.getpid())
    pactl = Pactl(f"device.description=voxcam_cable {words}")
    monkeypatch.setattr(cable, "_pactl", pactl)
    assert cable.remove_leftovers() == ({"voxcam_cable"} if stays else set())
    assert len(pactl.modules) == (2 if stays else 0)


def test_a_program_that_nobody_has_waited_for_lives_no_more(other: subprocess.Popen[bytes]) -> None:
    assert cable._started(other.pid).isdecimal()
    other.kill()
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert cable._started(other.pid) == ""


@pytest.mark.parametrize(
    ("pid", "source", "itself"),
    [
        (os.getpid(), "voxcam_microphone", True),
        (os.getpid(), "voxcam_cable_2.monitor", True),
        (os.getpid(), "headset", False),
        (1, "voxcam_microphone", False),  # a call's
    ],
)
def test_a_microphone_that_listens_to_the_cable_is_seen(
    monkeypatch: pytest.MonkeyPatch, pid: int, source: str, itself: bool
) -> None:
    sources = f"0\talsa_input\tmodule\n17\t{source}\tmodule\n"
    stream = 'Source Output #4\n\tClient: 17\n\tSource: {}\n\tProperties:\n\t\tapplication.process.id = "{}"\n\n'
    streams = stream.format(0, os.getpid()) + stream.format(17, pid)

    def pactl(*arguments: str) -> subprocess.CompletedProcess[str]:
        listed = {("list", "short", "sources"): sources, ("list", "source-outputs"): streams}[arguments]
        return subprocess.CompletedProcess(arguments, 0, listed, "")

    monkeypatch.setattr(cable, "_pactl", pactl)
    assert cable.Cable().hears_itself() is itself


def test_an_interrupt_in_the_terminal_does_not_reach_pactl(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ended between its work and its answer, it would leave a module that nobody knows of."""
    run, sessions = subprocess.run, []

    def asked(_: list[str], **options: object) -> object:
        done = run([sys.executable, "-c", "import os; print(os.getsid(0))"], **options)  # type: ignore[call-overload]
        sessions.append(int(done.stdout))
        return done

    monkeypatch.setattr(subprocess, "run", asked)
    cable._pactl("info")
    assert sessions
    assert os.getsid(0) not in sessions
