"""The virtual camera (the only module that imports pyvirtualcam)."""

from __future__ import annotations

import sys
from typing import Any

from engines.errors import DeviceError
from realtime.clock import NS, Clock, SystemClock
from realtime.messages import Picture
from realtime.sinks import Sink

RETRY_NS = NS
FIXES = {
    "linux": "sudo modprobe v4l2loopback exclusive_caps=1 card_label=voxcam",
    "darwin": "install OBS Studio 30 or later and press 'Start Virtual Camera' once",
    "win32": "install OBS Studio: it brings the camera",
}
FIX = FIXES.get(sys.platform, FIXES["linux"]) + " (voxcam doctor tells more)"


def import_pyvirtualcam() -> Any:
    try:
        import pyvirtualcam
    except ImportError as error:
        raise DeviceError("the virtual camera's library is not installed", "pip install 'voxcam[camera]'") from error
    return pyvirtualcam


class CameraSink(Sink):
    """Pictures to v4l2loopback (Linux) or the OBS camera (Windows, macOS).

    A camera that is lost while the stream runs is tried again every second; pictures between are dropped.
    """

    def __init__(self, device: str | None = None, clock: Clock | None = None) -> None:
        self.name = device or "camera"
        self.dropped = 0
        self._device = device
        self._clock = clock or SystemClock()
        self._camera: Any = None
        self._shape = (0, 0, 0)
        self._next_try_ns = 0

    def open(self, height: int, width: int, picture_rate: int) -> None:
        self._shape = (height, width, picture_rate)
        if height % 2 or width % 2:
            raise DeviceError(f"a camera picture of {width}x{height} has an odd side", "use --camera-size 1280x720")
        self._open()

    def _open(self) -> None:
        pyvirtualcam = import_pyvirtualcam()
        height, width, picture_rate = self._shape
        try:
            self._camera = pyvirtualcam.Camera(width, height, picture_rate, device=self._device)
        except (RuntimeError, ValueError, OSError) as error:
            reason = str(error).strip().splitlines()[-1].strip() if str(error).strip() else type(error).__name__
            which = f"the camera {self._device}" if self._device else "a virtual camera"
            raise DeviceError(f"{which} cannot be opened ({reason})", FIX) from error
        self.name = str(self._camera.device)

    def send(self, picture: Picture) -> None:
        if self._camera is None:
            self._reopen()
            if self._camera is None:
                self.dropped += 1
                return
        try:
            self._camera.send(picture.pixels)
        except (RuntimeError, OSError):
            self._drop_camera()

    def _drop_camera(self) -> None:
        self.dropped += 1
        self._next_try_ns = self._clock.now_ns() + RETRY_NS
        self.close()

    def _reopen(self) -> None:
        now_ns = self._clock.now_ns()
        if now_ns < self._next_try_ns:
            return
        self._next_try_ns = now_ns + RETRY_NS
        try:
            self._open()
        except DeviceError:
            return  # still away; the next try comes

    @property
    def lost(self) -> bool:
        return self._camera is None

    def close(self) -> None:
        camera, self._camera = self._camera, None
        if camera is not None:
            try:
                camera.close()
            except (RuntimeError, OSError):
                return  # it is gone already


def list_cameras() -> list[dict[str, str]]:
    """Devices that pyvirtualcam can write to on this computer, as far as they can be listed."""
    if sys.platform == "linux":
        return _list_v4l2()
    return [{"name": "OBS Virtual Camera", "device": "", "kind": "obs"}]


def _list_v4l2() -> list[dict[str, str]]:
    import fcntl
    import os
    import re
    from pathlib import Path

    found = []
    for path in sorted(Path("/dev").glob("video*"), key=lambda p: (len(p.name), p.name)):
        if not re.fullmatch(r"video\d+", path.name):
            continue
        capability = bytearray(104)
        entry = {"device": str(path), "name": path.name, "kind": "unknown"}
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK)
        except PermissionError:
            found.append(entry | {"kind": "no permission"})
            continue
        except OSError:
            continue
        try:
            fcntl.ioctl(fd, 0x80685600, capability)  # VIDIOC_QUERYCAP
        except OSError:
            continue
        finally:
            os.close(fd)
        driver = capability[:16].split(b"\0")[0].decode(errors="replace")
        entry["name"] = capability[16:48].split(b"\0")[0].decode(errors="replace")
        caps = int.from_bytes(capability[88:92], "little")
        entry["kind"] = "loopback" if "loopback" in driver else "real camera"
        if entry["kind"] == "loopback" and caps & 0x1 and not caps & 0x2:
            entry["kind"] = "loopback, busy"  # exclusive_caps announces CAPTURE only while somebody writes
        found.append(entry)
    return found
