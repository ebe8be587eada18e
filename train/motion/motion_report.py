"""`voxcam train score motion`: docs/reports/motion, stage by stage, the encoder's motion beside what the user sees.

A stage judges the checkpoint, the gain and the laws' code. "Shaped" is the encoder's motion after the laws
(engines/motion/laws.py), step by step through the exported engine, without idle life and emotion.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path

import numpy as np

from engines.card import WEIGHTS
from engines.encoder import Encoder
from engines.motion.reach import MOUTH, TYPICAL_REACH
from engines.shaper import Shaper
from engines.spec import SPEC, SPEECH_CHANNELS
from train.data.augment import SNRS_DB, cut, rms, with_noise
from train.data.corpora import sound_of, speech
from train.data.made_noises import beeps, touches
from train.data.motion_labels import OPEN, at_codes
from train.data.shards import read_shards
from train.motion import lively as voices
from train.motion import microphones as faults
from train.motion import motion_markdown
from train.motion.heard import KINDS, Rows, hear, open_judged
from train.motion.reach import judge, judge_own, listen
from train.motion.score_motion import (
    OPEN_AT,
    PICTURES,
    Take,
    Three,
    baselines,
    closed_at,
    correlation,
    held_out_noises,
    jitter,
    labeller_courses,
    pictures_of,
    r_of,
    slope_of,
    steady_vowels,
    takes,
    three,
)
from train.stages import Say, hash_of, run_stages

LOOKAHEADS_MS = SPEC.lookaheads_ms
PEOPLE = ("unseen", "seen")
STRETCH = SPEECH_CHANNELS.index("mouthStretch")
SPEECH_LEVEL = 0.07  # RMS of speech in the shared sets
REST_S = 6
MADE, MADE_SEED, MADE_PEAK = 24, 9000, 0.3
QUIET_BEHIND = ("dark and far", "muffled in a hall", "suppressor")  # faults behind which noise might pass for speech
LAWS = ("shaper.py", "ramps.py", "motion/laws.py", "motion/expression.py", "motion/reach.py")
OWN_CLIPS = 4  # three-second clips that a person films of themselves


@dataclass
class Work:
    """What the stages share; made when first asked for."""

    checkpoint: Path  # or an exported encoder.onnx
    data: Path
    landmarks: Path
    cache: Path
    out: Path
    calibration: Path | None = None
    gain: np.ndarray | None = None
    others: dict[str, Path] = field(default_factory=dict)
    say: Say = print
    seed: int = 7
    stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def encoder(self) -> Encoder:
        return self.stack.enter_context(open_judged(self.checkpoint, self.gain))

    @cached_property
    def prepared(self) -> dict:
        """What `voxcam train prepare` measured."""
        return json.loads((self.cache / "speech.json").read_text())

    @cached_property
    def offsets_s(self) -> dict[str, float]:
        return self.prepared["offsets_s"]

    @cached_property
    def people(self) -> dict[str, list[Take]]:
        found = takes(self.data, self.landmarks, self.offsets_s)
        return {name: [t for t in found if (t.clip.speaker == "grid/s5") == (name == "unseen")] for name in PEOPLE}

    @cached_property
    def taught(self) -> list[Take]:
        """A third of GRID train, for what is taught at once."""
        return takes(self.data, self.landmarks, self.offsets_s, "train", every=3)

    @cached_property
    def noises(self) -> list[tuple[str, np.ndarray]]:
        return held_out_noises(self.data)

    @cached_property
    def babbles(self) -> list[tuple[str, np.ndarray]]:
        return held_out_noises(self.data, babble=True)

    @cached_property
    def sounds(self) -> dict[str, dict[str, list[np.ndarray]]]:
        """People -> condition -> a sound for each of their takes; noises and places drawn once, by the seed."""
        found: dict[str, dict[str, list[np.ndarray]]] = {}
        for people, group in self.people.items():
            draw = np.random.default_rng(self.seed)
            found[people] = {"clean": [take.sound for take in group]}
            for snr_db in SNRS_DB:
                found[people][f"{snr_db} dB"] = [
                    with_noise(take.sound, self.noises[int(draw.integers(len(self.noises)))][1], snr_db, draw)
                    for take in group
                ]
            found[people]["babble 5 dB"] = [
                with_noise(take.sound, self.babbles[int(draw.integers(len(self.babbles)))][1], 5, draw)
                for take in group
            ]
        return found

    @cached_property
    def rows(self) -> dict[str, dict[str, list[Rows]]]:
        return {
            people: {condition: [hear(self.encoder, sound) for sound in sounds] for condition, sounds in each.items()}
            for people, each in self.sounds.items()
        }


def courses(rows: list[Rows], kind: str, lookahead_ms: int) -> list[np.ndarray]:
    """Code courses (codes, 14) of each sound."""
    return [KINDS[kind](each, lookahead_ms)[:, : len(SPEECH_CHANNELS)] for each in rows]


def drawn(rows: list[Rows], kind: str, lookahead_ms: int) -> list[np.ndarray]:
    """The same as pictures, (75, 14)."""
    return [pictures_of(course) for course in courses(rows, kind, lookahead_ms)]


# ---- stages: Work -> what report.json keeps ----


def r_row(rows: list[Rows], group: list[Take], kind: str, channel: int = OPEN, words: bool = True) -> Three:
    """r of a channel with the truth's, by lookahead."""
    return three(lambda ms: r_of([m[:, channel] for m in drawn(rows, kind, ms)], group, channel, words))


def slope_row(rows: list[Rows], group: list[Take], kind: str, channel: int = OPEN) -> Three:
    """Slope of a channel against the truth's, by lookahead."""
    return three(lambda ms: slope_of([m[:, channel] for m in drawn(rows, kind, ms)], group, channel))


def resting(rows: list[Rows], kind: str) -> Three:
    """Share of codes with the mouth at rest, from half a second on, by lookahead."""
    return three(lambda ms: mean_of(course[25:, OPEN] < OPEN_AT for course in courses(rows, kind, ms)))


def opening(work: Work) -> dict:
    """r of the opening by people, condition, kind: in words and over the whole clip."""
    return {
        people: {
            condition: {
                kind: {
                    "in words": r_row(rows, work.people[people], kind),
                    "whole clip": r_row(rows, work.people[people], kind, words=False),
                }
                for kind in KINDS
            }
            for condition, rows in each.items()
        }
        for people, each in work.rows.items()
    }


def shape(work: Work) -> dict:
    """Slope, deviation, jitter, closures, share of open pictures."""
    found: dict[str, dict] = {}
    for people, group in work.people.items():
        true_codes = [at_codes(take.truth, 2 * PICTURES)[:, OPEN] for take in group]
        truth = {
            "closed at p, b, m": mean_of(closed_at(c, t) for c, t in zip(true_codes, group, strict=True) if t.closures),
            "open in words": mean_of(t.truth[t.words, OPEN] > OPEN_AT for t in group),
            "open in silence": mean_of(t.truth[t.silence, OPEN] > OPEN_AT for t in group),
        }
        found[people] = {"truth": truth} | {kind: shape_of(work.rows[people], group, kind) for kind in KINDS}
    return found


def shape_of(rows: dict[str, list[Rows]], group: list[Take], kind: str) -> dict[str, Three]:
    """One kind's figures, by lookahead."""
    openings = {ms: [m[:, OPEN] for m in drawn(rows["clean"], kind, ms)] for ms in LOOKAHEADS_MS}

    def pairs(ms: int) -> list[tuple[np.ndarray, Take]]:
        return list(zip(openings[ms], group, strict=True))

    def against_truth(measure: Callable[[np.ndarray, Take], float], ms: int) -> float:
        true = mean_of(measure(t.truth[:, OPEN], t) for t in group)
        return mean_of(measure(m, t) for m, t in pairs(ms)) / true

    def closed(condition: str, ms: int) -> float:
        guesses = courses(rows[condition], kind, ms)
        return mean_of(closed_at(c[:, OPEN], t) for c, t in zip(guesses, group, strict=True) if t.closures)

    return {
        "slope of opening": slope_row(rows["clean"], group, kind),
        "deviation of opening": three(
            lambda ms: mean_of(m[t.words].std() / t.truth[t.words, OPEN].std() for m, t in pairs(ms))
        ),
        "jitter in words": three(lambda ms: against_truth(jitter, ms)),
        "jitter on steady vowels": three(lambda ms: against_truth(steady_vowels, ms)),
        "open in words": three(lambda ms: mean_of(m[t.words] > OPEN_AT for m, t in pairs(ms))),
        "open in silence": three(lambda ms: mean_of(m[t.silence] > OPEN_AT for m, t in pairs(ms))),
        "closed at p, b, m, clean": three(lambda ms: closed("clean", ms)),
        "closed at p, b, m, 10 dB": three(lambda ms: closed("10 dB", ms)),
        "closed at p, b, m, 0 dB": three(lambda ms: closed("0 dB", ms)),
    }


def mean_of(values) -> float:
    """Mean over all numbers in an iterable of numbers or arrays."""
    return float(np.mean(np.concatenate([np.atleast_1d(value).astype(float) for value in values])))


def channels(work: Work) -> dict:
    """r and slope of every channel in words, clean and at 10 dB."""
    return {
        people: {
            condition: {
                kind: {
                    name: {
                        "r": r_row(each[condition], work.people[people], kind, c),
                        "slope": slope_row(each[condition], work.people[people], kind, c),
                    }
                    for c, name in enumerate(SPEECH_CHANNELS)
                }
                for kind in KINDS
            }
            for condition in ("clean", "10 dB")
        }
        for people, each in work.rows.items()
    }


def noise_classes(work: Work) -> dict:
    """r in words of the unseen talker in each class of held-out noise, and in babble, at 10 and 0 dB."""
    group = work.people["unseen"]
    found: dict[str, dict] = {}
    for name in (*sorted({name for name, _ in work.noises}), "babble"):
        recordings = [r for each, r in (*work.noises, *work.babbles) if each == name]
        found[name] = {"recordings": len(recordings)}
        for snr_db in (10, 0):
            draw = np.random.default_rng(work.seed)
            rows = [
                hear(work.encoder, with_noise(t.sound, recordings[int(draw.integers(len(recordings)))], snr_db, draw))
                for t in group
            ]
            found[name][f"{snr_db} dB"] = {kind: r_row(rows, group, kind) for kind in KINDS}
    return found


def rest(work: Work) -> dict:
    """Share of codes with the mouth at rest when nobody speaks, from half a second on."""
    draw = np.random.default_rng(work.seed)
    count = REST_S * SPEC.sample_rate_hz

    def at(recording: np.ndarray, level: float, fault: str | None = None) -> np.ndarray:
        piece = cut(recording, count, draw)
        if fault is not None:
            piece = faults.FAULTS[fault](piece, draw)
        return np.clip(piece * (level / rms(piece)), -1, 1).astype(np.float32)

    quiet = [np.zeros(count, np.float32)]
    quiet += [(draw.standard_normal(count) * 10 ** (db / 20)).astype(np.float32) for db in (-90, -75, -65)]
    sounds = {"silence": quiet}
    sounds["unseen noises, speech level"] = [at(r, SPEECH_LEVEL) for _, r in work.noises for _ in range(2)]
    sounds["unseen noises, 20 dB lower"] = [at(r, SPEECH_LEVEL / 10) for _, r in work.noises]
    sounds["unseen babble, speech level"] = [at(r, SPEECH_LEVEL) for _, r in work.babbles for _ in range(6)]
    sounds["unseen babble, 20 dB lower"] = [at(r, SPEECH_LEVEL / 10) for _, r in work.babbles for _ in range(6)]
    for fault in QUIET_BEHIND:
        sounds[f"unseen noises, {fault}"] = [at(r, SPEECH_LEVEL, fault) for _, r in work.noises]
        sounds[f"unseen babble, {fault}"] = [at(r, SPEECH_LEVEL, fault) for _, r in work.babbles for _ in range(6)]
    for name, make in (("bumps, knocks and clicks", touches), ("beeps and rings", beeps)):  # made as what teaches
        made = [make(count, np.random.default_rng((work.seed, MADE_SEED, each))) for each in range(MADE)]
        sounds[f"{name} out of quiet"] = [each * np.float32(MADE_PEAK / np.abs(each).max()) for each in made]
    classes = [name for name, _ in work.noises for _ in range(2)]

    def share(rows: list[Rows]) -> dict[str, Three]:
        return {kind: resting(rows, kind) for kind in KINDS}

    heard = {name: [hear(work.encoder, sound) for sound in each] for name, each in sounds.items()}
    loud = heard["unseen noises, speech level"]
    return {
        "sounds": {name: share(rows) for name, rows in heard.items()},
        "classes": {
            name: share([rows for rows, each in zip(loud, classes, strict=True) if each == name])
            for name in sorted(set(classes))
        },
    }


def emotions(work: Work) -> dict:
    """r of opening with the labeller's course by acted emotion: EMO-DB's held-out speakers, who have no pictures."""
    clips = {c.key: c for c in speech(work.data / "speech") if c.corpus == "emodb" and c.split == "val"}
    labels = {key: arrays["motion"] for key, arrays in read_shards(work.cache / "labels") if key in clips}
    found: dict[str, dict[str, list[Three]]] = {}
    for key in sorted(labels):
        rows = hear(work.encoder, sound_of(clips[key].sound))
        label = labels[key][: rows.codes, OPEN].astype(np.float32)
        if label.std() < 1e-6:
            continue
        for kind in KINDS:
            of = found.setdefault(clips[key].emotion or "", {}).setdefault(kind, [])
            of.append([correlation(courses([rows], kind, ms)[0][: len(label), OPEN], label) for ms in LOOKAHEADS_MS])
    return {
        emotion: {"clips": len(kinds["encoder"])}
        | {kind: np.mean(values, 0).round(4).tolist() for kind, values in kinds.items()}
        for emotion, kinds in sorted(found.items())
    }


def lively(work: Work) -> dict:
    """Voices that are not calm, made of val speakers' clips: see train/motion/lively.py."""
    return voices.judge_all(work.encoder, work.data, work.cache, work.seed)


def microphones(work: Work) -> dict:
    """Val speakers' clips behind other microphones, lines and rooms: see train/motion/microphones.py."""
    return faults.judge_all(work.encoder, work.data, work.cache, work.seed)


def beside(work: Work) -> dict:
    """What needs no network, by people and condition."""
    return {people: baselines(group, work.taught, work.sounds[people]) for people, group in work.people.items()}


def labeller(work: Work) -> dict:
    """The ceiling: the labeller, taught anew on GRID train as `voxcam train prepare` does, on the same pictures."""
    guesses = labeller_courses(work.cache, [t for group in work.people.values() for t in group], work.say)
    found: dict[str, dict] = {}
    for people, group in work.people.items():
        mine = [pictures_of(np.pad(guesses[t.clip.key], ((0, 2), (0, 0)), mode="edge")) for t in group]
        found[people] = {
            "whole clip": r_of([m[:, OPEN] for m in mine], group, words=False),
            **{name: r_of([m[:, c] for m in mine], group, c) for c, name in enumerate(SPEECH_CHANNELS)},
        }
    return found


def others(work: Work) -> dict:
    """Other checkpoints by the same ruler: unseen talker, and rest."""
    from train.motion.score_motion import amplitude_gain
    from train.speech.begin import steps_of

    found: dict[str, dict] = {}
    for name, path in work.others.items():
        gain = None
        if work.calibration is not None and path.suffix != ".onnx":
            gain = amplitude_gain(path, work.calibration, work.data, work.landmarks, work.cache)
        with open_judged(path, gain) as encoder:
            found[name] = {"steps": steps_of(path)} | against(work, encoder)
        work.say(f"compared with {name}")
    return found


def strangers(work: Work) -> dict:
    """Four more unseen talkers, one by one: those that the short calibration run left out, judged by that run."""
    from train.speech.export import encoder_of

    if work.calibration is None:
        return {}
    _, facts = encoder_of(work.calibration)
    draw = np.random.default_rng(work.seed)
    talkers: dict[str, dict] = {}
    with open_judged(work.calibration, None) as encoder:
        for talker in facts["config"]["leave_out"]:
            group = takes(work.data, work.landmarks, work.offsets_s, "train", [talker])
            noisy = [with_noise(t.sound, work.noises[int(draw.integers(len(work.noises)))][1], 5, draw) for t in group]
            clean, loud = ([hear(encoder, sound) for sound in s] for s in ([t.sound for t in group], noisy))
            talkers[talker.removeprefix("grid/")] = {
                "clips": len(group),
                "opening in words, clean": r_row(clean, group, "encoder"),
                "opening in words, 5 dB": r_row(loud, group, "encoder"),
                "opening, whole clip, clean": r_row(clean, group, "encoder", words=False),
                "width in words, clean": r_row(clean, group, "encoder", STRETCH),
            }
            work.say(f"stranger {talker}: {len(group)} clips")
    return {"steps": facts["steps"], "talkers": talkers}


def against(work: Work, encoder: Encoder) -> dict:
    group = work.people["unseen"]
    conditions = ("clean", "10 dB", "0 dB", "babble 5 dB")
    heard = {name: [hear(encoder, sound) for sound in work.sounds["unseen"][name]] for name in conditions}

    draw = np.random.default_rng(work.seed)
    count = REST_S * SPEC.sample_rate_hz
    alone = {}
    for name, recordings, times in (("noise", work.noises, 1), ("babble", work.babbles, 4)):
        pieces = [cut(recording, count, draw) for _, recording in recordings for _ in range(times)]
        alone[name] = [hear(encoder, np.clip(p * (SPEECH_LEVEL / rms(p)), -1, 1).astype(np.float32)) for p in pieces]
    found = {}
    for kind in KINDS:
        found[kind] = {f"opening in words, {name}": r_row(heard[name], group, kind) for name in conditions}
        found[kind]["opening, whole clip, clean"] = r_row(heard["clean"], group, kind, words=False)
        found[kind]["width in words, clean"] = r_row(heard["clean"], group, kind, STRETCH)
        for name, rows in alone.items():
            found[kind][f"at rest, {name} alone"] = resting(rows, kind)
    return found


def whole_clip(work: Work) -> dict:
    """Where r over the whole clip is lost, at 80 ms: truth put in place of the guess, one part of time after another.

    "rest known": before the first word and after the last one the guess is the talker's own usual course there, the
    mean of his other clips by the time to the word. That is what no sound tells; what is lost beyond it, hearing lost.
    """
    return {
        f"{people}, {group[0].clip.speaker.rpartition('/')[2]}": lost_by_kind(group, work.rows[people]["clean"])
        for people, group in work.people.items()
    }


def whole_clip_of_strangers(work: Work) -> dict:
    """The same of the talkers that the short calibration run left out, judged by that run."""
    from train.speech.export import encoder_of

    if work.calibration is None:
        return {}
    found: dict[str, dict] = {}
    with open_judged(work.calibration) as short:
        for talker in encoder_of(work.calibration)[1]["config"]["leave_out"]:
            group = takes(work.data, work.landmarks, work.offsets_s, "train", (talker,))
            name = f"left out of the short run, {talker.rpartition('/')[2]}"
            found[name] = lost_by_kind(group, [hear(short, t.sound) for t in group])
    return found


def lost_by_kind(group: list[Take], rows: list[Rows]) -> dict:
    kinds = {kind: lost([m[:, OPEN] for m in drawn(rows, kind, 80)], group) for kind in KINDS}
    return {"clips": len(group)} | kinds


def own_reach(work: Work) -> dict:
    """What a few clips of a person are worth to the mouths of the others, at 80 ms: see train/motion/reach.py."""
    found: dict[str, dict] = {}
    for people, group in work.people.items():
        clips = listen(work.encoder, group)
        ways = {
            "as the encoder says": judge(clips, np.ones(MOUTH)),
            "most people's reach": judge(clips, TYPICAL_REACH),
            f"own reach, from {OWN_CLIPS} other clips": judge_own(clips, OWN_CLIPS),
        }
        found[people] = {name: {"apart": apart, "slope": slope} for name, (apart, slope) in ways.items()}
    return found


def lost(guesses: list[np.ndarray], group: list[Take]) -> dict[str, float]:
    """Mean whole-clip r with parts of the guess replaced, and what truth and guess are in each part."""
    places = np.arange(PICTURES)
    first = [int(np.flatnonzero(t.words)[0]) for t in group]
    last = [int(np.flatnonzero(t.words)[-1]) for t in group]
    before = [places < a for a in first]
    after = [places > b for b in last]

    def usual(number: int) -> np.ndarray:
        """The course of the other clips outside words, by the time to the nearest word."""
        course = np.zeros(PICTURES)
        for side, at in ((before, first), (after, last)):
            for k in np.flatnonzero(side[number]):
                gap = k - at[number]
                values = [
                    t.truth[at[i] + gap, OPEN]
                    for i, t in enumerate(group)
                    if i != number and 0 <= at[i] + gap < PICTURES
                ]
                course[k] = np.mean(values) if values else 0
        return course

    def r(replaced: Callable[[int], np.ndarray]) -> float:
        return round(float(np.mean([correlation(replaced(i), t.truth[:, OPEN]) for i, t in enumerate(group)])), 4)

    def put(where: list[np.ndarray], what: Callable[[int], np.ndarray]) -> float:
        return r(lambda i: np.where(where[i], what(i), guesses[i]))

    truth = [t.truth[:, OPEN] for t in group]
    outside = [a | b for a, b in zip(before, after, strict=True)]
    usual_courses = [usual(i) for i in range(len(group))]
    return {
        "as it is": r(lambda i: guesses[i]),
        "truth before the first word": put(before, lambda i: truth[i]),
        "truth after the last word": put(after, lambda i: truth[i]),
        "truth in words": put([~each for each in outside], lambda i: truth[i]),
        "rest known": put(outside, lambda i: usual_courses[i]),
        "mouth shut outside words": put(outside, lambda i: np.zeros(PICTURES)),
        "opening before, truth": mean_of(v[w] for v, w in zip(truth, before, strict=True)),
        "opening before, guess": mean_of(v[w] for v, w in zip(guesses, before, strict=True)),
        "opening after, truth": mean_of(v[w] for v, w in zip(truth, after, strict=True)),
        "opening after, guess": mean_of(v[w] for v, w in zip(guesses, after, strict=True)),
        "opening in words, truth": mean_of(t.truth[t.words, OPEN] for t in group),
        "opening in words, guess": mean_of(v[t.words] for v, t in zip(guesses, group, strict=True)),
    }


def cost(work: Work) -> dict:
    """Milliseconds of a core a code: the engine's step, and the laws with idle life and emotion behind it."""
    shaper, chunk = Shaper(SPEC, 80), np.zeros(SPEC.chunk_samples, np.float32)
    code, state = work.encoder.step(chunk, work.encoder.init_state())
    shaped = shaper.init_state()

    def listen() -> None:
        nonlocal state
        _, state = work.encoder.step(chunk, state)

    def shape_it() -> None:
        nonlocal shaped
        _, shaped = shaper.step(code, shaped, 0.05)

    return {"encoder": spent_ms(listen, 500), "shaper": spent_ms(shape_it, 2000)}


def spent_ms(step: Callable[[], None], steps: int) -> dict[str, float]:
    """Processor time of a step, so that what else the machine does counts little."""
    spent = []
    for _ in range(steps):
        begun = time.process_time()
        step()
        spent.append((time.process_time() - begun) * 1e3)
    return {"mean": float(np.mean(spent)), "p50": float(np.median(spent)), "p99": float(np.quantile(spent, 0.99))}


STAGES: dict[str, Callable[[Work], dict]] = {
    "opening": opening,
    "beside": beside,
    "labeller": labeller,
    "others": others,
    "strangers": strangers,
    "noises": noise_classes,
    "shape": shape,
    "channels": channels,
    "rest": rest,
    "whole-clip": whole_clip,
    "whole-clip-of-strangers": whole_clip_of_strangers,
    "reach": own_reach,
    "emotions": emotions,
    "lively": lively,
    "microphones": microphones,
    "cost": cost,
}
WITHOUT_ENCODER = ("beside", "labeller")
OF_SHORT_RUN = ("strangers", "whole-clip-of-strangers")
WITHOUT_LAWS = ("strangers", *WITHOUT_ENCODER)


def made_with(work: Work, name: str) -> str:
    """Hash of what a stage judges."""
    paths: list[Path] = []
    gain = b""
    if name in OF_SHORT_RUN:
        paths = [work.calibration] if work.calibration else []
    elif name not in WITHOUT_ENCODER:
        paths = [work.checkpoint]
        gain = b"" if work.gain is None else np.asarray(work.gain, np.float32).tobytes()
    if name not in WITHOUT_LAWS:
        paths += [WEIGHTS.parent / file for file in LAWS]
    if name == "others":
        paths += [path for _, path in sorted(work.others.items())]
        paths += [work.calibration] if work.calibration else []  # it scales them
    # Every truth is moved by its talker's offset; the labeller is taught in the talkers' scales.
    labels = {key: work.prepared[key] for key in ("offsets_s", "scales")}
    return hash_of(name, str(work.seed), json.dumps(labels, sort_keys=True), files=paths, more=gain)


def report(work: Work, only: list[str] | None = None, again: bool = False) -> dict:
    """Run the stages that are old (or those named), then write README.md and the figures."""
    from train.speech.begin import steps_of

    facts: dict[str, object] = {"steps": steps_of(work.checkpoint), "lookaheads_ms": list(LOOKAHEADS_MS)}
    facts["clips"] = {people: len(group) for people, group in work.people.items()}
    stages = {name: partial(stage, work) for name, stage in STAGES.items()}
    given = {"others": bool(work.others)} | dict.fromkeys(OF_SHORT_RUN, work.calibration is not None)
    keys = {name: made_with(work, name) if given.get(name, True) else None for name in STAGES}
    with work.stack:
        results, old = run_stages(work.out, stages, keys, only, again, work.say, facts)
    motion_markdown.write(facts, results, old, work.out)
    return results
