"""The microphone through PyAudio (the only module that imports pyaudio): `--microphone pyaudio:NAME`."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np

from engines.errors import DeviceError
from realtime.audio.microphone import STREAMS, answered, hushed
from realtime.audio.sources import DeviceSource, Source
from realtime.clock import Clock


def _kind(device: dict[str, Any]) -> tuple[int, int]:
    """Rate and channels to open an input at: its own, and no more than two."""
    return round(device["defaultSampleRate"]), min(2, device["maxInputChannels"])


class PyAudioMicrophone(DeviceSource):
    """A PyAudio input at its own rate."""

    def __init__(self, wanted: str | None = None, clock: Clock | None = None) -> None:
        try:
            import pyaudio
        except ImportError as error:
            raise DeviceError("PyAudio is not installed", 'pip install "voxcam[pyaudio]"') from error
        self._pyaudio = pyaudio
        self._host = answered(self._look)
        self._stream: Any = None
        self._opening: threading.Thread | None = None
        self._left = False
        self._wanted = wanted
        device = self._find()
        super().__init__(*_kind(device), clock)
        self.name = f"pyaudio:{device['name']}"

    def _look(self) -> Any:
        with STREAMS.lock, hushed():
            return self._pyaudio.PyAudio()

    def _find(self) -> dict[str, Any]:
        devices = [self._host.get_device_info_by_index(i) for i in range(self._host.get_device_count())]
        devices = [device for device in devices if device["maxInputChannels"] > 0]
        if not self._wanted or self._wanted == "default":
            try:
                return dict(self._host.get_default_input_device_info())
            except OSError as error:
                raise DeviceError("PyAudio shows no microphone", "connect one, then voxcam devices") from error
        for device in devices:
            if self._wanted.lower() in str(device["name"]).lower() or self._wanted == str(device["index"]):
                return dict(device)
        names = ", ".join(str(device["name"]) for device in devices[:6])
        raise DeviceError(f"no microphone is called {self._wanted!r} (there are: {names})", "voxcam devices")

    def _callback(self, data: bytes | None, count: int, times: Any, status: int) -> tuple[None, int]:
        block = np.frombuffer(data or b"", np.float32).reshape(-1, self.ring.channels)
        self._on_block(block, bool(status))
        return None, 0  # paContinue

    def _open_device(self) -> None:
        device = self._find()
        self._use_kind(*_kind(device))
        try:
            with STREAMS.lock, hushed():
                self._stream = self._host.open(
                    format=self._pyaudio.paFloat32,
                    channels=self.ring.channels,
                    rate=self.device_rate_hz,
                    input=True,
                    input_device_index=int(device["index"]),
                    frames_per_buffer=self.device_rate_hz // 100,
                    stream_callback=self._callback,
                )
            self.device_latency_ms = 1000 * float(self._stream.get_input_latency())
        except (OSError, ValueError) as error:
            raise DeviceError(
                f"the microphone {device['name']!r} cannot be opened ({error})", "voxcam doctor"
            ) from error

    def _close_device(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            try:
                stream.close()
            except OSError:
                return  # the device is gone already

    def __enter__(self) -> Source:
        return answered(super().__enter__)

    def close(self) -> None:
        STREAMS.at_end(self._end)

    def _end(self) -> None:
        with STREAMS.lock:
            self._left = True
            super().close()
            self._host.terminate()

    def _try_again(self) -> None:
        """In a thread of its own: the zero hops must not wait for a sound server that hangs."""
        if self._opening is None or not self._opening.is_alive():
            self._opening = threading.Thread(target=self._open_again, name="open", daemon=True)
            self._opening.start()

    def _open_again(self) -> None:
        with STREAMS.lock:
            if not self._left:
                super()._try_again()
