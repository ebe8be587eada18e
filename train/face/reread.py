"""Lips that are read where true ones are: what the mouth's basis still lacks, found by reading what is drawn.

    python -m train.face.reread --renderer RENDERER [--hold-out]      # RENDERER: as train/data/rendered_people.py's

Codes are what FaceMesh reads in true pictures. It follows lips only in part, so a mouth that is drawn as far as they
say is read as having gone less far than the true one: lower lip and corners stand too high by a twentieth of the
opening. This draws training people, the network at work, reads them, and regresses what is missing at the lips on the
mouth's channels: GRID's training talkers, and rendered people of seeds that neither the generator's training nor any
score has. Beyond the lips filmed pixels rule (train/face/geometry.py).

Adds to engines/weights/geometry.npz in place; again makes it nearer still, by less each time. --hold-out writes nothing
and says what it brings to people who are left out one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer

from engines.drawing.geometry import load_geometry
from engines.errors import VoxcamError
from engines.face.landmarker import Landmarker
from engines.face.measure import canonical_face
from engines.face_points import FACE
from engines.generator import Generator, open_generator
from train.data.motion_labels import fast_landmarker
from train.data.rendered_people import rendered_talkers
from train.face.face_score import Driven, Truth, align, drive, drive_rendered, lips_apart
from train.face.geometry import MOUTH, Misplaced, from_lips, misplaced_basis, write_geometry

FIRST_SEED, PEOPLE = 7000, 40  # of rendered people
CLIPS, EVERY = 12, 3  # a talker's clips that are read, and every how many-th picture
REAL = 2.0  # what all real talkers together count, rendered people being 1
RIDGE = 3e-4  # for each picture, squared eye distances; with a tenth of it people left out gain a hundredth more
GEOMETRY = Path("engines/weights/geometry.npz")


def people(data: Path, landmarks: Path, renderer: Path, cache: Path) -> Iterator[tuple[str, list[Driven]]]:
    """Training talkers of GRID and rendered people, each with the clips that are looked at."""
    chance = np.random.default_rng(2)
    for talker in sorted(path for path in (data / "grid" / "train").iterdir() if path.is_dir()):
        clips = sorted(talker.glob("*.mkv"))
        chosen = [clips[k] for k in chance.permutation(len(clips))[:CLIPS]]
        files = [(clip, landmarks / "grid" / "train" / talker.name / f"{clip.stem}.npy") for clip in chosen]
        found = [driven for clip, points in files if points.is_file() and (driven := drive(clip, points))]
        if found:
            yield talker.name, found
    for person in rendered_talkers(cache / "rendered_others", renderer, data, PEOPLE, FIRST_SEED, "train"):
        yield person.name, [drive_rendered(person)]


@dataclass(frozen=True)
class Reading:
    """One person as read in the true pictures and in the drawn ones, pose removed."""

    real: bool
    codes: np.ndarray  # (N, 26)
    drawn: np.ndarray  # (N, 478, 3)
    true: np.ndarray  # (N, 478, 3)
    still: float  # distance of a static photo's lips

    @classmethod
    def read(cls, clips: list[Driven], generator: Generator, landmarker: Landmarker) -> Reading:
        truths = [Truth.read(clip, landmarker, EVERY) for clip in clips]
        drawn = []
        for clip, truth in zip(clips, truths, strict=True):
            pictures = ((generator.draw(clip.codes[k], clip.portrait), k) for k in truth.pictures)
            drawn.append(np.stack([landmarker.landmarks_near(picture, clip.landmarks[k]) for picture, k in pictures]))
        true = np.concatenate([truth.aligned for truth in truths])
        return cls(
            clips[0].exact is None,
            np.concatenate([clip.codes[truth.pictures] for clip, truth in zip(clips, truths, strict=True)]),
            align(np.concatenate(drawn)),
            true,
            float(lips_apart(np.concatenate([truth.static for truth in truths]), true).mean()),
        )

    def share(self, added: np.ndarray | None = None) -> float:
        """Distance of the lips as a share of a static photo's, with `added` (11, 478, 3) to the basis if given."""
        drawn = self.drawn
        if added is not None:
            drawn = drawn + np.einsum("nc,cpd->npd", self.codes[:, : len(MOUTH)], added)
        return float(lips_apart(drawn, self.true).mean() / self.still)


def at_lips(read: list[Reading], canonical: np.ndarray) -> np.ndarray:
    """What to add to the mouth's basis so that lips are read where true ones are, (11, 478, 3).

    A person who is read in more pictures counts by the root of them.
    """
    kinds = [[person for person in read if person.real], [person for person in read if not person.real]]
    seen = []
    for kind, counts in zip(kinds, (REAL, 1.0), strict=True):
        total = sum(len(person.codes) ** 0.5 for person in kind)
        for person in kind:
            apart = (person.true - person.drawn)[:, :FACE, :2]
            seen.append(Misplaced(person.codes, apart, counts * len(apart) ** -0.5 / total))
    return misplaced_basis(seen, canonical, RIDGE) * (1 - from_lips(canonical))


def main(
    data_root: Annotated[Path, typer.Option(envvar="VOXCAM_DATA")],
    cache: Annotated[Path, typer.Option(envvar="VOXCAM_CACHE")],
    renderer: Annotated[Path, typer.Option(help="Folder with heads.py.")],
    landmarks: Annotated[Path | None, typer.Option(help="CACHE/landmarks when not given.")] = None,
    hold_out: Annotated[bool, typer.Option("--hold-out", help="Write nothing; judge people left out.")] = False,
) -> None:
    """Read what is drawn, and bring the lips to where they should be read."""
    canonical = canonical_face()
    with fast_landmarker() as landmarker, open_generator() as generator:
        found = {
            name: Reading.read(clips, generator, landmarker)
            for name, clips in people(data_root, landmarks or cache / "landmarks", renderer, cache)
        }
    if hold_out:
        shares: dict[bool, list[tuple[float, float]]] = {True: [], False: []}
        for name, person in found.items():
            added = at_lips([other for other in found.values() if other is not person], canonical)
            shares[person.real].append((person.share(), person.share(added)))
            typer.echo("{}: {:.3f} -> {:.3f}".format(name, *shares[person.real][-1]))
        for kind, pairs in zip(("real talkers", "rendered people"), shares.values(), strict=True):
            before, after = np.mean(pairs, 0)
            typer.echo(f"{len(pairs)} {kind}, left out: {before:.3f} -> {after:.3f} of a static photo's distance")
        return
    basis, triangles = load_geometry()
    added = at_lips(list(found.values()), canonical)
    basis = basis.copy()
    basis[: len(MOUTH)] += added
    write_geometry(GEOMETRY, basis, triangles)
    typer.echo(f"{GEOMETRY}: lips moved by up to {np.abs(added).max():.3f} for one unit of a channel")


if __name__ == "__main__":
    try:
        typer.run(main)
    except VoxcamError as error:
        raise SystemExit(f"voxcam: {error}") from None
