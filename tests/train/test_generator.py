"""The generator's network: idle at rest, true to mirrors, and composed in training as in the engine."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest
import torch

from engines.card import WEIGHTS, read_card
from engines.drawing.mouth import paint_mouth
from engines.errors import ConfigError, InputError, WrongInput
from engines.face.measure import mirror_points
from engines.generator import Generator, Learned
from engines.golden import read_golden, verify
from engines.opening import open_session
from engines.portrait import Portrait, crop_to_photo, make_portrait
from engines.spec import MOTION_CHANNELS
from tests.painted_faces import EYES_PX, code, paint_face
from train import checkpoint
from train.face import generator_data
from train.face.adversaries import NAMES, OTHERS, RUN, Adversaries, Judged
from train.face.generator import (
    CHROMA,
    SHAPE,
    SMOOTHEST,
    SPEECH,
    Decoder,
    PortraitEncoder,
    Scales,
    compose,
    mouth_region,
)
from train.face.generator_data import (
    PICTURE_HOPS,
    choose_runs,
    mouth_place,
    pair_sample,
    prepare,
    write_portrait,
)
from train.face.generator_export import INNER_SHARE, export
from train.face.train_generator import (
    DRAWS,
    Learner,
    Plan,
    Samples,
    another_place,
    command,
    exported_networks,
    loss_of,
    mirrored,
    placed,
    sound_windows,
    textures,
    train,
    trained,
)


def wake(module: torch.nn.Module) -> None:
    """Give every layer weights of some size: freshly made, the last ones are next to nothing."""
    torch.manual_seed(1)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.1)


def test_rest_is_left_alone(scales: Scales) -> None:
    encoder, decoder = PortraitEncoder(scales), Decoder(scales)
    wake(encoder)
    wake(decoder)
    with torch.no_grad():
        features, vector = encoder(torch.rand(2, 3, 96, 120), torch.randn(2, 478, 3) * 0.05, torch.rand(2, 12))
        at_rest = torch.zeros(2, len(MOTION_CHANNELS))
        at_rest[1, SPEECH:] = 0.1  # blinks, gaze and pose are not the network's
        for part in decoder(at_rest, features, vector):
            assert float(part.abs().max()) < 1e-6
        spoken = at_rest.clone()
        spoken[:, 0] = 0.1
        skin, inner = decoder(spoken, features, vector)
    assert (skin.shape, inner.shape) == ((2, 96, 120, 3), (2, 24, 48))
    for part in (skin, inner):
        assert float(part.abs().max()) > 1e-4


class Scripted(Generator):
    """A generator whose network says what it is told."""

    def __init__(self, learned: Learned) -> None:
        super().__init__()
        self.learned = learned

    def corrections(self, code: np.ndarray, portrait: Portrait) -> Learned:
        return self.learned


def crop_of(picture: np.ndarray, portrait: Portrait) -> np.ndarray:
    matrix = crop_to_photo(portrait.rotation, float(portrait.scale[0]), portrait.translation)
    return cv2.warpAffine(picture, matrix, (120, 96), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)


def test_training_composes_what_the_engine_composes() -> None:
    portrait = make_portrait(*paint_face())
    portrait = replace(portrait, photo=cv2.GaussianBlur(portrait.photo, (0, 0), 2))
    motion = code(jawOpen=0.25, mouthLowerDown=0.15, jawDrop=0.1)
    y, x = np.mgrid[:96, :120].astype(np.float32)
    skin = np.stack([0.3 * np.sin(x / 9), 0.3 * np.cos(y / 9), 0.2 * np.sin((x + y) / 11)], -1)
    inner = np.linspace(-0.6, 0.4, 24, dtype=np.float32)[:, None].repeat(48, 1)
    sample = pair_sample(Generator(), portrait, motion, portrait.photo)
    batch = {
        "drawn": torch.from_numpy(sample["drawn"].astype(np.float32)).permute(2, 0, 1)[None],
        "source": torch.from_numpy(sample["source"].astype(np.float32))[None],
        "mouth": torch.from_numpy(sample["mouth"].astype(np.float32))[None],
        "mask": torch.from_numpy(portrait.skin_mask.astype(np.float32) / 255)[None],
    }
    made = compose(batch, torch.from_numpy(skin).permute(2, 0, 1)[None], torch.from_numpy(inner)[None, None])
    drawn = Scripted(Learned(skin, inner)).draw(motion, portrait)
    difference = np.abs(made[0].permute(1, 2, 0).numpy().clip(0, 255) - crop_of(drawn, portrait))
    without = np.abs(sample["drawn"].astype(np.float32) - crop_of(drawn, portrait))
    assert difference.mean() < 1.0
    assert np.quantile(difference, 0.99) < 12  # pixels on the lips' edge mix before one, after the other
    assert without.mean() > 5 * difference.mean()


@pytest.mark.parametrize("opening", [0.08, 0.3])
def test_a_mouth_is_learned_where_it_is_drawn(opening: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its round corners were missing."""
    photo, landmarks = paint_face(size=320)
    photo = np.repeat(np.repeat(photo, 4, 0), 4, 1)  # a small mouth ends before its corners
    portrait, generator, covers = make_portrait(photo, landmarks * 4), Generator(), []

    def paint(*arguments: Any) -> None:
        paint_mouth(*arguments)
        covers.append(arguments[-1] / 255)

    monkeypatch.setattr("engines.generator.paint_mouth", paint)
    height, width = generator.draw(code(jawOpen=opening, mouthOpenSide=0.6 * opening), portrait).shape[:2]
    x, y = np.meshgrid(np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32))
    learned = mouth_place(portrait, generator.scratch_of(portrait).moved, x, y)[..., 0]
    assert learned.max() == 1
    np.testing.assert_allclose(learned, covers[0], atol=1.5 / 255)  # whole levels, rounded down


@pytest.mark.parametrize("eyes_px", [30.0, 60.0, 120.0])
def test_fine_light_is_drawn_as_it_is_learned(eyes_px: float) -> None:
    """Stripes as fine as the crop can hold arrive on portraits of every size, and do not alias on small ones."""
    photo, landmarks = paint_face()
    ratio = eyes_px / EYES_PX
    photo = cv2.resize(photo, None, fx=ratio, fy=ratio, interpolation=cv2.INTER_AREA)
    portrait = make_portrait(photo, landmarks * np.float32(ratio))
    flat = {name: np.full_like(getattr(portrait, name), 120) for name in ("photo", "crop")}
    portrait = replace(portrait, **flat)
    motion = code(mouthSmileLeft=0.02, mouthSmileRight=0.02)
    x, height = np.arange(120, dtype=np.float32), 0.08  # less than a large face's skin may be lightened
    skin = np.broadcast_to(height * np.sin(2 * np.pi * x / 8)[None, :, None], (96, 120, 3)).copy()
    learned = Learned(skin, np.zeros((24, 48), np.float32))
    drawn = crop_of(Scripted(learned).draw(motion, portrait), portrait).astype(np.float32)[30:40, 20:100, 0]
    still = crop_of(Generator().draw(motion, portrait), portrait).astype(np.float32)[30:40, 20:100, 0]
    gain = drawn / still - 1
    seen = np.abs(np.fft.rfft(gain, axis=1)).mean(0)  # 80 px: ten stripes
    assert 0.6 * height * 40 < seen[8:13].max() < 1.1 * height * 40
    assert np.delete(seen, range(7, 14)).max() < 0.3 * seen[8:13].max()


def test_mirrors() -> None:
    random = np.random.default_rng(0)
    row = {
        "crop": random.random((96, 120, 3)),
        "drawn": random.random((96, 120, 3)),
        "truth": random.random((96, 120, 3)),
        "source": np.stack(np.meshgrid(np.arange(120.0), np.arange(96.0)), -1),
        "mouth": random.random((96, 120, 3)),
        "mask": random.random((96, 120)),
        "shape": random.random((478, 3)).astype(np.float32),
        "code": random.random(25).astype(np.float32),
        "tones": random.random(12),
    }
    once = mirrored(row)
    assert once["source"] == pytest.approx(row["source"])  # where nothing moved, nothing moves
    assert once["shape"][mirror_points()[61], 0] == -row["shape"][61, 0]
    assert once["code"][7] == row["code"][8]
    twice = mirrored(once)
    for name, value in row.items():
        assert twice[name] == pytest.approx(value), name


def test_another_place_is_the_same_picture_elsewhere() -> None:
    """What the moved crop fetches from its moved portrait is what was fetched before, moved."""
    random = np.random.default_rng(1)

    def smooth() -> np.ndarray:
        return cv2.GaussianBlur(random.random((96, 120, 3)), (0, 0), 6).astype(np.float32) * 255

    def moved(picture: np.ndarray) -> np.ndarray:
        return cv2.warpAffine(picture, place, (120, 96), flags=cv2.INTER_CUBIC)[14:-14, 14:-14]

    def fetched(sample: dict[str, np.ndarray]) -> np.ndarray:
        return cv2.remap(sample["crop"], sample["source"].astype(np.float32), None, cv2.INTER_LINEAR)

    x, y = np.meshgrid(np.arange(120.0), np.arange(96.0))
    row = {"crop": smooth(), "drawn": smooth(), "truth": smooth(), "source": np.stack([x + 1.5, y - 2.0], -1)}
    row |= {"mouth": np.zeros((96, 120, 3)), "mask": np.ones((96, 120))}
    place = another_place(np.random.default_rng(3))
    assert np.linalg.det(place[:, :2]) == pytest.approx(1, abs=0.2)
    made = placed(row, place)
    assert np.abs(made["drawn"] - row["drawn"]).mean() > 0.5
    assert made["drawn"][14:-14, 14:-14] == pytest.approx(moved(row["drawn"]), abs=1e-3)
    assert fetched(made)[14:-14, 14:-14] == pytest.approx(moved(fetched(row)), abs=0.5)
    for name, value in placed(row, np.eye(2, 3)).items():
        assert value == pytest.approx(row[name], abs=1e-3), name


def spoken(path: Path, portrait: Portrait, seed: int) -> None:
    """One made-up GRID portrait: two runs whose opening goes with the loudness of the sound."""
    random = np.random.default_rng(seed)
    mel = random.normal(0, 1, (40 * PICTURE_HOPS, 80)).astype(np.float16)
    begins = np.array([3, 20])
    samples = []
    for k in (k + step for k in begins for step in range(RUN)):
        motion = code(jawOpen=0.1 + 0.1 * np.sin(k), mouthLowerDown=0.05)
        truth = Scripted(Learned(np.zeros((96, 120, 3), np.float32), np.full((24, 48), -0.4, np.float32)))
        samples.append(pair_sample(Generator(), portrait, motion, truth.draw(motion, portrait)))
    write_portrait(path, portrait, samples, {"mel": mel, "begins": begins})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Samples of every kind, all of one painted face."""
    out = tmp_path_factory.mktemp("samples")
    portrait = make_portrait(*paint_face())
    for number, name in enumerate(("grid_s1_a", "grid_s1_b", "grid_s1_c", "grid_s1_d", "grid_s2_a", "held_s9_a")):
        spoken(out / f"{name}.npz", portrait, number)
    made = [pair_sample(Generator(), portrait, code(jawOpen=0.1), portrait.photo)]
    for name in ("smile_1_a", "head_1_a"):
        write_portrait(out / f"{name}.npz", portrait, made)
    return out


def test_a_batch_holds_runs_with_their_sound(folder: Path) -> None:
    samples = Samples(folder)
    assert set(samples.portraits) == set(DRAWS)  # nobody learns from people who are held out
    assert samples.chance["grid"] == pytest.approx(np.array([0.5, 0.5, 0.5, 0.5, 1]) / 3)
    batch = samples.batch(0)
    portraits = sum(count for count, _ in DRAWS.values())
    targets = sum(count * pictures for count, pictures in DRAWS.values())
    assert batch["crop"].shape == (portraits, 3, 96, 120)
    assert batch["drawn"].shape == (targets, 3, 96, 120)
    assert batch["owner"].unique().tolist() == list(range(portraits))
    runs = DRAWS["grid"][0]
    assert batch["mel"].shape == (runs, RUN * PICTURE_HOPS, 80)
    assert batch["strange"].shape == (runs, OTHERS, RUN * PICTURE_HOPS, 80)
    assert not (batch["strange"] == batch["mel"][:, None]).all(-1).all(-1).any()
    jaw = batch["code"][:RUN, 0].numpy()
    expected = [0.1 + 0.1 * np.sin(np.arange(begin, begin + RUN)) for begin in (3, 20)]
    assert any(np.allclose(jaw, course, atol=1e-3) for course in expected)
    again = samples.batch(0)
    assert all(torch.equal(value, again[name]) for name, value in batch.items())
    assert not torch.equal(samples.batch(1)["drawn"], batch["drawn"])


def test_other_sound_is_of_another_time() -> None:
    mel = np.arange(40 * PICTURE_HOPS)[:, None].repeat(80, 1).astype(np.float16)
    random = np.random.default_rng(0)
    for begin in (0, 10, 35):
        for _ in range(20):
            own, others = sound_windows(mel, begin, random)
            assert own[0, 0] == begin * PICTURE_HOPS
            assert others.shape == (OTHERS, *own.shape) == (OTHERS, RUN * PICTURE_HOPS, 80)
            assert np.abs(others[:, 0, 0] - own[0, 0]).min() >= RUN * PICTURE_HOPS


def test_runs_do_not_overlap() -> None:
    opening = np.zeros(75)
    opening[40:60] = 0.3
    begins = choose_runs(opening, 12, 6, np.random.default_rng(0))
    covered = [k for begin in begins for k in range(begin, begin + RUN)]
    assert len(begins) == 6
    assert len(set(covered)) == len(covered) == 6 * RUN
    assert 12 not in covered
    assert max(covered) < 75
    assert len(choose_runs(np.zeros(12), 6, 6, np.random.default_rng(0))) == 2


def test_losses_tell_better_from_worse(folder: Path, scales: Scales) -> None:
    batch = Samples(folder).batch(0)
    assert float(loss_of(batch["truth"], batch)) == 0
    blurred = torch.nn.functional.avg_pool2d(batch["truth"], 5, 1, 2)
    assert float(loss_of(blurred, batch)) > 0.1
    batch["mouth"][..., 0] = 1
    assert float(loss_of(blurred, batch)) > float(loss_of(blurred, {**batch, "mouth": 0 * batch["mouth"]}))


def test_distances_fall(folder: Path, scales: Scales) -> None:
    """The truth is darker between the lips than what is drawn; that is learned within some steps."""
    learner, samples = Learner(scales, Plan(60, 3e-3, adversary_weight=0)), Samples(folder)
    batch = samples.batch(1000, {"grid": (3, RUN)})
    for step in range(60):
        learner.learn(samples.batch(step))
    with torch.no_grad():
        made = compose(batch, *textures(learner.encoder.eval(), learner.decoder, batch))
    assert float(loss_of(made, batch)) < 0.8 * float(loss_of(batch["drawn"], batch))


def judged_noise(scales: Scales, runs: int = 2) -> tuple[Adversaries, Judged]:
    torch.manual_seed(0)
    adversaries, n = Adversaries(scales), runs * RUN + 2
    pictures = torch.rand(n, 3, 10, 12)
    true = torch.nn.functional.interpolate(pictures, size=(80, 96), mode="bilinear")
    mel, strange = torch.randn(runs, 20, 80), torch.randn(runs, OTHERS, 20, 80)
    return adversaries, Judged(true, true.clone(), torch.rand(n, 1, 80, 96), torch.randn(n, SPEECH), mel, strange)


def test_adversaries_learn_what_is_false(scales: Scales) -> None:
    """Speckled pictures are called false after a few lessons, and the wish is then to lose the speckle."""
    adversaries, judged = judged_noise(scales)
    drawn = judged.true + 0.1 * torch.randn(judged.true.shape)
    optimiser = torch.optim.Adam(adversaries.parameters(), 1e-3, (0.5, 0.99))
    course = []
    for step in range(30):
        loss, told = adversaries.lesson(judged, drawn, step)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        course.append(loss.item())
    assert course[-1] < 0.7 * course[0]
    assert told["picture"] > 0.9
    assert set(told) == set(NAMES)
    assert 0.2 < adversaries.skill[0] < 1  # from 0 on, as it proves itself
    noisy, clean = (adversaries.wishes(judged, pictures) for pictures in (drawn, judged.true))
    for name in ("picture", "sequence"):
        assert noisy[name].item() > clean[name].item(), name
    shown = drawn.clone().requires_grad_(True)
    (wanted,) = torch.autograd.grad(adversaries.wishes(judged, shown)["picture"], shown)
    assert float((wanted * (drawn - judged.true)).sum()) > 0


def test_synchrony_is_what_tells_own_from_other_sound(scales: Scales) -> None:
    """Loud pictures with loud sound: after some lessons the own sound fits better than another's."""
    torch.manual_seed(0)
    adversaries, runs = Adversaries(scales), 8
    level = torch.linspace(-1, 1, runs)
    shape = torch.rand(1, 1, 80, 96).repeat(runs * RUN, 3, 1, 1)
    pictures = 0.5 + 0.4 * (shape - 0.5) * level.repeat_interleave(RUN)[:, None, None, None]
    mel = level[:, None, None].repeat(1, RUN * PICTURE_HOPS, 80)
    n = runs * RUN
    strange = -mel[:, None].repeat(1, OTHERS, 1, 1)
    judged = Judged(pictures, pictures, torch.zeros(n, 1, 80, 96), torch.zeros(n, SPEECH), mel, strange)
    optimiser = torch.optim.Adam(adversaries.synchrony.parameters(), 1e-3)
    for _ in range(40):
        loss = -torch.log_softmax(adversaries.fits(judged, judged.runs(pictures)), 1)[:, 0].mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()

    def ahead(shown: torch.Tensor) -> torch.Tensor:
        fits = adversaries.fits(judged, judged.runs(shown)).detach()
        return fits[:, 0] - fits[:, 1]

    assert (ahead(pictures) > 0).float().mean() > 0.8
    assert ahead(1 - pictures).mean() < ahead(pictures).mean()  # the same sound with the opposite pictures


def test_going_on_is_as_if_nothing_had_happened(folder: Path, scales: Scales, tmp_path: Path) -> None:
    plan, samples = Plan(10, 1e-3, adversaries_from=0, seed=3), Samples(folder, seed=3)
    whole = Learner(scales, plan)
    for step in range(4):
        whole.learn(samples.batch(step))
    part = Learner(scales, plan)
    for step in range(2):
        part.learn(samples.batch(step))
    part.save(tmp_path / "kept.safetensors")
    rest = Learner(scales, plan)
    rest.restore(tmp_path / "kept.safetensors")
    for step in range(rest.step, 4):
        told = rest.learn(samples.batch(step))
    assert {f"{name} {what}" for name in NAMES for what in ("right", "wish", "slope")} <= set(told)
    assert whole.adversaries.skill.sum() > 0
    for ours, theirs in ((whole.both, rest.both), (whole.adversaries, rest.adversaries)):
        for (name, a), b in zip(ours.state_dict().items(), theirs.state_dict().values(), strict=True):
            assert torch.equal(a, b), name
    assert all(torch.equal(value, rest.average[name]) for name, value in whole.average.items())


def test_another_run_is_begun_from_its_average(scales: Scales, tmp_path: Path) -> None:
    first = Learner(scales, Plan(10))
    wake(first.both)
    first.average = {name: value + 1 for name, value in first.average.items()}
    first.save(tmp_path / "first.safetensors")
    second = Learner(scales, Plan(10, seed=1))
    assert second.begin(tmp_path / "first.safetensors") == []
    assert all(torch.equal(value, first.average[name]) for name, value in second.both.state_dict().items())
    tensors, facts = checkpoint.load(tmp_path / "first.safetensors")
    tensors = {name: value[:1] if ".fine." in name else value for name, value in tensors.items()}  # of another size
    checkpoint.save(tmp_path / "older.safetensors", tensors | {"average.decoder.eyes": torch.zeros(1)}, facts)
    third = Learner(scales, Plan(10))
    new = third.begin(tmp_path / "older.safetensors")
    assert new == [name for name in third.both.state_dict() if ".fine." in name]
    assert torch.equal(third.decoder.seed.weight, first.average["decoder.seed.weight"])
    checkpoint.save(tmp_path / "other.safetensors", {"average.decoder.eyes": torch.zeros(1)}, facts)
    with pytest.raises(InputError, match="another network"):
        Learner(scales, Plan(10)).begin(tmp_path / "other.safetensors")


@pytest.mark.filterwarnings("ignore:`isinstance.treespec, LeafSpec.` is deprecated:FutureWarning")  # torch's exporter
def test_training_runs_resumes_and_exports(folder: Path, scales: Scales, tmp_path: Path) -> None:
    """The command's path on a handful of samples: log, sheet, checkpoint; the graphs say what the networks say."""
    said: list[str] = []
    train(folder, tmp_path, scales, Plan(2, 1e-3, adversaries_from=1), None, said.append)
    assert any("people left out" in line for line in said)
    assert (tmp_path / "sheet_000002.png").is_file()
    train(folder, tmp_path, scales, Plan(3, 1e-3, adversaries_from=1), None, said.append)
    assert checkpoint.load(tmp_path / "generator.safetensors")[1] == {"step": 3, "held_out": []}
    (tmp_path / "samples").symlink_to(folder)
    export(tmp_path, tmp_path / "weights")
    encoder, decoder, _ = trained(tmp_path)
    decoder.inner_share = INNER_SHARE
    for name, outputs in (("portrait_encoder", ("features", "vector")), ("generator", ("skin", "interior"))):
        card = read_card(tmp_path / "weights" / f"{name}.card.json")
        golden = read_golden(tmp_path / "weights" / f"{name}.golden.npz", card)
        with open_session(tmp_path / "weights" / f"{name}.card.json") as session:
            assert verify(session, golden).passed
            assert set(session.outputs) == set(outputs)
        graph = onnx.load(tmp_path / "weights" / f"{name}.onnx").graph
        parts = {part for weight in graph.initializer for part in weight.name.split(".")}
        assert not parts & {"picture", "sequence", "synchrony", "adversaries"}
    with torch.no_grad():
        inputs = [torch.from_numpy(golden.inputs[name][0]) for name in ("code", "features", "vector")]
        for made, name in zip(decoder(*inputs), ("skin", "interior"), strict=True):
            assert made.numpy() == pytest.approx(golden.outputs[name][0].reshape(made.shape), abs=1e-5)
    assert encoder.training is False


def filmed(data: Path) -> None:
    """Clips of two talkers, whose pictures nobody reads."""
    for talker in ("s1", "s2"):
        for number in range(6):
            path = data / "grid" / "train" / talker / f"clip{number}.mkv"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()


def test_talkers_who_are_held_out_later_are_not_taught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor are they when an earlier run wrote their samples to be taught; and back again."""
    filmed(tmp_path)
    made = make_portrait(*paint_face()), [{"code": np.zeros(14, np.float32)}], {}
    monkeypatch.setattr(generator_data, "grid_samples", lambda *_given: made)
    out = tmp_path / "samples"

    def people(*held_out: str) -> dict[str, set[str]]:
        names = list(prepare(tmp_path, tmp_path, None, out, held_out))
        assert sorted(names) == sorted(path.stem for path in out.iterdir())
        return {kind: {name.split("_")[1] for name in names if name.startswith(kind)} for kind in ("grid", "held")}

    assert people() == {"grid": {"s1", "s2"}, "held": set()}
    kept = (out / "grid_s2_clip0.npz").stat().st_mtime_ns
    assert people("s1") == {"grid": {"s2"}, "held": {"s1"}}
    assert len(Samples(out).portraits["grid"]) == 6
    assert (out / "grid_s2_clip0.npz").stat().st_mtime_ns == kept
    assert people("s2") == {"grid": {"s1"}, "held": {"s2"}}
    assert people() == {"grid": {"s1", "s2"}, "held": set()}


def test_a_run_does_not_go_on_with_other_people_left_out(folder: Path, scales: Scales, tmp_path: Path) -> None:
    train(folder, tmp_path, scales, Plan(1, adversary_weight=0, held_out=("s9",)), None, print)
    kept = tmp_path / "generator.safetensors"
    before = kept.read_bytes()
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "grid_s1_a.npz").touch()
    for held_out, named in ((("s1",), "s9 left out, not s1"), ((), "s9 left out, not nobody")):
        with pytest.raises(ConfigError, match=named):
            train(folder, tmp_path, scales, Plan(2, adversary_weight=0, held_out=held_out), None, print)
        with pytest.raises(ConfigError, match=named):
            command(tmp_path, tmp_path, None, tmp_path, Plan(2), held_out=held_out)
    assert (tmp_path / "samples" / "grid_s1_a.npz").exists()  # told before anything is removed
    assert kept.read_bytes() == before
    tensors, facts = checkpoint.load(kept)
    checkpoint.save(kept, tensors, {"step": facts["step"]})  # as an earlier version did
    with pytest.raises(ConfigError, match="does not say whom"):
        train(folder, tmp_path, scales, Plan(2, adversary_weight=0, held_out=("s1",)), None, print)
    train(folder, tmp_path, scales, Plan(2, adversary_weight=0), None, print)
    assert checkpoint.load(kept)[1] == {"step": 2}, "what it left out before stays unknown"


def test_no_samples_is_said(tmp_path: Path, scales: Scales) -> None:
    with pytest.raises(InputError, match="holds no samples"):
        train(tmp_path, tmp_path / "out", scales, Plan(1))


def test_fine_light_has_no_colour_and_stays_around_the_mouth(scales: Scales) -> None:
    encoder, decoder = PortraitEncoder(scales), Decoder(scales)
    wake(encoder)
    wake(decoder)
    spoken_code = torch.zeros(1, len(MOTION_CHANNELS))
    spoken_code[0, 0] = 0.2
    with torch.no_grad():
        features, vector = encoder(torch.rand(1, 3, 96, 120), torch.randn(1, 478, 3) * 0.05, torch.rand(1, 12))
        skin, _ = decoder.textures(spoken_code, features, vector)
        for parameter in decoder.fine[2].parameters():
            parameter.zero_()
        smooth, _ = decoder.textures(spoken_code, features, vector)
    fine = skin - smooth
    assert float(fine.abs().max()) > 1e-3
    assert fine[:, 0] == pytest.approx(fine[:, 1], abs=1e-6)
    region = mouth_region()
    assert float(fine[..., region == 0].abs().max()) == 0
    assert region[45, 60] == 1
    assert region[0].max() == region[-1].max() == 0
    assert float((smooth - smooth.mean(1, keepdim=True)).abs().max()) <= SMOOTHEST * CHROMA * 4 / 3


def test_training_goes_on_from_the_exported_networks() -> None:
    nothing = Scales(torch.ones(14), torch.zeros(478 * 3), torch.zeros(SHAPE, 478 * 3))
    learner = Learner(nothing, Plan(10))
    new = learner.begin(WEIGHTS / "generator.onnx")
    assert not any(
        name.startswith(("encoder.first", "encoder.vector", "decoder.mix", "decoder.blocks")) for name in new
    )
    random = np.random.default_rng(0)
    inputs = {
        "crop": random.random((1, 3, 96, 120), np.float32),
        "shape": (0.02 * random.standard_normal((1, 478, 3))).astype(np.float32),
        "tones": random.random((1, 12), np.float32),
    }
    learner.encoder.eval()
    with torch.no_grad():
        _, vector = learner.encoder(*(torch.from_numpy(value) for value in inputs.values()))
    with open_session("portrait_encoder") as session:
        np.testing.assert_allclose(vector.numpy(), session.run(inputs)["vector"], atol=1e-4)


def test_exported_networks_that_are_not_there_or_damaged_are_told_in_a_line(tmp_path: Path) -> None:
    shutil.copy(WEIGHTS / "generator.onnx", tmp_path)
    with pytest.raises(WrongInput, match="portrait_encoder"):
        exported_networks(tmp_path / "generator.onnx")
    (tmp_path / "portrait_encoder.onnx").write_bytes(b"\xff" * 100)
    with pytest.raises(InputError, match="damaged"):
        exported_networks(tmp_path / "generator.onnx")
