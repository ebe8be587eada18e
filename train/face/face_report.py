"""`voxcam train score face`: docs/reports/face, its numbers, figures and sheets, stage by stage.

A stage judges weights and drawing code, so that a new encoder costs only the stages that hear. Seeds are fixed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path

import av
import cv2
import numpy as np

from engines.card import WEIGHTS
from engines.encoder import Encoder, open_encoder
from engines.errors import ConfigError, VoxcamError
from engines.face.landmarker import Landmarker
from engines.face.measure import eye_distance
from engines.generator import BLINK, HEAD, Generator, Learned, open_generator
from engines.motion.expression import LOOKS
from engines.motion.reach import MOUTH, at_times, fit_reach, is_spoken
from engines.opening import open_session
from engines.portrait import Portrait, make_portrait
from engines.shaper import Shaper
from engines.spec import MOTION_CHANNELS, SPEC, SPEECH_CHANNELS
from engines.whole_file import write_atomically
from train.data.corpora import Clip, crema_d, grid, sound_of, speech
from train.data.motion_labels import fast_landmarker, silent_pictures
from train.data.rendered_people import FIRST_SEED, rendered_photos, rendered_talkers
from train.face.face_markdown import BY_SOUND, IN_SILENCE, markdown
from train.face.face_score import (
    Driven,
    Truth,
    drive,
    drive_pictures,
    drive_rendered,
    read_clip,
    score_drawn,
    summarise,
)
from train.face.face_sheets import FACES, OTHERS, REACH, draw_sheet, face_height, sized, speech_shapes, write_jpeg
from train.face.face_sound import (
    SoundJudge,
    driven_codes,
    grid_sounds,
    mood_changes,
    pieced_codes,
    summarise_rows,
)
from train.face.face_steady import draw_figure, score_flicker, score_outside, score_true_flicker
from train.face.face_stills import FaceModel, Photos, score_identity, score_sharpness, score_smiles
from train.face.lips_place import place_by_shape, read_ways, shares_left, ways_of
from train.motion.heard import Rows, hear, shaped_motion
from train.motion.reach import bare_shaper, listen, reach_of
from train.motion.score_motion import kept_motion, takes, talker_offsets
from train.stages import Say, hash_of, run_stages

TALKERS = {"seen, s1": "s1", "unseen, s5": "s5"}
RENDERED = 10
PHOTO_SEEDS = range(FIRST_SEED + 100, FIRST_SEED + 116)
CANADA_SHEET = (
    *("008f", "022f", "026f", "045f", "049f", "056f", "065f"),
    *("098m", "108m", "110m", "114m", "121m", "147m", "151m"),
)
LONDON_SHEET = ("006", "025", "061", "087", "119", "129", "136", "142")
SMILES_SHEET = ("002", "004", "006", "010", "020", "022", "061", "066", "094", "113")
WEBCAM = 300  # px from hairline to chin in a 1280x720 picture: a head as it sits before a camera
WEBCAM_EYES_PX = 100  # pixels between its eyes
STEADY_CODES = 75
# What figures hang on: files and folders of engines/.
DRAWING = ("generator.py", "portrait.py", "bounds.py", "face_points.py", "drawing", "face")
HEARING = ("encoder.py", "shaper.py", "motion")
FILMED_CLIPS = 8  # of three seconds, that a person films of themselves


class WithEncoder(Generator):
    """A generator that reads portraits by the portrait encoder beside its card, and not by the shipped one."""

    def __init__(self, card: Path) -> None:
        super().__init__(open_session(card))
        self.encoder = open_session(card.with_name("portrait_encoder.card.json"))
        self.read: dict[int, tuple[Portrait, Portrait]] = {}  # by id: the portrait, and as this encoder describes it

    def close(self) -> None:
        super().close()
        self.encoder.close()

    def corrections(self, code: np.ndarray, portrait: Portrait) -> Learned:
        if id(portrait) not in self.read:
            crop = portrait.crop.transpose(2, 0, 1)[None] / np.float32(255)
            outputs = self.encoder.run({"crop": crop, "shape": portrait.shape[None], "tones": portrait.tones[None]})
            described = replace(portrait, **{name: value.copy() for name, value in outputs.items()})
            self.read[id(portrait)] = (portrait, described)
        return super().corrections(code, self.read[id(portrait)][1])


def open_other(card: Path) -> Generator:
    """The generator of a card, with its own portrait encoder where one lies beside it."""
    own = card.with_name("portrait_encoder.card.json").is_file()
    return WithEncoder(card) if own else open_generator(card)


@dataclass
class Work:
    """What the stages share; opened when first asked for, closed with `stack`."""

    data: Path
    landmarks: Path
    cache: Path
    renderer: Path | None
    clips: int
    card: Path | None
    others: dict[str, Path]
    out: Path
    say: Say
    stack: ExitStack = field(default_factory=ExitStack)

    @cached_property
    def generators(self) -> dict[str, Generator]:
        """Row name -> generator; the last one is the one that is judged."""
        found = {"closed form": Generator()}
        for name, card in self.others.items():
            found[name] = self.stack.enter_context(open_other(card))
        judged = self.stack.enter_context(open_other(self.card) if self.card else open_generator())
        if judged.session is not None:
            found["with network"] = judged
        return found

    @property
    def judged(self) -> Generator:
        return list(self.generators.values())[-1]

    @cached_property
    def landmarker(self) -> Landmarker:
        return self.stack.enter_context(fast_landmarker())

    @cached_property
    def encoder(self) -> Encoder:
        encoder = open_encoder()
        self.stack.callback(encoder.close)
        return encoder

    @cached_property
    def shapes(self) -> dict[str, np.ndarray]:
        return speech_shapes(self.landmarks / "grid" / "train")

    @cached_property
    def photos(self) -> Photos:
        return Photos(self.data, self.cache / "photo_landmarks", self.landmarker)

    @cached_property
    def canada(self) -> list[Portrait]:
        return [make_portrait(*self.photos(name)) for name in CANADA_SHEET]

    @cached_property
    def talkers(self) -> list[Driven]:
        """Rendered people; [] where no renderer is named and none are cached."""
        made = rendered_talkers(self.cache / "rendered_people", self.renderer, self.data, RENDERED)
        self.utterances = {talker.name: talker.utterance for talker in made}
        return [drive_rendered(talker) for talker in made]

    def clip_of(self, talker: str, name: str, silent: Clip | None = None, offset_s: float = 0.0) -> Driven | None:
        """A val clip. silent: its phones, with which its portrait is a picture while nobody speaks.

        offset_s: how late its pictures are against its sound.
        """
        video = self.data / "grid" / "val" / talker / f"{name}.mkv"
        landmarks = self.landmarks / "grid" / "val" / talker / f"{name}.npy"
        if silent is None:
            return drive(video, landmarks)
        pictures = len(np.load(landmarks, mmap_mode="r", allow_pickle=False))
        return drive(video, landmarks, silent_pictures(silent, pictures, offset_s))

    def clip_names(self, talker: str) -> list[str]:
        """The first `clips` val clips of a talker, by name."""
        return [path.stem for path in sorted((self.data / "grid" / "val" / talker).glob("*.mkv"))][: self.clips]


# ---- stages: Work -> what report.json keeps ----


def true_motion(work: Work) -> dict:
    """GRID val under the people's own motion."""
    found: dict[str, dict] = {}
    for people, talker in TALKERS.items():
        rows: dict[str, list] = {name: [] for name in work.generators}
        for name in work.clip_names(talker):
            driven = work.clip_of(talker, name)
            if driven is None:
                continue
            truth = Truth.read(driven, work.landmarker, 3)
            for row, generator in work.generators.items():
                rows[row].append(score_drawn(driven, truth, driven.codes, generator, work.landmarker))
            work.say(f"true motion, {people}: {name}")
        found[people] = {row: summarise(clips) for row, clips in rows.items()}
    return found


def by_sound(work: Work) -> dict:
    """GRID val by sound alone."""
    judge = SoundJudge(work.encoder, work.landmarker, work.data)
    offsets = talker_offsets(work.cache)
    found: dict[str, dict] = {}
    for people, talker in TALKERS.items():
        sounds = grid_sounds(work.data, talker)
        names = work.clip_names(talker)
        rows: dict[str, list] = {}
        for name, other in zip(names, names[1:] + names[:1], strict=True):
            driven = work.clip_of(talker, name)
            if driven is None:
                continue
            truth = Truth.read(driven, work.landmarker, 1)
            scored = judge.score(
                driven,
                truth,
                sound_of(sounds[name].sound),
                sound_of(sounds[other].sound),
                offsets.get(f"grid/{talker}", 0.0),
                work.judged,
                work.generators["closed form"],
            )
            for row, numbers in scored.items():
                rows.setdefault(row, []).append(numbers)
            work.say(f"by sound, {people}: {name}")
        found[people] = summarise_rows(rows)
    return found


def ceiling(work: Work) -> dict:
    """GRID val driven by motion that is partly heard, partly true: what sound lacks, and what it can't do.

    By talker and portrait: the clip's first shut mouth, and the first one while nobody speaks.
    """
    kept, shaper = kept_motion(work.cache), Shaper(SPEC, 80, 7)
    found: dict[str, dict] = {}
    for people, talker in TALKERS.items():
        sounds = grid_sounds(work.data, talker)
        offset_s = talker_offsets(work.cache).get(f"grid/{talker}", 0.0)
        filmed = filmed_reach(work, talker, offset_s)
        own = None if filmed is None else Shaper(SPEC, 80, 7, reach=filmed)
        for name in work.clip_names(talker):
            clip = sounds[name]
            steps = hear(work.encoder, sound_of(clip.sound))
            motion = shaped_motion(steps, 80, shaper)
            for portrait, silent in (("", None), (IN_SILENCE, clip)):
                driven = work.clip_of(talker, name, silent, offset_s)
                if driven is None:
                    continue
                heard, labelled = driven_codes(driven, motion, offset_s), None
                if (course := kept.get(clip.key)) is not None:
                    said = motion[: len(course)].copy()
                    said[:, : len(SPEECH_CHANNELS)] = course[: len(said)]
                    labelled = driven_codes(driven, said, offset_s)
                ways = {"true motion": driven.codes, BY_SOUND: heard}
                if own is not None:
                    moved = driven_codes(driven, shaped_motion(steps, 80, own), offset_s)
                    ways[f"{BY_SOUND}, own reach from {FILMED_CLIPS} other clips"] = moved
                truth, rows = Truth.read(driven, work.landmarker, 3), found.setdefault(people + portrait, {})
                for row, codes in (ways | pieced_codes(driven, heard, labelled)).items():
                    scored = score_drawn(driven, truth, codes, work.judged, work.landmarker, pixels=False)
                    rows.setdefault(row, []).append(scored)
            work.say(f"pieced together, {people}: {name}")
    return {people: {row: summarise(clips) for row, clips in rows.items()} for people, rows in found.items()}


def place(work: Work) -> dict:
    """What is left of the lips' distance where their shape is known and their place is not, by talker and portrait."""
    silent = {f"{clip.speaker.split('/')[-1]}/{clip.sound.stem}": clip for clip in grid(work.data / "grid")}
    found: dict[str, dict] = {}
    for people, talker in TALKERS.items():
        files = [work.landmarks / "grid" / "val" / talker / f"{name}.npy" for name in work.clip_names(talker)]
        for portrait, clips in (("", None), (IN_SILENCE, silent)):
            weights = place_by_shape(read_ways(work.landmarks / "grid" / "train", [talker], silent=clips))
            found[people + portrait] = shares_left(ways_of(files, clips), weights)
    return found


def filmed_reach(work: Work, talker: str, offset_s: float) -> np.ndarray | None:
    """A talker's reach (11,) from FILMED_CLIPS val clips that are not scored, as `voxcam enroll --clip` learns it.

    None where fewer are left.
    """
    clips = [path.stem for path in sorted((work.data / "grid" / "val" / talker).glob("*.mkv"))]
    filmed = [name for name in clips if name not in work.clip_names(talker)][:FILMED_CLIPS]
    offsets = {f"grid/{talker}": offset_s}
    found = takes(work.data, work.landmarks, offsets, "val", [f"grid/{talker}"])
    chosen = [take for take in found if take.clip.sound.stem in filmed]
    return reach_of(listen(work.encoder, chosen)) if len(chosen) == FILMED_CLIPS else None


def rendered_true(work: Work) -> dict:
    """Rendered strangers under exactly known motion."""
    rows: dict[str, list] = {name: [] for name in work.generators}
    for driven in work.talkers:
        truth = Truth.read(driven, work.landmarker, 2)
        for row, generator in work.generators.items():
            rows[row].append(score_drawn(driven, truth, driven.codes, generator, work.landmarker))
        work.say(f"true motion, {driven.name}")
    if not work.talkers:
        return {"missing": "no rendered people: name the head renderer's folder with --renderer"}
    return {row: summarise(clips) for row, clips in rows.items()}


def rendered_sound(work: Work) -> dict:
    """Rendered strangers by sound: their truth is a recipe for each phone, not a person's speech."""
    judge = SoundJudge(work.encoder, work.landmarker, work.data)
    if not work.talkers:
        return {"missing": "no rendered people: name the head renderer's folder with --renderer"}
    sounds = {clip.key: clip.sound for clip in speech(work.data / "speech") if clip.corpus == "tts"}
    rows: dict[str, list] = {}
    every = list(work.utterances.values())
    for driven, key, other in zip(work.talkers, every, every[1:] + every[:1], strict=True):
        truth = Truth.read(driven, work.landmarker, 1)
        own, strange = (sound_of(sounds[k])[: round(3.2 * SPEC.sample_rate_hz)] for k in (key, other))
        scored = judge.score(driven, truth, own, strange, 0.0, work.judged, work.generators["closed form"])
        for row, numbers in scored.items():
            rows.setdefault(row, []).append(numbers)
        work.say(f"by sound, {driven.name}")
    return summarise_rows(rows)


def moods(work: Work) -> dict:
    """Emotional voices: what they change on a portrait; and one real actor in six moods."""
    portrait = make_portrait(*sized(*work.photos("zoom_60cm"), WEBCAM))
    voices = mood_changes(work.data, portrait, work.judged, work.encoder, work.landmarker)
    actor: dict[str, dict] = {}
    shapers = {name: Shaper(SPEC, 80, 7, emotion=name) for name in ("auto", "off")}
    clips = list(acted_clips(work))
    for clip, driven, rows in clips:
        truth = Truth.read(driven, work.landmarker, 2)
        others = [(d, r) for other, d, r in clips if other is not clip and other.speaker == clip.speaker]
        ways = dict(shapers)
        if others:
            ways["own reach from his other sentences"] = Shaper(SPEC, 80, 7, reach=acted_reach(others))
        mood = clip.emotion or ""
        if mood in LOOKS and mood != "neutral":
            ways["mood by name"] = Shaper(SPEC, 80, 7, emotion=mood)  # what a caller in this mood would choose
        courses = {"true motion": driven.codes}
        courses |= {f"sound, {n}": driven_codes(driven, shaped_motion(rows, 80, shaper)) for n, shaper in ways.items()}
        actor[mood] = {
            name: summarise([score_drawn(driven, truth, codes, work.judged, work.landmarker)])
            for name, codes in courses.items()
        }
        work.say(f"moods: {clip.key}")
    return {"voices": voices, "actor": actor}


def acted_clips(work: Work) -> Iterator[tuple[Clip, Driven, Rows]]:
    """CREMA-D's filmed clips: as they are driven, and as they are heard."""
    folder = work.data / "crema_d"
    for clip in crema_d(folder) if folder.is_dir() else []:
        if clip.pictures is None:
            continue
        with av.open(str(clip.pictures)) as container:
            rate = float(container.streams.video[0].average_rate or 29.97)
        pictures = read_clip(clip.pictures)
        points = [work.landmarker.examine(pictures[0]).landmarks]
        for picture in pictures[1:]:
            points.append(work.landmarker.landmarks_near(picture, points[-1]))
        driven = drive_pictures(clip.key, pictures, np.stack(points), rate)
        if driven is None:
            work.say(f"{clip.key}: no picture with a shut mouth, left out")
            continue
        yield clip, driven, hear(work.encoder, sound_of(clip.sound))


def acted_reach(clips: list[tuple[Driven, Rows]]) -> np.ndarray:
    """Reach (11,) from several clips of one person, taken for one."""
    plain = bare_shaper(80)
    heard = np.concatenate(
        [at_times(shaped_motion(rows, 80, plain)[:, :MOUTH], driven.times_s) for driven, rows in clips]
    )
    seen = np.concatenate([driven.codes[:, :MOUTH] for driven, _ in clips])
    spoken = is_spoken(heard)
    return fit_reach(heard[spoken], seen[spoken])


def smiles(work: Work) -> dict:
    """Sharp real people: the own smile, the way back to rest, sharpness in speech."""
    found: dict[str, dict] = {**score_smiles(work.photos.pairs(), work.generators, work.landmarker)}
    found["sharpness"] = score_sharpness(work.canada, work.shapes, work.generators)
    return found


def identity(work: Work) -> dict:
    """An independent face model's opinion."""
    try:
        model = FaceModel()
    except ConfigError as error:
        return {"missing": str(error)}
    shapes = {name: work.shapes[name] for name in ("parted", "half", "wide", "smile", "turned")}
    return score_identity(list(work.photos.pairs(3)), work.canada, shapes, work.generators, model)


def steady(work: Work) -> dict:
    """Still regions and what lies outside the face, with a figure of flicker and sync."""
    portrait = make_portrait(*sized(*work.photos("zoom_60cm"), WEBCAM))
    name = work.clip_names("s5")[0]
    rows = hear(work.encoder, sound_of(grid_sounds(work.data, "s5")[name].sound))
    times = (np.arange(STEADY_CODES) + 0.5) / 25
    still = at_times(shaped_motion(rows, 80, Shaper(SPEC, 80, 7, idle=False, emotion="off")), times)
    alive = at_times(shaped_motion(rows, 80, Shaper(SPEC, 80, 7)), times)
    driven = work.clip_of("s5", name)
    flicker = {"drawn, sharp portrait": score_flicker(portrait, still, work.judged)}
    outside = score_outside(portrait, alive, work.judged)
    if driven is not None:
        flicker["drawn, s5"] = score_flicker(driven.portrait, still, work.judged)
        flicker["real video, s5"] = score_true_flicker(driven)
    return {"flicker": flicker, "outside": outside}


def speed(work: Work) -> dict:
    """One core, 1280x720, face 480 px high, whole picture composed."""
    portrait = make_portrait(*sized(*work.photos("zoom_30cm"), 480))
    times = {name: time_draw(portrait, generator) for name, generator in work.generators.items()}
    with suppress(VoxcamError), open_generator(backend="openvino", precision="bf16") as faster:  # where it is installed
        times["with network, OpenVINO bf16"] = time_draw(portrait, faster)
    return times


def sheets(work: Work) -> dict:
    """The contact sheets."""
    shapes, draw = work.shapes, work.judged
    faces, others = [[shapes[name] for name in names] for names in (FACES, OTHERS)]
    own = work.photos("lisa_lisa1")
    made = [
        (picture, work.landmarker.examine(picture).landmarks)
        for picture in rendered_photos(work.cache / "rendered_people", work.renderer, PHOTO_SEEDS)
    ]
    unseen = [make_portrait(*photo) for photo in (own, *made)]
    stranger = next(filter(None, (work.clip_of("s5", name) for name in work.clip_names("s5"))), None)
    if stranger is not None:
        unseen.append(stranger.portrait)
    canada = work.canada
    write_jpeg(work.out / "unseen_rendered.jpg", draw_sheet(unseen, faces, draw, 122, beside=2), 82)
    write_jpeg(work.out / "unseen_real.jpg", draw_sheet(canada, faces, draw, 122, beside=2), 82)
    london = [make_portrait(*work.photos(f"{name}_neutral")) for name in LONDON_SHEET]
    smiles = [work.photos(f"{name}_smile") for name in LONDON_SHEET[:4]]
    smiling = [make_portrait(*smile) for smile in smiles]
    given = [cv2.resize(photo, portrait.size[::-1]) for (photo, _), portrait in zip(smiles, smiling, strict=True)]
    sheet = draw_sheet([*london, *smiling], faces, draw, 104, beside=2, photos=[*[None] * len(london), *given])
    write_jpeg(work.out / "london.jpg", sheet, 82)
    write_jpeg(work.out / "others.jpg", draw_sheet([*unseen[:4], *canada[:4]], others, draw, 122, beside=2), 82)
    large = [own, *made[1:12:5], *(work.photos(CANADA_SHEET[k]) for k in (0, 4, 7, 13))]
    open_smiles = [work.photos(f"{name}_smile") for name in SMILES_SHEET]
    for name, part, zoom, photos, columns, beside in (
        ("mouth_3x", "mouth", 3.0, large, ("rest", "half", "wide", "tongue", "smile"), 1),
        ("eyes_3x", "eyes", 3.0, large, ("blink", "gaze"), 2),
        ("smiling", "mouth", 1.5, open_smiles, ("rest", "parted", "half", "wide"), 2),
        ("smiling_faces", "face", 0.75, open_smiles, ("rest", "half", "smile"), 2),
    ):
        tile_px = round(zoom * 2 * REACH[part] * WEBCAM_EYES_PX)
        placed = [
            sized(*photo, WEBCAM_EYES_PX * face_height(photo[1]) / float(eye_distance(photo[1]))) for photo in photos
        ]
        people, given = [make_portrait(*photo) for photo in placed], [photo for photo, _ in placed]
        codes = [shapes[column] for column in columns]
        sheet = draw_sheet(people, codes, draw, tile_px, part, beside, photos=given)
        write_jpeg(work.out / f"{name}.jpg", sheet, 78)
    return {"unseen": len(unseen) + len(canada), "rendered": len(unseen) - 1 - (stranger is not None)}


STAGES: dict[str, tuple[Callable[[Work], dict], bool]] = {
    # name: (stage, whether it hears, so that a new encoder makes it old)
    "true-motion": (true_motion, False),
    "sound": (by_sound, True),
    "ceiling": (ceiling, True),
    "place": (place, False),
    "rendered": (rendered_true, False),
    "rendered-sound": (rendered_sound, True),
    "moods": (moods, True),
    "smiles": (smiles, False),
    "identity": (identity, False),
    "steady": (steady, True),
    "speed": (speed, False),
    "sheets": (sheets, False),
}


def time_draw(portrait: Portrait, generator: Generator, repeats: int = 60) -> dict[str, float]:
    """Milliseconds of one core a picture, median: all moving, speech alone, and the network alone."""
    everything = np.zeros(len(MOTION_CHANNELS), np.float32)
    everything[: len(SPEECH_CHANNELS)] = 0.05
    speech_alone = everything.copy()
    everything[BLINK : BLINK + 2] = 0.5
    everything[HEAD : HEAD + 5] = 0.03
    out = np.empty_like(portrait.photo)

    def median(action: Callable[[], object]) -> float:
        action()
        spent = []
        for _ in range(repeats):
            start = time.process_time()
            action()
            spent.append(time.process_time() - start)
        return 1000 * float(np.median(spent))

    times = {
        "all": median(lambda: generator.draw(everything, portrait, out)),
        "speech": median(lambda: generator.draw(speech_alone, portrait, out)),
    }
    if generator.session is not None:
        times["network"] = median(lambda: generator.corrections(everything, portrait))
    return times


def made_with(work: Work, hears: bool, name: str) -> str:
    """Hash of what a stage judges: drawing code, weights, other generators' cards, number of clips."""
    places = [WEIGHTS.parent / name for name in (*DRAWING, *(HEARING if hears else ()))]
    code = [path for place in places for path in (sorted(place.glob("*.py")) if place.is_dir() else [place])]
    weights = [path for path in sorted(WEIGHTS.iterdir()) if hears or not path.name.startswith("encoder.")]
    files = [*code, *weights, *work.others.values(), *([work.card] if work.card else [])]
    return hash_of(name, str(work.clips), str(sorted(work.others)), files=files)


def or_missing(stage: Callable[[Work], dict], work: Work) -> dict:
    """A stage's result, or why there is none."""
    try:
        return stage(work)
    except VoxcamError as error:
        return {"missing": str(error)}


def report(work: Work, only: list[str] | None = None, again: bool = False) -> dict:
    """Run the stages that are old (or those named), then write README.md and the figure."""
    keys = {name: made_with(work, hears, name) for name, (_, hears) in STAGES.items()}
    stages = {name: partial(or_missing, stage, work) for name, (stage, _) in STAGES.items()}
    with work.stack:
        results, old = run_stages(work.out, stages, keys, only, again, work.say)
    if "flicker" in results.get("steady", {}):
        curves = {
            f"{people}, {row}": numbers["sync"]
            for people, rows in results.get("sound", {}).items()
            for row, numbers in rows.items()
            if isinstance(numbers, dict) and "sync" in numbers
        }
        draw_figure(work.out / "sync_and_flicker.jpg", curves, results["steady"]["flicker"])
    write_atomically(work.out / "README.md", markdown(results, work.out, old).encode())
    return results
