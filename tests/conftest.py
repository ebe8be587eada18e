"""Fixtures for all tests: a cache of their own, and the rigs for sound, camera and browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from realtime.interrupts import interrupts
from tests.rigs.camera_rig import CameraRig
from tests.rigs.display_rig import DisplayRig
from tests.rigs.sound_rig import SoundRig

for leaks in ("FORCE_COLOR", "TTY_COMPATIBLE", "VOXCAM_DEBUG", "VOXCAM_C2PA_CERT", "VOXCAM_C2PA_KEY"):
    os.environ.pop(leaks, None)  # of whoever runs the tests: it would change what commands say and write

# Before torch is imported: threads that wait for each other crawl on a busy machine.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines: a busy machine is no bug. `make fuzz` looks ten times as long.
settings.register_profile("default", deadline=None)
settings.register_profile("fuzz", deadline=None, max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Portraits and engines are cached away from the user's own."""
    folder = tmp_path_factory.mktemp("cache")
    before = os.environ.get("VOXCAM_CACHE")
    os.environ["VOXCAM_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["VOXCAM_CACHE"]
    else:
        os.environ["VOXCAM_CACHE"] = before


@pytest.fixture(autouse=True)
def patient_interrupts() -> Iterator[None]:
    """What asks a sound server makes interrupts impatient, for good: a signal could then end pytest at once."""
    yield
    interrupts.impatient = False


@pytest.fixture(scope="session")
def sound_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoundRig]:
    """A running sound server without a sound card; give `env` to programs under test."""
    if missing := SoundRig.missing():
        pytest.skip(missing)
    rig = SoundRig(tmp_path_factory.mktemp("sound"))
    rig.start()
    yield rig
    rig.stop()


@pytest.fixture(scope="session")
def camera_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CameraRig]:
    """A virtual camera without a kernel module; give `env` to programs under test."""
    if missing := CameraRig.missing():
        pytest.skip(missing)
    pytest.importorskip("pyvirtualcam", reason="needs the camera extra")
    rig = CameraRig(tmp_path_factory.mktemp("camera"))
    rig.start()
    yield rig
    rig.stop()


@pytest.fixture(scope="session")
def display_rig(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisplayRig]:
    """A screen without a monitor; give `env` to programs under test."""
    if missing := DisplayRig.missing():
        pytest.skip(missing)
    rig = DisplayRig(tmp_path_factory.mktemp("display"))
    rig.start()
    yield rig
    rig.stop()


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of a Chromium that playwright can steer."""
    pytest.importorskip("playwright", reason="needs playwright")
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and (path := shutil.which(name)):
            return path
    pytest.skip("needs chromium")
