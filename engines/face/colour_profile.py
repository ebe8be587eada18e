"""Colour profiles (ICC.1): pixels of a camera's or screen's own colours become sRGB, as which all else takes them.

Phones write Display P3, cameras Adobe RGB. Taken for sRGB, both look dull. Such a profile is three curves, one for each
channel, and three colours that add up ("matrix/TRC"). Profiles that are tables (printers', CMYK) are not understood.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

# The colours of sRGB's red, green and blue in the space of profiles (XYZ in the light of D50), one a column.
SRGB = np.array(
    [[0.4360747, 0.3850649, 0.1430804], [0.2225045, 0.7168786, 0.0606169], [0.0139322, 0.0971045, 0.7141733]]
)
SAME_LEVELS = 3  # of 255: profiles of sRGB itself differ by rounding, and leave pixels as they are
WHITE_OFF = 0.1  # white is white in every profile; further off it is damaged
ROWS = 256  # of a photo at a time: a large one in floats would fill the memory
LEVELS = np.linspace(0, 1, 256)


@dataclass(frozen=True)
class ColourProfile:
    """`light` (256, 3): each channel's light 0..1 by its level; `matrix` (3, 3) from that to sRGB's light."""

    light: np.ndarray
    matrix: np.ndarray

    @property
    def is_srgb(self) -> bool:
        """Whether it changes hardly any colour."""
        few = np.arange(0, 256, 15, dtype=np.uint8)
        colours = np.stack(np.meshgrid(few, few, few), -1).reshape(1, -1, 3)
        return int(np.abs(self.to_srgb(colours).astype(int) - colours).max()) <= SAME_LEVELS

    def to_srgb(self, rgb: np.ndarray) -> np.ndarray:
        """(H, W, 3) uint8 RGB of this profile -> sRGB. What sRGB cannot show becomes its purest colour."""
        result = np.empty_like(rgb)
        light, matrix = self.light.astype(np.float32), self.matrix.astype(np.float32)
        for top in range(0, len(rgb), ROWS):
            rows = rgb[top : top + ROWS]
            shown = np.stack([light[rows[..., k], k] for k in range(3)], -1) @ matrix.T
            result[top : top + ROWS] = TO_LEVEL[(np.clip(shown, 0, 1) * 65_535 + 0.5).astype(np.uint16)]
        return result


def read_profile(icc: bytes) -> ColourProfile | None:
    """The profile in these bytes; None where it is of a kind that is not understood, or damaged."""
    if icc[16:24] != b"RGB XYZ ":
        return None
    with np.errstate(all="ignore"):  # a wild formula is refused below
        return _read(icc)


def _read(icc: bytes) -> ColourProfile | None:
    try:
        tags = {}
        for k in range(min(struct.unpack_from(">I", icc, 128)[0], 256)):
            name, begin, size = struct.unpack_from(">4sII", icc, 132 + 12 * k)
            tags[name] = icc[begin : begin + size]
        light = np.stack([_curve(tags[name]) for name in (b"rTRC", b"gTRC", b"bTRC")], -1)
        colours = np.stack([_colour(tags[name]) for name in (b"rXYZ", b"gXYZ", b"bXYZ")], -1)
    except (KeyError, ValueError, struct.error):
        return None
    matrix = np.linalg.solve(SRGB, colours)
    white = matrix @ light[255]
    if not (np.isfinite(light).all() and np.abs(white - 1).max() < WHITE_OFF and (np.diff(light, axis=0) >= 0).all()):
        return None
    return ColourProfile(np.clip(light, 0, 1), matrix)


def _colour(tag: bytes) -> np.ndarray:
    """X, Y and Z of one colour."""
    if tag[:4] != b"XYZ ":
        raise ValueError("no colour")
    return np.array(struct.unpack_from(">3i", tag, 8)) / 65_536


def _curve(tag: bytes) -> np.ndarray:
    """Light by level (256,), from a table, a power, or one of five formulas."""
    if tag[:4] == b"curv":
        (count,) = struct.unpack_from(">I", tag, 8)
        if count == 0:
            return LEVELS
        table = np.frombuffer(tag, ">u2", count, 12)
        if count == 1:
            return LEVELS ** (float(table[0]) / 256)
        return np.interp(LEVELS, np.linspace(0, 1, count), table / 65_535)
    if tag[:4] != b"para":
        raise ValueError("no curve")
    (kind,) = struct.unpack_from(">H", tag, 8)
    if kind >= 5:
        raise ValueError("a formula that is not known")
    numbers = [number / 65_536 for number in struct.unpack_from(f">{(1, 3, 4, 5, 7)[kind]}i", tag, 12)]
    # (a x + b) ** g + e from x = d on, c x + f below: the kinds leave out more or less of it.
    g, a, b, c, d, e, f = numbers + [0.0] * (7 - len(numbers))
    if kind == 0:
        a = 1.0
    elif kind in (1, 2):
        if a == 0:
            raise ValueError("no formula")
        c, d, e, f = 0.0, -b / a, c, c
    powered = np.maximum(a * LEVELS + b, 0) ** g + e
    return np.where(d <= LEVELS, powered, c * LEVELS + f)


def _to_level() -> np.ndarray:
    """sRGB's level (uint8) by light, 0..65535."""
    light = np.arange(65_536) / 65_535
    level = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return (level * 255 + 0.5).astype(np.uint8)


TO_LEVEL = _to_level()
