"""A virtual cable on PulseAudio or PipeWire: made for the time of a call, and removed after it.

A null sink takes the delayed microphone; a plain source on its monitor is what calls choose as their microphone
(browsers do not list monitors).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from types import TracebackType

from engines.errors import DeviceError

SINK, SOURCE = "voxcam_cable", "voxcam_microphone"
# With rewinds a null sink of PulseAudio 16 takes sound at half its pace from programs that write in small pieces.
PACE = "norewinds=1"
OWNER, STARTED = "voxcam.pid", "voxcam.started"  # the program that made it: another may get its number afterwards
PULSE_FIX = "check that pactl info works"
OTHER_SYSTEMS = {
    "darwin": "install BlackHole (brew install blackhole-2ch), then --audio-out BlackHole",
    "win32": 'install VB-Cable, then --audio-out "CABLE Input"',  # cmd knows no other quotes
}


class Cable:
    """`with Cable() as cable:` PortAudio's default output then plays into it (environment PULSE_SINK).

    Where another living voxcam has one, this one's names end in _2, _3 and so on.
    """

    def __init__(self) -> None:
        self.sink, self.source = SINK, SOURCE
        self._modules: list[str] = []
        self._environment: dict[str, str | None] = {}

    def __enter__(self) -> Cable:
        if sys.platform in OTHER_SYSTEMS:
            raise DeviceError("--make-cable works on Linux only", OTHER_SYSTEMS[sys.platform])
        if shutil.which("pactl") is None:
            raise DeviceError("pactl, which makes the cable, is not installed", "sudo apt-get install pulseaudio-utils")
        taken = remove_leftovers()
        number = next(n for n in range(1, len(taken) + 2) if _numbered(SINK, n) not in taken)
        self.sink, self.source = _numbered(SINK, number), _numbered(SOURCE, number)
        self._make()
        # Both ALSA plugins, PulseAudio's and PipeWire's, take their target from the environment when a stream opens.
        for name, value in (("PULSE_SINK", self.sink), ("PIPEWIRE_NODE", self.sink)):
            self._environment[name] = os.environ.get(name)
            os.environ[name] = value
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for name, before in self._environment.items():
            if before is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = before
        self._environment.clear()
        self._remove()

    def restore(self) -> None:
        """Make the cable again where a sound server that was restarted has lost it; DeviceError where that fails.

        Without it, what names it would play elsewhere: out of the loudspeakers.
        """
        sinks = _pactl("list", "short", "sinks")
        if sinks.returncode:
            raise DeviceError(f"the cable cannot be made ({_why(sinks)})", PULSE_FIX)
        if self.sink not in (line.split("\t")[1] for line in sinks.stdout.splitlines() if "\t" in line):
            self._modules.clear()
            self._make()

    def hears_itself(self) -> bool:
        """Whether a microphone of this program listens to a cable: then what was said last goes round for ever.

        A sound server whose microphone is unplugged moves streams to what it has left, and takes the cable for one.
        """
        return any(name.startswith((SINK, SOURCE)) for name in _recorded())

    def _make(self) -> None:
        pid = os.getpid()
        properties = f"device.description={self.sink} {OWNER}={pid} {STARTED}={_started(pid)}"
        names = (f"sink_name={self.sink}", f"sink_properties='{properties}'")
        try:
            try:
                self._load("module-null-sink", *names, PACE)
            except DeviceError:
                self._load("module-null-sink", *names)  # a sound server that does not know this argument
            self._load(
                "module-remap-source",
                f"source_name={self.source}",
                f"master={self.sink}.monitor",
                f"source_properties=device.description={self.source}",
            )
        except BaseException:
            self._remove()
            raise

    def _remove(self) -> None:
        while self._modules:
            _pactl("unload-module", self._modules.pop())

    def _load(self, *arguments: str) -> None:
        done = _pactl("load-module", *arguments)
        if done.returncode:
            raise DeviceError(f"the cable cannot be made ({_why(done)})", PULSE_FIX)
        self._modules.append(done.stdout.strip())


def remove_leftovers() -> set[str]:
    """Remove the cables that killed programs left behind; gives the names of those that are in use."""
    listed = [line.split("\t") for line in _pactl("list", "short", "modules").stdout.splitlines()]
    ours: dict[str, list[str]] = {}  # cable -> its modules, what sits on it first
    owners: dict[str, tuple[int, str]] = {}
    for number, _, arguments, *_ in (columns for columns in listed if len(columns) > 2):
        if found := re.search(rf"(sink_name|master)=({SINK}(?:_\d+)?)(\.monitor)?(?:\s|$)", arguments):
            cable = found.group(2)
            ours.setdefault(cable, []).insert(0 if found.group(1) == "master" else 9, number)
            if owner := re.search(rf"{OWNER}=(\d+)(?: {STARTED}=(\d+))?", arguments):
                owners[cable] = int(owner.group(1)), owner.group(2) or ""
    used = {cable for cable in ours if cable in owners and _lives(*owners[cable])}
    for cable in ours.keys() - used:
        for number in ours[cable]:
            _pactl("unload-module", number)
    return used


def _recorded() -> set[str]:
    """The names of the sources that streams of this program record."""
    listed = [line.split("\t") for line in _pactl("list", "short", "sources").stdout.splitlines()]
    names = {columns[0]: columns[1] for columns in listed if len(columns) > 1}
    streams = _pactl("list", "source-outputs").stdout.split("Source Output #")
    ours = f'application.process.id = "{os.getpid()}"'
    numbers = (re.search(r"^\s*Source: (\d+)$", stream, re.MULTILINE) for stream in streams if ours in stream)
    return {names.get(number.group(1), "") for number in numbers if number}


def _lives(pid: int, started: str) -> bool:
    """The program that made a cable runs, whatever its command line says; an older version left no `started`."""
    now = _started(pid)
    return pid != os.getpid() and now != "" and started in ("", now)


def _started(pid: int) -> str:
    """When a process began, in ticks since the computer did; "" where none with this number runs."""
    try:
        state, *others = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if state in "ZX" else others[18]


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name}_{number}"


def _why(failed: subprocess.CompletedProcess[str]) -> str:
    return " ".join(failed.stderr.split()) or "no sound server answers"


def _pactl(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = ["pactl", *arguments]
    try:
        return subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=5,
            check=False,
            env={**os.environ, "LC_ALL": "C"},  # its lists are translated
            start_new_session=True,  # or a Ctrl-C in the terminal ends it, too: a module is left that nobody knows of
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 1, "", "pactl does not answer")
