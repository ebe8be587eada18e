"""Voices that no corpus has: made of a synthetic talker whose pitch, vowels and times are known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from engines.spec import EMOTIONS, PHONES, SPEC
from train.data.batches import Batches, Corpus, Item, livelier
from train.data.corpora import Clip
from train.data.lively import KINDS, analyse, laughter, retell
from train.motion import goes_along, lively
from train.motion.heard import Rows

CODES = 120
PITCH_HZ = 120.0
VOWEL, OTHER, SILENCE = (PHONES.index(name) for name in ("AA", "IY", "SIL"))


def talker() -> tuple[np.ndarray, np.ndarray]:
    """Silence, AA, IY, silence, AA: harmonics of 120 Hz under formants of each vowel."""
    phones = np.full(CODES, SILENCE, np.int8)
    phones[10:35], phones[35:60], phones[75:110] = VOWEL, OTHER, VOWEL
    time = np.arange(CODES * 320) / 16_000
    samples = np.zeros(len(time))
    for phone, formants in ((VOWEL, (700, 1200)), (OTHER, (300, 2300))):
        sound = sum(
            np.sin(2 * np.pi * PITCH_HZ * h * time) * sum(1 / (1 + ((PITCH_HZ * h - f) / 90) ** 2) for f in formants)
            for h in range(1, 40)
        )
        samples += sound * np.repeat(phones == phone, 320)
    return (0.2 * samples / np.abs(samples).max()).astype(np.float32), phones


def item() -> Item:
    samples, phones = talker()
    motion = np.zeros((CODES, 14), np.float32)
    motion[phones == VOWEL, 0], motion[phones == OTHER, 0] = 3, 1
    return Item(
        clip=Clip("k", "tts", Path(), "train", "tts/a", "f", emotion="anger"),
        sound=(samples * 32767).astype(np.int16),
        phones=phones,
        presence=(phones > 0).astype(np.uint8),
        motion=motion.astype(np.float16),
        components=np.ones((CODES, 64), np.float16),
        mood=np.full(7, 1 / 7, np.float32),
        style=np.ones((CODES, 32), np.float16),
    )


def pitch_of(samples: np.ndarray) -> np.ndarray:
    found = analyse(samples).pitch_hz
    return found[found > 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_seed_gives_one_telling_within_its_length(kind: str) -> None:
    samples, phones = talker()
    for seed in range(8):
        told, again = (retell(samples, phones, 100, np.random.default_rng(seed), kind) for _ in range(2))
        np.testing.assert_array_equal(told.samples, again.samples)
        codes = len(told.source)
        assert 1 <= codes <= 100
        assert len(told.samples) == 320 * codes
        assert len(told.phones) == len(told.wordless) == codes
        assert np.abs(told.samples).max() <= 1
        assert np.isfinite(told.samples).all()
        assert told.laughs == (kind == "laughing")
        assert told.wordless.any() == (kind in ("laughing", "crying out"))


def test_labels_stay_with_what_is_heard() -> None:
    """Where a telling is voiced its phones are vowels, where it is silent they are not."""
    samples, phones = talker()
    for kind in ("raised", "sung", "growled"):
        for seed in range(6):
            told = retell(samples, phones, 150, np.random.default_rng(seed), kind)
            loud = (told.samples.reshape(-1, 320) ** 2).mean(1) > 1e-4 * (told.samples**2).max()
            vowels = told.phones != SILENCE
            edges = np.convolve(np.abs(np.diff(vowels.astype(int), prepend=vowels[0])), np.ones(5), "same") > 0
            assert (loud == vowels)[~edges].mean() > 0.97, (kind, seed)


def test_each_kind_sounds_as_it_is_called() -> None:
    samples, phones = talker()

    def tell(kind: str) -> list[np.ndarray]:
        return [retell(samples, phones, 150, np.random.default_rng(seed), kind).samples for seed in range(12)]

    own = np.median(pitch_of(samples))
    assert own == pytest.approx(PITCH_HZ, rel=0.02)
    assert np.mean([np.median(pitch_of(each)) for each in tell("raised")]) > 1.3 * own
    assert np.mean([len(each) for each in tell("sung")]) > 1.2 * len(samples)
    assert np.mean([np.median(pitch_of(each)) for each in tell("growled")]) < 1.05 * own
    voiced = [len(pitch_of(each)) / len(each) for each in tell("whispered")]
    assert np.mean(voiced) < 0.2 * len(pitch_of(samples)) / len(samples)


def test_laughter_comes_in_calls_four_to_seven_a_second() -> None:
    rates = []
    for seed in range(60):
        bout = laughter(PITCH_HZ, np.random.default_rng(seed))
        calls = np.flatnonzero(np.diff(bout.breathy.astype(int)) == 1)  # where breath follows a call
        if len(calls) > 3:
            rates.append(100 * (len(calls) - 1) / (calls[-1] - calls[0]))
        assert bout.pitch_hz[bout.breathy].max(initial=0) == 0
    assert min(rates) > 3.3
    assert max(rates) < 8.5


def test_what_no_longer_holds_is_not_said() -> None:
    draw = np.random.default_rng(2)
    for kind in KINDS:
        told = livelier(item(), 100, draw, kind)
        assert told.clip.speaker == ""
        assert told.clip.gender is None
        assert told.clip.emotion in (("happiness", None) if kind == "laughing" else (None,))
        assert told.mood[EMOTIONS.index("happiness")] == 0
        assert told.mood.any() == (kind == "crying out")  # which is told that it is no laughter
        assert np.isnan(told.style).all()
        codes = len(told.phones)
        assert told.motion.shape == (codes, 14)
        assert told.presence.shape == (codes,)
        assert len(told.sound) == 320 * codes


def test_the_mouth_is_open_in_laughter_and_shut_before_it() -> None:
    seen = 0
    for seed in range(10):
        told = livelier(item(), 150, np.random.default_rng(seed), "laughing")
        sounding = np.flatnonzero(np.isnan(told.components[:, 0]) & (told.presence > 0))
        laugh = sounding[-10:]
        assert told.motion[laugh, 0].min() > 0.5
        seen += bool((told.motion[:, 0] < 0.1).any())
    assert seen > 3


def test_a_motion_that_nobody_could_tell_stays_so() -> None:
    unknown = replace(item(), motion=np.full((CODES, 14), np.nan, np.float16))
    for kind in KINDS:
        assert not np.isfinite(livelier(unknown, 100, np.random.default_rng(1), kind).motion).all()


def test_a_clip_without_a_voice_is_left_as_it_is() -> None:
    hiss = (0.01 * np.random.default_rng(0).standard_normal(50 * 320)).astype(np.float32)
    phones = np.full(50, -1, np.int8)
    told = retell(np.zeros_like(hiss), phones, 150, np.random.default_rng(0))
    assert not told.samples.any()
    np.testing.assert_array_equal(told.source.astype(int), np.arange(50))


def test_where_no_phones_are_known_none_are_made_up() -> None:
    samples, _ = talker()
    for kind in KINDS:
        told = retell(samples, np.full(CODES, -1, np.int8), 150, np.random.default_rng(3), kind)
        assert (told.phones == -1).all()


def test_batches_take_lively_rows_as_all_others() -> None:
    from train.data.augment import AugmentConfig
    from train.data.batches import BatchConfig

    corpus = Corpus(
        {
            name: [replace(item(), clip=replace(item().clip, corpus=name))]
            for name in ("grid", "tts", "librispeech", "emodb")
        },
        ("tts/a",),
        ("", "babble", "breath", "hum", "music"),
        {"hum": [np.random.default_rng(1).standard_normal(16_000).astype(np.float32)]},
        np.eye(1, 400, dtype=np.float32),
    )
    config = BatchConfig(grid=2, tts=2, librispeech=1, emodb=2, again=2, alone=1, codes=90)
    calm, lively = (
        Batches(corpus, replace(config, augment=AugmentConfig(lively=chance, mute=0)), 1).batch(3)
        for chance in (0.0, 1.0)
    )
    assert {key: value.shape for key, value in calm.items()} == {key: value.shape for key, value in lively.items()}
    assert (calm["speaker"][:7] == 0).all()
    assert (lively["speaker"] == -1).all()
    assert all(np.isfinite(value.numpy()).all() for value in lively.values())
    again = Batches(corpus, replace(config, augment=AugmentConfig(lively=1.0, mute=0)), 1).batch(3)
    for key, value in lively.items():
        np.testing.assert_array_equal(value, again[key])
    copies = np.arange(7, 9)  # what is said again is the same telling with other noise
    np.testing.assert_array_equal(lively["phones"][copies], lively["phones"][lively["pairs"]])
    assert SPEC.chunk_samples * 90 == lively["samples"].shape[1]


def heard(opening: np.ndarray, loud: np.ndarray) -> Rows:
    """A course as the encoder would say it, sure that somebody speaks, and what the microphone hears."""
    steps = len(opening) + SPEC.most_ahead
    motion = np.zeros((steps, 3, 14), np.float32)
    for row, ahead in enumerate((0, 2, 4)):  # each row says it when it is due
        motion[ahead : ahead + len(opening), row, 0] = opening
    speaking = np.full((steps, 3), 0.99)
    rms = np.pad(loud, (0, SPEC.most_ahead))
    return Rows(
        motion,
        np.zeros((steps, 3, 40), np.float32),
        speaking,
        np.zeros((steps, 7), np.float32),
        np.full(steps, 30.0),
        rms,
    )


def test_a_shut_mouth_is_counted_where_the_label_is_open(monkeypatch) -> None:
    clip = item()
    label = clip.motion[:, 0].astype(float) * 0.04
    monkeypatch.setattr(goes_along, "hear", lambda encoder, sound: heard(label, np.full(CODES, 0.1)))
    found = goes_along.judge(None, [clip], 0.04)  # type: ignore[arg-type]
    assert found["encoder"] == {"not shut": [1, 1, 1], "r": pytest.approx([1, 1, 1], abs=1e-3)}
    half = np.where(np.arange(CODES) < 35, label, 0)  # deaf to all but the first vowel, 25 of 85 open codes
    monkeypatch.setattr(goes_along, "hear", lambda encoder, sound: heard(half, np.full(CODES, 0.1)))
    found = goes_along.judge(None, [clip], 0.04)  # type: ignore[arg-type]
    assert found["encoder"]["not shut"] == pytest.approx([25 / 85] * 3, abs=1e-3)
    assert max(found["encoder"]["r"]) < 0.8


def test_only_what_sounds_counts_in_recordings(monkeypatch) -> None:
    """Half of a recording sounds, in a fifth of that the mouth is shut."""
    loud = np.where(np.arange(100) < 50, 0.1, 0.001)
    opening = np.where((np.arange(100) >= 5) & (np.arange(100) < 45), 0.1, 0)
    monkeypatch.setattr(lively, "hear", lambda encoder, sound: heard(opening, loud))
    found = lively.listen(None, np.zeros(32_000, np.float32))  # type: ignore[arg-type]
    assert found.codes == 50
    assert found.shut == pytest.approx(0.2, abs=0.05)  # the gate's ramps
    assert found.opening == pytest.approx(0.08, rel=0.3)
    assert found.mood == "neutral"
