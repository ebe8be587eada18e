"""Any photo becomes upright, opaque, 8-bit RGB, or one clear line."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engines.errors import InputError
from engines.face.photo import exif_orientation, read_photo, to_rgb

FACE = Path(__file__).parents[1] / "data" / "face.jpg"


def gradient(height: int = 240, width: int = 320) -> np.ndarray:
    """BGR uint8 that is different at each corner and in each channel."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 255 // (width + height)], -1).astype(np.uint8)


def by_opencv(path: Path) -> np.ndarray:
    """OpenCV's own reading of a JPEG, RGB: the oracle."""
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture[..., ::-1]


def write(path: Path, picture: np.ndarray, *options: int) -> Path:
    ok, data = cv2.imencode(path.suffix, picture, list(options))
    assert ok
    path.write_bytes(data.tobytes())
    return path


def exif(orientation: int, order: str = "<") -> bytes:
    head = b"II*\0" if order == "<" else b"MM\0*"
    entry = struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0)
    return head + struct.pack(order + "IH", 8, 1) + entry + bytes(4)


def jpeg_with_exif(data: bytes, tiff: bytes) -> bytes:
    block = b"Exif\0\0" + tiff
    return data[:2] + b"\xff\xe1" + struct.pack(">H", len(block) + 2) + block + data[2:]


def png_with_exif(data: bytes, tiff: bytes) -> bytes:
    chunk = b"eXIf" + tiff
    return data[:33] + struct.pack(">I", len(tiff)) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def stored_as(upright: np.ndarray, orientation: int) -> np.ndarray:
    """What a camera with this orientation flag stores of an upright picture (EXIF 2.3, tag 0x0112)."""
    return {
        1: lambda p: p,
        2: lambda p: p[:, ::-1],
        3: lambda p: p[::-1, ::-1],
        4: lambda p: p[::-1],
        5: lambda p: p.transpose(1, 0, 2),
        6: lambda p: p.transpose(1, 0, 2)[::-1],  # row 0 is the upright picture's right side
        7: lambda p: p[::-1, ::-1].transpose(1, 0, 2),
        8: lambda p: p.transpose(1, 0, 2)[:, ::-1],
    }[orientation](upright)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_exif_orientation_is_honoured(tmp_path, orientation, kind):
    upright = gradient()
    path = write(tmp_path / f"photo{kind}", np.ascontiguousarray(stored_as(upright, orientation)))
    add = jpeg_with_exif if kind == ".jpg" else png_with_exif
    path.write_bytes(add(path.read_bytes(), exif(orientation, "<" if orientation % 2 else ">")))
    if kind == ".jpg":
        np.testing.assert_array_equal(read_photo(path), by_opencv(path))
    else:
        np.testing.assert_array_equal(read_photo(path), upright[..., ::-1])


def test_turned_photo_matches_opencv(tmp_path):
    for orientation in range(1, 9):
        path = tmp_path / f"{orientation}.jpg"
        path.write_bytes(jpeg_with_exif(FACE.read_bytes(), exif(orientation)))
        assert exif_orientation(path.read_bytes()) == orientation
        np.testing.assert_array_equal(read_photo(path), by_opencv(path))


def test_transparent_places_show_grey(tmp_path):
    picture = np.dstack([gradient(), np.full((240, 320), 255, np.uint8)])
    picture[:100, :, 3] = 0
    picture[100:200, :, 3] = 128
    rgb = read_photo(write(tmp_path / "photo.png", picture))
    assert (rgb[:100] == 128).all()
    np.testing.assert_array_equal(rgb[200:], picture[200:, :, 2::-1])
    half = (picture[100:200, :, 2::-1] * (128 / 255) + 128 * (127 / 255)).round()
    np.testing.assert_allclose(rgb[100:200], half, atol=1)


def test_grey_and_16_bit(tmp_path):
    grey = gradient()[..., 0]
    rgb = read_photo(write(tmp_path / "grey.png", grey))
    np.testing.assert_array_equal(rgb, np.repeat(grey[..., None], 3, 2))
    deep = gradient().astype(np.uint16) * 257
    np.testing.assert_array_equal(read_photo(write(tmp_path / "deep.png", deep)), gradient()[..., ::-1])


@pytest.mark.parametrize("suffix", [".bmp", ".webp", ".tiff"])
def test_other_formats(tmp_path, suffix):
    rgb = read_photo(write(tmp_path / f"photo{suffix}", gradient(), *((64, 101) if suffix == ".webp" else ())))
    assert rgb.shape == (240, 320, 3)
    assert rgb.dtype == np.uint8
    assert np.abs(rgb.astype(int) - gradient()[..., ::-1]).mean() < 1


def line_of(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_photo(path)
    assert "\n" not in str(caught.value)
    assert caught.value.fix
    return str(caught.value)


def test_what_is_no_photo_is_named(tmp_path):
    (tmp_path / "empty.jpg").touch()
    assert "is empty" in line_of(tmp_path / "empty.jpg")
    assert "does not exist" in line_of(tmp_path / "missing.jpg")
    assert "is a folder" in line_of(tmp_path)
    (tmp_path / "text.jpg").write_text("not a picture")
    assert "is not a picture" in line_of(tmp_path / "text.jpg")
    (tmp_path / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(400))
    assert "an HEIC photo that cannot be read: export it as JPEG" in line_of(tmp_path / "phone.heic")
    small = line_of(write(tmp_path / "small.png", gradient(99, 320)))
    assert "too small (320x99 px): each side needs 100 px or more" in small
    assert read_photo(write(tmp_path / "avatar.png", gradient(128, 128))).shape == (128, 128, 3)


def test_a_phones_heic_photo_is_read(tmp_path, monkeypatch):
    pillow_heif = pytest.importorskip("pillow_heif")
    rgb = np.ascontiguousarray(gradient()[..., ::-1])
    path = tmp_path / "phone.heic"
    photo = pillow_heif.from_bytes("RGB", rgb.shape[1::-1], rgb.tobytes())
    photo.save(path, quality=95)
    assert np.abs(read_photo(path).astype(int) - rgb).mean() < 3
    path.write_bytes(path.read_bytes()[:900])
    assert "cannot be read: export it as JPEG" in line_of(path)
    monkeypatch.setattr("engines.face.photo.MAX_PIXELS", 1000)
    photo.save(path)
    assert "too large (320x240 px)" in line_of(path)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    assert "pip install" in line_of(path)


@pytest.mark.parametrize("kind", [".jpg", ".png"])
def test_photo_cut_short_is_refused(tmp_path, kind):
    path = write(tmp_path / f"photo{kind}", by_opencv(FACE))
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    assert "cut short" in line_of(path)


def damaged(data: bytes, how: str, at: int, count: int) -> bytes:
    return data[:at] + (bytes(count) if how == "zeroed" else b"") + data[at + count :]


@pytest.mark.parametrize("how", ["zeroed", "cut out"])
@pytest.mark.parametrize("progressive", [0, 1])
@pytest.mark.parametrize("share", [0.2, 0.5, 0.8])
def test_a_damaged_jpeg_that_has_an_end_is_refused(tmp_path, capfd, how, progressive, share):
    picture = cv2.resize(cv2.imread(str(FACE)), (640, 640))
    path = write(tmp_path / "photo.jpg", picture, cv2.IMWRITE_JPEG_PROGRESSIVE, progressive)
    data = path.read_bytes()
    path.write_bytes(damaged(data, how, int(share * len(data)), len(data) // 20))
    assert cv2.imread(str(path)) is not None, "OpenCV takes it for whole"
    capfd.readouterr()
    assert "is damaged: a part of its pixels is lost: copy or download it again" in line_of(path)
    assert capfd.readouterr().err == "", "libjpeg says nothing of its own"


@pytest.mark.parametrize("how", ["zeroed", "cut out"])
def test_a_damaged_png_that_has_an_end_is_refused(tmp_path, how):
    path = write(tmp_path / "photo.png", cv2.imread(str(FACE)))
    data = path.read_bytes()
    path.write_bytes(damaged(data, how, len(data) // 2, 1000))
    assert "is damaged: a part of its pixels is lost" in line_of(path)


def test_odd_but_whole_photos_are_read(tmp_path):
    """What programs put beside the pixels, and behind them, is no damage."""
    data, path = FACE.read_bytes(), tmp_path / "photo.jpg"
    odd = b"\xff\xe2" + struct.pack(">H", 40) + b"ICC_PROFILE\0\3\1" + bytes(24)
    for whole in (
        data[:2] + odd + data[2:],
        data + data,  # a gain map, another view
        data + b"\0\0\0\x18ftypmp42" + bytes(5000),  # a motion photo
        data[:-2] + bytes(64) + data[-2:],
        data[:2] + b"\xff\xff" + data[2:],  # fill bytes before a marker
    ):
        path.write_bytes(whole)
        np.testing.assert_array_equal(read_photo(path), by_opencv(FACE))
    png = write(tmp_path / "photo.png", gradient())
    png.write_bytes(png.read_bytes() + b"a program's own notes")
    assert read_photo(png).shape == (240, 320, 3)


def s15(*numbers: float) -> bytes:
    return struct.pack(f">{len(numbers)}i", *(round(number * 65_536) for number in numbers))


# Primaries (x, y) and curves, as the profiles' makers publish them; white is D65.
SRGB_CURVE = b"para\0\0\0\0" + struct.pack(">HH", 3, 0) + s15(2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)
ADOBE_CURVE = b"curv\0\0\0\0" + struct.pack(">IH", 1, 563)
TABLE = (np.linspace(0, 1, 1024) ** 1.8 * 65_535 + 0.5).astype(">u2")
TABLE_CURVE = b"curv\0\0\0\0" + struct.pack(">I", 1024) + TABLE.tobytes()
SRGB = ((0.64, 0.33), (0.30, 0.60), (0.15, 0.06))
DISPLAY_P3 = ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060))
ADOBE_RGB = ((0.64, 0.33), (0.21, 0.71), (0.15, 0.06))


def to_xyz(primaries: tuple[tuple[float, float], ...]) -> np.ndarray:
    """Linear RGB to XYZ in the light of D65."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in primaries]).T
    white = np.array([0.3127 / 0.3290, 1, (1 - 0.3127 - 0.3290) / 0.3290])
    return columns * np.linalg.solve(columns, white)


def profile(primaries: tuple[tuple[float, float], ...], curve: bytes, space: bytes = b"RGB ") -> bytes:
    """A display profile (ICC.1): colours adapted to D50 after Bradford."""
    cones = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
    white = to_xyz(primaries).sum(1)
    gains = (cones @ [0.9642, 1, 0.8249]) / (cones @ white)
    colours = np.linalg.inv(cones) @ np.diag(gains) @ cones @ to_xyz(primaries)
    tags = [
        (name + b"XYZ", b"XYZ \0\0\0\0" + s15(*colour))
        for name, colour in zip((b"r", b"g", b"b"), colours.T, strict=True)
    ]
    tags += [(name + b"TRC", curve) for name in (b"r", b"g", b"b")]
    head, body = struct.pack(">I", len(tags)), b""
    for name, content in tags:
        head += struct.pack(">4sII", name, 132 + 12 * len(tags) + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    begin = (
        struct.pack(">I", 128 + len(head) + len(body))
        + bytes(4)
        + b"\2\x40\0\0mntr"
        + space
        + b"XYZ "
        + bytes(12)
        + b"acsp"
    )
    return begin.ljust(128, b"\0") + head + body


def jpeg_with_profile(data: bytes, icc: bytes) -> bytes:
    half = len(icc) // 2  # larger ones are cut
    blocks = [b"ICC_PROFILE\0" + bytes([k, 2]) + part for k, part in ((1, icc[:half]), (2, icc[half:]))]
    return data[:2] + b"".join(b"\xff\xe2" + struct.pack(">H", len(b) + 2) + b for b in blocks) + data[2:]


def png_with_profile(data: bytes, icc: bytes) -> bytes:
    chunk = b"iCCPours\0\0" + zlib.compress(icc)
    return data[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + data[33:]


def light_of(level: np.ndarray, curve: bytes) -> np.ndarray:
    if curve == SRGB_CURVE:
        return np.where(level <= 0.04045, level / 12.92, ((level + 0.055) / 1.055) ** 2.4)
    return level ** (563 / 256 if curve == ADOBE_CURVE else 1.8)


@pytest.mark.parametrize(
    ("primaries", "curve"), [(DISPLAY_P3, SRGB_CURVE), (ADOBE_RGB, ADOBE_CURVE), (SRGB, TABLE_CURVE)]
)
def test_colours_of_phones_and_cameras_become_srgb(tmp_path, primaries, curve):
    path = write(tmp_path / "photo.png", gradient())
    path.write_bytes(png_with_profile(path.read_bytes(), profile(primaries, curve)))
    shown = light_of(gradient()[..., ::-1] / 255, curve) @ (np.linalg.inv(to_xyz(SRGB)) @ to_xyz(primaries)).T
    shown = np.clip(shown, 0, 1)
    wanted = np.where(shown <= 0.0031308, shown * 12.92, 1.055 * shown ** (1 / 2.4) - 0.055) * 255
    assert np.abs(read_photo(path) - wanted).max() < 1.5
    assert np.abs(gradient()[..., ::-1] - wanted).max() > 15, "it matters"


def test_a_profile_is_found_in_each_kind_of_file(tmp_path):
    icc, p3 = profile(DISPLAY_P3, SRGB_CURVE), tmp_path / "photo.png"
    write(p3, gradient())
    p3.write_bytes(png_with_profile(p3.read_bytes(), icc))
    wanted = read_photo(p3)
    path = write(tmp_path / "photo.jpg", gradient(), cv2.IMWRITE_JPEG_QUALITY, 100)
    path.write_bytes(jpeg_with_exif(jpeg_with_profile(path.read_bytes(), icc), exif(1)))
    assert np.abs(read_photo(path).astype(int) - wanted).mean() < 2
    pillow = pytest.importorskip("PIL.Image")
    photo = pillow.fromarray(np.ascontiguousarray(gradient()[..., ::-1]))
    for kind, options in (("WEBP", {"lossless": True}), ("TIFF", {})):
        path = tmp_path / f"photo.{kind}"
        photo.save(path, kind, icc_profile=icc, **options)
        np.testing.assert_array_equal(read_photo(path), wanted)


def test_srgb_itself_changes_no_pixel(tmp_path):
    path = write(tmp_path / "photo.png", gradient())
    path.write_bytes(png_with_profile(path.read_bytes(), profile(SRGB, SRGB_CURVE)))
    np.testing.assert_array_equal(read_photo(path), gradient()[..., ::-1])


WHOLE = profile(DISPLAY_P3, SRGB_CURVE)


@pytest.mark.parametrize(
    "icc",
    [b"no profile at all", profile(DISPLAY_P3, SRGB_CURVE, b"CMYK"), profile(DISPLAY_P3, bytes(32))]
    + [WHOLE[:length] for length in range(37, len(WHOLE), 37)],
)
def test_profiles_that_are_not_understood_are_noted(tmp_path, icc):
    path, notes = tmp_path / "photo.jpg", []
    path.write_bytes(jpeg_with_profile(FACE.read_bytes(), icc))
    np.testing.assert_array_equal(read_photo(path, notes), by_opencv(FACE))
    (note,) = notes
    assert "colour profile" in note


def test_huge_picture_is_refused_before_it_is_decoded(tmp_path):
    header = struct.pack(">IIBBBBB", 60_000, 50_000, 8, 2, 0, 0, 0)
    chunks = b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in ((b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b""))
    )
    path = tmp_path / "bomb.png"
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    assert "too large (60000x50000 px)" in line_of(path)


writes_avif = pytest.mark.skipif(not cv2.haveImageWriter(".avif"), reason="this OpenCV writes no AVIF")


@pytest.fixture
def no_avif(monkeypatch):
    """OpenCV as it is built for Windows."""

    def leave_out():
        monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
        monkeypatch.setattr(cv2, "haveImageWriter", lambda name: name != ".avif")

    return leave_out


@writes_avif
@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("height", [240, 239])
def test_avif_is_read_without_opencvs_help(tmp_path, no_avif, channels, height):
    y, x = np.mgrid[:height, :320]
    alpha = np.where(x < 160, 255, y).astype(np.uint8)
    picture = {1: gradient(height)[..., 1], 3: gradient(height), 4: np.dstack([gradient(height), alpha])}[channels]
    path = write(tmp_path / "photo.avif", picture, cv2.IMWRITE_AVIF_QUALITY, 95)
    by_opencv = read_photo(path).astype(int)
    no_avif()
    found = read_photo(path)
    assert found.shape == by_opencv.shape
    assert np.abs(found - by_opencv).mean() < 2
    assert np.abs(found - by_opencv).max() < 16


@writes_avif
@pytest.mark.parametrize("kept", [0.2, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("filled", [False, True])
def test_a_damaged_avif_is_refused_without_opencvs_help(tmp_path, no_avif, kept, filled):
    path = write(tmp_path / "photo.avif", np.dstack([gradient(), gradient()[..., 0]]), cv2.IMWRITE_AVIF_QUALITY, 95)
    whole = path.read_bytes()
    keep = round(kept * len(whole))
    path.write_bytes(whole[:keep] + bytes(len(whole) - keep if filled else 0))
    no_avif()
    assert "it is an AVIF photo, damaged" in line_of(path)


@writes_avif
def test_an_avif_that_opencv_refuses_is_refused(tmp_path, monkeypatch, no_avif):
    """Where it has an AVIF reader, that one decides."""
    path = write(tmp_path / "photo.avif", gradient())
    monkeypatch.setattr(cv2, "imdecode", lambda *_: None)
    assert "it is an AVIF photo, damaged" in line_of(path)


@writes_avif
def test_an_avif_that_is_larger_than_it_says_is_refused(tmp_path, no_avif):
    path = write(tmp_path / "photo.avif", gradient())
    whole = path.read_bytes()
    sides = b"ispe" + struct.pack(">III", 0, 320, 240)
    assert sides in whole
    path.write_bytes(whole.replace(sides, b"ispe" + struct.pack(">III", 0, 300, 200)))
    no_avif()
    assert "it is an AVIF photo, damaged" in line_of(path)


@pytest.mark.skipif(sys.platform != "linux", reason="its folder of processes is of 0 bytes, as each is on Windows")
def test_a_folder_is_not_called_empty():
    assert Path("/proc").stat().st_size == 0
    assert "/proc is a folder" in line_of(Path("/proc"))


@pytest.mark.parametrize("help_of_opencv", [True, False])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_avif_photo_is_read_upright(tmp_path, no_avif, orientation, help_of_opencv):
    """Written by libavif itself, which makes a turn and a mirror of the EXIF orientation."""
    pillow = pytest.importorskip("PIL.Image")
    if not pytest.importorskip("PIL.features").check("avif"):
        pytest.skip("this Pillow writes no AVIF")
    photo = pillow.fromarray(np.ascontiguousarray(gradient()[..., ::-1]))
    photo.getexif()[0x0112] = orientation
    path = tmp_path / "turned.avif"
    photo.save(path, "AVIF", exif=photo.getexif().tobytes(), quality=95)
    if not help_of_opencv:
        no_avif()
    found = read_photo(path)
    upright = np.asarray(pytest.importorskip("PIL.ImageOps").exif_transpose(photo))
    assert found.shape == upright.shape
    assert np.abs(found.astype(int) - upright).mean() < 4


@pytest.mark.parametrize("quality", [90, 101])  # OpenCV's: above 100 without loss
def test_huge_webp_is_refused_before_it_is_decoded(tmp_path, monkeypatch, quality):
    path = tmp_path / "huge.webp"
    cv2.imwrite(str(path), np.zeros((240, 320, 3), np.uint8), [cv2.IMWRITE_WEBP_QUALITY, quality])
    monkeypatch.setattr("engines.face.photo.MAX_PIXELS", 1000)
    monkeypatch.setattr(cv2, "imdecode", None)
    assert "too large (320x240 px)" in line_of(path)


@pytest.mark.parametrize("kind", [".tiff", ".avif", ".gif", ".jp2", ".ppm", ".pgm", ".hdr", ".bmp", ".png", ".jpg"])
def test_huge_picture_of_any_kind_is_refused_before_it_is_decoded(tmp_path, monkeypatch, kind):
    path = tmp_path / f"huge{kind}"
    try:
        assert cv2.imwrite(str(path), np.zeros((240, 320) if kind == ".pgm" else (240, 320, 3), np.uint8))
    except (AssertionError, cv2.error):
        pytest.skip(f"this OpenCV writes no {kind}")
    monkeypatch.setattr("engines.face.photo.MAX_PIXELS", 1000)
    monkeypatch.setattr(cv2, "imdecode", None)
    assert "too large (320x240 px)" in line_of(path)


def test_fill_bytes_do_not_hide_a_jpegs_size(tmp_path, monkeypatch):
    """A marker may have any number of them before it."""
    path = write(tmp_path / "huge.jpg", np.zeros((240, 320, 3), np.uint8))
    path.write_bytes(path.read_bytes().replace(b"\xff\xc0", b"\xff\xff\xc0", 1))
    assert read_photo(path).shape == (240, 320, 3)
    monkeypatch.setattr("engines.face.photo.MAX_PIXELS", 1000)
    monkeypatch.setattr(cv2, "imdecode", None)
    assert "too large (320x240 px)" in line_of(path)


def test_float_pixels():
    np.testing.assert_array_equal(to_rgb(np.full((200, 200, 3), 0.5, np.float32)), 128)
    with pytest.raises(InputError, match="not numbers"):
        to_rgb(np.full((200, 200, 3), np.nan, np.float32))
    with pytest.raises(InputError, match="int32"):
        to_rgb(np.zeros((200, 200, 3), np.int32))
    with pytest.raises(InputError, match="layout"):
        to_rgb(np.zeros((200, 200, 2), np.uint8))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flips=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=8), keep=st.floats(0, 1))
def test_damaged_files_give_pixels_or_one_line(tmp_path, flips, keep):
    data = bytearray(jpeg_with_exif(FACE.read_bytes(), exif(6)))
    for where, value in flips:
        data[int(where * 600)] = value  # the headers
    path = tmp_path / "damaged.jpg"
    path.write_bytes(data[: max(1, int(len(data) * keep))])
    try:
        rgb = read_photo(path)
    except InputError as error:
        lines = str(error).splitlines()
    else:
        lines = ["a photo"]
        assert (rgb.ndim, rgb.shape[2], rgb.dtype) == (3, 3, np.uint8)
    assert len(lines) == 1


@pytest.mark.skipif(not cv2.haveImageWriter(".avif"), reason="this OpenCV writes no AVIF")
@pytest.mark.parametrize("bits", [10, 12])
def test_an_avif_of_more_bits_has_its_light(tmp_path, bits):
    """OpenCV gives values up to 1023 or 4095 as those of 16 bits: the photo was nearly black."""
    light = np.linspace(20, 230, 160)[:, None, None] * np.array([1.0, 0.9, 0.8])
    deep = np.repeat(light * (2**bits - 1) / 255, 120, 1).astype(np.uint16)
    path = tmp_path / "deep.avif"
    assert cv2.imwrite(str(path), deep, [cv2.IMWRITE_AVIF_DEPTH, bits, cv2.IMWRITE_AVIF_QUALITY, 100])
    rgb = read_photo(path)
    assert np.abs(rgb[..., ::-1].astype(float) - light).max() < 8
