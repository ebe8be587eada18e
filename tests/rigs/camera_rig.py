"""A virtual camera without a kernel module: builds camera_shim.c and makes /dev/videoN placeholders."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from pathlib import Path

RING_BYTES = 4096 + 4 * 1920 * 1080 * 4


class CameraRig:
    """Programs started with `env` see the camera `device`; others see an empty file of that name."""

    def __init__(self, folder: Path, number: int = 0) -> None:
        self.folder, self.number = folder, number
        self.device = f"/dev/video{number}"
        self._library = folder / "camera_shim.so"
        self.env = {"VCAM_DIR": str(folder), "LD_PRELOAD": str(self._library)}

    @staticmethod
    def missing() -> str:
        """Why it cannot run here, or ""."""
        if os.name != "posix" or not Path("/proc/self").exists():
            return "the camera rig needs Linux"
        if shutil.which("gcc") is None:
            return "the camera rig needs gcc"
        if os.geteuid() != 0:
            return "the camera rig needs root, to place a name in /dev"
        return ""

    def start(self) -> None:
        import fcntl

        self.folder.mkdir(parents=True, exist_ok=True)
        source = Path(__file__).with_name("camera_shim.c")
        build = ["gcc", "-O2", "-shared", "-fPIC", "-o", str(self._library), str(source), "-lpthread"]
        subprocess.run(build, check=True, capture_output=True, text=True)
        placeholder = Path(self.device)
        if placeholder.exists() and (not placeholder.is_file() or placeholder.stat().st_size):
            raise RuntimeError(f"{self.device} exists")
        self._placeholder = placeholder.open("ab")  # Chromium lists /dev
        fcntl.flock(self._placeholder, fcntl.LOCK_SH)  # other runs on this computer use the same name
        with (self.folder / f"video{self.number}").open("wb") as ring:
            ring.truncate(RING_BYTES)

    def stop(self) -> None:
        import fcntl

        with self._placeholder as placeholder, contextlib.suppress(BlockingIOError):
            fcntl.flock(placeholder, fcntl.LOCK_EX | fcntl.LOCK_NB)
            Path(self.device).unlink(missing_ok=True)  # nobody else needs it
        shutil.rmtree(self.folder, ignore_errors=True)
