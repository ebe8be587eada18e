"""The preview window: a process of its own, fed through a pipe.

Windows want the main thread of their process on some systems and a thread of their own on others, and a window that
hangs must not hold the stream up. Tk comes with Python, so nothing more needs to be installed on most computers.

    python -m realtime.pictures.preview WIDTH HEIGHT        raw RGB pictures on standard input; the newest one is shown
"""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from typing import Any, BinaryIO

import numpy as np

from engines.errors import DeviceError, OutputError
from realtime.broken_pipe import reader_is_gone
from realtime.messages import Picture
from realtime.pictures.sinks import Sink

MOST_WIDTH, MOST_HEIGHT = 960, 720
READY = b"ready"
LOOK_MS = 8  # how often the window looks for a new picture
FIX = "leave --preview out" + {"linux": ", or sudo apt-get install python3-tk"}.get(sys.platform, "")


class PreviewSink(Sink):
    """Shows pictures in a window, scaled down to fit. Closing the window ends this sink."""

    name = "preview"

    def __init__(self) -> None:
        self._window: subprocess.Popen[bytes] | None = None
        self._small = np.empty((0, 0, 3), np.uint8)

    def open(self, height: int, width: int, picture_rate: int) -> None:
        scale = min(1.0, MOST_WIDTH / width, MOST_HEIGHT / height)
        self._small = np.empty((round(height * scale), round(width * scale), 3), np.uint8)
        size = [str(side) for side in self._small.shape[1::-1]]
        command = [sys.executable, "-m", "realtime.pictures.preview", *size]
        self._window = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._window.stdout is not None
        said = self._window.stdout.readline().strip()
        if said != READY:
            self.close()
            reason = said.decode(errors="replace") or "the window's program ended"
            raise DeviceError(f"this computer cannot open windows ({reason})", FIX)

    def send(self, picture: Picture) -> None:
        import cv2

        window = self._window
        if window is None or window.stdin is None:
            return
        if picture.pixels.shape == self._small.shape:
            shown = picture.pixels
        else:
            cv2.resize(picture.pixels, self._small.shape[1::-1], dst=self._small, interpolation=cv2.INTER_AREA)
            shown = self._small
        try:
            window.stdin.write(shown.data)
            window.stdin.flush()
        except (OSError, ValueError) as error:
            if isinstance(error, OSError) and not reader_is_gone(error):
                raise
            raise OutputError("the preview window was closed") from error

    def close(self) -> None:
        window, self._window = self._window, None
        if window is None:
            return
        window.kill()  # first: while it hangs, `send` stands in a write and holds the pipe that is to be closed
        window.wait()
        for pipe in (window.stdin, window.stdout):
            if pipe is not None:
                try:
                    pipe.close()
                except OSError as error:
                    if not reader_is_gone(error):
                        raise


class Newest:
    """The newest picture that came in; older ones are dropped."""

    def __init__(self, pipe: BinaryIO, width: int, height: int) -> None:
        self._pipe, self._header = pipe, b"P6 %d %d 255\n" % (width, height)
        self._bytes = width * height * 3
        self._picture: bytes | None = None
        self.ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        while len(data := self._pipe.read(self._bytes)) == self._bytes:
            self._picture = self._header + data
        self.ended = True

    def take(self) -> bytes | None:
        """As a PPM file, or None when it has been taken already."""
        picture, self._picture = self._picture, None
        return picture


def main(arguments: list[str]) -> int:
    """The window's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches us, too; the end of the input is what counts
    width, height = (int(text) for text in arguments)
    try:
        import tkinter

        root = tkinter.Tk(className="voxcam")
    except ImportError:
        print("Python's tkinter is not installed", flush=True)
        return 1
    except Exception as error:  # TclError exists only where tkinter does
        print(" ".join(str(error).split()), flush=True)
        return 1
    root.title("voxcam")
    root.configure(background="black")  # else the window flashes up grey before it is painted
    root.resizable(False, False)
    image: Any = tkinter.PhotoImage(width=width, height=height)
    tkinter.Label(root, image=image, borderwidth=0, background="black").pack()
    pictures = Newest(sys.stdin.buffer, width, height)

    def look() -> None:
        if (picture := pictures.take()) is not None:
            image.configure(data=picture, format="PPM")
        if pictures.ended:
            root.destroy()
        else:
            root.after(LOOK_MS, look)

    root.after(0, look)
    root.update()
    print(READY.decode(), flush=True)
    root.mainloop()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
