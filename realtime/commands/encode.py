"""`voxcam encode`: the codes of a sound, or of a folder of sounds, as arrays in an npz file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from engines.card import atomic_file, write_atomically
from engines.errors import ConfigError, InputError, OutputError, VoxcamError, WrongInput
from engines.spec import MOTION_CHANNELS, SPEC
from realtime.cli import say
from realtime.commands.options import Articulation, LookaheadMs, Threads
from realtime.commands.progress import progress_bar
from realtime.course import SIZES, chunks_of, encode_chunks, hops_of
from realtime.pacer import checked_lookahead
from realtime.talking_clip import CLIP_ENDINGS
from realtime.targets import checked_folder, checked_target, readable, unless_taken

SOUND_ENDINGS = (
    *(".wav", ".flac", ".mp3", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".aiff", ".aif", ".au", ".wma"),
    *CLIP_ENDINGS,
)
PLOT_S = 30.0  # a plot shows this much; more would be a smear


def write_npz(path: Path, arrays: dict[str, Any]) -> None:
    """Arrays by name; OutputError where they can't be written, which leaves no half file."""
    with atomic_file(path) as file:
        np.savez(file, **arrays)


def sounds_in(folder: Path) -> list[Path]:
    """Sound files of a folder by name; InputError where there are none, ConfigError where two share a stem."""
    found = sorted(p for p in folder.iterdir() if p.is_file() and p.suffix.lower() in SOUND_ENDINGS)
    if not found:
        raise InputError(f"{folder} holds no sound files", f"known endings: {' '.join(SOUND_ENDINGS)}")
    stems: dict[str, Path] = {}
    for path in found:
        other = stems.setdefault(path.stem, path)
        if other is not path:
            raise ConfigError(f"{other.name} and {path.name} would both become {path.stem}.npz", "rename one of them")
    return found


def encode(
    audio: Annotated[
        Path, typer.Option("--audio", "-a", help="A sound file, a video with sound, or a folder of them.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="The npz to write; a folder if --audio is one.")],
    lookahead_ms: LookaheadMs = 80,
    plot: Annotated[Path | None, typer.Option(help="Also draw waveform, spectrum, phones and lips (png).")] = None,
    emotion: Annotated[str, typer.Option(help="In the motion: off, auto, or a name such as happiness:0.5.")] = "off",
    articulation: Articulation = 1.0,
    idle: Annotated[bool, typer.Option("--idle/--no-idle", help="Blinks, gaze and head motion in the motion.")] = False,
    seed: Annotated[int, typer.Option(help="Of the idle motion.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace existing files.")] = False,
    threads: Threads = 1,
) -> None:
    """The codes of a sound as arrays (codes, size), 50 a second: content, emotion, noise, speaker, motion, phones."""
    from engines.encoder import open_encoder
    from engines.shaper import Shaper

    checked_lookahead(lookahead_ms)
    if not audio.exists():
        raise WrongInput(f"there is no sound {audio}", "check the path")
    if plot is not None:
        if audio.is_dir():
            raise ConfigError("--plot draws one sound, not a folder", "give one file as --audio")
        checked_target(plot, overwrite, (".png",))
    if audio.is_dir():
        sounds = sounds_in(audio)
        checked_folder(out, make=False)
        targets = [out / f"{path.stem}.npz" for path in sounds]
    else:
        sounds, targets = [audio], [out]
    if out.is_dir() or not audio.is_dir():  # a folder that is to be made holds nothing yet
        for target in targets:
            checked_target(target, overwrite, (".npz",))

    failed = 0
    shaper = Shaper(SPEC, lookahead_ms, seed, idle, emotion, articulation)
    with open_encoder(threads=threads) as encoder:
        if audio.is_dir():
            checked_folder(out)  # made only now: what was refused before leaves no empty one
        for path, target in zip(sounds, targets, strict=True):
            try:
                with progress_bar(path.name) as progress:
                    hops = hops_of(path, lambda note: say(f"note: {note}"), progress)
                    course = encode_chunks(chunks_of(hops), encoder, shaper, lookahead_ms)
            except InputError as error:
                if len(sounds) == 1:
                    raise
                say(f"voxcam: skipped {error}")
                failed += 1
                continue
            arrays = course.finished()
            target = unless_taken(target, overwrite)
            write_npz(target, arrays)
            print(f"{readable(target)}: {course.count} codes, {course.count / SPEC.codes_per_second:.2f} s")
    if plot is not None:
        write_plot(plot, audio, arrays)
    if failed:
        raise VoxcamError(f"{failed} of {len(sounds)} sounds could not be read", "see the lines above")


# ---- the plot ----

WIDTH, LEFT, RIGHT, GAP = 1600, 110, 20, 14
HEIGHTS = {"sound": 110, "spectrum": 200, "phones": 250, "opening": 150, "presence": 80}
PAPER, INK, GREY, BLUE, RED = (255, 255, 255), (40, 40, 40), (205, 205, 205), (190, 110, 30), (60, 60, 205)  # BGR


def write_plot(path: Path, audio: Path, arrays: dict[str, np.ndarray]) -> None:
    """Waveform, log-mel spectrum, phones, opening of the lips and presence over the first half minute, as a png."""
    import cv2

    samples = first_samples(audio, PLOT_S)
    codes = min(len(arrays["times_s"]), int(np.ceil(PLOT_S * SPEC.codes_per_second)))
    picture = draw_plot(samples, {name: arrays[name][:codes] for name in SIZES}, codes)
    if len(arrays["times_s"]) > codes:
        say(f"note: {path.name} shows the first {PLOT_S:.0f} s")
    written, encoded = cv2.imencode(".png", picture)
    if not written:
        raise OutputError(f"the picture {path} could not be made", "leave --plot out")
    write_atomically(path, encoded.tobytes())
    print(readable(path))


def first_samples(audio: Path, seconds: float) -> np.ndarray:
    """The sound's first seconds at 16 kHz, mono, (n,) float32."""
    hops, wanted = [], int(seconds * SPEC.sample_rate_hz) // SPEC.hop_samples
    for hop in hops_of(audio, lambda note: None, lambda done, total: None):
        hops.append(np.array(hop))
        if len(hops) == wanted:
            break
    return np.concatenate(hops)


def draw_plot(samples: np.ndarray, codes: dict[str, np.ndarray], count: int) -> np.ndarray:
    """(H, W, 3) uint8 BGR; samples (n,), codes name -> (count, size)."""
    import cv2

    seconds = count / SPEC.codes_per_second
    height = sum(HEIGHTS.values()) + GAP * (len(HEIGHTS) + 1) + 24
    picture = np.full((height, WIDTH, 3), PAPER, np.uint8)
    inner = WIDTH - LEFT - RIGHT
    x_of = LEFT + (np.arange(count) + 0.5) / count * inner
    boxes: dict[str, tuple[int, int]] = {}
    top = GAP
    for name, size in HEIGHTS.items():
        boxes[name] = (top, top + size)
        top += size + GAP

    def text(words: str, x: int, y: int, scale: float = 0.42, colour: Any = INK) -> None:
        cv2.putText(picture, words, (x, y), cv2.FONT_HERSHEY_SIMPLEX, scale, colour, 1, cv2.LINE_AA)

    def line(values: np.ndarray, box: tuple[int, int], low: float, high: float, colour: Any) -> None:
        y = box[1] - (np.clip(values, low, high) - low) / (high - low) * (box[1] - box[0])
        points = np.stack([x_of, y], -1)
        cv2.polylines(picture, [np.round(points * 16).astype(np.int32)], False, colour, 1, cv2.LINE_AA, shift=4)

    step_s = next(s for s in (0.1, 0.2, 0.5, 1, 2, 5) if seconds / s <= 16)
    for mark in np.arange(0, seconds + 1e-9, step_s):
        x = int(LEFT + mark / seconds * inner)
        cv2.line(picture, (x, GAP), (x, top - GAP), GREY, 1)
        text(f"{mark:g} s", x - 10, top + 8, 0.4)
    for name, (upper, lower) in boxes.items():
        text(name, 8, upper + 14)
        cv2.rectangle(picture, (LEFT, upper), (LEFT + inner, lower), GREY, 1)

    upper, lower = boxes["sound"]
    edges = np.linspace(0, len(samples), inner + 1).astype(int)
    middle, half = (upper + lower) // 2, (lower - upper) / 2
    for x in range(inner):
        part = samples[edges[x] : max(edges[x + 1], edges[x] + 1)]
        if len(part):
            high, low = (int(middle - float(v) * half) for v in (part.max(), part.min()))
            cv2.line(picture, (LEFT + x, high), (LEFT + x, low), BLUE, 1)

    upper, lower = boxes["spectrum"]
    mel = log_mel(samples)
    shade = np.clip((mel - np.quantile(mel, 0.02)) / max(float(np.ptp(mel)) * 0.9, 1e-6), 0, 1)
    image = cv2.resize(np.ascontiguousarray((255 * shade.T[::-1]).astype(np.uint8)), (inner - 1, lower - upper - 1))
    picture[upper + 1 : lower, LEFT + 1 : LEFT + inner] = cv2.applyColorMap(image, cv2.COLORMAP_VIRIDIS)

    upper, lower = boxes["phones"]
    logits = codes["phone_logits"].astype(np.float64)
    chances = np.exp(logits - logits.max(1, keepdims=True))
    chances /= chances.sum(1, keepdims=True)
    rows = np.argsort(-chances.max(0))[:20]  # those that are heard at all; forty names would not be read
    rows = rows[np.argsort(rows)]
    block = cv2.resize(
        np.ascontiguousarray(255 - 200 * chances[:, rows].T).astype(np.uint8),
        (inner - 1, lower - upper - 1),
        interpolation=cv2.INTER_NEAREST,
    )
    picture[upper + 1 : lower, LEFT + 1 : LEFT + inner] = block[..., None]
    for number, row in enumerate(rows):
        text(SPEC.phones[row], LEFT - 30, int(upper + (number + 0.5) / len(rows) * (lower - upper)) + 4, 0.32)

    channels = MOTION_CHANNELS
    opening, stretch = (codes["motion"][:, channels.index(name)] for name in ("jawOpen", "mouthStretch"))
    line(np.zeros(count), boxes["opening"], -0.12, 0.28, GREY)
    line(stretch, boxes["opening"], -0.12, 0.28, RED)
    line(opening, boxes["opening"], -0.12, 0.28, INK)
    text("lips apart", 8, boxes["opening"][0] + 32, 0.36)
    text("width", 8, boxes["opening"][0] + 48, 0.36, RED)
    text("-0.12..0.28 eye dist.", 2, boxes["opening"][1] - 4, 0.28)
    line(codes["presence"][:, 0], boxes["presence"], 0.0, 1.0, INK)
    return picture


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
