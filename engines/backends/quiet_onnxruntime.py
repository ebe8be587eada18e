"""ONNX Runtime with its telemetry off: everybody imports it from here, for it looks once, when it is first imported.

Left alone it looks up its maker's server and keeps a number for this machine in the user's home. Windows' one heeds no
variable, only a call: what it hands to Windows' own telemetry while it is imported may go out.
"""

from __future__ import annotations

import os

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime as ort

if hasattr(ort, "disable_telemetry_events"):
    ort.disable_telemetry_events()

__all__ = ["ort"]
