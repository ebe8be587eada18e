"""`voxcam sync-test` without devices: what it does where the camera cannot be read back."""

from __future__ import annotations

import sys
from contextlib import nullcontext

import numpy as np
import pytest

from engines.errors import DeviceError
from realtime.audio.sources import BlockSource
from realtime.commands import sync_test
from realtime.pictures.sinks import NullSink


@pytest.fixture
def devices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A microphone that hears one sound, of a quarter of a second, and a camera that nobody can read back."""
    loud = np.arange(1_000) // 25 == 1  # long: a busy machine may leave pictures of it out
    blocks = np.repeat(loud.astype(np.float32), 160).reshape(-1, 160, 1)
    source = BlockSource(iter(blocks), 16_000, 1, paced=True)
    monkeypatch.setattr("realtime.audio.microphone.Microphone", lambda wanted: source)
    monkeypatch.setattr("realtime.pictures.camera.CameraSink", lambda wanted: NullSink())
    monkeypatch.setattr(sync_test, "Beeper", nullcontext)
    monkeypatch.setattr(sync_test, "watch_camera", lambda device, events, halt: None)


def measured(camera: str | None = None) -> dict[str, dict[str, float]]:
    return sync_test.measure("loop", None, camera, None, None, seconds=1.0, fps=25, lookahead_ms=0)


def test_where_cameras_cannot_be_read_back_pictures_are_taken_at_their_hand_over(
    devices: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    assert measured()["microphone_to_picture"]["count"] == 1


def test_a_camera_that_shows_no_flash_is_told(devices: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.raises(DeviceError, match="no flash was seen in null: give another camera, or --camera none"):
        measured()


@pytest.mark.parametrize(("platform", "camera"), [("linux", "none"), ("win32", None)])
def test_pictures_that_were_all_too_late_are_not_a_cameras_fault(
    devices: None, monkeypatch: pytest.MonkeyPatch, platform: str, camera: str | None
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(sync_test, "_note_hand_over", lambda pipeline, events: None)
    with pytest.raises(DeviceError, match="no flash was handed over: all its pictures came too late: close other"):
        measured(camera)
