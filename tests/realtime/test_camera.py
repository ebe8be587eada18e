"""A camera that is pulled out and comes back, without one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engines.errors import DeviceError
from realtime.audio.sources import BlockSource
from realtime.clock import NS, FakeClock
from realtime.commands.live_session import LiveSession
from realtime.engines_in_use import Engines
from realtime.messages import Picture
from realtime.pictures.camera import CameraSink
from realtime.pipeline import Pipeline
from tests.fakes import FakeEncoder, FakeGenerator, FakePortrait, FakeShaper


class Plug:
    """What open_camera is to the sink: a device that can be away, and how often it was opened."""

    def __init__(self) -> None:
        self.away = False
        self.opened = 0
        self.closed = 0
        self.shown = 0

    def open(self, width: int, height: int, picture_rate: int, device: str | None) -> Plug:
        if self.away:
            raise DeviceError(f"the camera {device} cannot be opened (No such device)")
        self.opened += 1
        self.device = device or "/dev/video7"
        return self

    def send(self, pixels: np.ndarray) -> None:
        if self.away:
            raise OSError(19, "No such device")
        self.shown += 1

    def close(self) -> None:
        self.closed += 1
        if self.away:
            raise OSError(9, "Bad file descriptor")


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch) -> Plug:
    found = Plug()
    monkeypatch.setattr("realtime.pictures.camera.open_camera", found.open)
    return found


def picture(index: int = 0) -> Picture:
    return Picture(index, np.zeros((32, 48, 3), np.uint8), 0, 0, 0)


def test_pulled_out_and_put_back_it_goes_on_by_itself(plug: Plug) -> None:
    clock = FakeClock(NS)
    with CameraSink(None, clock) as camera:
        camera.open(32, 48, 25)
        for _ in range(10):
            camera.send(picture())
        assert (plug.shown, camera.lost) == (10, False)
        plug.away = True
        for _ in range(100):  # four seconds
            clock.advance(NS // 25)
            camera.send(picture())
        assert camera.lost
        assert camera.dropped == 100
        plug.away = False
        for _ in range(50):
            clock.advance(NS // 25)
            camera.send(picture())
        assert not camera.lost
        assert plug.opened == 2
        assert plug.shown >= 10 + 25
        assert camera.dropped <= 126
    assert plug.closed == 2


def test_a_lost_camera_is_told_and_so_is_its_return(plug: Plug) -> None:
    clock = FakeClock(NS)
    camera = CameraSink("/dev/video7", clock)
    camera.open(32, 48, 25)
    engines, portrait = Engines(FakeEncoder(), FakeShaper(), FakeGenerator()), FakePortrait()
    source = BlockSource(iter([np.zeros((16_000, 1), np.float32)]), 16_000, 1, paced=True)
    pipeline = Pipeline(
        source, engines.encoder, engines.shaper, engines.generator, portrait, [camera], size=portrait.size
    )
    session = LiveSession(pipeline, engines, Path("me.jpg"), (48, 32), "auto", None, None, None, 0.0, camera.name)
    session.poll()
    for away in (True, False, True):
        plug.away = away
        clock.advance(2 * NS)
        camera.send(picture())
        camera.send(picture())
        session.poll()
        session.poll()
    assert session.state["notes"] == [
        "/dev/video7 is lost: it is tried again every second",
        "/dev/video7 is back",
        "/dev/video7 is lost: it is tried again every second",
    ]
    camera.close()
