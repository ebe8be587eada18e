"""The plot of `voxcam encode --plot`: waveform, spectrum, phones, lips and presence, one under the other."""

from __future__ import annotations

import cv2
import numpy as np

from engines.spec import MOTION_CHANNELS, SPEC

PLOT_S = 30.0  # a plot shows this much; more would be a smear
WIDTH, LEFT, RIGHT, GAP, MARKS = 1600, 110, 20, 14, 24
INNER = WIDTH - LEFT - RIGHT
HEIGHTS = {"sound": 110, "spectrum": 200, "phones": 250, "opening": 150, "presence": 80}
PHONES = 20  # those that are heard at all; forty names would not be read
LIPS = (-0.12, 0.28)  # of an eye distance, what the box of the lips spans
Colour = tuple[int, int, int]
PAPER, INK, GREY, BLUE, RED = (255, 255, 255), (40, 40, 40), (205, 205, 205), (190, 110, 30), (60, 60, 205)  # BGR


def draw_plot(samples: np.ndarray, codes: dict[str, np.ndarray], count: int) -> np.ndarray:
    """(H, W, 3) uint8 BGR; samples (n,) at 16 kHz, codes name -> (count, size)."""
    page = _Page(count)
    page.draw_sound(samples)
    page.draw_spectrum(samples)
    page.draw_phones(codes["phone_logits"])
    page.draw_lips(codes["motion"])
    page.draw_line("presence", codes["presence"][:, 0], 0.0, 1.0)
    return page.picture


class _Page:
    """A sheet of paper with a framed box for each panel; all have the time from left to right."""

    def __init__(self, count: int) -> None:
        """count: of codes."""
        self._x = LEFT + (np.arange(count) + 0.5) / count * INNER  # of the codes, px
        self._boxes: dict[str, tuple[int, int]] = {}  # upper and lower edge, px
        top = GAP
        for name, size in HEIGHTS.items():
            self._boxes[name] = (top, top + size)
            top += size + GAP
        self.picture = np.full((top + MARKS, WIDTH, 3), PAPER, np.uint8)
        self._draw_seconds(count / SPEC.codes_per_second, top)
        for name, (upper, lower) in self._boxes.items():
            self._write(name, 8, upper + 14)
            cv2.rectangle(self.picture, (LEFT, upper), (LEFT + INNER, lower), GREY, 1)

    def _draw_seconds(self, seconds: float, bottom: int) -> None:
        step_s = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5) if seconds / s <= 16)
        for mark in np.arange(0, seconds + 1e-9, step_s):
            x = int(LEFT + mark / seconds * INNER)
            cv2.line(self.picture, (x, GAP), (x, bottom - GAP), GREY, 1)
            self._write(f"{mark:g} s", x - 10, bottom + 8, 0.4)

    def _write(self, words: str, x: int, y: int, scale: float = 0.42, colour: Colour = INK) -> None:
        cv2.putText(self.picture, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)

    def _fill(self, name: str, values: np.ndarray, interpolation: int = cv2.INTER_LINEAR) -> np.ndarray:
        """(rows, columns) uint8 scaled into a box, whose pixels it gives, (H, W, 3): grey, to be coloured."""
        upper, lower = self._boxes[name]
        size = (INNER - 1, lower - upper - 1)
        inside = self.picture[upper + 1 : lower, LEFT + 1 : LEFT + INNER]
        inside[:] = cv2.resize(np.ascontiguousarray(values), size, interpolation=interpolation)[..., None]
        return inside

    def draw_line(self, name: str, values: np.ndarray, low: float, high: float, colour: Colour = INK) -> None:
        """values (count,) in a box that spans low..high."""
        upper, lower = self._boxes[name]
        y = lower - (np.clip(values, low, high) - low) / (high - low) * (lower - upper)
        points = np.stack([self._x, y], -1)
        cv2.polylines(self.picture, [np.round(points * 16).astype(np.int32)], False, colour, 1, cv2.LINE_AA, shift=4)

    def draw_sound(self, samples: np.ndarray) -> None:
        """The waveform's outline, -1..1; samples (n,)."""
        upper, lower = self._boxes["sound"]
        edges = np.linspace(0, len(samples), INNER + 1).astype(int)
        middle, half = (upper + lower) // 2, (lower - upper) / 2
        for x in range(INNER):
            part = samples[edges[x] : max(edges[x + 1], edges[x] + 1)]
            if len(part):
                high, low = (int(middle - float(v) * half) for v in (part.max(), part.min()))
                cv2.line(self.picture, (LEFT + x, high), (LEFT + x, low), BLUE, 1)

    def draw_spectrum(self, samples: np.ndarray) -> None:
        """Low tones below; samples (n,)."""
        mel = log_mel(samples)
        shade = np.clip((mel - np.quantile(mel, 0.02)) / max(float(np.ptp(mel)) * 0.9, 1e-6), 0, 1)
        inside = self._fill("spectrum", (255 * shade.T[::-1]).astype(np.uint8))
        inside[:] = cv2.applyColorMap(np.ascontiguousarray(inside[..., 0]), cv2.COLORMAP_VIRIDIS)

    def draw_phones(self, logits: np.ndarray) -> None:
        """Chances of the phones that are heard most; logits (count, phones)."""
        logits = logits.astype(np.float64)
        chances = np.exp(logits - logits.max(1, keepdims=True))
        chances /= chances.sum(1, keepdims=True)
        rows = np.sort(np.argsort(-chances.max(0))[:PHONES])
        self._fill("phones", (255 - 200 * chances[:, rows].T).astype(np.uint8), cv2.INTER_NEAREST)
        upper, lower = self._boxes["phones"]
        for number, row in enumerate(rows):
            y = int(upper + (number + 0.5) / len(rows) * (lower - upper)) + 4
            self._write(SPEC.phones[row], LEFT - 30, y, 0.32)

    def draw_lips(self, motion: np.ndarray) -> None:
        """How far they are apart, and how much wider than at rest; motion (count, 26)."""
        opening, stretch = (motion[:, MOTION_CHANNELS.index(name)] for name in ("jawOpen", "mouthStretch"))
        self.draw_line("opening", np.zeros(len(motion)), *LIPS, GREY)
        self.draw_line("opening", stretch, *LIPS, RED)
        self.draw_line("opening", opening, *LIPS)
        upper, lower = self._boxes["opening"]
        self._write("lips apart", 8, upper + 32, 0.36)
        self._write("width", 8, upper + 48, 0.36, RED)
        self._write(f"{LIPS[0]}..{LIPS[1]} eye dist.", 2, lower - 4, 0.28)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Log-mel spectrum for the eye alone (the encoder has its own inside its graph), (hops, 80) float32."""
    window, hop, bands = SPEC.window_samples, SPEC.hop_samples, SPEC.mel_bands
    padded = np.concatenate([np.zeros(window - hop, np.float32), samples])
    pieces = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop] * np.hanning(window)
    power = np.abs(np.fft.rfft(pieces, 512)) ** 2
    top_mel = 2595 * np.log10(1 + SPEC.sample_rate_hz / 2 / 700)
    edges = 700 * (10 ** (np.linspace(0, top_mel, bands + 2) / 2595) - 1)
    frequencies = np.fft.rfftfreq(512, 1 / SPEC.sample_rate_hz)
    rise = (frequencies - edges[:-2, None]) / np.diff(edges)[:-1, None]
    fall = (edges[2:, None] - frequencies) / np.diff(edges)[1:, None]
    return np.log(power @ np.clip(np.minimum(rise, fall), 0, None).T + 1e-6).astype(np.float32)
