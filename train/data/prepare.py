"""`voxcam train prepare`: everything that training reads of a clip, in shards: sound, teacher's features, labels.

    sound/    KEY.sound int16 (codes * 320,)
    teacher/  KEY.features float16 (codes, 384)                      train/data/teacher.py
    labels/   KEY.phones int8 (codes,), -1 where unknown
              KEY.presence uint8 (codes,): somebody speaks here
              KEY.motion float16 (codes, 14), in units of the typical person's deviation; GRID from its pictures,
                  the others from the labeller (train/data/labeller.py)
              KEY.components float16 (codes, 64): principal components of the teacher's features
    style/    KEY.style float16 (codes, 32): the teacher's opinion of how it is said, against the speaker's other clips
    speech.json  units, offsets, the labeller's scores, what it was made of; components.npz the projection

Every step goes on where it was stopped. With other landmarks, with or without the teacher, what hangs on them is made
anew; a cache of other clips is refused.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from engines.spec import EMOTIONS, PHONES, SPEC, SPEECH_CHANNELS
from engines.whole_file import write_atomically, write_npz
from train.data.corpora import Clip, sound_of, training_speech
from train.data.labeller import LabellerConfig, amplitude_gain, finish, label, teach
from train.data.motion_labels import (
    clip_motion,
    find_landmarks,
    landmarks_of,
    measure_offsets,
    picture_measures,
    smooth,
    talker_scales,
)
from train.data.shards import Arrays, read_shards, write_shards
from train.data.teacher import VERSION as TEACHER_VERSION
from train.data.teacher import Teacher, groups_of

SOUND_VERSION = {"sound": 1}
LABELS_VERSION = {"labels": 1}
STYLE_VERSION = {"style": 1}
STYLE_CLIPS = 4  # of a speaker at least, to know what is usual
COMPONENTS = 64
STYLE = 32
VERSION = 3  # of all that is prepared: 2 has style, 3 has motion as quick as the pictures
CALIBRATION_TALKERS = ("grid/s3", "grid/s30", "grid/s33", "grid/s26")  # left out once, to find the labeller's gain
MOOD_PRIOR = np.array([0.58] + [0.07] * 6)  # of speech that nobody acted: mostly neutral
MOOD_TEMPERATURE = 2.0
PRESENCE_MARGIN = 5  # codes around phones that still count as speaking

Progress = Callable[[str, int, int], None]


def sources(clips: Mapping[str, Clip], landmarks_root: Path, use_teacher: bool) -> dict:
    """What everything that is prepared hangs on, as speech.json keeps it (`made_of`)."""
    seen = hashlib.sha256()
    for key in sorted(key for key, clip in clips.items() if clip.corpus == "grid"):
        path = landmarks_root / f"{key}.npy"
        if path.is_file():
            seen.update(f"{key} {zlib.crc32(path.read_bytes())}\n".encode())
    return {
        "teacher": TEACHER_VERSION if use_teacher else None,
        "clips": hashlib.sha256("\n".join(sorted(clips)).encode()).hexdigest()[:16],
        "landmarks": seen.hexdigest()[:16],
    }


def is_current(facts: dict, made_of: dict) -> bool:
    """Whether speech.json tells of this version, made of the same; older ones tell of the teacher alone."""
    if facts.get("version") != VERSION:
        return False
    if "made_of" not in facts:
        return ("labeller" in facts) == (made_of["teacher"] is not None)
    return facts["made_of"] == made_of


def mark_of(arrays: Mapping[str, np.ndarray]) -> int:
    """Of all values, in the order of the keys."""
    mark = 0
    for key in sorted(arrays):
        mark = zlib.crc32(arrays[key].tobytes(), mark)
    return mark


def phones_at_codes(clip: Clip, codes: int) -> np.ndarray:
    """Phone of each code time, int8, -1 where the corpus doesn't say."""
    found = np.full(codes, -1, np.int8)
    if clip.phones:
        times = (np.arange(codes) + 0.5) * SPEC.code_s
        for start, end, phone in clip.phones:
            found[(times >= start) & (times < end)] = PHONES.index(phone)
        found[found < 0] = 0
    return found


def presence_at_codes(phones: np.ndarray, sound: np.ndarray) -> np.ndarray:
    """1 where somebody speaks: at phones and a little around; by loudness where there are no phones."""
    codes = len(phones)
    if (phones >= 0).all():
        speaks = phones > 0
    else:
        power = (sound[: codes * SPEC.chunk_samples].astype(np.float32) / 32767).reshape(codes, -1)
        level = 10 * np.log10((power**2).mean(1) + 1e-10)
        speaks = level > np.quantile(level, 0.95) - 28
    near = np.convolve(speaks, np.ones(2 * PRESENCE_MARGIN + 1), "same") > 0
    return near.astype(np.uint8)


def to_int16(samples: np.ndarray) -> np.ndarray:
    codes = len(samples) // SPEC.chunk_samples
    return (np.clip(samples[: codes * SPEC.chunk_samples], -1, 1) * 32767).astype(np.int16)


def prepare(
    data_root: Path,
    landmarks_root: Path,
    cache: Path,
    teacher_folder: Path | None = None,
    threads: int = 1,
    progress: Progress = lambda _what, _done, _of: None,
    use_teacher: bool = True,
) -> dict:
    """Prepare all speech under `data_root`; returns what speech.json holds.

    Without the teacher only GRID has motion, nothing has components, and no offset is corrected.
    """
    done = cache / "speech.json"  # written last
    clips = {clip.key: clip for clip in training_speech(data_root)}
    if done.is_file() and is_current(
        facts := json.loads(done.read_text()), sources(clips, landmarks_root, use_teacher)
    ):
        return facts
    groups = groups_of(sorted(clips))

    def read(keys) -> dict[str, Arrays]:
        return {key: {"sound": to_int16(sound_of(clips[key].sound))} for key in keys}

    write_shards(cache / "sound", groups, read, SOUND_VERSION, lambda a, b: progress("sound", a, b))
    sounds = {key: arrays["sound"] for key, arrays in read_shards(cache / "sound", SOUND_VERSION)}

    find_landmarks([clip for clip in clips.values() if clip.corpus == "grid"], landmarks_root, progress)
    heard: list[Teacher] = []

    def hear(keys) -> dict[str, Arrays]:
        if not heard:
            heard.append(Teacher(teacher_folder, threads))
        return heard[0].features({key: sounds[key].astype(np.float32) / 32767 for key in keys})

    features: dict[str, np.ndarray] = {}
    if use_teacher:
        write_shards(cache / "teacher", groups, hear, TEACHER_VERSION, lambda a, b: progress("teacher", a, b))
        features = {key: arrays["features"] for key, arrays in read_shards(cache / "teacher", TEACHER_VERSION)}
    codes = {key: len(sound) // SPEC.chunk_samples for key, sound in sounds.items()}
    made_of = sources(clips, landmarks_root, use_teacher)
    motion, facts = label_motion(clips, codes, features, landmarks_root, progress)
    facts["made_of"] = made_of
    basis = principal_components(features, clips) if use_teacher else np.zeros((0, COMPONENTS), np.float32)

    def components(key: str) -> np.ndarray:
        if not use_teacher:
            return np.full((codes[key], COMPONENTS), np.nan)
        heard = features[key].astype(np.float32)
        return (heard - heard.mean(0)) @ basis

    def describe(keys) -> dict[str, Arrays]:
        rows = {}
        for key in keys:
            phones = phones_at_codes(clips[key], codes[key])
            rows[key] = {
                "phones": phones,
                "presence": presence_at_codes(phones, sounds[key]),
                "motion": motion[key].astype(np.float16),
                "components": components(key).astype(np.float16),
            }
        return rows

    # The labels hang on everything before them; they are made in seconds, so that they carry a mark of it.
    version: dict = LABELS_VERSION | {"motion": mark_of(motion)} | ({} if use_teacher else {"teacher": None})
    done.unlink(missing_ok=True)  # of other labels: a run that is cut off from here on leaves half of each
    write_shards(cache / "labels", groups, describe, version, lambda a, b: progress("labels", a, b), anew=True)
    write_npz(cache / "components.npz", {"basis": basis}, compressed=False)
    described = styles(features, clips) if use_teacher else {}

    def say(keys) -> dict[str, Arrays]:
        nothing = lambda key: np.full((codes[key], STYLE), np.nan, np.float16)  # noqa: E731
        return {key: {"style": described[key] if key in described else nothing(key)} for key in keys}

    version = STYLE_VERSION | {"style of": mark_of(described)}
    write_shards(cache / "style", groups, say, version, lambda a, b: progress("style", a, b), anew=True)
    opinion = moods(features, clips) if use_teacher else {next(iter(clips)): np.zeros(len(EMOTIONS), np.float32)}
    told = {"keys": np.array(list(opinion)), "values": np.stack(list(opinion.values()))}
    write_npz(cache / "moods.npz", told, compressed=False)
    write_atomically(done, json.dumps(facts, indent=1).encode())
    return facts


def label_motion(
    clips: dict[str, Clip],
    codes: dict[str, int],
    features: dict[str, np.ndarray],
    landmarks_root: Path,
    progress: Progress,
) -> tuple[dict[str, np.ndarray], dict]:
    """Motion of every clip in units of the typical deviation, and what was measured on the way.

    Without the teacher's features only GRID's clips have one; the others' is NaN.
    """
    landmarks = {
        key: found
        for key, clip in clips.items()
        if clip.corpus == "grid" and (found := landmarks_of(clip, landmarks_root)) is not None
    }
    talker_of = {key: clip.speaker for key, clip in clips.items()}
    pictures = {key: smooth(picture_measures(points), 1.0) for key, points in landmarks.items()}
    offsets = dict.fromkeys(talker_of.values(), 0.0)
    if features:
        offsets |= measure_offsets({k: features[k] for k in pictures}, pictures, {k: talker_of[k] for k in pictures})
    truth = {key: clip_motion(points, codes[key], offsets[talker_of[key]]) for key, points in landmarks.items()}
    scales, typical = talker_scales(
        {key: value for key, value in truth.items() if clips[key].split == "train"}, talker_of
    )
    targets = {
        key: (value / scales[talker_of[key]]).astype(np.float32)
        for key, value in truth.items()
        if clips[key].split == "train"
    }
    facts: dict = {
        "version": VERSION,
        "channels": list(SPEECH_CHANNELS),
        "typical": typical.tolist(),
        "scales": {talker: value.tolist() for talker, value in scales.items()},
        "offsets_s": {talker: offset for talker, offset in offsets.items() if offset},
    }
    motion = {
        key: truth[key] / scales.get(talker_of[key], typical)
        if key in truth
        else np.full((codes[key], len(typical)), np.nan)
        for key in clips
    }
    if not features:
        return motion, facts
    config = LabellerConfig()
    gain, r_left_out = amplitude_gain(features, targets, talker_of, config, CALIBRATION_TALKERS)
    total = config.nets * config.steps
    nets, standard = teach(features, targets, talker_of, config, lambda step: progress("labeller", step, total))
    others = {key: features[key] for key in clips if key not in truth}
    labelled = label(nets, standard, others, lambda done: progress("labelled", done, len(others)))
    motion |= {key: finish(value * gain) for key, value in labelled.items()}
    facts["labeller"] = asdict(config)
    facts["labeller_gain"] = gain.tolist()
    facts["labeller_r_talkers_left_out"] = r_left_out
    heard = label(nets, standard, {key: features[key] for key in truth if clips[key].split == "val"})
    facts["labeller_r_val"] = {
        talker: {
            name: float(np.mean([np.corrcoef(heard[k][:, c], truth[k][:, c])[0, 1] for k in keys]))
            for c, name in enumerate(SPEECH_CHANNELS)
        }
        for talker in sorted({talker_of[k] for k in heard})
        if (keys := [k for k in heard if talker_of[k] == talker])
    }
    return motion, facts


def principal_components(features: dict[str, np.ndarray], clips: dict[str, Clip]) -> np.ndarray:
    """Projection (384, 64) of clip-centred features of training clips, scaled to a mean variance of 1.

    Each clip's own mean is taken off first: it tells who speaks and in what mood, which content shall not.
    """
    parts = [value.astype(np.float32)[::4] for key, value in features.items() if clips[key].split == "train"]
    centred = np.concatenate([part - part.mean(0) for part in parts])
    covariance = centred.T @ centred / len(centred)
    values, vectors = np.linalg.eigh(covariance)
    basis = vectors[:, ::-1][:, :COMPONENTS] / np.sqrt(values[::-1][:COMPONENTS].mean())
    return basis.astype(np.float32)


def styles(features: dict[str, np.ndarray], clips: dict[str, Clip]) -> dict[str, np.ndarray]:
    """How each clip is said, (codes, 32) float16, whose mean over any stretch is the style of that stretch.

    Means of the teacher's features and of their squares over a clip, minus their means over all clips of its speaker:
    what is left is mood, effort and pace (and some of the words), not who speaks. Of that the principal components,
    half by EMO-DB's training actors and half by all others, scaled to a mean variance of 1 over clips. Clips of
    speakers with fewer than STYLE_CLIPS clips have none.
    """
    squares = lambda value: np.concatenate([value, value * value], 1)  # noqa: E731
    pooled = {key: squares(value.astype(np.float32)).mean(0) for key, value in features.items()}
    of_speaker: dict[str, list[str]] = {}
    for key in pooled:
        of_speaker.setdefault(clips[key].speaker, []).append(key)
    usual = {who: np.mean([pooled[k] for k in keys], 0) for who, keys in of_speaker.items() if len(keys) >= STYLE_CLIPS}
    known = [key for key in pooled if clips[key].speaker in usual]
    taught = [key for key in known if clips[key].split == "train"]
    deviation = np.std([pooled[key] for key in taught], 0) + 1e-3
    centred = np.stack([(pooled[key] - usual[clips[key].speaker]) / deviation for key in taught])
    acted = np.array([clips[key].corpus == "emodb" for key in taught])
    share = np.where(acted, 0.5 / max(1, acted.sum()), 0.5 / max(1, (~acted).sum()))
    values, vectors = np.linalg.eigh((centred * share[:, None]).T @ centred)
    basis = vectors[:, ::-1][:, :STYLE] / np.sqrt(values[::-1][:STYLE].mean())
    basis /= deviation[:, None]
    return {
        key: ((squares(features[key].astype(np.float32)) - usual[clips[key].speaker]) @ basis).astype(np.float16)
        for key in known
    }


def moods(features: dict[str, np.ndarray], clips: dict[str, Clip]) -> dict[str, np.ndarray]:
    """The teacher's opinion of each training clip's emotion, (7,) probabilities.

    Logistic regression on mean and deviation of its features, taught on EMO-DB's training speakers; each of them is
    judged by the regression of the others, so that the opinion is as unsure as it would be of a stranger. To it,
    readers sound bored and GRID's talkers sad, which is the recording, not the mood: of every other corpus the mean
    opinion is moved to MOOD_PRIOR, and what is left is how a clip differs from its corpus.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    pooled = {
        key: np.concatenate([value.astype(np.float32).mean(0), value.astype(np.float32).std(0)])
        for key, value in features.items()
    }
    acted = [key for key, clip in clips.items() if clip.corpus == "emodb" and clip.split == "train"]

    def fit(keys: list[str]):
        model = make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=500))
        return model.fit(np.stack([pooled[key] for key in keys]), [EMOTIONS.index(clips[key].emotion) for key in keys])

    opinion: dict[str, np.ndarray] = {}
    for speaker in sorted({clips[key].speaker for key in acted}):
        own = [key for key in acted if clips[key].speaker == speaker]
        model = fit([key for key in acted if clips[key].speaker != speaker])
        logits = model.decision_function(np.stack([pooled[key] for key in own])) / MOOD_TEMPERATURE
        opinion.update(zip(own, softmax(logits), strict=True))
    everyone = fit(acted)
    for corpus in sorted({clip.corpus for clip in clips.values()} - {"emodb"}):
        own = [key for key, clip in clips.items() if clip.corpus == corpus and clip.split == "train"]
        logits = everyone.decision_function(np.stack([pooled[key] for key in own])) / MOOD_TEMPERATURE
        for _ in range(100):
            logits += np.log(MOOD_PRIOR / softmax(logits).mean(0))
        opinion.update(zip(own, softmax(logits), strict=True))
    return {key: value.astype(np.float32) for key, value in opinion.items()}


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)
