"""The few calls of the CUDA driver that a session needs, through ctypes: no CUDA package, only the graphics driver.

https://docs.nvidia.com/cuda/cuda-driver-api/
"""

from __future__ import annotations

import ctypes
import sys
import weakref
from functools import cache
from typing import Any

import numpy as np

from engines.errors import DeviceError

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
_CAPABILITY_MAJOR, _CAPABILITY_MINOR = 75, 76  # CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_*
_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_CAPTURE_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL


class CudaDriver:
    """One GPU through the driver API. Every call raises DeviceError with CUDA's own name for what went wrong."""

    def __init__(self, library: Any = None, ordinal: int = 0) -> None:
        try:
            self._library = library or ctypes.CDLL(_LIBRARY)
        except OSError as error:
            raise DeviceError("no NVIDIA driver is installed", "use --device cpu, or install the driver") from error
        self._call("cuInit", ctypes.c_uint(0))
        count, device, context = ctypes.c_int(), ctypes.c_int(), ctypes.c_void_p()
        self._call("cuDeviceGetCount", ctypes.byref(count))
        if ordinal >= count.value:
            raise DeviceError(f"there are {count.value} NVIDIA GPUs, none of number {ordinal}", "use --device cpu")
        self._call("cuDeviceGet", ctypes.byref(device), ctypes.c_int(ordinal))
        self._call("cuDevicePrimaryCtxRetain", ctypes.byref(context), device)
        self._device, self._context = device, context
        self.make_current()

    def make_current(self) -> None:
        """Use this GPU on the calling thread."""
        self._call("cuCtxSetCurrent", self._context)

    def name(self) -> str:
        text = ctypes.create_string_buffer(128)
        self._call("cuDeviceGetName", text, ctypes.c_int(len(text)), self._device)
        return text.value.decode("utf-8", "replace")

    def compute_capability(self) -> str:
        """Such as "8.9"."""
        numbers = []
        for attribute in (_CAPABILITY_MAJOR, _CAPABILITY_MINOR):
            value = ctypes.c_int()
            self._call("cuDeviceGetAttribute", ctypes.byref(value), ctypes.c_int(attribute), self._device)
            numbers.append(value.value)
        return f"{numbers[0]}.{numbers[1]}"

    def allocate(self, nbytes: int) -> DeviceMemory:
        address = ctypes.c_uint64()
        self._call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(nbytes))
        return DeviceMemory(self, address.value, nbytes)

    def pinned(self, shape: tuple[int, ...], dtype: str) -> np.ndarray:
        """A zeroed host array that the GPU can read and write while the processor goes on."""
        nbytes = int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize
        address = ctypes.c_void_p()
        self._call("cuMemHostAlloc", ctypes.byref(address), ctypes.c_size_t(nbytes), ctypes.c_uint(0))
        block = (ctypes.c_ubyte * nbytes).from_address(address.value or 0)
        array = np.frombuffer(memoryview(block), dtype).reshape(shape)
        array[...] = 0
        weakref.finalize(block, self.free_pinned, address.value or 0)  # the array keeps the block alive
        return array

    def free(self, address: int) -> None:
        self._library.cuMemFree_v2(ctypes.c_uint64(address))

    def free_pinned(self, address: int) -> None:
        self._library.cuMemFreeHost(ctypes.c_void_p(address))

    def create_stream(self) -> int:
        stream = ctypes.c_void_p()
        self._call("cuStreamCreate", ctypes.byref(stream), ctypes.c_uint(_NON_BLOCKING))
        return stream.value or 0

    def destroy_stream(self, stream: int) -> None:
        self._library.cuStreamDestroy_v2(ctypes.c_void_p(stream))

    def synchronise(self, stream: int) -> None:
        self._call("cuStreamSynchronize", ctypes.c_void_p(stream))

    def upload(self, memory: DeviceMemory, array: np.ndarray, stream: int) -> None:
        self._call(
            "cuMemcpyHtoDAsync_v2",
            ctypes.c_uint64(memory.address),
            ctypes.c_void_p(array.ctypes.data),
            ctypes.c_size_t(array.nbytes),
            ctypes.c_void_p(stream),
        )

    def download(self, array: np.ndarray, memory: DeviceMemory, stream: int) -> None:
        self._call(
            "cuMemcpyDtoHAsync_v2",
            ctypes.c_void_p(array.ctypes.data),
            ctypes.c_uint64(memory.address),
            ctypes.c_size_t(array.nbytes),
            ctypes.c_void_p(stream),
        )

    def begin_capture(self, stream: int) -> None:
        self._call("cuStreamBeginCapture_v2", ctypes.c_void_p(stream), ctypes.c_int(_CAPTURE_THREAD_LOCAL))

    def end_capture(self, stream: int) -> int:
        """End a capture; the graph, ready to launch."""
        graph, ready = ctypes.c_void_p(), ctypes.c_void_p()
        self._call("cuStreamEndCapture", ctypes.c_void_p(stream), ctypes.byref(graph))
        try:
            self._call("cuGraphInstantiateWithFlags", ctypes.byref(ready), graph, ctypes.c_ulonglong(0))
        finally:
            self._library.cuGraphDestroy(graph)
        return ready.value or 0

    def launch(self, graph: int, stream: int) -> None:
        self._call("cuGraphLaunch", ctypes.c_void_p(graph), ctypes.c_void_p(stream))

    def destroy_graph(self, graph: int) -> None:
        self._library.cuGraphExecDestroy(ctypes.c_void_p(graph))

    def _call(self, function: str, *arguments: Any) -> None:
        status = getattr(self._library, function)(*arguments)
        if status != 0:
            name = ctypes.c_char_p()
            self._library.cuGetErrorName(ctypes.c_int(status), ctypes.byref(name))
            text = (name.value or b"").decode() or f"error {status}"
            raise DeviceError(f"the NVIDIA GPU failed: {function}: {text}", "use --device cpu, or restart the driver")


class DeviceMemory:
    """A block of GPU memory, freed when nothing refers to it."""

    def __init__(self, driver: CudaDriver, address: int, nbytes: int) -> None:
        self.address, self.nbytes = address, nbytes
        weakref.finalize(self, driver.free, address)


@cache
def open_driver() -> CudaDriver:
    return CudaDriver()


def find_gpu() -> dict[str, Any]:
    """Name and compute capability of the first GPU; empty where there is none."""
    try:
        driver = open_driver()
    except DeviceError:
        return {}
    return {"device_name": driver.name(), "compute_capability": (driver.compute_capability(),)}
