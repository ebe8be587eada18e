"""ONNX Runtime with its telemetry off: everybody imports it from here, for it looks once, when it is first imported.

Left alone it looks up its maker's server and keeps a number for this machine in the user's home.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

__all__ = ["ort"]
