"""Any photo a person may bring, as RGB pixels: upright, opaque, 8 bit."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path

import cv2
import numpy as np

from engines.errors import InputError, WrongInput
from engines.face.colour_profile import read_profile
from engines.face.picture_file import JPEG, PNG, blocks, find_exif, find_profile, is_cut_short, is_damaged, tiff_entry

MIN_SIDE_PX = 100  # what counts is the eye distance (landmarker.py); smaller pictures are icons and thumbnails
MAX_PIXELS = 60_000_000  # phones take up to 50 MP; what is larger is a panorama, a scan or a trap
MAX_FILE_BYTES = 200_000_000
TIFF_WIDTH, TIFF_HEIGHT = 256, 257  # tags
ALPHA = b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha"  # in an AVIF file's properties, where it has transparency
BEHIND = 128.0  # grey level shown through transparent places
GOOD_PHOTO = "give a JPEG, PNG or WebP photo of one person who looks at the camera"
ORIENTATIONS = {
    # EXIF orientation -> turns by 90 degrees against the clock, then mirrored or not
    2: (0, True),
    3: (2, False),
    4: (2, True),
    5: (3, True),
    6: (3, False),
    7: (1, True),
    8: (1, False),
}


def read_photo(path: str | os.PathLike[str], notes: list[str] | None = None) -> np.ndarray:
    """Read a photo as (H, W, 3) uint8 sRGB, turned upright by its EXIF orientation.

    Transparent places are shown over grey, grey pictures become RGB, and 16 bit or float ones 8 bit. InputError where
    the file is missing, empty, damaged, no picture, smaller than 100 px, larger than 60 megapixels, or not made of
    numbers. What is less than ideal is added to notes.
    """
    path = Path(path)
    data = _read_bytes(path)
    _check_size(path, data)
    if is_cut_short(data):
        raise InputError(f"{path} is cut short", "copy or download it again")
    if is_damaged(data):
        raise InputError(f"{path} is damaged: a part of its pixels is lost", "copy or download it again")
    if _is_heic(data[:64]):
        return _in_srgb(to_rgb(_read_heic(path, data), path), data, notes)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        picture = None
    deep = picture is not None and picture.dtype == np.uint16  # 10 bits or 12, which are not told
    lacking = picture is None and not cv2.haveImageWriter(".avif")  # Windows' OpenCV is built without
    if _is_avif(data[:64]) and (deep or lacking):
        picture = _read_avif(data)
    if picture is None:
        raise InputError(f"{path} is not a picture that can be read", _advice(data))
    rgb = _in_srgb(to_rgb(picture, path), data, notes)
    if _is_avif(data[:64]):
        turns, mirrored = avif_orientation(data[:65_536])
    else:
        turns, mirrored = ORIENTATIONS.get(exif_orientation(data), (0, False))
    rgb = np.rot90(rgb, turns)
    return np.ascontiguousarray(rgb[:, ::-1] if mirrored else rgb)


def to_rgb(picture: np.ndarray, name: object = "the picture") -> np.ndarray:
    """OpenCV's decoded picture, (H, W) or (H, W, 1 | 3 | 4) in BGR(A), any depth -> (H, W, 3) uint8 RGB."""
    if picture.ndim == 2:
        picture = picture[..., None]
    if picture.ndim != 3 or picture.shape[2] not in (1, 3, 4) or not picture.size:
        raise InputError(f"{name} has an unknown layout {picture.shape}", GOOD_PHOTO)
    height, width = picture.shape[:2]
    if min(height, width) < MIN_SIDE_PX:
        raise InputError(f"{name} is too small ({width}x{height} px)", f"each side needs {MIN_SIDE_PX} px or more")
    _refuse_huge(name, width, height)
    if picture.dtype == np.uint16:
        picture = (picture / 257.0 + 0.5).astype(np.uint8)
    elif picture.dtype in (np.float32, np.float64):
        if not np.isfinite(picture).all():
            raise InputError(f"{name} holds values that are not numbers", GOOD_PHOTO)
        picture = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    elif picture.dtype != np.uint8:
        raise InputError(f"{name} has pixels of type {picture.dtype}", GOOD_PHOTO)
    if picture.shape[2] == 1:
        return np.repeat(picture, 3, axis=2)
    rgb = picture[..., 2::-1]
    if picture.shape[2] == 4 and (picture[..., 3] < 255).any():
        alpha = picture[..., 3:].astype(np.float32) / 255
        rgb = (rgb * alpha + BEHIND * (1 - alpha) + 0.5).astype(np.uint8)
    return np.ascontiguousarray(rgb)


def exif_orientation(data: bytes) -> int:
    """The EXIF orientation 1..8 of a JPEG, PNG or WebP file; 1 where there is none or it is damaged.

    Read here rather than by OpenCV, which forgets the orientation when it keeps transparency and 16 bit.
    """
    found = tiff_entry(find_exif(data), 0x0112)
    return found[1] if found and 1 <= found[1] <= 8 else 1


def avif_orientation(head: bytes) -> tuple[int, bool]:
    """Turns by 90 degrees against the clock, and whether it is mirrored then, as an AVIF file's properties say.

    ISO/IEC 23008-12, `irot` and `imir`, which OpenCV's decoder leaves to its caller.
    """
    at = head.find(b"ipco")
    properties = head[at : at - 4 + int.from_bytes(head[at - 4 : at], "big")] if at >= 4 else b""

    def value(name: bytes) -> int | None:
        found = properties.find(name)
        return properties[found + 4] if 0 <= found < len(properties) - 4 else None

    turns, mirror = (value(b"irot") or 0) & 3, value(b"imir")
    if mirror is None:
        return turns, False
    return (turns if mirror & 1 else turns + 2) % 4, True  # upside down is mirrored and turned by half


def _in_srgb(rgb: np.ndarray, data: bytes, notes: list[str] | None) -> np.ndarray:
    """The pixels as sRGB, where the file says that they are something else; themselves, bit by bit, where they are."""
    icc = find_profile(data)
    if not icc or icc[16:20] == b"GRAY":
        return rgb
    profile = read_profile(icc)
    if profile is None:
        if notes is not None:
            notes.append("its colour profile is of a kind that is not read: if the colours are off, save it as sRGB")
        return rgb
    return rgb if profile.is_srgb else profile.to_srgb(rgb)


def _is_avif(data: bytes) -> bool:
    return data[4:8] == b"ftyp" and b"avif" in data


def _is_heic(data: bytes) -> bool:
    """Whether a file begins as phones' HEIC photos do."""
    brand = data[8:12]
    either = brand in (b"mif1", b"msf1") and b"avif" not in data  # says only that it holds pictures
    return data[4:8] == b"ftyp" and (either or brand in (b"heic", b"heix", b"heim", b"heis", b"hevc"))


def _read_heic(path: Path, data: bytes) -> np.ndarray:
    """BGR(A) pixels of an HEIC photo, which its library turns upright; InputError without it or where it fails."""
    try:
        import pillow_heif
    except ImportError as error:
        fix = 'pip install "voxcam[heic]", or export it as JPEG'
        raise InputError(f"{path} is an HEIC photo, which takes a library of its own", fix) from error
    try:
        photo = pillow_heif.open_heif(data, bgr_mode=True)
        _refuse_huge(path, *photo.size)
        return np.asarray(photo)
    except InputError:
        raise
    except Exception as error:  # the library raises half a dozen kinds for one cause
        raise InputError(f"{path} is an HEIC photo that cannot be read", "export it as JPEG") from error


def _read_avif(data: bytes) -> np.ndarray | None:
    """BGR(A) pixels of an AVIF photo, not turned yet, by FFmpeg; None where it is damaged or of an unknown kind.

    FFmpeg shows its parts as streams: the colours, the transparency, each tile of a large one. One of tiles is left.
    """
    import av

    claimed = _header_size(data)
    if claimed is None:
        return None
    try:
        with av.open(io.BytesIO(data), "r") as photo:

            def first(stream: av.VideoStream) -> av.VideoFrame | None:
                # What the header claims is known to be no trap; the picture inside may claim something else. Unless it
                # is told to be strict, FFmpeg draws whatever it finds where a part is damaged.
                stream.codec_context.options = {"max_pixels": str(MAX_PIXELS), "strict": "strict"}
                photo.seek(0)
                for packet in photo.demux(stream):
                    for frame in [] if packet.is_corrupt else packet.decode():
                        return frame if (frame.width, frame.height) == claimed else None
                return None

            parts = photo.streams.video
            colours = next((part for part in parts if part.disposition & av.stream.Disposition.default), None)
            frame = first(colours) if colours is not None else None
            if frame is None:
                return None
            picture = frame.to_ndarray(format="bgr24")
            if ALPHA not in data[:65_536]:
                return picture
            greys = (part for part in parts if part is not colours and (part.width, part.height) == claimed)
            alpha = next(greys, None)
            frame = first(alpha) if alpha is not None else None
            return None if frame is None else np.dstack([picture, frame.to_ndarray(format="gray")])
    except (av.FFmpegError, OSError, ValueError, RuntimeError):
        return None


def _advice(data: bytes) -> str:
    if data[4:8] == b"ftyp" and data[8:12] in (b"avif", b"avis"):
        return "it is an AVIF photo, damaged or of a kind that is not read: download it again, or export it as JPEG"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return "it is damaged or cut short: copy or download it again"
    if data[:5] == b"%PDF-" or data[:4] in (b"\x1aE\xdf\xa3", b"RIFF") or data[4:8] == b"ftyp":
        return f"it is a film or a document: {GOOD_PHOTO}"
    return GOOD_PHOTO


def _read_bytes(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if path.is_dir():  # asked first: Windows says that a folder is empty
            raise WrongInput(f"{path} is a folder", GOOD_PHOTO)
        if not path.is_file():  # a device may never end
            raise WrongInput(f"{path} is a pipe or a device, not a file", "save the photo to a file first")
        if size == 0:
            raise InputError(f"{path} is empty", GOOD_PHOTO)
        if size > MAX_FILE_BYTES:
            raise InputError(
                f"{path} is too large ({size // 1_000_000} MB)", "save it as a JPEG of at most 60 megapixels"
            )
        return path.read_bytes()
    except FileNotFoundError as error:
        raise WrongInput(f"{path} does not exist", "check the path") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", "check the path and its permissions") from error


def _check_size(path: Path, data: bytes) -> None:
    """Refuse huge pictures before they fill the memory: the header tells their size."""
    size = _header_size(data)
    if size:
        _refuse_huge(path, *size)


def _refuse_huge(name: object, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        fix = f"scale it to at most {MAX_PIXELS // 1_000_000} megapixels"
        raise InputError(f"{name} is too large ({width}x{height} px)", fix)


def _header_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that the header claims of each kind that OpenCV reads; None where none is found."""
    if data[:8] == PNG:
        return int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if data[:2] == b"BM":
        sides = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
        width, height = (abs(side) for side in sides)
        return width, height
    if data[:4] == b"RIFF" and data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[:4] == b"RIFF" and data[12:16] == b"VP8 ":
        width, height = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        return width, height
    if data[:4] == b"RIFF" and data[12:16] == b"VP8L":
        packed = int.from_bytes(data[21:25], "little")
        return (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
    if data[:2] == JPEG:
        for (kind,), begin, _ in blocks(data):
            if 0xC0 <= kind <= 0xCF and kind not in (0xC4, 0xC8, 0xCC):
                at = begin + 1  # the height first
                return int.from_bytes(data[at + 2 : at + 4], "big"), int.from_bytes(data[at : at + 2], "big")
    if data[:4] == b"GIF8":
        return int.from_bytes(data[6:8], "little"), int.from_bytes(data[8:10], "little")
    if (wide := tiff_entry(data, TIFF_WIDTH)) and (high := tiff_entry(data, TIFF_HEIGHT)):
        return wide[1], high[1]
    if _is_avif(data[:64]):
        head = data[:1_000_000]
        boxes = [match.end() + 4 for match in re.finditer(b"ispe", head)]  # of the photo, its tiles, its thumbnail
        claimed = [
            (int.from_bytes(head[at : at + 4], "big"), int.from_bytes(head[at + 4 : at + 8], "big")) for at in boxes
        ]
        return max(claimed, key=lambda sides: sides[0] * sides[1], default=None)
    if data[4:8] == b"jP  " and (at := data[:200].find(b"ihdr")) >= 0:
        return int.from_bytes(data[at + 8 : at + 12], "big"), int.from_bytes(data[at + 4 : at + 8], "big")
    if found := re.match(rb"P[2-6]\s(?:#[^\n]*\s)*(\d{1,9})\s+(\d{1,9})\s", data[:1000]):
        return int(found[1]), int(found[2])
    if data[:2] == b"#?" and (found := re.search(rb"\n-Y (\d{1,9}) \+X (\d{1,9})\s", data[:4000])):
        return int(found[2]), int(found[1])
    return None
