"""The virtual camera (the only module that imports pyvirtualcam).

On Linux, pyvirtualcam (GPL-2) can be left out: v4l2loopback takes pictures by three system calls, made here.
"""

from __future__ import annotations

import os
import re
import struct
import sys
from pathlib import Path
from typing import Any

import numpy as np

from engines.errors import DeviceError
from realtime.clock import NS, Clock, SystemClock
from realtime.messages import Picture
from realtime.pictures.sinks import Sink

RETRY_NS = NS
FIXES = {
    "linux": "sudo modprobe v4l2loopback exclusive_caps=1 card_label=voxcam",
    "darwin": "install OBS Studio 30 or later and press 'Start Virtual Camera' once",
    "win32": "install OBS Studio: it brings the camera",
}
FIX = FIXES.get(sys.platform, FIXES["linux"]) + " (voxcam doctor tells more)"


VIDIOC_QUERYCAP, VIDIOC_S_FMT = 0x80685600, 0xC0D05605
CAPTURE, OUTPUT = 1, 2  # device capabilities
FORMAT = struct.Struct("<II 10I 4I")  # v4l2_format as far as it is used: type, padding, v4l2_pix_format


def open_camera(width: int, height: int, picture_rate: int, device: str | None) -> Any:
    """A camera with `device`, `send(rgb)` and `close()`; DeviceError where there is none to be had."""
    try:
        import pyvirtualcam
    except ImportError as error:
        if sys.platform == "linux":
            return LoopbackCamera(width, height, device)
        raise DeviceError("the virtual camera's library is not installed", 'pip install "voxcam[camera]"') from error
    try:
        return pyvirtualcam.Camera(width, height, picture_rate, device=device)
    except (RuntimeError, ValueError, OSError) as error:
        raise DeviceError(f"{_which(device)} cannot be opened ({_reason(error)})", FIX) from error


def _reason(error: Exception) -> str:
    """Its last line; of the lines for each backend that there are on Windows the one for OBS, which FIX is about."""
    lines = [line.strip() for line in str(error).strip().splitlines()] or [type(error).__name__]
    return next((line for line in lines if line.startswith("'obs' backend")), lines[-1])


def _which(device: str | None) -> str:
    return f"the camera {device}" if device else "a virtual camera"


class LoopbackCamera:
    """Writes I420 pictures to a v4l2loopback device (videodev2.h: QUERYCAP, S_FMT, write)."""

    def __init__(self, width: int, height: int, device: str | None) -> None:
        free = [camera["device"] for camera in list_cameras() if camera["kind"] == "loopback"]
        if device is None and not free:
            raise DeviceError("there is no free virtual camera", FIX)
        self.device = device or free[0]
        self._yuv = np.empty((height * 3 // 2, width), np.uint8)
        try:
            self._fd = os.open(self.device, os.O_WRONLY | os.O_CLOEXEC)
        except OSError as error:
            raise DeviceError(f"{_which(self.device)} cannot be opened ({error.strerror})", FIX) from error
        try:
            self._set_format(width, height)
        except OSError as error:
            os.close(self._fd)
            raise DeviceError(f"{_which(self.device)} cannot be opened ({error.strerror})", FIX) from error

    def _set_format(self, width: int, height: int) -> None:
        import fcntl

        capability = bytearray(104)
        fcntl.ioctl(self._fd, VIDIOC_QUERYCAP, capability)
        if not int.from_bytes(capability[88:92], "little") & OUTPUT:
            raise OSError(0, "it is no output: in use, or a real camera")
        fourcc = int.from_bytes(b"YU12", "little")
        # type OUTPUT; width, height, format, field none, bytes a line, size, colorspace sRGB
        fields = (width, height, fourcc, 1, width, self._yuv.size, 8)
        wanted = bytearray(208)
        FORMAT.pack_into(wanted, 0, 2, 0, *fields, *[0] * (14 - len(fields)))
        fcntl.ioctl(self._fd, VIDIOC_S_FMT, wanted)
        got = FORMAT.unpack_from(wanted)[2:]
        if got[:3] != (width, height, fourcc):
            raise OSError(0, f"it wants {got[0]}x{got[1]}: close what watches it")

    def send(self, rgb: np.ndarray) -> None:
        """(height, width, 3) uint8 RGB."""
        import cv2

        cv2.cvtColor(rgb, cv2.COLOR_RGB2YUV_I420, dst=self._yuv)
        os.write(self._fd, self._yuv.data)

    def close(self) -> None:
        os.close(self._fd)


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
        self._lost = False

    def open(self, height: int, width: int, picture_rate: int) -> None:
        self._shape = (height, width, picture_rate)
        if height % 2 or width % 2:
            raise DeviceError(f"a camera picture of {width}x{height} has an odd side", "use --camera-size 1280x720")
        self._open()

    def _open(self) -> None:
        height, width, picture_rate = self._shape
        self._camera = open_camera(width, height, picture_rate, self._device)
        self.name = str(self._camera.device)
        self._lost = False

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
        self._lost = True
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
        return self._lost

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
            fcntl.ioctl(fd, VIDIOC_QUERYCAP, capability)
        except OSError:
            continue
        finally:
            os.close(fd)
        driver = capability[:16].split(b"\0")[0].decode(errors="replace")
        entry["name"] = capability[16:48].split(b"\0")[0].decode(errors="replace")
        capabilities = int.from_bytes(capability[88:92], "little")
        entry["kind"] = "loopback" if "loopback" in driver else "real camera"
        if entry["kind"] == "loopback" and capabilities & CAPTURE and not capabilities & OUTPUT:
            entry["kind"] = "loopback, busy"  # exclusive_caps announces CAPTURE only while somebody writes
        found.append(entry)
    return found
