"""The loop on a corpus of noise: resumed equals uninterrupted, two processes equal one, batches hang on seeds alone."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from engines.errors import ConfigError, InputError, OutputError
from train import checkpoint
from train.data.augment import AugmentConfig
from train.data.batches import BatchConfig, Batches, Corpus, Item
from train.data.corpora import Clip
from train.motion import train_motion as motion_alone
from train.motion.train_motion import MotionConfig, train_motion
from train.speech.export import encoder_of, onnx_bytes
from train.speech.train_vae import VaeConfig, _cut_log, rate_at, train_vae
from train.speech.vae import Encoder, EncoderConfig

SMALL = EncoderConfig(conv1=16, conv2=16, gru=16, slow=16, motion_gru=8, decoder=16)
BATCH = BatchConfig(grid=2, tts=1, librispeech=1, emodb=2, again=1, alone=1, codes=60)
CONFIG = VaeConfig(steps=6, encoder=SMALL, batch=BATCH, checkpoint_every=2, bf16=False)


def make_corpus() -> Corpus:
    draw = np.random.default_rng(0)
    items: dict[str, list[Item]] = {}
    for name in ("grid", "tts", "librispeech", "emodb"):
        for number in range(4):
            codes = 70 if number else 40
            clip = Clip(
                f"{name}/{number}",
                name,
                Path(),
                "train",
                f"{name}/{number % 2}",
                "f",
                emotion="anger" if name == "emodb" else None,
            )
            motion = draw.standard_normal((codes, 14))
            if name == "librispeech" and number == 3:
                motion = np.full((codes, 14), np.nan)
            items.setdefault(name, []).append(
                Item(
                    clip=clip,
                    sound=(3000 * draw.standard_normal(codes * 320)).astype(np.int16),
                    phones=draw.integers(0, 40, codes).astype(np.int8),
                    presence=np.ones(codes, np.uint8),
                    motion=motion.astype(np.float16),
                    components=draw.standard_normal((codes, 64)).astype(np.float16),
                    mood=np.full(7, 1 / 7, np.float32),
                    style=draw.standard_normal((codes, 32)).astype(np.float16),
                )
            )
    speakers = tuple(sorted({item.clip.speaker for found in items.values() for item in found}))
    noises = {"hiss": [draw.standard_normal(16_000).astype(np.float32)]}
    rooms = np.zeros((1, 50))
    rooms[0, 0] = 1
    return Corpus(items, speakers, ("", "babble", "breath", "hiss", "music"), noises, rooms)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    (tmp_path / "speech.json").write_text(json.dumps({"typical": [0.05] * 14}))
    return tmp_path


def run(cache: Path, out: Path, config: VaeConfig = CONFIG, **more) -> dict[str, torch.Tensor]:
    return checkpoint.load(train_vae(config, cache, cache, out, workers=0, corpus=make_corpus(), **more))[0]


def test_batches_hang_on_seed_and_step_alone() -> None:
    corpus = make_corpus()
    whole = [Batches(corpus, BATCH, 3).batch(step) for step in (5, 6)]
    resumed = iter(Batches(corpus, BATCH, 3, first=6))
    for name, value in next(resumed).items():
        torch.testing.assert_close(value, whole[1][name], equal_nan=True)
    assert not torch.equal(whole[0]["samples"], whole[1]["samples"])


@pytest.mark.parametrize("own", [0, 1])
def test_workers_share_the_steps(own: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two processes that make batches each makes every second step: no step twice, none left out."""
    monkeypatch.setattr(torch.utils.data, "get_worker_info", lambda: SimpleNamespace(id=own, num_workers=2))
    batches = Batches(make_corpus(), BATCH, 3, first=4)
    iterator = iter(batches)
    for step in (4 + own, 6 + own):
        torch.testing.assert_close(next(iterator)["samples"], batches.batch(step)["samples"])


def test_rows_of_a_batch() -> None:
    batch = Batches(make_corpus(), BATCH, 1).batch(0)
    assert batch["samples"].shape == (8, 60 * 320)
    assert batch["speech"].tolist() == [1] * 7 + [0]
    for name, value in batch.items():
        assert torch.isfinite(value.float()).all(), name
    pair = int(batch["pairs"][0])
    assert batch["speaker"][6] == batch["speaker"][pair]
    assert not torch.equal(batch["samples"][6], batch["samples"][pair])
    assert (batch["phones"][7] == 0).all()
    assert batch["presence"][7].sum() == 0
    assert batch["motion"][7].abs().sum() == 0


@pytest.mark.parametrize("grid", [1, 2])
def test_acted_clips_come_in_pairs_of_one_mood(grid: int) -> None:
    """At whichever row they begin: the ranking of moods lives on these."""
    corpus = make_corpus()
    moods = ("anger", "sadness", "boredom", "fear")
    corpus.items["emodb"][:] = [
        replace(item, clip=replace(item.clip, emotion=mood))
        for item, mood in zip(corpus.items["emodb"], moods, strict=True)
    ]
    batches = Batches(corpus, replace(BATCH, grid=grid, emodb=4, again=0, alone=0), 1)
    for step in range(8):
        acted = batches.batch(step)["emotion"][-4:].tolist()
        assert (acted[0], acted[2]) == (acted[1], acted[3])


def test_clips_without_motion_teach_none() -> None:
    batches = Batches(make_corpus(), BATCH, 1)
    weights = torch.cat([batches.batch(step)["motion_weight"][3:4] for step in range(30)])  # the row of librispeech
    assert set(weights.tolist()) == {0.0, 0.5}


def test_resumed_equals_uninterrupted(cache: Path, tmp_path: Path) -> None:
    whole = run(cache, tmp_path / "whole")
    run(cache, tmp_path / "cut", stop_at=3)
    resumed = run(cache, tmp_path / "cut")
    assert set(whole) == set(resumed)
    for name, value in whole.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-5, msg=name)


def test_a_wider_leg_begins_with_what_the_narrower_one_said(cache: Path, tmp_path: Path) -> None:
    run(cache, tmp_path / "first", stop_at=3)
    path = tmp_path / "first" / "last.safetensors"
    wider = replace(CONFIG, learning_rate=0.0, weight_decay=0.0, encoder=replace(SMALL, gru=SMALL.gru + 8))
    run(cache, tmp_path / "second", wider, stop_at=2, begin=path)
    (narrow, _), (wide, facts) = encoder_of(path), encoder_of(tmp_path / "second" / "last.safetensors")
    assert facts["steps"] == 5
    assert wide.gru1.hidden_size == narrow.gru1.hidden_size + 8
    samples = torch.from_numpy(make_corpus().items["tts"][1].sound.astype(np.float32) / 32767)[None]
    with torch.no_grad():
        (expected, _), (found, _) = narrow(samples), wide(samples)
    for name in ("content", "emotion", "noise", "speaker", "motion", "presence_logits", "content_log_variance"):
        torch.testing.assert_close(found[name], expected[name], atol=1e-5, rtol=1e-4, msg=name)
    before, after = checkpoint.load(path)[0], checkpoint.load(tmp_path / "second" / "last.safetensors")[0]
    torch.testing.assert_close(after["model.heads.speaker.weight"], before["model.heads.speaker.weight"])


@pytest.mark.filterwarnings("ignore")  # PyTorch's exporter warns of its own parts
def test_a_leg_begins_with_an_exported_encoder_and_waits_for_its_heads(cache: Path, tmp_path: Path) -> None:
    torch.manual_seed(5)
    exported = Encoder(SMALL).eval()
    exported.gain.fill_(1.3)
    (tmp_path / "encoder.onnx").write_bytes(onnx_bytes(exported))
    config = replace(CONFIG, learning_rate=1e-2, heads_first=2)
    whole = run(cache, tmp_path / "run", config, stop_at=2, begin=tmp_path / "encoder.onnx")
    for name, value in exported.state_dict().items():
        if "log_variance" not in name and name not in ("typical", "gain"):
            torch.testing.assert_close(whole[f"model.encoder.{name}"], value, msg=name)
    assert float(whole["model.encoder.gain"].max()) == 1
    further = run(cache, tmp_path / "run", config, stop_at=3)
    assert not torch.equal(further["model.encoder.gru1.weight_hh_l0"], whole["model.encoder.gru1.weight_hh_l0"])


def test_what_a_leg_cannot_begin_with_is_named(cache: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*encoder.onnx"):
        run(cache, tmp_path / "run", begin=tmp_path / "encoder.onnx")
    (tmp_path / "encoder.onnx").write_bytes(b"half an encoder")
    with pytest.raises(InputError, match="is damaged"):
        run(cache, tmp_path / "run", begin=tmp_path / "encoder.onnx")
    (tmp_path / "encoder.onnx").write_bytes(b"")
    with pytest.raises(InputError, match="no encoder of this project"):
        run(cache, tmp_path / "run", begin=tmp_path / "encoder.onnx")


def test_training_changes_the_weights_and_lowers_the_loss(cache: Path, tmp_path: Path) -> None:
    losses: list[float] = []
    config = replace(CONFIG, steps=30, learning_rate=5e-3)
    run(cache, tmp_path / "run", config, progress=lambda _step, _of, found: losses.append(found["reconstruction"]))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])
    assert (tmp_path / "run" / "log.csv").read_text().startswith("step,seconds,rate,")


def test_a_run_that_was_killed_logs_each_step_once(cache: Path, tmp_path: Path) -> None:
    config, log = replace(CONFIG, steps=20, checkpoint_every=10), tmp_path / "run" / "log.csv"
    run(cache, tmp_path / "run", config, stop_at=10)
    header, row = log.read_text().splitlines()
    step, _, *losses = row.split(",")
    killed_later = [[step, "100", *losses], ["20", "200", *losses], ["20", "2"]]  # the last row is half of one
    log.write_text("\r\n".join([header, *map(",".join, killed_later)]), newline="")
    run(cache, tmp_path / "run", config)
    with log.open(newline="") as file:
        rows = list(csv.reader(file))
    assert [row[0] for row in rows] == ["step", "10", "20"]
    assert rows[1] == killed_later[0]
    assert float(rows[2][1]) > 100  # goes on from the last row that stays
    assert rows[2][2:] != losses
    assert _cut_log(log, 0) == 0  # nothing to go on from: the log, too, begins anew
    assert not log.exists()


def test_a_checkpoint_of_another_net_is_refused(cache: Path, tmp_path: Path) -> None:
    run(cache, tmp_path / "run", stop_at=2)
    with pytest.raises(ConfigError, match="encoder"):
        run(cache, tmp_path / "run", replace(CONFIG, encoder=replace(SMALL, gru=24)))


def test_other_rows_are_refused_and_others_of_as_many_go_on(cache: Path, tmp_path: Path) -> None:
    run(cache, tmp_path / "run", stop_at=2)
    with pytest.raises(ConfigError, match=r"8 rows a batch, the config 9"):
        run(cache, tmp_path / "run", replace(CONFIG, batch=replace(BATCH, alone=2)))
    run(cache, tmp_path / "run", replace(CONFIG, batch=replace(BATCH, grid=1, tts=2)), stop_at=3)


def test_a_full_disk_keeps_the_last_checkpoint(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(cache, tmp_path / "run", stop_at=2)
    before = (tmp_path / "run" / "last.safetensors").read_bytes()

    def full(_tensors, path, _metadata):
        Path(path).write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(OutputError, match="last checkpoint is kept"):
        run(cache, tmp_path / "run")
    assert (tmp_path / "run" / "last.safetensors").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))


def test_an_interrupted_checkpoint_keeps_the_last_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "last.safetensors"
    checkpoint.save(path, {"weight": torch.zeros(3)}, {"step": 1})

    def interrupted(_tensors: dict, beside: Path, _facts: dict) -> None:
        beside.write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", interrupted)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(path, {"weight": torch.ones(3)}, {"step": 2})
    assert checkpoint.load(path)[1] == {"step": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_a_damaged_checkpoint_is_named(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    with pytest.raises(InputError, match="no checkpoint"):
        checkpoint.load(path)
    path.write_bytes(b"not safetensors at all")
    with pytest.raises(InputError, match="damaged"):
        checkpoint.load(path)


def test_a_checkpoint_of_another_kind_is_named(tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    for facts, named in (({"step": 3}, "config"), ([1], "facts")):
        checkpoint.save(path, {"model.weight": torch.zeros(3)}, facts)  # type: ignore[arg-type]
        with pytest.raises(InputError, match=f"another kind of run .it states no {named}"):
            checkpoint.load(path, "config")
    torch.save({"weight": torch.zeros(3)}, path)  # a pickle is not opened
    with pytest.raises(InputError, match="damaged"):
        checkpoint.load(path)
    with pytest.raises(InputError, match="another form"):
        checkpoint.fill(torch.nn.Linear(2, 2), {"weight": torch.zeros(3, 3)}, path)


def test_rate_rises_and_falls() -> None:
    config = replace(CONFIG, steps=100)
    rates = [rate_at(step, config) for step in range(100)]
    assert np.argmax(rates) in (4, 5)
    assert rates[0] < rates[4]
    assert rates[-1] < 0.02 * max(rates)


def test_motion_head_is_taught_on_frozen_codes(cache: Path, tmp_path: Path) -> None:
    run(cache, tmp_path / "run", stop_at=2)
    path = tmp_path / "run" / "last.safetensors"
    out = train_motion(
        MotionConfig(steps=3, batch=BATCH), cache, cache, path, tmp_path / "motion", 0, corpus=make_corpus()
    )
    before, after = checkpoint.load(path)[0], checkpoint.load(out)[0]
    changed = {name for name in before if name.startswith("average.") and not torch.equal(before[name], after[name])}
    assert changed
    assert all("motion_" in name for name in changed)


def test_motion_head_is_not_taught_on_who_was_left_out(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(cache, tmp_path / "run", replace(CONFIG, leave_out=("grid/1",)), stop_at=1)
    asked: list[tuple[str, ...]] = []

    def load(_data: Path, _cache: Path, leave_out: tuple[str, ...] = ()) -> Corpus:
        asked.append(leave_out)
        return make_corpus()

    monkeypatch.setattr(motion_alone, "load", load)
    path = tmp_path / "run" / "last.safetensors"
    train_motion(MotionConfig(steps=1, batch=BATCH), cache, cache, path, tmp_path / "motion", 0)
    assert asked == [("grid/1",)]


def test_motion_head_hears_other_vocal_tracts(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(cache, tmp_path / "run", stop_at=1)
    heard: list[torch.Tensor | None] = []
    forward = Encoder.forward

    def spy(self, samples, state=None, stretch=None):
        heard.append(stretch)
        return forward(self, samples, state, stretch)

    monkeypatch.setattr(Encoder, "forward", spy)
    for chance in (0.0, 1.0):
        config = MotionConfig(steps=1, batch=replace(BATCH, augment=AugmentConfig(vocal_tract=chance)))
        path = tmp_path / "run" / "last.safetensors"
        train_motion(config, cache, cache, path, tmp_path / "motion", 0, corpus=make_corpus())
    assert heard[0] is None
    assert heard[1] is not None
    assert (heard[1] != 1).any()


PROCESSES = """
import sys
from dataclasses import replace
from pathlib import Path
import torch
from lightning.fabric import Fabric
from tests.train.test_train_vae import CONFIG, make_corpus
from train.speech.train_vae import train_vae
if __name__ == "__main__":
    torch.set_num_threads(1)
    cache, out, devices, stop_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    fabric = Fabric(accelerator="cpu", devices=devices, strategy="ddp" if devices > 1 else "auto")
    config = replace(CONFIG, micro_batches=2)
    train_vae(config, cache, cache, out, fabric, workers=0, corpus=make_corpus(), stop_at=stop_at)
"""


def run_processes(cache: Path, out: Path, devices: int, stop_at: int = CONFIG.steps) -> dict[str, torch.Tensor]:
    """Train with two micro-batches in so many processes; the checkpoint's tensors."""
    script, root = cache / "run.py", Path(__file__).parents[2]
    script.write_text(PROCESSES)
    command = [sys.executable, "-W", "ignore", str(script), str(cache), str(out), str(devices), str(stop_at)]
    done = subprocess.run(
        command,
        cwd=root,
        env={"PYTHONPATH": str(root), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return checkpoint.load(out / "last.safetensors")[0]


@pytest.mark.slow
def test_two_processes_equal_one_and_go_on(cache: Path, tmp_path: Path) -> None:
    """A run of two that was cut at the third of six steps has the streams of both, not the first one's alone."""
    one, two = (run_processes(cache, tmp_path / f"run{devices}", devices) for devices in (1, 2))
    run_processes(cache, tmp_path / "cut", 2, stop_at=CONFIG.steps // 2)
    resumed = run_processes(cache, tmp_path / "cut", 2)
    assert set(one) == set(two) == set(resumed)
    assert any(name.startswith("state1.") for name in two)
    for name, value in two.items():
        torch.testing.assert_close(resumed[name], value, atol=1e-6, rtol=1e-5, msg=name)
        if name.startswith(("model.", "state")):
            torch.testing.assert_close(one[name], value, atol=2e-5, rtol=1e-3, msg=name)
