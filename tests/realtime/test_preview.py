"""The preview window, on a real X server whose screen can be read; and what is said where there is none."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from engines.errors import DeviceError, OutputError
from realtime.messages import Picture
from realtime.pictures.preview import PreviewSink
from tests.rigs.display_rig import DisplayRig

ROOT = Path(__file__).parents[2]
LOUD = [sys.executable, "-m", "tests.rigs.loud_voxcam", "live", "--portrait", "any", "--no-badge"]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """A minute that gets louder every second: the window gets brighter with it."""
    path = tmp_path / "steps.wav"
    soundfile.write(path, np.repeat(np.arange(60) * 0.005, 16_000).astype(np.float32), 16_000)
    return path


def options(sound: Path) -> list[str]:
    return [*LOUD, "--source", str(sound), "--camera", "none", "--preview", "--camera-size", "640x360"]


def until(met: Callable[[], bool], seconds: float = 30.0) -> bool:
    end = time.monotonic() + seconds
    while not met() and time.monotonic() < end:
        time.sleep(0.05)
    return met()


def children(process: subprocess.Popen[str]) -> list[int]:
    return [int(pid) for pid in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()]


def test_the_window_shows_what_is_spoken_and_goes_with_the_program(display_rig: DisplayRig, sound: Path) -> None:
    greys = [0]

    def seen() -> bool:
        picture = display_rig.screen()[:360, :640]
        if (picture == picture[0, 0, 0]).all() and picture[0, 0, 0] != greys[-1]:  # whole, not being painted
            greys.append(int(picture[0, 0, 0]))
        return len(greys) >= 5

    with subprocess.Popen(
        options(sound), cwd=ROOT, env={**os.environ, **display_rig.env}, stderr=subprocess.PIPE, text=True
    ) as live:
        assert until(seen), greys
        (window,) = children(live)
        live.send_signal(signal.SIGINT)
        assert live.stderr is not None
        errors = live.stderr.read()
        assert live.wait(20) == 0, errors
    assert "live:" in errors
    assert not Path(f"/proc/{window}").exists()
    # Grey 20 is silence; each second adds 2.
    assert greys == sorted(greys)
    assert greys[1] >= 20
    assert greys[-1] < 140
    assert until(lambda: not display_rig.screen().any(), 5)


def test_a_window_that_hangs_holds_up_no_end(display_rig: DisplayRig, sound: Path) -> None:
    with subprocess.Popen(
        options(sound), cwd=ROOT, env={**os.environ, **display_rig.env}, stderr=subprocess.PIPE, text=True
    ) as live:
        assert live.stderr is not None
        assert "live:" in live.stderr.readline()
        (window,) = children(live)
        os.kill(window, signal.SIGSTOP)
        time.sleep(1.0)  # by now its pipe is full
        live.send_signal(signal.SIGINT)
        try:
            assert live.wait(20) == 0
        finally:
            live.kill()
    assert not Path(f"/proc/{window}").exists()


def test_a_window_closed_by_hand_leaves_the_other_sinks(display_rig: DisplayRig, sound: Path, tmp_path: Path) -> None:
    out = tmp_path / "kept.mp4"
    with subprocess.Popen(
        [*options(sound), "--out", str(out), "--seconds", "6"],
        cwd=ROOT,
        env={**os.environ, **display_rig.env},
        stderr=subprocess.PIPE,
        text=True,
    ) as live:
        # Until it shows a picture: an empty window, grey 217, may belong to a program that is still starting.
        assert until(lambda: 20 <= int(display_rig.screen()[:360, :640].min()) <= display_rig.screen().max() < 140)
        os.kill(children(live)[0], signal.SIGTERM)
        assert live.stderr is not None
        errors = live.stderr.read()
        live.wait(30)
    assert errors.count("the preview window was closed") >= 1
    assert "Traceback" not in errors
    assert out.stat().st_size > 1000


def test_pictures_are_scaled_to_the_window_with_their_colours(
    display_rig: DisplayRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in display_rig.env.items():
        monkeypatch.setenv(name, value)
    pixels = np.zeros((1080, 1440, 3), np.uint8)
    pixels[:, :720] = (220, 40, 10)
    with PreviewSink() as preview:
        preview.open(1080, 1440, 25)  # 960x720 in the window, of which the screen shows 800x600
        preview.send(Picture(0, pixels, 0, 0, 0))
        assert until(lambda: tuple(display_rig.screen()[300, 100]) == (220, 40, 10), 10)
        assert tuple(display_rig.screen()[300, 700]) == (0, 0, 0)
        window = preview._window
        assert window is not None
        window.kill()
        window.wait()
        with pytest.raises(OutputError, match="the preview window was closed"):
            preview.send(Picture(1, pixels, 0, 0, 0))


def test_a_preview_without_windows_is_told(sound: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    command = [*options(sound), "--seconds", "1"]
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert len(done.stderr.strip().splitlines()) == 1
    assert "this computer cannot open windows" in done.stderr
    assert "leave --preview out" in done.stderr


def test_without_tkinter_it_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "tkinter.py").write_text("raise ImportError('no tkinter')\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(DeviceError, match=r"tkinter is not installed.*leave --preview out"):
        PreviewSink().open(360, 640, 25)
