"""Picture and sound as somebody in a call has them: flashes of the camera and beeps of the cable, on one clock.

    python -m tests.rigs.av_recorder record SECONDS [feed]   print {"flashes": [...], "beeps": [...], "fed": [...]} in s
    python -m tests.rigs.av_recorder produce                  flash the camera and beep into the cable together
    python -m tests.rigs.av_recorder feed                     beep into the microphone until it is ended

`produce` prints when it handed over each flash and each beep: how much later the recorder has them is the rig's own.
With `feed`, `record` plays beeps into the microphone, and the product must be running between microphone and camera.
All in the environment of both rigs.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import numpy as np

DEVICE = "/dev/video0"
RATE_HZ = 48_000
BEEP_S, EVERY_S = 0.15, 0.613  # drifts through all phases of 25 and 30 pictures a second
WIDTH, HEIGHT, PICTURE_RATE = 640, 480, 30
IN_STEP_S = 18 / PICTURE_RATE  # the producer's own: a beep begins with a picture
WHITE = 100  # the loud face is 20 in silence, 190 in a beep: just under the half, which is a picture between two codes


class Beeper:
    """An output callback that beeps again and again from `start` on."""

    def __init__(self, start: float, every_s: float = EVERY_S) -> None:
        self.start, self.every_s = start, every_s
        self.begun: list[float] = []
        self._samples = 0
        self._on = False

    def on(self, now: float) -> bool:
        return now >= self.start and (now - self.start) % self.every_s < BEEP_S

    def __call__(self, out: np.ndarray, count: int, _times: object, _status: object) -> None:
        now = time.monotonic()
        on = self.on(now)
        if on and not self._on:
            self.begun.append(now)
        self._on = on
        out[:, 0] = 0.6 * np.sin((self._samples + np.arange(count)) * 0.2) if on else 0
        self._samples += count


def produce() -> None:
    import pyvirtualcam
    import sounddevice as sd

    dark, white = (np.full((HEIGHT, WIDTH, 3), level, np.uint8) for level in (20, 255))
    beeper = Beeper(time.monotonic() + 1.0, IN_STEP_S)
    options = {"samplerate": RATE_HZ, "channels": 1, "blocksize": 480, "latency": "low"}
    with (
        sd.OutputStream(device="vox_cable", callback=beeper, **options),
        pyvirtualcam.Camera(WIDTH, HEIGHT, PICTURE_RATE, device=DEVICE) as camera,
    ):
        print("ready", flush=True)
        n, told, was = 0, 0, True
        while True:
            time.sleep(max(0.0, beeper.start + (n - PICTURE_RATE) / PICTURE_RATE + 1e-4 - time.monotonic()))
            now = time.monotonic()
            on = beeper.on(now)
            camera.send(white if on else dark)
            if on and not was:
                print("flash", now, flush=True)
            for begun in beeper.begun[told:]:
                print("beep", begun, flush=True)
            n, told, was = n + 1, len(beeper.begun), on


def feed() -> None:
    import sounddevice as sd

    beeper = Beeper(time.monotonic() + 1.0)
    with sd.OutputStream(
        device="vox_feed", callback=beeper, samplerate=RATE_HZ, channels=1, blocksize=480, latency="low"
    ):
        threading.Event().wait()


def record(seconds: float, feed: bool) -> dict[str, list[float]]:
    import cv2
    import sounddevice as sd

    flashes: list[float] = []
    beeps: list[float] = []
    shapes: set[tuple[int, ...]] = set()
    quiet, stop, pictures = RATE_HZ, threading.Event(), 0

    def hear(block: np.ndarray, count: int, _times: object, _status: object) -> None:
        nonlocal quiet
        now = time.monotonic()
        loud = np.flatnonzero(np.abs(block[:, 0]) > 0.2)
        if len(loud) and quiet + loud[0] > RATE_HZ // 10:
            beeps.append(now - (count - loud[0]) / RATE_HZ)  # when that sample was recorded
        quiet = count - 1 - int(loud[-1]) if len(loud) else quiet + count

    def see() -> None:
        nonlocal pictures
        camera, was = cv2.VideoCapture(DEVICE, cv2.CAP_V4L2), True
        while not stop.is_set():
            got, picture = camera.read()
            if not got:
                break
            pictures += 1
            shapes.add(picture.shape)
            white = picture[::16, ::16].mean() > WHITE
            if white and not was:
                flashes.append(time.monotonic())
            was = white
        camera.release()

    looker = threading.Thread(target=see)
    options = {"samplerate": RATE_HZ, "channels": 1, "blocksize": 480, "latency": "low"}
    beeper = Beeper(time.monotonic() + 1.0)
    with sd.InputStream(device="vox_cable_monitor", callback=hear, **options):
        looker.start()
        if feed:
            with sd.OutputStream(device="vox_feed", callback=beeper, **options):
                time.sleep(seconds)
        else:
            time.sleep(seconds)
        stop.set()
        looker.join()
    return {
        "flashes": flashes,
        "beeps": beeps,
        "fed": beeper.begun,
        "pictures": [pictures],
        "shape": [float(side) for shape in shapes for side in shape],
    }


def zero_ms(handed_over: list[str], recorded: dict[str, list[float]]) -> float:
    """By how much longer the rig takes for sound than for pictures, from `produce`'s lines and what was recorded.

    Event by event, since a beep begins with a callback and a flash with a picture: their grids lie anywhere.
    """

    def later_ms(word: str, seen: list[float]) -> float:
        given = np.array([float(line.split()[1]) for line in handed_over if line.startswith(word)])
        return float(np.median([1000 * (at - given[given < at].max()) for at in seen if (given < at).any()]))

    return later_ms("beep", recorded["beeps"]) - later_ms("flash", recorded["flashes"])


def offsets_ms(recorded: dict[str, list[float]]) -> np.ndarray:
    """From each flash to the beep nearest to it; > 0: the sound comes after the picture."""
    beeps = np.array(recorded["beeps"])
    if not len(beeps):
        return np.zeros(0)
    return np.array([1000 * min(beeps - flash, key=abs) for flash in recorded["flashes"]])


if __name__ == "__main__":
    if sys.argv[1] == "produce":
        produce()
    elif sys.argv[1] == "feed":
        feed()
    else:
        print(json.dumps(record(float(sys.argv[2]), sys.argv[3:] == ["feed"])))
