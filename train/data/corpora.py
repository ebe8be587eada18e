"""Corpora of speech, faces and noise behind one interface: a list of Clips.

Each loader reads its corpus in the official folder layout and names what is missing. Splits are the official ones or
are by speaker; nothing here reads sound, only lists it (`sound_of` reads).
"""

from __future__ import annotations

import csv
import itertools
import math
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
import soxr

from engines.errors import ConfigError, InputError, WrongInput
from engines.spec import EMOTIONS, PHONES, SPEC

HELD_OUT_EMODB = ("15", "16")  # one man, one woman: for the report, never trained on
HELD_OUT_NOISE_CLASSES = ("dishes", "exercise_bike", "wind")
SOUND_FILES = (".wav", ".flac", ".ogg", ".opus")  # others are videos
COPY_AGAIN = "copy it again from the corpus"
VOWELS = ("AA", "AE", "AH", "AO", "AW", "AY", "EH", "ER", "EY", "IH", "IY", "OW", "OY", "UH", "UW")
Interval = tuple[float, float, str]  # start_s, end_s, label


@dataclass(frozen=True, slots=True)
class Clip:
    """One recording and what is known of it; None where the corpus doesn't say."""

    key: str  # unique over all corpora, e.g. grid/train/s1/bbaf2n
    corpus: str
    sound: Path
    split: str  # train or val
    speaker: str
    gender: str | None = None
    emotion: str | None = None
    valence: float | None = None  # -1..1
    arousal: float | None = None
    phones: tuple[Interval, ...] | None = None
    words: tuple[Interval, ...] | None = None
    pictures: Path | None = None
    noise_class: str | None = None  # of noise recordings, which have no speaker
    source: str | None = None  # the recording a noise was cut from


def check_sound(path: Path) -> None:
    """InputError where the head of a sound or video says that no sound can be read; the rest is not looked at."""
    with _reading(path):
        if path.suffix in SOUND_FILES:
            count = soundfile.info(path).frames
        else:
            with av.open(str(path)) as container:
                count = len(container.streams.audio)
    if not count:
        raise InputError(f"{path} is empty", COPY_AGAIN)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """What the sound readers raise becomes an InputError."""
    try:
        yield
    except (OSError, ValueError, IndexError, soundfile.SoundFileError, av.FFmpegError) as error:
        raise InputError(f"{path} holds no readable sound ({error})", COPY_AGAIN) from error


def sound_of(path: Path) -> np.ndarray:
    """Read a sound file, or the sound of a video, as 16 kHz mono float32 in -1..1."""
    with _reading(path):
        if path.suffix in SOUND_FILES:
            samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
            samples = samples.mean(1)
        else:
            with av.open(str(path)) as container:
                stream = container.streams.audio[0]
                rate = stream.rate
                resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
                blocks = [
                    out.to_ndarray()[0] for block in container.decode(stream) for out in resampler.resample(block)
                ]
            samples = np.concatenate(blocks) if blocks else np.zeros(0, np.float32)
    if not len(samples):
        raise InputError(f"{path} is empty", COPY_AGAIN)
    if not np.isfinite(samples).all():
        raise InputError(f"{path} holds NaN or infinite samples", "leave it out or copy it again")
    if rate != SPEC.sample_rate_hz:
        samples = soxr.resample(samples, rate, SPEC.sample_rate_hz)
    return np.ascontiguousarray(samples, np.float32)


def _table(path: Path, *columns: str) -> list[dict[str, str]]:
    """The rows of a .csv or .tsv; InputError where it lacks one of `columns`, a cell of a row, or all rows."""
    if not path.is_file():
        raise InputError(f"{path} is missing", "this folder doesn't have the corpus' layout, or was copied in part")
    try:
        with path.open(newline="", encoding="utf-8") as file:
            reader = csv.DictReader(file, delimiter="\t" if path.suffix == ".tsv" else ",", strict=True)
            rows, known = [], set(reader.fieldnames or ())
            for row in reader:
                if None in row or None in row.values():
                    raise InputError(f"{path}: line {reader.line_num} has another number of cells", "mend the table")
                rows.append(row)
    except (OSError, csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no table ({error})", "copy it again, as UTF-8 text") from error
    if lacking := set(columns) - known:
        raise InputError(f"{path} has no column {', '.join(sorted(lacking))}", "add it")
    if not rows:
        raise InputError(f"{path} lists nothing", "it was copied in part, or is yet to be filled")
    return rows


def _number(text: str, path: Path) -> float:
    """A cell or word as a finite number; InputError that names the file."""
    try:
        number = float(text)
    except ValueError as error:
        raise InputError(f"{path}: {text!r} is no number", "mend it, or copy the file again") from error
    if not math.isfinite(number):
        raise InputError(f"{path}: {text!r} is no finite number", "mend it, or copy the file again")
    return number


def _lines(path: Path) -> list[list[str]]:
    """The lines of a text beside a clip, as words."""
    try:
        return [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no text ({error})", COPY_AGAIN) from error


def _intervals(path: Path, key: str) -> dict[str, tuple[Interval, ...]]:
    """Read a table of (key, start_s, end_s, label) rows, grouped by key."""
    found: dict[str, list[Interval]] = {}
    for row in _table(path, key, "start_s", "end_s"):
        label = row.get("phone") or row.get("word") or ""
        start, end = _number(row["start_s"], path), _number(row["end_s"], path)
        if end < start or start < 0:
            raise InputError(f"{path}: {row[key]} has a label from {start} to {end} s", "mend the table")
        if "phone" in row and label not in PHONES:
            raise InputError(f"{path}: phone {label!r} of {row[key]} is none of the 40", "mend the table")
        found.setdefault(row[key], []).append((start, end, label))
    return {name: tuple(rows) for name, rows in found.items()}


def _need(root: Path, *patterns: str) -> None:
    """InputError unless `root` is a folder in which every pattern matches something."""
    if not root.is_dir():
        raise WrongInput(f"{root} is no folder", "give the folder that holds the corpus")
    for pattern in patterns:
        if next(root.glob(pattern), None) is None:
            raise InputError(f"{root} has no {pattern}", "this is another layout, or the corpus was copied in part")


def _sounds(clips: Iterable[Clip]) -> list[Clip]:
    """The clips, in order of their keys; InputError when one's sound is missing or empty, or it is listed twice."""
    clips = sorted(clips, key=lambda clip: clip.key)
    for clip, other in itertools.pairwise(clips):
        if clip.key == other.key:
            raise InputError(f"{clip.key} is listed twice", "leave one line out: it may be in one split alone")
    sizes = [(clip.sound, clip.sound.stat().st_size if clip.sound.is_file() else None) for clip in clips]
    for what, size_bytes in (("missing", None), ("empty", 0)):
        if files := [sound for sound, size in sizes if size == size_bytes]:
            more = f" and {len(files) - 1} more are" if len(files) > 1 else " is"
            raise InputError(f"{files[0]}{more} {what}", "copy the whole corpus")
    return clips


def align_words(path: Path) -> tuple[Interval, ...]:
    """GRID's word times: `start end word`, 25,000 units a second."""
    rows = []
    for words in _lines(path):
        if len(words) != 3:
            raise InputError(f"{path}: {' '.join(words)!r} is not START END WORD", COPY_AGAIN)
        rows.append((_number(words[0], path) / 25_000, _number(words[1], path) / 25_000, words[2]))
    return tuple(rows)


GRID_WOMEN = {4, 7, 11, 15, 16, 18, 20, 21, 22, 23, 24, 25, 29, 31, 33, 34}


def grid(root: Path) -> list[Clip]:
    """GRID: the shared set {train,val}/TALKER/CLIP.mkv, or the official sN/*.mpg with align/*.align beside it.

    Official layout: talkers 1, 2, 20, 22 are val, as in the literature (Assael et al. 2016); the shared set
    has its own.
    """
    _need(root)
    shared = (root / "train").is_dir()
    videos = (
        sorted(root.glob("*/*/*.mkv")) if shared else sorted((*root.glob("s*/**/*.mpg"), *root.glob("s*/**/*.mp4")))
    )
    if not videos:
        raise InputError(f"{root} has neither train/TALKER/*.mkv nor sN/*.mpg", "give the folder of the GRID corpus")
    phones = _intervals(root / "phones.tsv", "clip") if shared else {}
    clips = []
    for video in videos:
        talker = video.parent.name if shared else video.relative_to(root).parts[0]
        split = video.parts[-3] if shared else ("val" if talker in ("s1", "s2", "s20", "s22") else "train")
        beside = (video.with_suffix(".align"), root / talker / "align" / f"{video.stem}.align")
        align = next((path for path in beside if path.is_file()), None)
        number = int(talker[1:]) if talker[1:].isdigit() else None
        clips.append(
            Clip(
                key=f"grid/{split}/{talker}/{video.stem}",
                corpus="grid",
                sound=video,
                split=split,
                speaker=f"grid/{talker}",
                gender=None if number is None else "f" if number in GRID_WOMEN else "m",
                phones=phones.get(f"{split}/{talker}/{video.stem}"),
                words=align_words(align) if align else None,
                pictures=video,
            )
        )
    return _sounds(clips)


CREMA_EMOTIONS = {
    "ANG": "anger",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happiness",
    "NEU": "neutral",
    "SAD": "sadness",
}
CIRCUMPLEX = {  # valence, arousal of each named emotion (Russell 1980), where a corpus only names it
    "neutral": (0.0, 0.0),
    "anger": (-0.6, 0.8),
    "boredom": (-0.3, -0.7),
    "disgust": (-0.7, 0.3),
    "fear": (-0.6, 0.7),
    "happiness": (0.8, 0.6),
    "sadness": (-0.7, -0.5),
}


def crema_d(root: Path) -> list[Clip]:
    """CREMA-D: AudioWAV/*.wav (or AudioMP3, VideoFlash) named ACTOR_SENTENCE_EMOTION_LEVEL; also a flat folder of them.

    Split by actor: every fifth is val. Genders are read from VideoDemographics.csv where it is there.
    """
    _need(root)
    found: dict[str, dict[str, Path]] = {}
    for folder in (root, root / "AudioWAV", root / "AudioMP3", root / "VideoFlash"):
        for path in folder.glob("[0-9][0-9][0-9][0-9]_[A-Z][A-Z][A-Z]_[A-Z][A-Z][A-Z]_*.*"):
            found.setdefault(path.stem, {}).setdefault(path.suffix, path)
    if not found:
        raise InputError(f"{root} has no AudioWAV/ACTOR_SENTENCE_EMOTION_LEVEL.wav", "give the folder of CREMA-D")
    demographics = root / "VideoDemographics.csv"
    people = _table(demographics, "ActorID", "Sex") if demographics.is_file() else []
    genders = {row["ActorID"]: row["Sex"][:1].lower() for row in people}
    clips = []
    for stem, files in found.items():
        actor, _, emotion, _ = stem.split("_", 3)
        if emotion not in CREMA_EMOTIONS:
            raise InputError(f"{stem}: emotion {emotion} is none of {', '.join(CREMA_EMOTIONS)}", "mend its name")
        sound = next(files[suffix] for suffix in (".wav", ".mp3", ".flv") if suffix in files)
        valence, arousal = CIRCUMPLEX[CREMA_EMOTIONS[emotion]]
        clips.append(
            Clip(
                key=f"crema_d/{stem}",
                corpus="crema_d",
                sound=sound,
                split="val" if int(actor) % 5 == 0 else "train",
                speaker=f"crema_d/{actor}",
                gender=genders.get(actor),
                emotion=CREMA_EMOTIONS[emotion],
                valence=valence,
                arousal=arousal,
                pictures=files.get(".flv"),
            )
        )
    return _sounds(clips)


def lrs3(root: Path) -> list[Clip]:
    """LRS3: {pretrain,trainval,test}/SPEAKER/NNNNN.mp4 with NNNNN.txt beside it. test, of other speakers, is val."""
    _need(root, "trainval/*/*.mp4")
    clips = []
    for part in ("pretrain", "trainval", "test"):
        for video in sorted((root / part).glob("*/*.mp4")):
            text = video.with_suffix(".txt")
            if not text.is_file():
                raise InputError(f"{text} is missing", "copy the whole corpus")
            rows = _lines(text)
            start = next((index + 1 for index, row in enumerate(rows) if row[:1] == ["WORD"]), len(rows))
            words = tuple(
                (_number(row[1], text), _number(row[2], text), row[0].lower()) for row in rows[start:] if len(row) >= 3
            )
            clips.append(
                Clip(
                    key=f"lrs3/{part}/{video.parent.name}/{video.stem}",
                    corpus="lrs3",
                    sound=video,
                    split="val" if part == "test" else "train",
                    speaker=f"lrs3/{video.parent.name}",
                    words=words or None,
                    pictures=video,
                )
            )
    return _sounds(clips)


RAVDESS_EMOTIONS = ("neutral", "neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")  # 02 is calm


def ravdess(root: Path) -> list[Clip]:
    """RAVDESS: Actor_NN/MM-VV-EE-II-SS-RR-AA.{wav,mp4}. Odd actors are men; 21 to 24 are val. Surprise has no class."""
    _need(root, "Actor_*/*-*-*-*-*-*-*.*")
    found: dict[str, dict[str, Path]] = {}
    for path in (*root.glob("Actor_*/*.wav"), *root.glob("Actor_*/*.mp4")):
        modality, _, rest = path.stem.partition("-")
        if modality != "02":  # 02 is picture without sound
            found.setdefault(rest, {})[path.suffix] = path
    clips = []
    for stem, files in found.items():
        parts = stem.split("-")
        if len(parts) != 6 or not all(part.isdigit() for part in parts) or not 1 <= int(parts[1]) <= 8:
            raise InputError(f"{next(iter(files.values()))} has no RAVDESS name", "expected MM-VV-EE-II-SS-RR-AA")
        actor, emotion = int(parts[5]), RAVDESS_EMOTIONS[int(parts[1]) - 1]
        valence, arousal = CIRCUMPLEX.get(emotion, (0.2, 0.8))
        clips.append(
            Clip(
                key=f"ravdess/{stem}",
                corpus="ravdess",
                sound=files.get(".wav") or files[".mp4"],
                split="val" if actor > 20 else "train",
                speaker=f"ravdess/{actor:02d}",
                gender="m" if actor % 2 else "f",
                emotion=emotion if emotion in EMOTIONS else None,
                valence=valence,
                arousal=arousal,
                pictures=files.get(".mp4"),
            )
        )
    return _sounds(clips)


def tts(root: Path) -> list[Clip]:
    """Synthetic voices with the synthesiser's own phone times: tts/manifest.tsv, tts/phones.tsv, VOICE/NNNN.opus."""
    phones = _intervals(root / "phones.tsv", "utterance")
    return _sounds(
        Clip(
            key=f"tts/{row['utterance']}",
            corpus="tts",
            sound=root / f"{row['utterance']}.opus",
            split=row["split"],
            speaker=f"tts/{row['voice']}",
            gender=row["gender"],
            phones=phones.get(row["utterance"]),
        )
        for row in _table(root / "manifest.tsv", "utterance", "voice", "gender", "split")
    )


def emodb(root: Path) -> list[Clip]:
    """EMO-DB: acted German emotion; manifest.tsv and CLIP.opus. Split by speaker (HELD_OUT_EMODB)."""
    clips = []
    for row in _table(root / "manifest.tsv", "clip", "speaker", "gender", "emotion"):
        if row["emotion"] not in EMOTIONS:
            raise InputError(f"{row['clip']}: emotion {row['emotion']!r} is none of {', '.join(EMOTIONS)}", "mend it")
        valence, arousal = CIRCUMPLEX[row["emotion"]]
        clips.append(
            Clip(
                key=f"emodb/{Path(row['clip']).stem}",
                corpus="emodb",
                sound=root / row["clip"],
                split="val" if row["speaker"] in HELD_OUT_EMODB else "train",
                speaker=f"emodb/{row['speaker']}",
                gender=row["gender"],
                emotion=row["emotion"],
                valence=valence,
                arousal=arousal,
            )
        )
    return _sounds(clips)


def librispeech(root: Path) -> list[Clip]:
    """Read speech, one clip a speaker; phones and words found by machines. One speaker in ten, by hash, is val."""
    phones, words = _intervals(root / "phones.tsv", "clip"), _intervals(root / "words.tsv", "clip")
    clips = []
    for row in _table(root / "manifest.tsv", "clip", "speaker", "gender"):
        stem = Path(row["clip"]).stem
        held_out = zlib.crc32(row["speaker"].encode()) % 10 == 0
        clips.append(
            Clip(
                key=f"librispeech/{stem}",
                corpus="librispeech",
                sound=root / row["clip"],
                split="val" if held_out else "train",
                speaker=f"librispeech/{row['speaker']}",
                gender=row["gender"],
                phones=phones.get(stem),
                words=words.get(stem),
            )
        )
    return _sounds(clips)


def speech(root: Path) -> list[Clip]:
    """The three speech sets in their common folder."""
    _need(root, "tts/manifest.tsv", "emodb/manifest.tsv", "librispeech/manifest.tsv")
    return [*emodb(root / "emodb"), *librispeech(root / "librispeech"), *tts(root / "tts")]


def noise(root: Path) -> list[Clip]:
    """Background sounds: manifest.tsv and CLASS/NAME.opus.

    val: the classes HELD_OUT_NOISE_CLASSES, and of the others one recording in six, by hash of its source, so that no
    recording is on both sides. White and pink noise are synthetic and stay in training. Babble is split by file.
    """
    clips = []
    for row in _table(root / "manifest.tsv", "file", "class", "source"):
        name = row["file"].rpartition(".")[0]
        source = name if row["class"] == "babble" else row["source"]
        held_out = row["class"] in HELD_OUT_NOISE_CLASSES
        if row["class"] == "babble":
            held_out = name.endswith(("8", "9"))
        elif row["class"] not in ("white", "pink", "cafe", "street"):  # too few recordings to share out
            held_out |= zlib.crc32(source.encode()) % 6 == 0
        clips.append(
            Clip(
                key=f"noise/{name}",
                corpus="noise",
                sound=root / row["file"],
                split="val" if held_out else "train",
                speaker="",
                noise_class=row["class"],
                source=source,
            )
        )
    return _sounds(clips)


def wavs(root: Path) -> list[Clip]:
    """A plain folder of sounds with clips.csv: file, split, speaker; gender, emotion, valence, arousal where known."""
    clips = []
    table = root / "clips.csv"
    for row in _table(table, "file", "split", "speaker"):
        emotion = row.get("emotion") or None
        if row["split"] not in ("train", "val") or (emotion and emotion not in EMOTIONS):
            raise InputError(
                f"clips.csv: {row['file']} has split {row['split']!r}, emotion {emotion!r}",
                f"split is train or val; emotion is empty or one of {', '.join(EMOTIONS)}",
            )
        numbers = {name: _number(row[name], table) for name in ("valence", "arousal") if row.get(name)}
        for name, number in numbers.items():
            if not -1 <= number <= 1:
                raise InputError(f"clips.csv: {name} of {row['file']} is {number:g}", "it is between -1 and 1")
        clips.append(
            Clip(
                key=f"wavs/{Path(row['file']).with_suffix('').as_posix()}",
                corpus="wavs",
                sound=root / row["file"],
                split=row["split"],
                speaker=f"wavs/{row['speaker']}",
                gender=row.get("gender") or None,
                emotion=emotion,
                valence=numbers.get("valence"),
                arousal=numbers.get("arousal"),
            )
        )
    return _sounds(clips)


LOADERS: dict[str, Callable[[Path], list[Clip]]] = {
    "grid": grid,
    "crema_d": crema_d,
    "lrs3": lrs3,
    "ravdess": ravdess,
    "speech": speech,
    "tts": tts,
    "emodb": emodb,
    "librispeech": librispeech,
    "noise": noise,
    "wavs": wavs,
}


def load_corpus(name: str, root: Path) -> list[Clip]:
    """The clips of corpus `name` under `root`; ConfigError for an unknown name, InputError for a wrong layout."""
    if name not in LOADERS:
        raise ConfigError(f"no corpus is called {name!r}", f"one of {', '.join(LOADERS)}")
    return LOADERS[name](root)


def training_speech(data_root: Path) -> list[Clip]:
    """All speech that shipped weights may be trained on or judged by: GRID, TTS, EMO-DB, LibriSpeech."""
    return [*grid(data_root / "grid"), *speech(data_root / "speech")]
