"""A screen without a monitor: Xvfb, whose picture lies in a file that can be read."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import numpy as np

WIDTH, HEIGHT = 800, 600


class DisplayRig:
    """Programs started with `env` open their windows here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env: dict[str, str] = {}
        self._server: subprocess.Popen[bytes] | None = None

    @staticmethod
    def missing() -> str:
        """Why it cannot run here, or ""."""
        if shutil.which("Xvfb") is None:
            return "the display rig needs Xvfb"
        try:
            import tkinter  # noqa: F401
        except ImportError:
            return "the display rig needs Python's tkinter"
        return ""

    def start(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        read, write = os.pipe()
        command = ["Xvfb", "-displayfd", str(write), "-screen", "0", f"{WIDTH}x{HEIGHT}x24", "-nolisten", "tcp"]
        command += ["-fbdir", str(self.folder)]
        self._server = subprocess.Popen(command, pass_fds=[write], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as pipe:
            number = pipe.readline().strip()
        if not number:
            raise RuntimeError("Xvfb did not start")
        self.env = {"DISPLAY": f":{number}", "WAYLAND_DISPLAY": ""}

    def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.terminate()
            server.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def screen(self) -> np.ndarray:
        """What is on the screen now, (HEIGHT, WIDTH, 3) uint8 RGB. The file is an X window dump (XWDFile.h)."""
        dump = (self.folder / "Xvfb_screen0").read_bytes()
        header = struct.unpack(">25I", dump[:100])
        begin = header[0] + 12 * header[19]  # the header, and the colour map
        rows = np.frombuffer(dump, np.uint8, HEIGHT * header[12], begin).reshape(HEIGHT, header[12])
        return rows.reshape(HEIGHT, -1, 4)[:, :WIDTH, 2::-1]
