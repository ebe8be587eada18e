"""Pictures of rendered people for `voxcam train generator`: each at rest and with eleven mouths, with landmarks.

    python -m train.data.render_heads RENDERER OUT --people 160        # goes on where it was cut off

RENDERER is the folder of the head renderer (heads.py, its geometry, textures and lights), a data tool of its own that
is not part of voxcam; it needs the extra [heads] and EGL (on Debian libegl1, libgl1, libegl-mesa0, libgl1-mesa-dri; no
GPU). One npz a person: pictures (12, 320, 320, 3) uint8, landmarks (12, 478, 3) px, the first picture at rest.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any

import numpy as np
import typer

from engines.errors import ConfigError, InputError, VoxcamError
from engines.face.landmarker import Landmarker
from engines.whole_file import write_npz
from train.data.motion_labels import fast_landmarker
from train.data.rendered_people import load_heads

PARTS = ("heads.py", "ict.npz", "parts.npz", "hdri.npz", "semantic.npz", "uvmaps.npz", "textures")
FIRST_SEED = 1000  # test people begin at 5000 (train/data/rendered_people.py)
SIZE_PX, SUPERSAMPLING = 320, 1.25
MOUTHS = 11
SHAPES = ("AA", "EE", "IH", "OH", "OU", "FF", "PP", "TH", "smile")
Weights = dict[str, float]


def open_renderer(folder: Path) -> tuple[ModuleType, Any]:
    """The renderer's module and one renderer; ConfigError that says what is missing."""
    missing = [name for name in PARTS if not (folder / name).exists()]
    if missing:
        what = f"{folder} is no folder of the head renderer: it lacks {', '.join(missing)}"
        raise ConfigError(what, "give the folder that holds heads.py and its data")
    try:
        module = load_heads(folder)
    except ImportError as error:
        raise ConfigError(f"the head renderer needs {error.name}", 'pip install "voxcam[heads]"') from error
    try:
        return module, module.Renderer(SIZE_PX, SUPERSAMPLING)
    except Exception as error:  # moderngl raises plain Exceptions where EGL is missing
        fix = "install libegl1 libgl1 libegl-mesa0 libgl1-mesa-dri, or what your system calls them"
        raise ConfigError(f"no OpenGL without a screen ({error})", fix) from error


def draw_mouth(module: ModuleType, random: np.random.Generator) -> tuple[Weights, tuple[float, float]]:
    """Weights of the renderer's shapes for one mouth, and its tongue (raised, forward; cm).

    One shape of SHAPES, a second one mixed in; brows in three of ten, lids part shut in one of four.
    """
    weights: Weights = {}
    names = random.choice(len(SHAPES), 2, replace=False)
    for k, share in zip(names, (random.uniform(0.3, 1.2), random.uniform(0, 0.6)), strict=True):
        for shape, value in module.VIS[SHAPES[k]].items():
            weights[shape] = min(1.0, weights.get(shape, 0) + share * value)
    if random.random() < 0.3:
        weights |= {shape: value * random.random() for shape, value in module.VIS["brows"].items()}
    if random.random() < 0.25:
        closing = random.random()
        weights |= dict.fromkeys(module.VIS["blink"], closing)
    if SHAPES[names[0]] == "TH":
        return weights, module.TONG["TH"]
    return weights, (random.uniform(0, 0.5), random.uniform(0, 0.5))


def render_person(
    module: ModuleType, renderer: Any, landmarker: Landmarker, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Pictures (12, 320, 320, 3) and landmarks (12, 478, 3) of one person; InputError where no face is found."""
    renderer.set_identity(module.sample_cfg(seed, renderer))
    random = np.random.default_rng(seed)
    pose = random.normal(0, [0.05, 0.10, 0.03])
    pictures = [renderer.frame({}, pose=tuple(pose))]
    for _ in range(MOUTHS):
        weights, tongue = draw_mouth(module, random)
        pictures.append(renderer.frame(weights, pose=tuple(pose + random.normal(0, 0.01, 3)), tongue=tongue))
    faces = landmarker.find_faces(pictures[0])
    if not faces:
        raise InputError(f"no face was found on the head of seed {seed}", "leave it out")
    face = max(faces, key=lambda found: found.size_px)
    return np.stack(pictures), np.stack([landmarker.landmarks(picture, face).points for picture in pictures])


def render(folder: Path, out: Path, people: int, first_seed: int = FIRST_SEED) -> Iterator[str]:
    """Write people whose file is not there yet; yields what was done with each."""
    module, renderer = open_renderer(folder)
    out.mkdir(parents=True, exist_ok=True)
    with fast_landmarker() as landmarker:
        for seed in range(first_seed, first_seed + people):
            path = out / f"{seed}.npz"
            if path.exists():
                continue
            try:
                pictures, landmarks = render_person(module, renderer, landmarker, seed)
            except (InputError, KeyError, IndexError, ValueError, zlib.error) as error:
                yield f"{seed} left out: {error}"  # two of the renderer's hair styles fail
                continue
            write_npz(path, {"pictures": pictures, "landmarks": landmarks})
            yield f"{seed} written"


def main(
    renderer: Annotated[Path, typer.Argument(help="Folder of the head renderer.")],
    out: Annotated[Path, typer.Argument(help="Folder for one npz a person.")],
    people: Annotated[int, typer.Option(min=1)] = 160,
    first_seed: Annotated[
        int, typer.Option(min=0, help="Whom the first one is; others than training's: 3000.")
    ] = FIRST_SEED,
) -> None:
    """Render people at rest and with eleven mouths."""
    try:
        for line in render(renderer, out, people, first_seed):
            typer.echo(line)
    except VoxcamError as error:
        typer.echo(f"voxcam: {error}", err=True)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


if __name__ == "__main__":
    typer.run(main)
