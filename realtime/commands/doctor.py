"""`voxcam doctor`: would live work here? Each check gives one line, and each failure the line to type."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import typer

from engines.errors import VoxcamError
from realtime.clock import NS, SystemClock, cpu_s
from realtime.commands.options import AsJson

SYSTEM = {"linux": "linux", "darwin": "macos", "win32": "windows"}.get(sys.platform, "linux")
MEASURE_S = 2.0
FAST, ENOUGH = 50, 25  # pictures a second: with room to spare, and what live asks for


@dataclass(frozen=True, slots=True)
class Finding:
    """One check. state: ok, warn (live works without it) or fail (it does not)."""

    name: str
    state: str
    what: str
    fix: str = ""


INSTALL = "install voxcam again: in its folder, pip install --force-reinstall ."
FIXES = {
    "portaudio": {
        "linux": "sudo apt-get install libportaudio2",
        "macos": "pip install --force-reinstall sounddevice",
        "windows": "pip install --force-reinstall sounddevice",
    },
    "microphone": {
        "linux": "pactl list short sources   (is one there? else connect a microphone)",
        "macos": "System Settings > Privacy & Security > Microphone: allow your terminal, then start it again",
        "windows": "Settings > Privacy & security > Microphone: let desktop apps access it",
    },
    "silence": {
        "linux": "pactl set-source-mute @DEFAULT_SOURCE@ 0   (or another one: voxcam devices, then --microphone NAME)",
        "macos": "System Settings > Privacy & Security > Microphone: allow your terminal, then start it again",
        "windows": "Settings > Privacy & security > Microphone: let desktop apps access it; is it muted?",
    },
    "pyvirtualcam": dict.fromkeys(("linux", "macos", "windows"), 'pip install "voxcam[camera]"'),
    "camera": {
        "linux": "sudo apt-get install v4l2loopback-dkms && "
        "sudo modprobe v4l2loopback exclusive_caps=1 card_label=voxcam",
        "macos": "install OBS Studio 30 or later, start it once and press 'Start Virtual Camera', then stop it",
        "windows": "install OBS Studio: it registers the OBS Virtual Camera",
    },
    "exclusive_caps": {
        "linux": "sudo modprobe -r v4l2loopback && sudo modprobe v4l2loopback exclusive_caps=1 card_label=voxcam",
    },
    "permission": {"linux": "sudo usermod -aG video $USER   (then log in again)"},
    "secure_boot": {
        "linux": "sudo mokutil --import /var/lib/dkms/mok.pub   (then restart and enrol the key)",
    },
    "cable": {
        "linux": "voxcam live --make-cable --portrait me.jpg",
        "macos": "brew install blackhole-2ch   then --audio-out BlackHole",
        "windows": 'install VB-Cable from vb-audio.com   then --audio-out "CABLE Input"',
    },
}


def fix_for(key: str) -> str:
    return FIXES[key].get(SYSTEM, "")


def check_python() -> Iterator[Finding]:
    text = f"Python {platform.python_version()} on {platform.system()} {platform.machine()}"
    yield Finding("python", "ok", text)


def check_packages() -> Iterator[Finding]:
    for name, module, needed in (
        ("numpy", "numpy", True),
        ("onnxruntime", "onnxruntime", True),
        ("opencv", "cv2", True),
        ("soundfile", "soundfile", True),
        ("PyAV", "av", True),
        ("OpenVINO", "openvino", False),
    ):
        there = find_spec(module) is not None
        if there:
            yield Finding(f"package {name}", "ok", f"{name} {_version(module)}".strip())
        elif needed:
            yield Finding(f"package {name}", "fail", f"{name} is not installed", INSTALL)
        else:
            yield Finding(f"package {name}", "ok", f"{name} is not installed (not needed)")


def _version(module: str) -> str:
    names = {"cv2": ("opencv-python-headless", "opencv-python")}.get(module, (module,))
    for name in names:
        try:
            return version(name)
        except PackageNotFoundError:
            continue
    return ""


def check_engines() -> Iterator[Finding]:
    """The shipped models open and the encoder steps."""
    try:
        import numpy as np

        from engines.spec import SPEC
        from realtime.engines_in_use import open_engines

        with open_engines() as engines:
            chunk = np.zeros(SPEC.chunk_samples, np.float32)
            engines.encoder.step(chunk, engines.encoder.init_state())
        yield Finding("engines", "ok", "the shipped models open and run")
    except VoxcamError as error:
        yield Finding("engines", "fail", error.what, error.fix or INSTALL)


def check_microphone(seconds: float = 0.7) -> Iterator[Finding]:
    """A default microphone is there, opens, and something is heard."""
    try:
        from realtime.audio.microphone import Microphone
        from realtime.audio.sound import QUIET_PEAK, SILENT_PEAK
        from realtime.messages import AudioHop

        microphone = Microphone()
    except VoxcamError as error:
        fix = fix_for("portaudio") if "PortAudio" in error.what else _microphone_fix(error)
        yield Finding("microphone", "fail", error.what, fix)
        return
    clock = SystemClock()
    loudest, hops = 0.0, 0
    try:
        with microphone:
            until_ns = clock.now_ns() + round((seconds + 1.5) * NS)
            while hops < seconds * 100 and clock.now_ns() < until_ns:
                hop = microphone.read_hop(NS // 10)
                if isinstance(hop, AudioHop) and not hop.gap:
                    hops += 1
                    loudest = max(loudest, float(abs(hop.samples).max()))
    except VoxcamError as error:
        yield Finding("microphone", "fail", error.what, _microphone_fix(error))
        return
    name = f"{microphone.name!r} at {microphone.rate_hz} Hz"
    if hops == 0:
        yield Finding("microphone", "fail", f"{name} opens but gives no sound", fix_for("microphone"))
    elif loudest < SILENT_PEAK:
        what = f"{name} gives silence (peak {loudest:.5f}): muted, or not permitted"
        yield Finding("microphone", "warn", what, fix_for("silence"))
    else:
        hint = "; if you spoke just now, turn its gain up" if loudest < QUIET_PEAK else ""
        yield Finding("microphone", "ok", f"{name}, peak level {loudest:.4f}{hint}")


def _microphone_fix(error: VoxcamError) -> str:
    """Its own where the sound server does not answer: a microphone is not what is missing."""
    from realtime.audio.microphone import NoAnswer

    return error.fix if isinstance(error, NoAnswer) else fix_for("microphone")


def check_camera() -> Iterator[Finding]:
    """A virtual camera that pyvirtualcam can open."""
    if find_spec("pyvirtualcam") is not None:
        yield Finding("camera library", "ok", f"pyvirtualcam {_version('pyvirtualcam')}".strip())
    elif SYSTEM == "linux":
        yield Finding("camera library", "ok", "v4l2loopback is written to directly (no pyvirtualcam)")
    else:
        yield Finding("camera library", "fail", "pyvirtualcam is not installed", fix_for("pyvirtualcam"))
        return
    if SYSTEM == "linux":
        yield from _check_loopback()
        return
    from realtime.pictures.camera import CameraSink

    try:
        with CameraSink() as camera:
            camera.open(360, 640, 25)
            yield Finding("camera", "ok", f"{camera.name} opens")
    except VoxcamError as error:
        yield Finding("camera", "fail", error.what, fix_for("camera"))


def _check_loopback() -> Iterator[Finding]:
    from realtime.pictures.camera import list_cameras

    cameras = list_cameras()
    loopback = [camera for camera in cameras if camera["kind"] == "loopback"]
    busy = [camera for camera in cameras if camera["kind"] == "loopback, busy"]
    closed = [camera for camera in cameras if camera["kind"] == "no permission"]
    if loopback:
        yield Finding("camera", "ok", f"{loopback[0]['device']} ({loopback[0]['name']}) is free")
        yield from _check_exclusive_caps()
        return
    if busy:
        what = f"{busy[0]['device']} is in use by another program"
        yield Finding("camera", "fail", what, f"sudo fuser -v {busy[0]['device']}   (says by which)")
        return
    if closed:
        yield Finding("camera", "fail", f"you may not use {closed[0]['device']}", fix_for("permission"))
        return
    yield Finding("camera", "fail", "no virtual camera: the module v4l2loopback is not loaded", fix_for("camera"))
    if _secure_boot():
        what = "Secure Boot is on: an unsigned v4l2loopback is refused ('Key was rejected by service')"
        yield Finding("secure boot", "warn", what, fix_for("secure_boot"))


def _check_exclusive_caps() -> Iterator[Finding]:
    setting = Path("/sys/module/v4l2loopback/parameters/exclusive_caps")
    if not setting.is_file():
        return
    if "Y" in setting.read_text():
        yield Finding("exclusive_caps", "ok", "exclusive_caps=1: Chrome and Zoom list the camera")
    else:
        yield Finding(
            "exclusive_caps", "warn", "without exclusive_caps=1 Chrome does not list it", fix_for("exclusive_caps")
        )


def _secure_boot() -> bool:
    for variable in Path("/sys/firmware/efi/efivars").glob("SecureBoot-*"):
        try:
            return variable.read_bytes()[-1] == 1
        except (OSError, IndexError):
            return False
    return False


def check_cable() -> Iterator[Finding]:
    """Somewhere to play the delayed microphone; live works without, but the lips then lag behind the sound."""
    import shutil
    import subprocess

    if SYSTEM == "linux":
        if shutil.which("pactl") is None:
            yield Finding("cable", "warn", "pactl is not installed", "sudo apt-get install pulseaudio-utils")
            return
        try:
            answers = subprocess.run(["pactl", "info"], capture_output=True, timeout=5, check=False).returncode == 0
        except subprocess.TimeoutExpired:
            answers = False
        if answers:
            yield Finding("cable", "ok", "the sound server answers: --make-cable makes one", "")
        else:
            yield Finding("cable", "warn", "no sound server answers", "systemctl --user start pipewire-pulse")
        return
    try:
        from realtime.audio.microphone import find_device

        device = find_device("BlackHole" if SYSTEM == "macos" else "CABLE Input", "output")[1]
        yield Finding("cable", "ok", f"{device['name']} is there")
    except VoxcamError:
        yield Finding("cable", "warn", "no virtual cable for the delayed microphone", fix_for("cable"))


def check_speed() -> Iterator[Finding]:
    """Two seconds of work as live does it, 25 pictures a second at 720p, timed."""
    from importlib.resources import as_file, files

    import numpy as np

    from engines.compiling import watch_compiling
    from engines.spec import MOTION_CHANNELS, SPEC
    from realtime.cli import say
    from realtime.engines_in_use import open_engines
    from realtime.faces import load_portrait

    try:
        with as_file(files("realtime") / "assets" / "portrait.jpg") as photo:
            portrait = load_portrait(photo, camera=(1280, 720)).portrait
        clock = SystemClock()
        with watch_compiling(say), open_engines() as engines:
            random = np.random.default_rng(0)
            encoder_state, shaper_state = engines.encoder.init_state(), engines.shaper.init_state()
            motion = np.zeros(len(MOTION_CHANNELS), np.float32)
            engines.take_up(portrait)
            out = engines.generator.draw(motion, portrait)
            begin_ns, begin_cpu_s, pictures = clock.now_ns(), cpu_s(), 0
            while clock.now_ns() - begin_ns < MEASURE_S * NS:
                for _ in range(2):
                    chunk = random.normal(0, 0.05, SPEC.chunk_samples).astype(np.float32)
                    code, encoder_state = engines.encoder.step(chunk, encoder_state)
                    motion, shaper_state = engines.shaper.step(code, shaper_state, 0.05)
                out = engines.generator.draw(motion, portrait, out=out)
                pictures += 1
            wall_s = (clock.now_ns() - begin_ns) / NS
            cpu_ms = 1000 * (cpu_s() - begin_cpu_s) / pictures
    except VoxcamError as error:
        yield Finding("speed", "fail", error.what, error.fix)
        return
    yield judge_speed(pictures / wall_s, cpu_ms)


def judge_speed(rate: float, cpu_ms: float) -> Finding:
    """rate: pictures a second that were made just now; cpu_ms: processor time of one."""
    alone = 1000 / cpu_ms
    what = f"{rate:.0f} pictures/s at 1280x720, {cpu_ms:.1f} ms of CPU each"
    if rate >= FAST:
        return Finding("speed", "ok", what)
    if alone >= FAST:  # not this machine is slow
        what += f": other programs take the rest ({alone:.0f}/s without them)"
        return Finding("speed", "warn" if rate < ENOUGH else "ok", what, "close what else is busy")
    smaller = "voxcam live --camera-size 640x360"
    if rate < ENOUGH and alone < ENOUGH:
        return Finding("speed", "fail", what + ": too slow for 25/s", smaller + " --fps 15 --portrait me.jpg")
    return Finding("speed", "warn", what + ": just enough for 25/s", smaller + " --portrait me.jpg")


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_packages,
    check_engines,
    check_microphone,
    check_camera,
    check_cable,
    check_speed,
)


def examine() -> Iterator[Finding]:
    """All checks, one after the other. A check that breaks is a failure of its own, never the end."""
    for check in CHECKS:
        try:
            yield from check()
        except Exception as error:
            name = check.__name__.removeprefix("check_")
            yield Finding(name, "fail", f"the check itself broke ({type(error).__name__}: {error})", "report this")


def doctor(as_json: AsJson = False) -> None:
    """Say whether live would work here, and what to type if not."""
    findings: list[Finding] = []
    marks: dict[str, Any] = {"ok": "ok  ", "warn": "WARN", "fail": "FAIL"}
    for finding in examine():
        findings.append(finding)
        if not as_json:
            print(f"{marks[finding.state]}  {finding.name}: {finding.what}", flush=True)
            if finding.fix and finding.state != "ok":
                print(f"      -> {finding.fix}")
    works = all(finding.state != "fail" for finding in findings)
    if as_json:
        print(json.dumps({"works": works, "system": SYSTEM, "findings": [asdict(f) for f in findings]}, indent=2))
    else:
        print("live would work here" if works else "live would not work here yet: see FAIL above")
    raise typer.Exit(0 if works else 1)
