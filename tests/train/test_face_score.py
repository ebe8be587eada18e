"""Measures of the face report: each is fed a case whose answer is known."""

from __future__ import annotations

import shutil
from dataclasses import replace
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np
import pytest

from engines.card import WEIGHTS
from engines.face.measure import canonical_face
from engines.face_points import FACE_OVAL, INNER_LIPS, OUTER_LIPS
from engines.generator import BLINK, Generator, open_generator
from engines.motion.reach import at_times
from engines.portrait import make_portrait
from engines.spec import MOTION_CHANNELS, SPEECH_CHANNELS
from tests.painted_faces import code, paint_face
from train.data.rendered_people import SHAPES, blink_course, mouth_weights
from train.face.face_markdown import markdown, shows
from train.face.face_report import STAGES, open_other
from train.face.face_score import (
    EXACT_LIPS,
    HEAD,
    Driven,
    drawn_lids,
    exact_displacement,
    first_shut,
    lips_apart,
    lips_mask,
    summarise,
    sync_lag,
)
from train.face.face_sound import JAW, driven_codes, pieced_codes
from train.face.face_steady import coded, regions, score_flicker, score_outside
from train.face.face_stills import find_photo_landmarks
from train.face.picture_metrics import gradient_similarity, psnr, sharpness, ssim


@pytest.fixture(scope="module")
def portrait():
    return make_portrait(*paint_face())


def textured(seed: int, shape: tuple[int, int] = (64, 80)) -> np.ndarray:
    noise = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    soft = cv2.GaussianBlur(noise, (0, 0), 2)
    return (127 + 300 * soft).clip(0, 255).astype(np.uint8)


def test_picture_measures_know_the_same_picture_and_a_worse_one() -> None:
    real = textured(0)
    soft = cv2.GaussianBlur(real, (0, 0), 1.5)
    other = textured(1)
    assert gradient_similarity(real, real) == pytest.approx((1, 0), abs=1e-6)
    mean_soft, deviation_soft = gradient_similarity(real, soft)
    mean_other, deviation_other = gradient_similarity(real, other)
    assert mean_other < mean_soft < 0.999
    assert deviation_other > deviation_soft > 0.001
    assert ssim(real, real) == pytest.approx(1)
    assert ssim(real, other) < ssim(real, soft) < 1
    assert sharpness(soft) < 0.8 * sharpness(real)
    shifted = np.stack([real + 10.0] * 3, -1)
    half = np.zeros(real.shape, bool)
    half[:32] = True
    shifted[32:] = real[32:, :, None]
    assert psnr(shifted, np.stack([real] * 3, -1), half) == pytest.approx(20 * np.log10(255 / 10))
    assert psnr(shifted, np.stack([real] * 3, -1), ~half) > 100


def test_gradient_similarity_by_hand() -> None:
    """A step of 60 levels against a flat picture: away from the step both are flat and the same."""
    flat, step = np.zeros((40, 40), np.uint8), np.zeros((40, 40), np.uint8)
    step[:, 20:] = 60
    mean, deviation = gradient_similarity(flat, step)
    # Halved to 20x20; Prewitt answers 60 in the two columns at the step: similarity 170 / (60^2 + 170).
    low = 170 / (60**2 + 170)
    assert mean == pytest.approx((18 + 2 * low) / 20, abs=1e-4)
    assert deviation == pytest.approx((1 - low) * np.sqrt(0.1 * 0.9), abs=1e-4)


@pytest.mark.parametrize("late", [-3, 0, 2])
def test_sync_lag_finds_the_shift(late: int) -> None:
    true = cv2.GaussianBlur(np.random.default_rng(3).normal(size=(1, 90)), (0, 0), 1.5)[0]
    lag, r = sync_lag(np.roll(true, late)[6:-6], true[6:-6])
    assert lag == pytest.approx(late, abs=0.15)
    assert len(r) == 13
    assert np.isnan(sync_lag(np.zeros(60), true[:60])[0])


def test_sync_lag_between_two_pictures() -> None:
    t = np.arange(75.0)
    lag, _ = sync_lag(np.sin((t - 0.5) / 3) + np.sin((t - 0.5) / 7), np.sin(t / 3) + np.sin(t / 7))
    assert lag == pytest.approx(0.5, abs=0.1)


def test_lips_apart() -> None:
    face = canonical_face()
    moved = face.copy()
    moved[list(OUTER_LIPS + INNER_LIPS), 1] += 0.03
    assert lips_apart(face, moved) == pytest.approx(0.03, abs=1e-6)
    assert lips_apart(face, moved, about_mean=True) == pytest.approx(0, abs=1e-6)
    moved[1] += 5  # no point of the lips' 40
    moved[list(INNER_LIPS), 1] += 0.02
    assert lips_apart(face, moved, about_mean=True) == pytest.approx(0.01, abs=1e-6)


def test_exact_displacement_takes_off_scale_and_turn() -> None:
    """The renderer counts in cm, y up, in its own pose; what is left is the lips' way in our frame."""
    face = canonical_face()
    at = np.zeros((68, 3))
    pairs = (*EXACT_LIPS, (36, 33), (39, 133), (42, 362), (45, 263), (27, 168), (30, 4), (31, 98), (35, 327))
    for theirs, ours in pairs:
        at[theirs] = face[ours]
    open_mouth = at.copy()
    lower = [theirs for theirs, ours in EXACT_LIPS if theirs in (55, 56, 57, 58, 59, 65, 66, 67)]
    open_mouth[lower, 1] += 0.1
    angle = 0.2
    turn = np.array([[1, 0, 0], [0, -np.cos(angle), np.sin(angle)], [0, -np.sin(angle), -np.cos(angle)]])
    exact = 6.3 * np.stack([at, open_mouth]) @ turn + (1, 2, 3)
    found = exact_displacement(exact.astype(np.float32), face)
    expected = np.zeros((20, 2))
    expected[[i for i, (theirs, _) in enumerate(EXACT_LIPS) if theirs in lower], 1] = 0.1
    assert found[0] == pytest.approx(np.zeros((20, 2)), abs=1e-5)
    assert found[1] == pytest.approx(expected, abs=1e-4)


def test_the_first_shut_mouth_is_looked_for_among_some_pictures() -> None:
    codes = np.zeros((8, len(MOTION_CHANNELS)), np.float32)
    codes[[0, 3, 7], 0] = 0.1
    codes[4, BLINK] = 1
    assert first_shut(codes) == 1
    assert first_shut(codes, np.arange(8) >= 3) == 5
    assert first_shut(codes, np.arange(8) == 4) is None


def test_lids_of_what_was_drawn(portrait) -> None:
    generator = Generator()
    shares = []
    for blink in (0.0, 0.5, 1.0):
        generator.draw(code(eyeBlinkLeft=blink), portrait)
        left, right = drawn_lids(generator, portrait)
        shares.append(left)
        assert right == pytest.approx(1, abs=0.02)
    assert shares[0] == pytest.approx(1, abs=0.02)
    assert shares[1] == pytest.approx(0.5, abs=0.1)
    assert shares[2] < 0.1


def test_lips_mask_covers_both(portrait) -> None:
    truth = portrait.landmarks.copy()
    truth[list(OUTER_LIPS + INNER_LIPS), 1] += 30
    mask = lips_mask(portrait, truth)
    for points in (portrait.landmarks, truth):
        x, y = points[[13, 14], :2].mean(0).round().astype(int)
        assert mask[y, x]
    x, y = portrait.landmarks[4, :2].round().astype(int)
    assert not mask[y, x]


def numbers(**over: np.ndarray) -> dict[str, np.ndarray]:
    course = np.linspace(0, 0.2, 20)
    return {
        "lmd": np.full(20, 0.01), "lmd_static": np.full(20, 0.04), "shape": np.full(20, 0.01),
        "shape_static": np.full(20, 0.02), "open_drawn": 0.9 * course + 0.01, "open_true": course,
        "lid_drawn": np.linspace(0.5, 1, 20), "lid_true": np.linspace(0.4, 1, 20), "lid_lines": np.ones(20),
    } | over  # fmt: skip


def test_summary() -> None:
    found = summarise([numbers(), numbers(lmd=np.full(20, 0.03))])
    assert found["lmd_share"] == pytest.approx(0.5)
    assert found["shape_share"] == pytest.approx(0.5)
    assert found["opening_slope"] == pytest.approx(0.9)
    assert found["opening_r"] == pytest.approx(1)
    assert (found["clips"], found["pictures"]) == (2, 40)
    lids = np.linspace(0.02, 1, 20)
    exact = numbers(lmd_exact=np.full(20, 0.02), lmd_exact_static=np.full(20, 0.05), lmd_exact_read=np.full(20, 0.01),
                    lid_exact=lids, lid_lines=0.95 * lids + 0.03)  # fmt: skip
    found = summarise([exact])
    assert found["lmd_exact_share"] == pytest.approx(0.4)
    assert found["lid_slope"] == pytest.approx(0.95)
    assert found["lid_deepest"] == pytest.approx(0.95 * lids[lids <= 0.12].mean() + 0.03)


def test_codes_by_sound_take_the_head_from_the_truth(portrait) -> None:
    motion = np.zeros((100, len(MOTION_CHANNELS)), np.float32)
    motion[:, 0] = np.arange(100) * 0.001  # code k speaks of (k + .5) * 20 ms
    motion[:, HEAD] = 0.3
    true = np.zeros((20, len(MOTION_CHANNELS)), np.float32)
    true[:, HEAD + 1] = 0.1
    times = (np.arange(20) + 0.5) / 25
    driven = Driven("x", portrait, true, np.zeros((20, 1, 1, 3), np.uint8), np.zeros((20, 478, 3)), 0, times)
    codes = driven_codes(driven, motion)
    assert codes[:, 0] == pytest.approx((times / 0.02 - 0.5) * 0.001, abs=1e-7)
    assert (codes[:, HEAD] == 0).all()
    assert (codes[:, HEAD + 1] == np.float32(0.1)).all()
    late = driven_codes(driven, motion, offset_s=0.04)  # pictures 40 ms late show what was said 40 ms before
    assert late[3, 0] == pytest.approx(codes[2, 0], abs=1e-7)
    assert at_times(motion, np.array([-1.0, 99.0]))[:, 0] == pytest.approx([0, 0.099])


def test_pieced_codes_take_what_they_say(portrait) -> None:
    draw = np.random.default_rng(3)
    true, heard, labelled = (draw.standard_normal((4, len(MOTION_CHANNELS))).astype(np.float32) for _ in range(3))
    driven = Driven("x", portrait, true, np.zeros((4, 2, 2, 3), np.uint8), np.zeros((4, 478, 3)), 0)
    pieced = pieced_codes(driven, heard, labelled)
    assert pieced["the labeller, not causal"] is labelled
    assert list(pieced_codes(driven, heard, None)) == list(pieced)[1:]
    _, alone, rest = pieced.values()
    np.testing.assert_array_equal(alone[:, 0], true[:, 0])
    np.testing.assert_allclose(alone[:, 2] / alone[:, 0], 0.73, rtol=1e-5)  # mouthOpenSide, by GRID's regression
    np.testing.assert_array_equal(alone[:, 11:], heard[:, 11:])
    np.testing.assert_array_equal(rest[:, JAW], heard[:, JAW])
    others = [c for c in range(true.shape[1]) if c not in JAW]
    np.testing.assert_array_equal(rest[:, others], true[:, others])


def test_still_regions(portrait) -> None:
    """A talking mouth changes the mouth's region and nothing beyond the mesh; a generator that flickers is caught."""
    codes = np.zeros((8, len(MOTION_CHANNELS)), np.float32)
    codes[:, 0] = np.abs(np.sin(np.arange(8))) * 0.2
    codes[:, SPEECH_CHANNELS.index("browInnerUp")] = 0.05  # left out: brows are kept still
    masks = regions(portrait)
    assert all(mask.any() for name, mask in masks.items() if name != "shoulders")
    assert not masks["shoulders"].any(), "nobody's: a painted face has none"
    assert not (masks["beyond"] & masks["around the head"]).any()
    oval = portrait.source[list(FACE_OVAL)]
    x, y = oval.mean(0).round().astype(int)
    assert not masks["beyond"][y, x]
    steady = score_flicker(portrait, codes, Generator())
    assert steady["mouth"]["deviation"] > 1
    assert steady["beyond"]["deviation"] == 0

    class Flickering(Generator):
        def draw(self, code, portrait, out=None):
            drawn = super().draw(code, portrait, out)
            drawn[: portrait.size[0] // 3] += np.uint8(3 * (int(1000 * code[0]) % 2))
            return drawn

    caught = score_flicker(portrait, codes, Flickering())
    assert caught["upper face"]["deviation"] > steady["upper face"]["deviation"] + 0.2
    assert caught["beyond"]["deviation"] > 0.2


def test_change_outside(portrait) -> None:
    codes = np.zeros((6, len(MOTION_CHANNELS)), np.float32)
    codes[:, 0] = 0.15
    codes[3:, HEAD + 1] = 0.1
    found = score_outside(portrait, codes, Generator())
    assert found["head still"]["beyond, largest"] == 0
    assert found["head moves"]["beyond"] < 0.1 * found["head moves"]["around the head"]
    assert found["head moves"]["around the head"] > found["head still"]["around the head"]
    assert len(coded([portrait.photo] * 3)) == 3


def test_phones_shut_and_open_the_mouth() -> None:
    recipes = {name: {"jawOpen": 0.5} for name in ("AA", "IH", "EE", "OH")} | {
        "neutral": {}, "PP": {"mouthPress_L": 1.0}, "OU": {"mouthPucker": 1.0}, "FF": {"jawOpen": 0.1}, "TH": {},
    }  # fmt: skip
    assert {recipe for recipe, _, _ in SHAPES.values()} == set(recipes)
    phones = ((0.0, 0.3, "SIL"), (0.3, 0.5, "AA"), (0.5, 0.58, "M"), (0.58, 0.8, "AA"), (0.8, 1.2, "SIL"))
    silence, vowel, shut = mouth_weights(phones, recipes, np.array([0.1, 0.4, 0.54]), 1.0)
    assert silence.get("jawOpen", 0) < 0.05
    assert vowel["jawOpen"] > 0.35
    assert shut["jawOpen"] < 0.15
    assert shut["mouthPress_L"] > 0.7
    course = blink_course(np.arange(0, 1, 0.01), (0.2,))
    assert course[:20].max() == 0
    assert course[28:32] == pytest.approx(1)
    assert course[50:].max() == 0


def test_the_page_says_what_is_missing_and_what_is_old(tmp_path: Path) -> None:
    assert all(row[2:] == ["not measured", ""] for row in shows({}))
    results = {"identity": {"missing": 'the face model is not installed: pip install "voxcam[score]"'}}
    page = markdown(results, tmp_path, ["identity"])
    assert 'pip install "voxcam[score]"' in page
    assert "earlier weights or code: identity" in page
    sound = {"unseen, s5": {"clean, 80 ms": {"lmd_share": 0.45, "lmd": 0.02, "sync": {"lag": -1.5}},
                            "0 dB, 80 ms": {"lmd": 0.024}}}  # fmt: skip
    in_silence = {"unseen, s5, photo taken in silence": {"by sound": {"lmd_share": 0.51, "shape_share": 0.4}}}
    rows = {row[0]: row[2:] for row in shows({"sound": sound, "ceiling": in_silence})}
    assert rows["the same, photo taken in silence, not at a p, b or m"] == ["0.510", "no"]
    assert rows["mouth LMD share, sound alone, 80 ms, s5"] == ["0.450", "yes"]
    assert rows["LMD at 0 dB against clean, s5"] == ["1.200", "no"]
    assert rows["sync offset by sound, 80 ms, s5"] == ["-1.50", "no"]


@pytest.mark.skipif(not (find_spec("dlib") and find_spec("face_recognition_models")), reason="no extra [score]")
def test_another_person_is_farther() -> None:
    """The face model, where it is installed: a softened photo is nearer than another face."""
    from train.face.face_stills import FaceModel
    from train.face.generator_data import read_rgb

    folder = Path(__file__).parents[1] / "data"
    photo, landmarks = read_rgb(folder / "face.jpg"), np.load(folder / "face_landmarks.npy")
    model = FaceModel()
    own = model.read(photo, landmarks)
    soft = model.read(cv2.GaussianBlur(photo, (0, 0), 1.0), landmarks)
    painted, points = paint_face()
    other = model.read(painted, points)
    assert np.linalg.norm(own - soft) < 0.3 < np.linalg.norm(own - other)


def test_stages_are_run_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stage whose weights and code are the same is not run again; `only`, `again` and unknown names."""
    from engines.errors import ConfigError
    from train.face import face_report
    from train.face.face_report import Work, report

    ran: list[str] = []

    def stage(name: str):
        def run(work: Work) -> dict:
            ran.append(name)
            return {"missing": name}

        return run

    monkeypatch.setattr(
        face_report, "STAGES", {name: (stage(name), name == "sound") for name in ("true-motion", "sound")}
    )

    def work() -> Work:
        return Work(tmp_path, tmp_path, tmp_path, None, 2, None, {}, tmp_path / "out", lambda _: None)

    report(work())
    report(work())
    assert ran == ["true-motion", "sound"]
    report(work(), only=["sound"], again=True)
    assert ran == ["true-motion", "sound", "sound"]
    report(replace(work(), clips=3), only=["true-motion"])  # another number of clips: old
    assert ran[3:] == ["true-motion"]
    assert "earlier weights or code: sound" in (tmp_path / "out" / "README.md").read_text()
    with pytest.raises(ConfigError, match="no stage"):
        report(work(), only=["souond"])
    assert set(STAGES) >= {"true-motion", "sound", "identity"}


def test_another_generator_reads_portraits_by_its_own_encoder(tmp_path: Path) -> None:
    """Cards that are compared bring their portrait encoder: with the shipped one's features they would say nonsense."""
    for name in ("generator", "portrait_encoder"):
        for ending in ("onnx", "card.json", "golden.npz"):
            shutil.copy(WEIGHTS / f"{name}.{ending}", tmp_path)
    portrait = make_portrait(*paint_face())
    elsewhere = replace(portrait, features=0 * portrait.features, vector=0 * portrait.vector)  # another's words
    spoken = code(jawOpen=0.2, mouthLowerDown=0.1)
    with open_generator() as shipped, open_other(tmp_path / "generator.card.json") as other:
        expected = shipped.draw(spoken, portrait)
        assert not np.array_equal(shipped.draw(spoken, elsewhere), expected)
        assert np.array_equal(other.draw(spoken, elsewhere), expected)


def test_landmarks_of_photos_are_found_once(tmp_path: Path) -> None:
    folder = tmp_path / "faces" / "cc0"
    folder.mkdir(parents=True)
    shutil.copy(files("realtime") / "assets" / "portrait.jpg", folder / "me.jpg")
    said: list[str] = []
    find_photo_landmarks(tmp_path, tmp_path / "landmarks", said.append)
    kept = tmp_path / "landmarks" / "me.npy"
    found = np.load(kept)
    assert found.shape == (478, 3)
    assert np.isfinite(found).all()
    before = kept.stat().st_mtime_ns
    find_photo_landmarks(tmp_path, tmp_path / "landmarks", said.append)
    assert kept.stat().st_mtime_ns == before
    assert said == ["landmarks of 1 photos"]
