"""Probes and reports on a corpus of tones, and an encoder that was never taught."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from engines.card import WEIGHTS
from engines.encoder import Encoder as Engine
from engines.errors import InputError
from tests.train.test_train_vae import CONFIG, make_corpus
from train import checkpoint
from train.data.batches import Corpus
from train.motion.heard import open_judged
from train.speech import probe, probe_markdown
from train.speech.begin import steps_of
from train.speech.export import encoder_of
from train.speech.streams import encode
from train.speech.train_vae import Model


def corpus(seed: int) -> Corpus:
    """As in test_train_vae, but with two moods, two sexes and longer clips."""
    made, draw = make_corpus(), np.random.default_rng(seed)
    for name, items in made.items.items():
        for number, item in enumerate(items):
            codes = 160
            clip = replace(
                item.clip,
                gender="fm"[number % 2],
                emotion=("anger", "sadness")[number % 2] if name == "emodb" else None,
                speaker=f"{name}/{seed}{number % 2}",
            )
            items[number] = replace(
                item,
                clip=clip,
                sound=(2000 * draw.standard_normal(codes * 320)).astype(np.int16),
                phones=draw.integers(0, 5, codes).astype(np.int8),
                presence=np.ones(codes, np.uint8),
            )
        items.extend([replace(item, sound=item.sound[::-1].copy()) for item in items])
    noises = {name: [draw.standard_normal(9000).astype(np.float32)] for name in ("hiss", "rain", "babble")}
    return replace(made, noises=noises)


@pytest.fixture
def untaught(tmp_path: Path) -> Path:
    made = make_corpus()
    torch.manual_seed(0)
    model = Model(CONFIG, made, np.full(14, 0.05, np.float32))
    tensors = checkpoint.prefixed("model", model.state_dict()) | checkpoint.prefixed(
        "average", model.encoder.state_dict()
    )
    tensors = {name: value.clone() for name, value in tensors.items()}
    path = tmp_path / "last.safetensors"
    facts = {
        "step": 0,
        "config": asdict(CONFIG),
        "speakers": list(made.speakers),
        "noise_classes": list(made.noise_classes),
    }
    checkpoint.save(path, tensors, facts)
    return path


def test_an_untaught_encoder_tells_no_phones(untaught: Path) -> None:
    encoder, _ = encoder_of(untaught)
    found = probe.phones_report(encoder, corpus(1))
    assert set(found) == {"tts", "grid", "librispeech"}
    for row in found.values():
        assert set(row["accuracy"]) == {"clean", *(f"{snr} dB" for snr in probe.SNRS_DB)}
        assert all(value < 0.5 for value in row["accuracy"]["clean"])
        drift = list(row["content drift (deviations)"].values())
        assert drift[-1] > drift[0] > 0  # more noise moves content more


def test_report_is_whole(untaught: Path, tmp_path: Path) -> None:
    encoder, _ = encoder_of(untaught)
    train, val = corpus(1), corpus(2)
    table = probe.factor_table(encoder, train, val, mlp=False)
    for label, row in table.items():
        for name in (*probe.READ_FROM, "log-mel"):
            assert -50 < row[name]["linear"] <= 1, (label, name)
    report = {
        "steps": 0,
        "phones": probe.phones_report(encoder, val),
        "factors": table,
        "speaker from the true phones": probe.words_tell(val),
        "SNR from the levels of whole clips, R2": probe.levels_tell(train, val),
        "gaps": probe.gaps(table),
        "swap": probe.swap_report(untaught, val, pairs=4),
        "SIL when nobody speaks, 0 and 80 ms": probe.silence_report(encoder, val),
        "teacher": {"phones": 0.9},
        "others": {},
    }
    assert probe_markdown.read_report(tmp_path / "stage1") == {}
    report["others"]["cut short"] = {name: report[name] for name in ("steps", "phones", "factors", "swap")}
    assert report["SNR from the levels of whole clips, R2"] > 0.5  # steady noise under even tones is easily told
    probe_markdown.write_report(report, tmp_path / "stage1")
    text = (tmp_path / "stage1" / "README.md").read_text()
    assert "phones" in text
    assert json.loads((tmp_path / "stage1" / "report.json").read_text())["steps"] == 0
    assert (tmp_path / "stage1" / "phones_against_snr.png").stat().st_size > 1000
    assert probe_markdown.read_report(tmp_path / "stage1")["others"]["cut short"]["steps"] == 0
    del report["swap"]
    probe_markdown.write_report(report, tmp_path / "of an engine")
    assert "## Swap" in text
    assert "## Swap" not in (tmp_path / "of an engine" / "README.md").read_text()
    (tmp_path / "stage1" / "report.json").write_text("{")
    with pytest.raises(InputError, match="remove it"):
        probe_markdown.read_report(tmp_path / "stage1")


@pytest.mark.filterwarnings("ignore")  # PyTorch's exporter warns of its own parts
def test_an_engine_is_heard_as_the_network_it_was_made_of(untaught: Path) -> None:
    sounds = [probe.sound(item)[: 320 * 60 + 11 * k] for k, item in enumerate(corpus(3).items["tts"][:2])]
    network, _ = encoder_of(untaught)
    with open_judged(untaught) as engine:
        played = encode(engine, sounds)
    for said, expected in zip(played, encode(network, sounds), strict=True):
        assert set(said) == set(expected)
        for name, value in expected.items():
            np.testing.assert_allclose(said[name], value, atol=2e-4, err_msg=name)


def test_an_exported_encoder_is_judged_without_swaps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has no decoder; readers and phones are the engine's."""
    heard = []
    for name in ("factor_table", "phones_report", "silence_report"):
        monkeypatch.setattr(probe, name, lambda encoder, *_: heard.append(encoder) or {})
    monkeypatch.setattr(probe, "load", lambda _root, _cache, split: corpus(1 if split == "train" else 2))
    monkeypatch.setattr(probe, "teacher_ceiling", lambda _cache, _train, _val: {})
    shipped = WEIGHTS / "encoder.onnx"
    found = probe.probe(shipped, tmp_path, tmp_path, {})
    assert found["steps"] == steps_of(shipped) > 0
    assert "swap" not in found
    assert [type(encoder) for encoder in heard] == 3 * [Engine]


def test_swaps_are_drawn(untaught: Path, tmp_path: Path) -> None:
    found = list(probe.swaps(untaught, corpus(2), pairs=2, codes=60))
    for swap in found:
        assert swap.decoded.shape == swap.mixture.shape == swap.clean.shape == swap.other.shape == (56, 2, 80)
        assert np.abs(swap.mixture - swap.clean).mean() > 0.05  # noise was added
    probe_markdown.draw_swaps(found, tmp_path / "swaps.jpg")
    assert (tmp_path / "swaps.jpg").stat().st_size > 5000


def test_readers_find_what_is_there_and_no_more() -> None:
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 600)
    told = np.eye(3)[labels] + 0.3 * draw.standard_normal((600, 3))
    untold = draw.standard_normal((600, 3))
    found = probe.read((told[:400], labels[:400]), (told[400:], labels[400:]), balanced=True)
    assert found["chance"] == pytest.approx(1 / 3)
    assert found["linear"] > 0.95
    assert found["mlp"] > 0.9
    nothing = probe.read((untold[:400], labels[:400]), (untold[400:], labels[400:]), balanced=True, mlp=False)
    assert nothing["linear"] < 0.45


def test_gap_is_large_where_one_factor_knows() -> None:
    row = {name: {"linear": 0.5, "chance": 0.5} for name in probe.READ_FROM}
    row["noise"] = {"linear": 0.9, "chance": 0.5}
    assert probe.gaps({"label": row}) == {"label": pytest.approx(1.0)}
    row["content"] = {"linear": 0.9, "chance": 0.5}
    assert probe.gaps({"label": row}) == {"label": pytest.approx(0.0)}
