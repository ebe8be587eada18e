"""`voxcam train probe`: is it disentangled? What a linear reader, and a small MLP, finds of every label in each factor.

Test speakers, test noises and, for phones, test voices are strangers to the encoder (the val splits of corpora.py).
"Pooled" probes read the mean of a factor over a clip; others read one code. Every row stands beside chance, plain
log-mel, and the teacher. Encoders to compare with (without the disentangling terms, without the teacher) are passed in.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import balanced_accuracy_score
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from engines.card import card_path
from engines.encoder import Encoder as Engine
from engines.encoder import open_encoder
from engines.spec import EMOTIONS, SPEC
from train import checkpoint
from train.config import build
from train.data.augment import SNR_RANGE_DB, SNRS_DB, active_rms, cut, rms, with_noise
from train.data.batches import Corpus, Item, load
from train.data.shards import read_shards
from train.speech.begin import steps_of
from train.speech.export import encoder_of
from train.speech.streams import encode
from train.speech.train_vae import Model, VaeConfig
from train.speech.vae import FACTORS, Encoder, LogMel

Judged = Encoder | Engine
READ_FROM = ("content", *FACTORS)
CLIPS = 220  # of each kind at most: enough for the second digit
AT_MOST = 8000  # rows that a reader is taught on


@dataclass(frozen=True, slots=True)
class Heard:
    """One clip as an encoder hears it, with what is true of it."""

    item: Item
    sound: np.ndarray
    out: dict[str, np.ndarray]
    noise_class: str = ""
    snr_db: float = SNR_RANGE_DB[1]

    def factor(self, name: str) -> np.ndarray:
        """(codes, size): content at the longest lookahead, a slow factor, or log-mel."""
        value = self.out["mel"].reshape(len(self.out["mel"]), -1) if name == "log-mel" else self.out[name]
        return value[:, -1] if name == "content" else value

    def pooled(self, name: str) -> np.ndarray:
        """Mean over the codes that have heard half a second, where somebody speaks; mean and deviation of log-mel."""
        rows = self.factor(name)
        spoken = (self.item.presence[: len(rows)] > 0) & (np.arange(len(rows)) >= min(25, len(rows) // 2))
        rows = rows[spoken] if spoken.any() else rows
        return np.concatenate([rows.mean(0), rows.std(0)]) if name == "log-mel" else rows.mean(0)


def sound(item: Item) -> np.ndarray:
    return item.sound.astype(np.float32) / 32767


def hear(encoder: Judged, items: list[Item], sounds: list[np.ndarray] | None = None, **facts) -> list[Heard]:
    """Encode items, whose sounds may be given noisy; facts: lists of noise_class and snr_db."""
    sounds = [sound(item) for item in items] if sounds is None else sounds
    outs = encode(encoder, sounds)
    more = [dict(zip(facts, values, strict=True)) for values in zip(*facts.values(), strict=True)] or [{}] * len(items)
    return [Heard(item, s, out, **extra) for item, s, out, extra in zip(items, sounds, outs, more, strict=True)]


def some(items: list[Item], count: int, seed: int) -> list[Item]:
    return [items[i] for i in np.random.default_rng(seed).permutation(len(items))[:count]]


def linear() -> object:
    return make_pipeline(StandardScaler(), LogisticRegression(C=1.0, max_iter=150))


def small_mlp() -> object:
    return make_pipeline(
        StandardScaler(), MLPClassifier((64,), max_iter=60, learning_rate_init=0.005, alpha=0.01, random_state=0)
    )


def fit(model: Any, train: tuple[np.ndarray, np.ndarray]) -> Any:
    """The model, taught; readers are cut off on purpose."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(*train)


def read(
    train: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray], balanced: bool = False, mlp: bool = True
) -> dict[str, float]:
    """Test accuracy of a linear and a small MLP reader, and chance: the commonest class, or 1 / classes if balanced."""
    share = np.unique(test[1], return_counts=True)[1] / len(test[1])
    found = {"chance": float(1 / len(share) if balanced else share.max())}
    if len(train[0]) > AT_MOST:
        chosen = np.random.default_rng(0).permutation(len(train[0]))[:AT_MOST]
        train = train[0][chosen], train[1][chosen]
    for name, model in {"linear": linear(), **({"mlp": small_mlp()} if mlp else {})}.items():
        fit(model, train)
        guess = model.predict(test[0])  # type: ignore[attr-defined]
        found[name] = float(balanced_accuracy_score(test[1], guess) if balanced else (guess == test[1]).mean())
    return found


def codes_of(heard: list[Heard], name: str, every: int, labels) -> tuple[np.ndarray, np.ndarray]:
    """Single codes and their labels: labels(heard) gives (codes,) with -1 for codes to leave out."""
    x, y = [], []
    for each in heard:
        rows = each.factor(name)
        target = np.asarray(labels(each))[: len(rows)]
        keep = (target >= 0) & (np.arange(len(rows)) % every == every // 2)
        x.append(rows[keep])
        y.append(target[keep])
    return np.concatenate(x), np.concatenate(y)


def phone_accuracy(heard: list[Heard]) -> list[float]:
    """Of the phone head (linear from content), by lookahead."""
    right, total = np.zeros(3), 0
    for each in heard:
        phones = each.item.phones[: len(each.out["phone_logits"])]
        right += (each.out["phone_logits"].argmax(-1)[: len(phones)] == phones[:, None]).sum(0)
        total += len(phones)
    return [float(value) for value in right / total]


def mixed(items: list[Item], noises: list[tuple[str, np.ndarray]], snr_db, seed: int) -> tuple[list, list, list]:
    """Sounds with noise, their classes and SNRs; snr_db: a number or a range to draw from."""
    draw = np.random.default_rng(seed)
    sounds, names, snrs = [], [], []
    for item in items:
        name, recording = noises[int(draw.integers(len(noises)))]
        level = float(draw.uniform(*snr_db)) if isinstance(snr_db, tuple) else float(snr_db)
        sounds.append(with_noise(sound(item), recording, level, draw))
        names.append(name)
        snrs.append(level)
    return sounds, names, snrs


def real_noises(corpus: Corpus) -> list[tuple[str, np.ndarray]]:
    return [(name, recording) for name, found in corpus.noises.items() if name != "babble" for recording in found]


def speech_to_mix(corpus: Corpus, counts: tuple[int, int, int]) -> list[Item]:
    names = ("tts", "librispeech", "grid")
    return [item for name, count in zip(names, counts, strict=True) for item in some(corpus.items[name], count, 3)]


def levels_tell(train: Corpus, val: Corpus) -> float:
    """R2 of the SNR read from a whole clip's levels, first to last, by boosted trees: about what can be known of it.

    Percentiles over time of 16 bands and of loudness, of the same clips and noises as in the table's row. The label
    counts a barking dog with its power over the clip, and not the noise that a recording has of its own.
    """
    log_mel = LogMel()

    def levels(samples: np.ndarray) -> np.ndarray:
        padded = np.pad(samples, (SPEC.window_samples - SPEC.hop_samples, 0)).astype(np.float32)
        mel = log_mel(torch.from_numpy(padded)[None])[0].numpy()
        bands = mel.reshape(len(mel), 16, -1).mean(2)
        parts = [np.percentile(bands, percent, axis=0) for percent in (5, 20, 50, 80, 95)]
        return np.concatenate([*parts, np.percentile(mel.mean(1), (1, 5, 10, 20, 50, 80, 90, 95, 99)), bands.std(0)])

    made = []
    for corpus, counts, repeats, seed in ((train, (240, 160, 120), 2, 4), (val, (60, 25, 40), 1, 5)):
        sounds, _, snrs = mixed(speech_to_mix(corpus, counts) * repeats, real_noises(corpus), (-5.0, 25.0), seed)
        made.append((np.stack([levels(each) for each in sounds]), np.array(snrs)))
    trees = HistGradientBoostingRegressor(max_iter=300, learning_rate=0.06, random_state=0).fit(*made[0])
    return float(trees.score(*made[1]))


def phones_report(encoder: Judged, val: Corpus) -> dict:
    """Phone accuracy and drift of content against SNR, on voices and noises that are strangers."""
    noises = real_noises(val)
    report: dict = {}
    for name in ("tts", "grid", "librispeech"):
        items = some([item for item in val.items[name] if (item.phones >= 0).all()], CLIPS, 1)
        clean = hear(encoder, items)
        rows = {"clean": phone_accuracy(clean)}
        drift = {}
        spread = np.concatenate([each.factor("content") for each in clean]).std(0)
        for snr_db in SNRS_DB:
            noisy = hear(encoder, items, mixed(items, noises, snr_db, 2)[0])
            rows[f"{snr_db} dB"] = phone_accuracy(noisy)
            gap = [
                ((b.factor("content") - a.factor("content")) / spread) ** 2 for a, b in zip(clean, noisy, strict=True)
            ]
            drift[f"{snr_db} dB"] = float(np.sqrt(np.concatenate(gap).mean()))
        report[name] = {"accuracy": rows, "content drift (deviations)": drift, "clips": len(items)}
    return report


def spoken(heard: Heard, index: int) -> np.ndarray:
    """(codes,) the label where somebody speaks and half a second was heard, else -1."""
    return np.where((heard.item.presence > 0) & (np.arange(len(heard.item.presence)) >= 25), index, -1)


def words_tell(val: Corpus) -> dict[str, float]:
    """Who speaks, read from how often each true phone comes in the clip: what no content can hide.

    The judged clips are those of the speaker row. EMO-DB's have no phones, which tells them from all others.
    """
    rows: dict[int, list] = {0: [], 1: []}
    names: dict[int, list[str]] = {0: [], 1: []}
    for corpus in ("tts", "grid", "emodb"):
        for index, item in enumerate(some(val.items[corpus], 400, 8)):
            counts = np.bincount(item.phones.astype(int) + 1, minlength=len(SPEC.phones) + 1)
            rows[index % 2].append(counts / counts.sum())
            names[index % 2].append(item.clip.speaker)
    enrol, judge = ((np.stack(rows[k]), np.array(names[k])) for k in (1, 0))
    return read(enrol, judge, balanced=True)


Pair = tuple[list[Heard], list[Heard]]  # what readers are taught on, and what they are judged by
Rows = Callable[[list[Heard], str], tuple[np.ndarray, np.ndarray]]  # of a factor's name: what is read, and its labels


def clips_with(label: Callable[[Heard], object]) -> Rows:
    """A clip's factor, pooled, and its label."""
    return lambda group, name: (np.stack([e.pooled(name) for e in group]), np.array([label(e) for e in group]))


def codes_with(every: int, labels: Callable[[Heard], np.ndarray]) -> Rows:
    return lambda group, name: codes_of(group, name, every, labels)


def factor_table(
    encoder: Judged, train: Corpus, val: Corpus, read_from: tuple[str, ...] = (*READ_FROM, "log-mel"), mlp: bool = True
) -> dict:
    """What is read of each label from each factor."""

    def read_each(pair: Pair, rows: Rows, balanced: bool = False) -> dict[str, dict[str, float]]:
        return {name: read(rows(pair[0], name), rows(pair[1], name), balanced, mlp) for name in read_from}

    noisy = noisy_speech(encoder, train, val)
    loud, noises = loud_noises(encoder, train, val)
    acted = hear(encoder, train.items["emodb"]), hear(encoder, val.items["emodb"])
    strangers = enrolled(encoder, val)
    people = sorted({each.item.clip.speaker for each in strangers[1]})
    return {
        "phone (one code, noisy)": read_each(noisy, codes_with(5, lambda each: each.item.phones)),
        "noise class (pooled)": read_each(loud, clips_with(lambda each: noises.index(each.noise_class))),
        "noise class (one code)": read_each(
            loud, codes_with(20, lambda each: late(each, noises.index(each.noise_class)))
        ),
        "SNR, R2 (one code)": {name: snr_told(noisy, name) for name in read_from},
        "emotion (pooled, unseen speakers, unweighted recall)": read_each(
            acted, clips_with(lambda each: each.item.clip.emotion), balanced=True
        ),
        "emotion (one code, unseen speakers, unweighted recall)": read_each(
            acted,
            codes_with(8, lambda each: spoken(each, EMOTIONS.index(each.item.clip.emotion or "neutral"))),
            balanced=True,
        ),
        "speaker (pooled, strangers enrolled by half of their clips)": read_each(
            strangers, clips_with(lambda each: each.item.clip.speaker), balanced=True
        ),
        "speaker (one code, strangers enrolled by half of their clips)": read_each(
            strangers, codes_with(20, lambda each: spoken(each, people.index(each.item.clip.speaker))), balanced=True
        ),
        "gender (pooled, unseen speakers)": read_each(
            of_known_gender(encoder, train, val), clips_with(lambda each: each.item.clip.gender), balanced=True
        ),
    }


def late(heard: Heard, value: float) -> np.ndarray:
    """(codes,) the label once half a second was heard, else -1."""
    return np.where(np.arange(len(heard.item.phones)) >= 25, value, -1)


def noisy_speech(encoder: Judged, train: Corpus, val: Corpus) -> Pair:
    found = []
    for corpus, counts, seed in ((train, (120, 80, 60), 4), (val, (60, 25, 40), 5)):
        speech = speech_to_mix(corpus, counts)
        sounds, names, snrs = mixed(speech, real_noises(corpus), (-5.0, 25.0), seed)
        found.append(hear(encoder, speech, sounds, noise_class=names, snr_db=snrs))
    return found[0], found[1]


def loud_noises(encoder: Judged, train: Corpus, val: Corpus) -> tuple[Pair, list[str]]:
    """Speech under noises of the classes that both have, and those classes."""
    known = sorted({name for name, _ in real_noises(train)} & {name for name, _ in real_noises(val)})
    found = []
    for corpus, counts, seed in ((train, (120, 80, 60), 6), (val, (60, 25, 40), 7)):
        speech = speech_to_mix(corpus, counts) * 2
        noises = [noise for noise in real_noises(corpus) if noise[0] in known]
        sounds, names, _ = mixed(speech, noises, (-5.0, 10.0), seed)
        found.append(hear(encoder, speech, sounds, noise_class=names))
    return (found[0], found[1]), known


def snr_told(noisy: Pair, name: str) -> dict[str, float]:
    """R2 of the SNR by a ridge; 100 dB more, for labels below 0 say that there is none."""
    taught, judged = (codes_of(group, name, 5, lambda each: late(each, each.snr_db + 100)) for group in noisy)
    model = make_pipeline(StandardScaler(), Ridge(1.0)).fit(*taught)
    return {"chance": 0.0, "linear": float(model.score(*judged))}


def enrolled(encoder: Judged, val: Corpus) -> Pair:
    """Strangers to the encoder, enrolled on half of their clips; one-clip speakers on half of the clip."""
    halves: tuple[list[Item], list[Item]] = ([], [])
    for name in ("tts", "grid", "emodb"):
        for index, item in enumerate(some(val.items[name], 400, 8)):
            halves[1 - index % 2].append(item)
    return hear(encoder, halves[0]), hear(encoder, halves[1])


def of_known_gender(encoder: Judged, train: Corpus, val: Corpus) -> Pair:
    taught = [*some(train.items["tts"], 150, 9), *some(train.items["librispeech"], 150, 9), *train.items["emodb"][::3]]
    judged = [*val.items["tts"], *val.items["librispeech"], *val.items["emodb"][::2]]
    return hear(encoder, taught), hear(encoder, judged)


def teacher_ceiling(cache: Path, train: Corpus, val: Corpus) -> dict:
    """The teacher's own features, read the same way from clean sound."""
    wanted = {
        i.clip.key: i for c in (train, val) for name in ("tts", "grid", "emodb") for i in some(c.items[name], CLIPS, 1)
    }
    features = {
        key: found["features"].astype(np.float32) for key, found in read_shards(cache / "teacher") if key in wanted
    }
    report = {}
    sets: dict[str, list[list]] = {}
    for key, item in wanted.items():
        sets.setdefault(f"{item.clip.corpus}/{item.clip.split}", [[], []])
        group = sets[f"{item.clip.corpus}/{item.clip.split}"]
        if item.clip.corpus == "emodb":
            group[0].append(np.concatenate([features[key].mean(0), features[key].std(0)]))
            group[1].append(item.clip.emotion)
        else:
            group[0].extend(features[key][::8])
            group[1].extend(item.phones[: len(features[key])][::8])
    stack = lambda name: (np.stack(sets[name][0]), np.array(sets[name][1]))  # noqa: E731
    for name in ("tts", "grid"):
        model = fit(make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=100)), stack(f"{name}/train"))
        report[f"phones, {name} val, clean"] = float(model.score(*stack(f"{name}/val")))
    model = fit(make_pipeline(StandardScaler(), LogisticRegression(C=0.02, max_iter=300)), stack("emodb/train"))
    x, y = stack("emodb/val")
    report["emotion, unweighted recall"] = float(balanced_accuracy_score(y, model.predict(x)))
    return report


def silence_report(encoder: Judged, val: Corpus) -> dict[str, list[float]]:
    """Share of codes where SIL is likeliest when nobody speaks, at 0 ms and 80 ms."""
    draw = np.random.default_rng(11)
    count = 6 * SPEC.sample_rate_hz
    cases: dict[str, list[np.ndarray]] = {}
    cases["silence"] = [np.zeros(count, np.float32), (draw.standard_normal(count) * 1e-4).astype(np.float32)]
    noises = [recording for _, recording in real_noises(val)]
    cases["noise alone, speech level"] = [np.clip(cut(r, count, draw) * (0.07 / rms(r)), -1, 1) for r in noises]
    cases["babble alone, speech level"] = [
        cut(r, count, draw) * (0.07 / rms(r)) for r in val.noises["babble"] for _ in range(4)
    ]
    report = {}
    for name, sounds in cases.items():
        outs = encode(encoder, [s.astype(np.float32) for s in sounds])
        guesses = np.concatenate([out["phone_logits"][25:].argmax(-1) for out in outs])
        report[name] = [float((guesses[:, row] == 0).mean()) for row in (0, 2)]
    return report


@dataclass(frozen=True, slots=True)
class Swap:
    """Log-mels (codes, 2, 80): clip A, A + noise n, another clip B + n; what is decoded of A with the noise of B."""

    clean: np.ndarray
    mixture: np.ndarray
    other: np.ndarray
    decoded: np.ndarray

    def gaps(self) -> list[float]:
        """Mean squared distance of what is decoded, after half a second, from the mixture, from A, from B + n."""
        return [float(((self.decoded - to)[25:] ** 2).mean()) for to in (self.mixture, self.clean, self.other)]


@torch.no_grad()
def swaps(checkpoint_path: Path, val: Corpus, pairs: int = 120, codes: int = 120) -> Iterator[Swap]:
    """Content, mood and voice of A, noise of B (another clip with noise n), decoded."""
    tensors, facts = checkpoint.load(checkpoint_path)
    known = {key: value for key, value in facts["config"].items() if key != "validate_every"}  # of runs before it went
    config = build(VaeConfig, known, str(checkpoint_path))
    blank = Corpus({}, tuple(facts["speakers"]), tuple(facts["noise_classes"]), {}, np.zeros((0, 1)))
    model = Model(config, blank, np.ones(len(SPEC.speech_channels), np.float32))
    model.load_state_dict(checkpoint.part("model", tensors))
    model.eval()
    draw = np.random.default_rng(12)
    items = [item for name in ("tts", "grid") for item in val.items[name]]
    noises = [r for name, found in val.noises.items() for r in found]
    for _ in range(pairs):
        a, b = (sound(items[int(draw.integers(len(items)))])[: codes * SPEC.chunk_samples] for _ in range(2))
        a, b = np.resize(a, codes * SPEC.chunk_samples), np.resize(b, codes * SPEC.chunk_samples)
        noise = cut(noises[int(draw.integers(len(noises)))], codes * SPEC.chunk_samples, draw)
        noise = noise * (active_rms(a) / rms(noise) * 10 ** (-draw.uniform(0, 10) / 20))
        batch = torch.from_numpy(np.stack([a, a + noise, b + noise]).astype(np.float32))
        out, _ = model.encoder(batch)
        delay = SPEC.lookahead_chunks(SPEC.lookaheads_ms[-1])
        content = out["content"][0, delay:, -1]
        made = model.heads.decoder(
            content, out["emotion"][0, :-delay], out["noise"][2, :-delay], out["speaker"][0, :-delay]
        )
        mel = out["mel"].unflatten(1, (-1, 2))[:, :-delay]
        yield Swap(*(part.numpy() for part in (*mel, made)))


def swap_report(checkpoint_path: Path, val: Corpus, pairs: int = 120) -> dict[str, float]:
    """Share of pairs whose decoded log-mel is nearest to the true mixture."""
    won = {"nearest to the mixture": 0, "nearer to it than to A": 0, "nearer to it than to B": 0}
    for swap in swaps(checkpoint_path, val, pairs):
        mixture, clean, other = swap.gaps()
        won["nearest to the mixture"] += mixture < min(clean, other)
        won["nearer to it than to A"] += mixture < clean
        won["nearer to it than to B"] += mixture < other
    return {name: value / pairs for name, value in won.items()}


def gaps(table: dict) -> dict[str, float]:
    """In the way of a mutual information gap: for each label, how far the best factor is above the second best,
    as a share of what there is above chance."""
    found = {}
    for label, row in table.items():
        above = sorted((max(0.0, row[name]["linear"] - row[name]["chance"]) for name in READ_FROM), reverse=True)
        found[label] = (above[0] - above[1]) / above[0] if above[0] > 0 else 0.0
    return found


def probe(judged: Path, data_root: Path, cache: Path, others: dict[str, Path]) -> dict:
    """The whole report; judged: a checkpoint, or an exported encoder.onnx, which has no decoder and so no `swap`.

    others: name -> checkpoint of encoders to compare with.
    """
    exported, steps = judged.suffix == ".onnx", steps_of(judged)
    train, val = load(data_root, cache, "train"), load(data_root, cache, "val")
    with ExitStack() as stack:
        encoder: Judged = stack.enter_context(open_encoder(card_path(judged))) if exported else encoder_of(judged)[0]
        table = factor_table(encoder, train, val)
        report: dict = {
            "steps": steps,
            "phones": phones_report(encoder, val),
            "factors": table,
            "speaker from the true phones": words_tell(val),
            "SNR from the levels of whole clips, R2": levels_tell(train, val),
            "gaps": gaps(table),
            "SIL when nobody speaks, 0 and 80 ms": silence_report(encoder, val),
            "teacher": teacher_ceiling(cache, train, val),
            "others": {},
        }
    if not exported:
        report["swap"] = swap_report(judged, val)
    for name, path in others.items():
        other, about = encoder_of(path)
        report["others"][name] = {
            "steps": about["steps"],
            "phones": phones_report(other, val),
            "factors": factor_table(other, train, val, READ_FROM, mlp=False),
            "swap": swap_report(path, val),
        }
    return report
