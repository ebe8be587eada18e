"""`voxcam devices`: what live can use on this computer."""

from __future__ import annotations

import json
from typing import Any

from engines.errors import DeviceError
from realtime.commands.options import AsJson


def list_devices() -> dict[str, Any]:
    """Microphones, sound outputs and cameras; where a system does not answer, why in `problems`."""
    found: dict[str, Any] = {"microphones": [], "sound_outputs": [], "cameras": [], "problems": []}
    try:
        from realtime.audio.microphone import import_sounddevice

        sd = import_sounddevice()
        default_in, default_out = (sd.default.device[i] for i in (0, 1))
        for i, device in enumerate(sd.query_devices()):
            entry = {
                "number": i,
                "name": device["name"],
                "rate_hz": round(device["default_samplerate"]),
                "host": sd.query_hostapis(device["hostapi"])["name"],
            }
            if device["max_input_channels"] > 0:
                entry_in = entry | {"channels": device["max_input_channels"], "default": i == default_in}
                found["microphones"].append(entry_in)
            if device["max_output_channels"] > 0:
                entry_out = entry | {"channels": device["max_output_channels"], "default": i == default_out}
                found["sound_outputs"].append(entry_out)
    except DeviceError as error:
        found["problems"].append(str(error))
    except Exception as error:  # PortAudioError exists only where PortAudio does
        found["problems"].append(f"the sound system does not answer ({error})")
    from realtime.pictures.camera import list_cameras

    found["cameras"] = list_cameras()
    return found


def devices(
    as_json: AsJson = False,
) -> None:
    """List microphones, cameras and sound outputs."""
    found = list_devices()
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for title, key, option in (
        ("microphones", "microphones", "--microphone"),
        ("sound outputs", "sound_outputs", "--audio-out"),
    ):
        print(f"{title} ({option} NAME or number):")
        for device in found[key]:
            mark = "*" if device["default"] else " "
            print(f" {mark}{device['number']:>3}  {device['name']}  ({device['rate_hz']} Hz, {device['host']})")
        if not found[key]:
            print("   none")
    print("cameras (--camera DEVICE):")
    for camera in found["cameras"]:
        print(f"   {camera['device'] or camera['name']}  {camera['name']}  ({camera['kind']})")
    if not found["cameras"]:
        print("   none: voxcam doctor says how to make one")
    for problem in found["problems"]:
        print(f"! {problem}")
