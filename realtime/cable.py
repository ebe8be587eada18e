"""A virtual cable on PulseAudio or PipeWire: made for the time of a call, and removed after it.

A null sink takes the delayed microphone; a plain source on its monitor is what calls choose as their microphone
(browsers do not list monitors).
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from types import TracebackType

from engines.errors import DeviceError

SINK, SOURCE = "voxcam_cable", "voxcam_microphone"
OTHER_SYSTEMS = {
    "darwin": "install BlackHole (brew install blackhole-2ch), then --audio-out BlackHole",
    "win32": "install VB-Cable, then --audio-out 'CABLE Input'",
}


class Cable:
    """`with Cable() as cable:` PortAudio's default output then plays into it (environment PULSE_SINK)."""

    sink, source = SINK, SOURCE

    def __init__(self) -> None:
        self._modules: list[str] = []
        self._environment: dict[str, str | None] = {}

    def __enter__(self) -> Cable:
        if sys.platform in OTHER_SYSTEMS:
            raise DeviceError("--make-cable works on Linux only", OTHER_SYSTEMS[sys.platform])
        if shutil.which("pactl") is None:
            raise DeviceError("pactl, which makes the cable, is not installed", "sudo apt-get install pulseaudio-utils")
        self._remove_leftovers()
        try:
            self._load("module-null-sink", f"sink_name={SINK}", f"sink_properties=device.description={SINK}")
            self._load(
                "module-remap-source",
                f"source_name={SOURCE}",
                f"master={SINK}.monitor",
                f"source_properties=device.description={SOURCE}",
            )
        except BaseException:
            self.__exit__(None, None, None)
            raise
        # Both ALSA plugins, PulseAudio's and PipeWire's, take their target from the environment when a stream opens.
        for name, value in (("PULSE_SINK", SINK), ("PIPEWIRE_NODE", SINK)):
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
        while self._modules:
            _pactl("unload-module", self._modules.pop())

    def _load(self, *arguments: str) -> None:
        done = _pactl("load-module", *arguments)
        if done.returncode:
            reason = done.stderr.strip() or "no sound server answers"
            raise DeviceError(f"the cable cannot be made ({reason})", "check that pactl info works")
        self._modules.append(done.stdout.strip())

    @staticmethod
    def _remove_leftovers() -> None:
        """What a killed voxcam left behind: the source first, since it sits on the sink."""
        listed = _pactl("list", "short", "modules").stdout.splitlines()
        ours = [line.split("\t") for line in listed if f"={SINK}" in line]
        for number, *_ in sorted(ours, key=lambda columns: "null-sink" in columns[1]):
            _pactl("unload-module", number)


def _pactl(*arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return subprocess.run(["pactl", *arguments], capture_output=True, text=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 1, "", "pactl does not answer")
