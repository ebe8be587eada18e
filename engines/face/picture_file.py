"""What lies in a picture file beside its pixels: EXIF and colour profile; and whether it is whole."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

PNG = b"\x89PNG\r\n\x1a\n"
JPEG = b"\xff\xd8"
PIXELS = b"\xda"  # a JPEG's pixels begin behind this block
ICC_PROFILE = 34675  # TIFF's tag
PROFILE_BYTES = 4_000_000  # profiles of cameras, screens and printers have 500 bytes to 2 MB


def blocks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, begin and end of what each block of a JPEG (its pixels' head is the last), PNG or WebP file holds.

    A JPEG block's name is the second byte of its marker. The end may lie beyond the file's, where that is cut short.
    """
    if data[:2] == JPEG:
        at = 2
        while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xD9:
            if data[at + 1] == 0xFF:  # a marker may have any number of these before it
                at += 1
                continue
            end = at + 2 + max(int.from_bytes(data[at + 2 : at + 4], "big"), 2)
            yield data[at + 1 : at + 2], at + 4, end
            if data[at + 1 : at + 2] == PIXELS:
                return
            at = end
    elif data[:8] == PNG:
        at = 8
        while at + 8 <= len(data):
            end = at + 8 + int.from_bytes(data[at : at + 4], "big")
            yield data[at + 4 : at + 8], at + 8, end
            at = end + 4  # a check sum lies between
    elif data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        at = 12
        while at + 8 <= len(data):
            end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
            yield data[at : at + 4], at + 8, end
            at = end + (end - at) % 2


def find_exif(data: bytes) -> bytes:
    """The TIFF block inside a picture file, empty where there is none."""
    for name, begin, end in blocks(data):
        if name == b"\xe1" and data[begin : begin + 6] == b"Exif\0\0":
            return data[begin + 6 : end]
        if name in (b"eXIf", b"EXIF"):
            return data[begin:end].removeprefix(b"Exif\0\0")
    return b""


def tiff_entry(tiff: bytes, tag: int) -> tuple[int, int] | None:
    """Count and number (or where the numbers lie) of a tag in a TIFF block's first directory; None without it."""
    order = {b"II*\0": "little", b"MM\0*": "big"}.get(tiff[:4])
    if order is None:
        return None

    def number(start: int, size: int) -> int:
        return int.from_bytes(tiff[start : start + size], order)  # type: ignore[arg-type]

    start = number(4, 4)
    for entry in range(min(number(start, 2), 512)):
        at = start + 2 + 12 * entry
        if number(at, 2) == tag:
            size = 2 if number(at + 2, 2) == 3 else 4  # a short stands in the field's first half
            return number(at + 4, 4), number(at + 8, size)
    return None


def find_profile(data: bytes) -> bytes:
    """The ICC colour profile inside a JPEG, PNG, WebP, TIFF, AVIF or HEIC file, empty where there is none."""
    parts: dict[bytes, bytes] = {}
    for name, begin, end in blocks(data):
        if name == b"\xe2" and data[begin : begin + 12] == b"ICC_PROFILE\0":
            parts[data[begin + 12 : begin + 13]] = data[begin + 14 : end]  # larger ones lie in several blocks, numbered
        elif name == b"iCCP":
            packed = data[begin:end].partition(b"\0")[2][1:]
            try:
                return zlib.decompressobj().decompress(packed, PROFILE_BYTES)
            except zlib.error:
                return b""
        elif name == b"ICCP":
            return data[begin:end]
    if parts:
        return b"".join(parts[number] for number in sorted(parts))
    if found := tiff_entry(data, ICC_PROFILE):
        count, at = found
        return data[at : at + min(count, PROFILE_BYTES)]
    if data[4:8] == b"ftyp":
        head = data[:1_000_000]
        at = max(head.find(b"colrprof"), head.find(b"colrrICC"))
        if at >= 4:
            return head[at + 8 : at - 4 + int.from_bytes(head[at - 4 : at], "big")]
    return b""


def is_cut_short(data: bytes) -> bool:
    """A JPEG or PNG whose end is missing: OpenCV would show the rest of it as grey."""
    if data[:8] == PNG:
        return b"IEND" not in data[-65_536:]
    if data[:2] != JPEG:
        return False
    for name, _, end in blocks(data):
        if name == PIXELS:  # thumbnails, which have an end of their own, lie before
            return data.find(b"\xff\xd9", end) < 0
    return True


def is_damaged(data: bytes) -> bool:
    """A JPEG or PNG that has an end, but bytes before it are lost or not its own.

    OpenCV draws such a JPEG as if whole, shifted or grey from there on: libjpeg's complaints go to the terminal, not to
    who calls it. FFmpeg's decoder is strict where it is told to be; it sees what cannot be pixels, or too few of them.
    """
    if data[:8] == PNG:
        return any(
            name[:1].isupper() and zlib.crc32(data[begin - 4 : end]) != int.from_bytes(data[end : end + 4], "big")
            for name, begin, end in _until_end(data)
        )
    if data[:2] != JPEG:
        return False
    import av

    try:
        decoder = av.CodecContext.create("mjpeg", "r")
        decoder.options = {"err_detect": "explode"}
        decoder.thread_count = 1
        decoder.decode(av.Packet(_pixels_alone(data)))
        decoder.decode(None)
    except av.error.InvalidDataError:
        return True
    except (av.FFmpegError, ValueError, RuntimeError):  # a rare kind of JPEG, which it does not read
        return False
    return False


def _until_end(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """A PNG's blocks up to its last; what a program has put behind it is no part of it."""
    for name, begin, end in blocks(data):
        yield name, begin, end
        if name == b"IEND":
            return


def _pixels_alone(data: bytes) -> bytes:
    """A JPEG without notes, profiles, thumbnails: an odd one is no damage to the picture."""
    kept, begin_of_pixels = [JPEG], 2
    for name, begin, end in blocks(data):
        if name == PIXELS:
            begin_of_pixels = begin - 4
        elif not (0xE0 <= name[0] <= 0xEF or name == b"\xfe"):
            kept.append(data[begin - 4 : end])
    return b"".join([*kept, data[begin_of_pixels:]])
