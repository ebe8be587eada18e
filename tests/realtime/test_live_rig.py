"""Live with real PortAudio, real pyvirtualcam, OpenCV and Chromium; only sound card and kernel module are stand-ins."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
import soundfile

from tests.rigs.av_recorder import offsets_ms, zero_ms
from tests.rigs.camera_rig import CameraRig
from tests.rigs.sound_rig import SoundRig

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.device


@contextmanager
def program(*arguments: str, env: dict[str, str], **options: object) -> Iterator[subprocess.Popen[str]]:
    """`python -m ...` that is ended like a user does it."""
    process = subprocess.Popen(
        [sys.executable, "-m", *arguments],
        env={**os.environ, **env},
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        **options,  # type: ignore[call-overload]
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def wait_for_line(process: subprocess.Popen[str], words: str) -> None:
    assert process.stderr is not None
    for line in process.stderr:
        if words in line:
            # Somebody must go on reading, or the pipe fills.
            threading.Thread(target=process.stderr.read, daemon=True).start()
            return
    raise AssertionError(f"no line with {words!r}")


def record(env: dict[str, str], seconds: float, *options: str) -> dict[str, list[float]]:
    command = [sys.executable, "-m", "tests.rigs.av_recorder", "record", str(seconds), *options]
    done = subprocess.run(
        command, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, timeout=seconds + 60, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def env(sound_rig: SoundRig, camera_rig: CameraRig) -> dict[str, str]:
    return {**sound_rig.env, **camera_rig.env}


def rigs_zero_ms(env: dict[str, str]) -> float:
    """What the recorder sees when picture and sound are handed over at the same moment: the rig's own buffers."""
    found = []
    for _ in range(2):  # it differs by 10 ms from start to start
        with program("tests.rigs.av_recorder", "produce", env=env) as producer:
            assert producer.stdout is not None
            assert producer.stdout.readline().strip() == "ready"
            recorded = record(env, 5)
            producer.terminate()
            handed_over = producer.communicate(timeout=20)[0].splitlines()
        assert len(recorded["flashes"]) >= 4
        assert len(recorded["beeps"]) >= 4
        found.append(zero_ms(handed_over, recorded))
    return float(np.mean(found))


# What a call is to have, and one block of the rig's: where in it a stream begins is chance. The grain of pictures is in
# the spread, not in the median.
MOST_OFFSET_MS, RIG_RESOLVES_MS = 25.0, 10.0


@pytest.mark.parametrize("lookahead_ms", [0, 40, 80])
def test_microphone_to_camera_and_cable_in_step(env: dict[str, str], lookahead_ms: int, tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--camera", "/dev/video0", "--camera-size", "640x480", "--audio-out", "vox_cable", "--no-badge"]
    options += ["--lookahead-ms", str(lookahead_ms), "--json-log", str(log)]
    zero = rigs_zero_ms(env)  # a machine that gets busier moves it: measured each time
    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        time.sleep(3)
        recorded = record(env, 15, "feed")
    assert recorded["shape"] == [480, 640, 3]
    assert recorded["pictures"][0] > 15 * 15
    assert len(recorded["flashes"]) >= 16
    assert len(recorded["beeps"]) >= 16
    offsets = offsets_ms(recorded)
    offset = float(np.median(offsets)) - zero
    last = json.loads(log.read_text().splitlines()[-1])
    spread = np.percentile(offsets - np.median(offsets), [10, 90])
    print(f"lookahead {lookahead_ms}: sound after picture {offset:+.0f} ms (zero {zero:+.0f}), spread {spread.round()}")
    print(f"newest sample {last['newest_sample_age']}, cable {last['audio_out']}")
    assert abs(offset) < MOST_OFFSET_MS + RIG_RESOLVES_MS, f"sound after picture by {offset:.0f} ms"
    assert last["overflows"] == 0
    assert last["gap_hops"] == 0
    assert live.returncode == 0


def test_ctrl_c_leaves_a_recording_that_plays(env: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "call.mp4"
    options = ["--camera", "none", "--out", str(out), "--camera-size", "320x240"]
    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        time.sleep(2)
        live.send_signal(signal.SIGINT)
        live.wait(20)
    assert live.returncode == 0
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) > 20
        assert container.streams.audio[0].codec_context.sample_rate > 0


def test_a_sound_server_that_dies_and_comes_back(sound_rig: SoundRig, env: dict[str, str], tmp_path: Path) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--camera", "none", "--camera-size", "320x240", "--json-log", str(log), "--audio-out", "vox_cable"]
    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        time.sleep(2)
        sound_rig.stop_server()
        time.sleep(3)
        sound_rig.start_server()
        for _ in range(100):
            time.sleep(0.2)
            entries = [json.loads(line) for line in log.read_text().splitlines()]
            if any(e["microphone_lost"] for e in entries) and not entries[-1]["microphone_lost"]:
                break
        time.sleep(4)
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        assert live.poll() is None
    assert any(entry["microphone_lost"] for entry in entries)
    assert not entries[-1]["microphone_lost"]
    assert entries[-1]["gap_hops"] > 50
    pulls = [entry["audio_out"]["pulls"] for entry in entries]
    assert pulls[-1] > pulls[-2] > pulls[-3]  # the cable plays again
    pictures = [entry["pictures"] for entry in entries]
    assert all(later > earlier for earlier, later in pairwise(pictures))


def test_a_program_that_was_stopped_goes_on_as_before(env: dict[str, str], tmp_path: Path) -> None:
    """As after a computer's sleep: the sound of that time is lost in part, and what had waited comes in a burst."""
    log = tmp_path / "log.jsonl"
    options = ["--camera", "none", "--camera-size", "320x240", "--json-log", str(log), "--audio-out", "vox_cable"]
    options += ["--out", str(tmp_path / "call.mkv")]

    def entries(least: int) -> list[dict[str, Any]]:
        for _ in range(300):
            found = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
            if len(found) >= least:
                return found
            time.sleep(0.1)
        raise AssertionError("the log stands still")

    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        before = len(entries(4))
        live.send_signal(signal.SIGSTOP)
        time.sleep(10)
        live.send_signal(signal.SIGCONT)
        after = entries(before + 6)[before:]
    assert live.returncode == 0
    assert all(entry["picture_rate"] == 25 for entry in after)  # it was not this machine's speed
    assert all(later["elapsed_s"] - earlier["elapsed_s"] > 0.5 for earlier, later in pairwise(after[1:]))
    first, last = after[1], after[4]
    seconds = last["elapsed_s"] - first["elapsed_s"]
    seen = sum(last[key] - first[key] for key in ("pictures", "late_pictures"))
    assert seen == pytest.approx(25 * seconds, abs=8)  # it goes by the clock, and stands nowhere
    assert last["pictures"] - first["pictures"] > 10 * seconds
    with av.open(str(tmp_path / "call.mkv")) as container:
        times = [picture.pts for picture in container.decode(video=0)]
    assert len(times) > 100
    assert times == sorted(set(times))
    assert len(times) > 0.85 * entries(1)[-1]["pictures"]  # a busy disk drops some


def test_the_made_cable_comes_back_with_its_sound_server(sound_rig: SoundRig, env: dict[str, str]) -> None:
    options = ["--camera", "none", "--camera-size", "320x240", "--make-cable"]
    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        time.sleep(2)
        sound_rig.stop_server()
        assert sound_rig.ask("info").returncode != 0  # with it goes its memory of the cable
        time.sleep(2)
        sound_rig.start_server()
        for _ in range(100):
            time.sleep(0.2)
            sinks = sound_rig.ask("list", "short", "sinks").stdout
            inputs = sound_rig.ask("list", "sink-inputs").stdout
            number = next((line.split("\t")[0] for line in sinks.splitlines() if "voxcam_cable" in line), "")
            if number and f"Sink: {number}\n" in inputs:
                break
        assert number, "the cable did not come back"
        assert f"Sink: {number}\n" in inputs, "nothing plays into it"
        assert "voxcam_microphone" in sound_rig.ask("list", "short", "sources").stdout
    assert live.returncode == 0
    assert "voxcam" not in sound_rig.ask("list", "short", "modules").stdout


def test_the_cable_is_made_takes_all_sound_and_is_removed(
    sound_rig: SoundRig, env: dict[str, str], tmp_path: Path
) -> None:
    log = tmp_path / "log.jsonl"
    options = ["--camera", "none", "--camera-size", "320x240", "--make-cable", "--json-log", str(log)]
    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        time.sleep(1.5)
        sources = sound_rig.ask("list", "short", "sources").stdout
        inputs = sound_rig.ask("list", "sink-inputs").stdout
        sinks = sound_rig.ask("list", "short", "sinks").stdout
        assert "voxcam_microphone" in sources
        number = next(line.split("\t")[0] for line in sinks.splitlines() if "voxcam_cable" in line)
        assert f"Sink: {number}" in inputs
        time.sleep(5)
    assert "voxcam" not in sound_rig.ask("list", "short", "sources").stdout
    assert "voxcam" not in sound_rig.ask("list", "short", "sinks").stdout
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    first, last = entries[1], entries[-1]
    seconds = last["elapsed_s"] - first["elapsed_s"]
    taken = last["audio_out"]["samples"] - first["audio_out"]["samples"]
    # A null sink with rewinds took half of the sound, and the rest was lost.
    assert taken / (seconds * last["audio_out"]["rate_hz"]) > 0.9


def test_a_microphone_that_becomes_the_cable_is_left(sound_rig: SoundRig, env: dict[str, str], tmp_path: Path) -> None:
    """As where the only microphone is unplugged: the call heard the last quarter of a second again and again."""
    log = tmp_path / "log.jsonl"
    options = ["--camera", "none", "--camera-size", "320x240", "--make-cable", "--json-log", str(log)]

    def wait_until(lost: bool) -> None:
        for _ in range(200):
            entries = log.read_text().splitlines() if log.exists() else []
            if entries and json.loads(entries[-1])["microphone_lost"] is lost:
                return
            time.sleep(0.1)
        raise AssertionError(f"lost is never {lost}")

    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        wait_until(lost=False)
        try:
            sound_rig.ask("set-default-source", "voxcam_microphone")
            wait_until(lost=True)
        finally:
            sound_rig.ask("set-default-source", "vox_feed.monitor")
        wait_until(lost=False)
    assert live.returncode == 0


def test_a_cable_is_no_microphone_to_begin_with(sound_rig: SoundRig, env: dict[str, str]) -> None:
    options = ["--camera", "none", "--camera-size", "320x240", "--make-cable"]
    live = ["tests.rigs.loud_voxcam", "live", "--portrait", "any", *options]
    with program(*live, env=env) as first:
        wait_for_line(first, "live:")
        try:
            sound_rig.ask("set-default-source", "voxcam_microphone")
            with program(*live, env=env) as second:
                told = second.communicate(timeout=60)[1]
        finally:
            sound_rig.ask("set-default-source", "vox_feed.monitor")
    assert second.returncode == 1
    assert "there is none but the cable itself" in told


def test_what_a_killed_program_left_is_removed_by_the_next(sound_rig: SoundRig, env: dict[str, str]) -> None:
    options = ["--camera", "none", "--camera-size", "320x240", "--make-cable"]
    live = ["tests.rigs.loud_voxcam", "live", "--portrait", "any", *options]
    with program(*live, env=env) as killed:
        wait_for_line(killed, "live:")
        killed.kill()
        killed.wait()
    assert "sink_name=voxcam_cable " in sound_rig.ask("list", "short", "modules").stdout
    with program(*live, env=env) as second:
        wait_for_line(second, "live:")
        modules = sound_rig.ask("list", "short", "modules").stdout
        assert modules.count("sink_name=voxcam_cable ") == 1
        assert modules.count("source_name=voxcam_microphone ") == 1
    assert second.returncode == 0
    assert "voxcam" not in sound_rig.ask("list", "short", "modules").stdout


def test_two_at_once_have_a_cable_each(sound_rig: SoundRig, env: dict[str, str]) -> None:
    options = ["--camera", "none", "--camera-size", "320x240", "--make-cable"]
    live = ["tests.rigs.loud_voxcam", "live", "--portrait", "any", *options]
    with program(*live, env=env) as first:
        wait_for_line(first, "live:")
        with program(*live, env=env) as second:
            wait_for_line(second, "choose voxcam_microphone_2 as")
            time.sleep(2)
            sources = sound_rig.ask("list", "short", "sources").stdout
            assert "voxcam_microphone\t" in sources
            assert "voxcam_microphone_2\t" in sources
        sources = sound_rig.ask("list", "short", "sources").stdout
        assert "voxcam_microphone\t" in sources
        assert "voxcam_microphone_2" not in sources
    assert (first.returncode, second.returncode) == (0, 0)
    assert "voxcam" not in sound_rig.ask("list", "short", "modules").stdout


def test_a_camera_in_use_is_told(env: dict[str, str]) -> None:
    options = ["--source", "-", "--camera", "/dev/video0", "--camera-size", "320x240"]
    live = ["tests.rigs.loud_voxcam", "live", "--portrait", "any", *options]
    with program(*live, env=env, stdin=subprocess.PIPE) as first:
        wait_for_line(first, "live:")
        with program(*live, env=env) as second:
            _, err = second.communicate(timeout=60)
        lines = [line for line in err.splitlines() if line.startswith("voxcam: ")]
        assert second.returncode == 1
        assert len(lines) == 1
        assert "/dev/video0 cannot be opened" in lines[0]
        assert "voxcam doctor" in lines[0]


def test_a_camera_without_pyvirtualcam(env: dict[str, str]) -> None:
    """Colours, order and the refusal of a second writer, by our own three system calls."""
    blocked = "import sys; sys.modules['pyvirtualcam'] = None; "
    writer = blocked + (
        "import itertools, time, numpy as np\n"
        "from realtime.pictures.camera import CameraSink\n"
        "from realtime.messages import Picture\n"
        "with CameraSink() as camera:\n"
        "    camera.open(240, 320, 25); print('ready', camera.name, flush=True)\n"
        "    for i in itertools.count():\n"  # until it is ended
        "        camera.send(Picture(i, np.full((240, 320, 3), (200, 80, i % 50 * 4), np.uint8), 0, 0, 0))\n"
        "        time.sleep(0.02)\n"
    )
    reader = (
        "import cv2, json; camera = cv2.VideoCapture('/dev/video0', cv2.CAP_V4L2)\n"
        "print(json.dumps([camera.read()[1].mean((0, 1)).tolist() for _ in range(30)]))"
    )
    second = blocked + "from realtime.pictures.camera import CameraSink; CameraSink('/dev/video0').open(240, 320, 25)"
    environment = {**os.environ, **env}
    with subprocess.Popen(
        [sys.executable, "-c", writer], env=environment, cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline().split() == ["ready", "/dev/video0"]
            run = {"env": environment, "cwd": ROOT, "capture_output": True, "text": True, "timeout": 60, "check": False}
            seen = subprocess.run([sys.executable, "-c", reader], **run)  # type: ignore[call-overload]
            refused = subprocess.run([sys.executable, "-c", second], **run)  # type: ignore[call-overload]
        finally:
            process.terminate()
    colours = np.array(json.loads(seen.stdout.splitlines()[-1]))
    assert np.abs(colours[:, 2] - 200).max() < 6
    assert np.abs(colours[:, 1] - 80).max() < 6
    assert np.ptp(colours[:, 0]) > 50
    assert refused.returncode != 0
    assert "DeviceError" in refused.stderr
    assert "/dev/video0 cannot be opened" in refused.stderr


@pytest.mark.parametrize(("rate_hz", "channels"), [(44_100, 2), (48_000, 6)])
def test_a_microphone_of_another_kind_gives_the_same_sound(
    sound_rig: SoundRig, env: dict[str, str], rate_hz: int, channels: int
) -> None:
    """A tone through a sound card of this kind, the sound server and PortAudio is the tone at 16 kHz."""
    tone = (
        "import time, numpy as np, sounddevice as sd\n"
        "at = 0\n"
        "def play(out, count, *_):\n"
        "    global at\n"
        "    out[:] = 0.4 * np.sin(2 * np.pi * 1000 / 48_000 * (at + np.arange(count)))[:, None]\n"
        "    at += count\n"
        "options = dict(samplerate=48_000, channels=1, blocksize=480, latency='low')\n"
        "with sd.OutputStream(device='default', callback=play, **options):\n"
        "    time.sleep(120)\n"
    )
    listen = (
        "import json\n"
        "from realtime.audio.microphone import Microphone\n"
        "hops = []\n"
        "with Microphone('default') as microphone:\n"
        "    while len(hops) < 500:\n"
        "        if (hop := microphone.read_hop(10**8)) is not None: hops.append(hop.samples.tolist())\n"
        "print(json.dumps([microphone.losses, sum(hops[-300:], [])]))\n"
    )
    name = f"odd_{channels}"
    kind = [f"sink_name={name}", f"rate={rate_hz}", f"channels={channels}", "norewinds=1"]
    module = sound_rig.ask("load-module", "module-null-sink", *kind).stdout.strip()
    environment = {**os.environ, **env, "PULSE_SINK": name, "PULSE_SOURCE": f"{name}.monitor"}
    run = {"env": environment, "cwd": ROOT, "text": True}
    try:
        with subprocess.Popen([sys.executable, "-c", tone], **run) as player:  # type: ignore[call-overload]
            listening = [sys.executable, "-c", listen]
            done = subprocess.run(listening, **run, capture_output=True, timeout=60, check=False)  # type: ignore[call-overload]
            player.terminate()
    finally:
        sound_rig.ask("unload-module", module)
    assert done.returncode == 0, done.stderr
    losses, samples = json.loads(done.stdout.splitlines()[-1])
    assert losses == 0
    # By the second: a busy machine may tear the tone somewhere, which is no fault of the sound's kind.
    t = np.arange(8_000) / 16_000
    waves = np.stack([np.sin(2 * np.pi * 1000 * t), np.cos(2 * np.pi * 1000 * t)], 1)
    halves = np.array(samples)[: len(samples) // 8_000 * 8_000].reshape(-1, 8_000)
    found = [np.linalg.lstsq(waves, half, rcond=None)[0] for half in halves]
    rests = [np.sqrt(np.mean((half - waves @ part) ** 2)) for half, part in zip(halves, found, strict=True)]
    best = int(np.argmin(rests))
    level = float(np.hypot(*found[best]))
    print(f"{rate_hz} Hz x {channels}: level {level:.4f}, rests {np.round(rests, 5)}")
    assert rests[best] < 0.001 * level
    assert level == pytest.approx(0.4, rel=0.005)


def test_pyaudio_as_the_microphone(env: dict[str, str]) -> None:
    pytest.importorskip("pyaudio", reason="needs the pyaudio extra")
    options = ["--camera", "none", "--camera-size", "320x240", "--microphone", "pyaudio:default", "--seconds", "2"]
    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        out, err = live.communicate(timeout=60)
    assert live.returncode == 0, err
    assert "pictures in" in out
    assert int(out.split(" pictures in")[0].split()[-1]) > 30


def test_sync_test_measures_the_whole_path(env: dict[str, str]) -> None:
    options = ["--play-to", "vox_feed", "--camera", "/dev/video0", "--audio-out", "vox_cable"]
    options += ["--listen", "vox_cable_monitor", "--seconds", "9", "--json"]
    with program("realtime.cli", "sync-test", *options, env=env) as test:
        out, err = test.communicate(timeout=90)
    assert test.returncode == 0, err
    found = json.loads(out)
    assert found["microphone_to_picture"]["count"] >= 4
    assert found["microphone_to_cable"]["count"] >= 4
    assert abs(found["sound_after_picture"]["p50_ms"]) < 150


def test_devices_and_doctor_see_the_rig(env: dict[str, str]) -> None:
    with program("realtime.cli", "devices", "--json", env=env) as devices:
        found = json.loads(devices.communicate(timeout=60)[0])
    assert any("vox_feed" in device["name"] for device in found["microphones"])
    assert any(device["name"] == "vox_cable" for device in found["sound_outputs"])
    assert found["cameras"][0] == {"device": "/dev/video0", "name": "voxcam test camera 0", "kind": "loopback"}
    with program("realtime.cli", "doctor", "--json", env=env) as doctor:
        report = json.loads(doctor.communicate(timeout=120)[0])
    states = {finding["name"]: finding["state"] for finding in report["findings"]}
    assert states["camera"] == "ok"
    assert states["cable"] == "ok"
    assert states["microphone"] in ("ok", "warn")  # the rig is silent
    assert report["works"] == ("fail" not in states.values())
    assert doctor.returncode == (0 if report["works"] else 1)


PAGE = b"""<!doctype html><link rel=icon href=data:,><body style="margin:0;background:#222">
<video id=v autoplay muted playsinline style="width:640px"></video><script>
const worklet = `registerProcessor('hear', class extends AudioWorkletProcessor {
  process(inputs) { const x = inputs[0][0]; let top = 0;
    if (x) for (const s of x) top = Math.max(top, Math.abs(s));
    if (top > 0.2 && !this.loud) this.port.postMessage(Date.now());
    this.loud = top > 0.2 ? 40 : Math.max(0, (this.loud || 0) - 1); return true; } });`;
window.flashes = []; window.beeps = []; window.pictures = 0;
async function start() {
  let media = await navigator.mediaDevices.getUserMedia({audio: true, video: true});
  media.getTracks().forEach(t => t.stop());
  const devices = (await navigator.mediaDevices.enumerateDevices()).filter(d => d.kind !== 'audiooutput');
  media = await navigator.mediaDevices.getUserMedia({video: true, audio: {
    deviceId: {exact: (devices.find(d => d.label === 'vox_cable_microphone') || {}).deviceId},
    echoCancellation: false, noiseSuppression: false, autoGainControl: false}});
  const audio = new AudioContext({latencyHint: 'interactive'});
  await audio.audioWorklet.addModule(URL.createObjectURL(new Blob([worklet], {type: 'text/javascript'})));
  const hear = new AudioWorkletNode(audio, 'hear');
  hear.port.onmessage = e => window.beeps.push(e.data);
  audio.createMediaStreamSource(media).connect(hear);
  const v = document.getElementById('v'); v.srcObject = media; await v.play();
  const c = new OffscreenCanvas(8, 8), g = c.getContext('2d', {willReadFrequently: true}); let was = true;
  const look = () => { g.drawImage(v, 0, 0, 8, 8); const white = g.getImageData(4, 4, 1, 1).data[1] > 90;
    window.pictures++; if (white && !was) window.flashes.push(Date.now()); was = white;
    v.requestVideoFrameCallback(look); };
  v.requestVideoFrameCallback(look);
  const settings = media.getVideoTracks()[0].getSettings();
  return {devices: devices.map(d => d.kind + ': ' + d.label), width: settings.width, height: settings.height};
}
</script>"""


class PageHandler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(PAGE)

    def log_message(self, *_: object) -> None:
        return


BROWSER = """
import json, sys, time
from playwright.sync_api import sync_playwright
path, url, png, seconds = sys.argv[1:]
flags = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync",
         "--disable-component-update", "--autoplay-policy=no-user-gesture-required", "--use-fake-ui-for-media-stream"]
with sync_playwright() as p:
    browser = p.chromium.launch(executable_path=path, args=flags)
    page = browser.new_page(viewport={"width": 640, "height": 360})
    page.goto(url)
    info = page.evaluate("start()")
    time.sleep(float(seconds))
    page.locator("video").screenshot(path=png)
    flashes, beeps, pictures = page.evaluate("[window.flashes, window.beeps, window.pictures]")
    browser.close()
print(json.dumps(info | {"flashes": flashes, "beeps": beeps, "pictures": pictures}))
"""


def browse(chromium: str, env: dict[str, str], png: Path, seconds: float) -> dict[str, object]:
    """Open the call page in Chromium for some seconds."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), PageHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        done = subprocess.run(
            [sys.executable, "-c", BROWSER, chromium, url, str(png), str(seconds)],
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=seconds + 90,
            check=False,
        )
    finally:
        server.shutdown()
        server.server_close()
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_call_page_in_chromium_gets_camera_and_cable(env: dict[str, str], chromium: str, tmp_path: Path) -> None:
    options = ["--camera", "/dev/video0", "--camera-size", "640x480", "--audio-out", "vox_cable", "--no-badge"]
    with program("tests.rigs.loud_voxcam", "live", "--portrait", "any", *options, env=env) as live:
        wait_for_line(live, "live:")
        with program("tests.rigs.av_recorder", "feed", env=env) as feeder:  # for as long as Chromium takes
            seen = browse(chromium, env, tmp_path / "call.png", 7)
            assert feeder.poll() is None
    assert "videoinput: voxcam test camera 0" in str(seen["devices"])
    assert (seen["width"], seen["height"]) == (640, 480)
    assert int(seen["pictures"]) > 60  # type: ignore[call-overload]
    assert len(seen["flashes"]) >= 3  # type: ignore[arg-type]
    assert len(seen["beeps"]) >= 3  # type: ignore[arg-type]
    offsets = offsets_ms({key: [t / 1000 for t in seen[key]] for key in ("flashes", "beeps")})  # type: ignore[attr-defined]
    assert abs(np.median(offsets)) < 400  # the browser's own zero is 60 to 180 ms


def test_the_shipped_face_in_chromium(env: dict[str, str], chromium: str, tmp_path: Path) -> None:
    assets = files("realtime") / "assets"
    samples, rate = soundfile.read(str(assets / "speech.opus"))
    soundfile.write(tmp_path / "minute.wav", np.tile(samples, 12), rate)
    options = ["--camera", "/dev/video0", "--camera-size", "640x360", "--source", str(tmp_path / "minute.wav")]
    with program("realtime.cli", "live", "--portrait", str(assets / "portrait.jpg"), *options, env=env) as live:
        wait_for_line(live, "live:")
        seen = browse(chromium, env, tmp_path / "face.png", 2)
    assert int(seen["pictures"]) > 15  # type: ignore[call-overload]
    shown = cv2.imread(str(tmp_path / "face.png"))
    assert shown.std() > 30, "no face is shown"
    if keep := os.environ.get("VOXCAM_KEEP_SCREENSHOT"):
        Path(keep).write_bytes((tmp_path / "face.png").read_bytes())
