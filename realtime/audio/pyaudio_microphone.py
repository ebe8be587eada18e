"""The microphone through PyAudio (the only module that imports pyaudio): `--microphone pyaudio:NAME`."""

from __future__ import annotations

from typing import Any

import numpy as np

from engines.errors import DeviceError
from realtime.audio.microphone import STREAMS, hushed
from realtime.audio.sources import DeviceSource
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
            raise DeviceError("PyAudio is not installed", "pip install 'voxcam[pyaudio]'") from error
        self._pyaudio = pyaudio
        with STREAMS.lock, hushed():
            self._host = pyaudio.PyAudio()
        self._stream: Any = None
        self._wanted = wanted
        device = self._find()
        super().__init__(*_kind(device), clock)
        self.name = f"pyaudio:{device['name']}"

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

    def close(self) -> None:
        super().close()
        self._host.terminate()
