"""A sound system without a sound card: PulseAudio with null sinks, and an ALSA configuration that leads to it.

vox_feed     play into it; its monitor is the default input, "the microphone"
vox_cable    stands for a virtual cable; vox_cable_microphone is what a call page chooses
vox_speaker  the default output: silent
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

RATE_HZ = 48_000
NULL = "load-module module-null-sink norewinds=1 rate={rate} channels=2 format=float32le sink_name={name} "
NULL += "sink_properties=device.description={name}"
REMAP = "load-module module-remap-source source_name={name} master={master} source_properties=device.description={name}"


class SoundRig:
    """Programs started with `env` (PortAudio over ALSA, browsers over PulseAudio) hear and feed this server."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._socket = folder / "native"
        self.env = {
            "PULSE_SERVER": f"unix:{self._socket}",
            "ALSA_CONFIG_PATH": str(folder / "alsa.conf"),
            # 20 ms works on an idle machine only: PortAudio's ALSA code underruns under load.
            "PULSE_LATENCY_MSEC": "40",
        }
        self._server: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str:
        """Why it cannot run here, or ""."""
        for program in ("pulseaudio", "pactl"):
            if shutil.which(program) is None:
                return f"the sound rig needs {program}"
        if not any(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")):
            return "the sound rig needs libasound2-plugins"
        try:
            import sounddevice  # noqa: F401
        except (ImportError, OSError):
            return "the sound rig needs libportaudio2"
        return ""

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [NULL.format(rate=RATE_HZ, name=name) for name in ("vox_feed", "vox_cable", "vox_speaker")]
        lines += [
            REMAP.format(name="vox_cable_microphone", master="vox_cable.monitor"),
            f"load-module module-native-protocol-unix auth-anonymous=1 socket={self._socket}",
            "set-default-sink vox_speaker",
            "set-default-source vox_feed.monitor",
        ]
        (self.folder / "start.pa").write_text("\n".join(lines) + "\n")
        names = ["ctl.!default { type pulse }", "pcm.!default { type pulse }", "pcm.pulse { type pulse }"]
        for name in ("vox_feed", "vox_cable", "vox_speaker"):
            names += [f"pcm.{name} {{ type pulse device {name} }}"]
            names += [f"pcm.{name}_monitor {{ type pulse device {name}.monitor }}"]
        (self.folder / "alsa.conf").write_text("\n".join(names) + "\n")
        self.start_server()

    def start_server(self) -> None:
        """Start PulseAudio (again)."""
        self._socket.unlink(missing_ok=True)
        command = ["pulseaudio", "-n", "-F", str(self.folder / "start.pa"), "--daemonize=no", "--use-pid-file=no"]
        command += ["--exit-idle-time=-1", "--disable-shm=yes", "--resample-method=speex-float-1"]
        command += [f"--log-target=file:{self.folder / 'log'}"]
        home = {
            "HOME": self.folder,
            "PULSE_RUNTIME_PATH": self.folder / "run",
            "PULSE_STATE_PATH": self.folder / "state",
        }
        self._server = subprocess.Popen(
            command,
            env={**os.environ, **{name: str(path) for name, path in home.items()}},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(100):
            if self.ask("info").returncode == 0:
                return
            time.sleep(0.1)
        raise RuntimeError(f"PulseAudio did not answer; see {self.folder / 'log'}")

    def stop_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                server.wait(5)
            if server.poll() is None:
                server.kill()
                server.wait()

    def stop(self) -> None:
        self.stop_server()
        shutil.rmtree(self.folder, ignore_errors=True)

    def ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """pactl with these arguments."""
        return subprocess.run(
            ["pactl", *arguments],
            env={**os.environ, **self.env},
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
