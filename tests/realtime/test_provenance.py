"""Every file says that it is synthetic, where the tools of others look for it; signed ones say who made them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from datetime import datetime, timedelta, timezone
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import soundfile

from engines.errors import ConfigError, InputError, WrongInput
from realtime.commands.render import render_file
from realtime.messages import Picture
from realtime.pictures.provenance import SOURCE_TYPE, XMP_UUID, open_signer, with_xmp
from realtime.pictures.sheet import write_picture
from realtime.pictures.video_file import VideoFile
from tests.fakes import FakePortrait
from tests.realtime.test_render import engines
from tests.realtime.test_video_file import ROOT, write

IPTC = "{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"


def source_type(packet: bytes) -> str:
    """What an XMP reader finds in a packet: the namespaced attribute, not a string somewhere."""
    root = ElementTree.fromstring(packet.decode())
    return next(value for element in root.iter() for name, value in element.attrib.items() if name == IPTC)


def boxes(data: bytes) -> list[tuple[bytes, bytes]]:
    """(type, content) of an mp4's outermost boxes; they must fill the file."""
    found, at = [], 0
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        head = 8
        if size == 1:
            size, head = int.from_bytes(data[at + 8 : at + 16], "big"), 16
        assert size >= head
        found.append((data[at + 4 : at + 8], data[at + head : at + size]))
        at += size
    assert at == len(data)
    return found


def xmp_of_mp4(path: Path) -> bytes:
    (packet,) = (body[16:] for kind, body in boxes(path.read_bytes()) if kind == b"uuid" and body[:16] == XMP_UUID)
    return packet


def test_xmp_in_mp4(tmp_path: Path) -> None:
    write(tmp_path / "out.mp4")
    assert source_type(xmp_of_mp4(tmp_path / "out.mp4")) == SOURCE_TYPE


@pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe")
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_another_program_reads_the_mark(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    write(path)
    asked = ["ffprobe", "-v", "error", "-of", "json", "-show_entries", "format_tags", str(path)]
    tags = json.loads(subprocess.run(asked, capture_output=True, check=True, text=True).stdout)["format"]["tags"]
    assert {name.lower(): value for name, value in tags.items()}["digitalsourcetype"] == SOURCE_TYPE


def test_xmp_in_png_and_jpg(tmp_path: Path) -> None:
    picture = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)
    write_picture(tmp_path / "sheet.png", picture)
    write_picture(tmp_path / "sheet.jpg", picture)
    data = (tmp_path / "sheet.png").read_bytes()
    at, chunks = 8, {}
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks[data[at + 4 : at + 8]] = data[at + 8 : at + 8 + size]
        at += size + 12
    key, packet = chunks[b"iTXt"].split(b"\0", 1)
    assert key == b"XML:com.adobe.xmp"
    assert source_type(packet[4:]) == SOURCE_TYPE
    assert (cv2.imread(str(tmp_path / "sheet.png"))[..., ::-1] == picture).all()
    data = (tmp_path / "sheet.jpg").read_bytes()
    assert data[2:4] == b"\xff\xe1"
    head, packet = data[6 : 4 + int.from_bytes(data[4:6], "big")].split(b"\0", 1)
    assert head == b"http://ns.adobe.com/xap/1.0/"
    assert source_type(packet) == SOURCE_TYPE
    assert cv2.imread(str(tmp_path / "sheet.jpg")).shape == picture.shape


def test_xmp_of_pillow(tmp_path: Path) -> None:
    """A reader of others, where it is installed: Pillow."""
    image = pytest.importorskip("PIL.Image")
    for suffix in (".png", ".jpg"):
        write_picture(tmp_path / f"sheet{suffix}", np.zeros((16, 16, 3), np.uint8))
        with image.open(tmp_path / f"sheet{suffix}") as opened:
            opened.load()
            packet = opened.info.get("XML:com.adobe.xmp") or opened.info["xmp"].decode()
        assert SOURCE_TYPE in packet


def test_nothing_else_is_marked() -> None:
    from engines.errors import OutputError

    with pytest.raises(OutputError, match="only png and jpg"):
        with_xmp(b"GIF89a")


# ---- C2PA ----


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    path = tmp_path / "speech.wav"
    soundfile.write(path, np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32), 16_000)
    return path


class Authority:
    """A root certificate and one that it signed, made for one test."""

    def __init__(self, folder: Path, kind: str = "ec", days: int = 30) -> None:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

        make = {
            "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
            "rsa": lambda: rsa.generate_private_key(65537, 2048),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }[kind]
        root_key, key = ec.generate_private_key(ec.SECP256R1()), make()
        now = datetime.now(timezone.utc)

        def name(who: str) -> x509.Name:
            parts = (
                (NameOID.COUNTRY_NAME, "DE"),
                (NameOID.ORGANIZATION_NAME, "throwaway"),
                (NameOID.COMMON_NAME, who),
            )
            return x509.Name([x509.NameAttribute(*part) for part in parts])

        def certificate(who: str, public, root: bool) -> x509.Certificate:
            usage = dict.fromkeys(
                ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
                 "encipher_only", "decipher_only"), False,
            )  # fmt: skip
            built = (
                x509.CertificateBuilder()
                .subject_name(name(who))
                .issuer_name(name("root"))
                .public_key(public)
                .serial_number(x509.random_serial_number())
                .not_valid_before(now - timedelta(days=40))
                .not_valid_after(now + timedelta(days=days))
                .add_extension(x509.BasicConstraints(ca=root, path_length=None), critical=True)
                .add_extension(
                    x509.KeyUsage(digital_signature=not root, key_cert_sign=root, crl_sign=root, **usage), critical=True
                )
                .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
                .add_extension(
                    x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
                )
            )
            if not root:
                purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
                built = built.add_extension(purpose, critical=False)
            return built.sign(root_key, hashes.SHA256())

        pem = serialization.Encoding.PEM
        own, root = certificate("me", key.public_key(), False), certificate("root", root_key.public_key(), True)
        self.certificates, self.key = folder / "chain.pem", folder / "key.pem"
        self.certificates.write_bytes(own.public_bytes(pem) + root.public_bytes(pem))
        # The form that openssl writes an EC or RSA key in, which the library itself would not take.
        forms = serialization.PrivateFormat
        form = forms.PKCS8 if kind == "ed25519" else forms.TraditionalOpenSSL
        self.key.write_bytes(key.private_bytes(pem, form, serialization.NoEncryption()))
        locked = serialization.BestAvailableEncryption(b"secret")
        self.locked = folder / "locked.pem"
        self.locked.write_bytes(key.private_bytes(pem, serialization.PrivateFormat.PKCS8, locked))


def read_manifest(path: Path) -> tuple[dict, list[str]]:
    """The active manifest, and what a validator says against the file."""
    import c2pa

    with c2pa.Reader(str(path)) as reader:
        store = json.loads(reader.json())
    faults = [status["code"] for status in store.get("validation_status", [])]
    return store["manifests"][store["active_manifest"]], faults


@pytest.mark.parametrize("kind", ["ec", "rsa", "ed25519"])
def test_a_signed_manifest_says_what_the_file_is(tmp_path: Path, speech: Path, kind: str) -> None:
    pytest.importorskip("c2pa")
    authority = Authority(tmp_path, kind)
    out = tmp_path / "out.mp4"
    signer = open_signer(authority.certificates, authority.key, out)
    render_file(FakePortrait(128, 160), engines(), speech, out, title="me", signer=signer)
    found, faults = read_manifest(out)
    (actions,) = (a["data"]["actions"] for a in found["assertions"] if a["label"].startswith("c2pa.actions"))
    assert [action["digitalSourceType"] for action in actions] == [SOURCE_TYPE]
    assert actions[0]["action"] == "c2pa.created"
    assert found["signature_info"]["common_name"] == "me"
    assert faults == ["signingCredential.untrusted"]  # whole and rightly signed, by somebody whom no list knows
    assert source_type(xmp_of_mp4(out)) == SOURCE_TYPE  # the older mark is still where it was
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 25
    assert sorted(path.name for path in tmp_path.iterdir() if path.suffix == ".mp4") == ["out.mp4"]


def test_a_changed_file_is_found_out(tmp_path: Path, speech: Path) -> None:
    pytest.importorskip("c2pa")
    authority = Authority(tmp_path)
    out = tmp_path / "out.mp4"
    render_file(
        FakePortrait(128, 160),
        engines(),
        speech,
        out,
        signer=open_signer(authority.certificates, authority.key, out),
    )
    data = bytearray(out.read_bytes())
    data[data.index(b"mdat") + 200] ^= 1
    out.write_bytes(data)
    assert "assertion.bmffHash.mismatch" in read_manifest(out)[1]


def test_a_name_as_long_as_it_can_be_is_signed(tmp_path: Path, speech: Path) -> None:
    pytest.importorskip("c2pa")
    authority = Authority(tmp_path)
    out = tmp_path / ("x" * 251 + ".mp4")
    signer = open_signer(authority.certificates, authority.key, out)
    render_file(FakePortrait(128, 160), engines(), speech, out, signer=signer)
    assert read_manifest(out)[0]["signature_info"]["common_name"] == "me"


def test_signers_that_cannot_be(tmp_path: Path) -> None:
    pytest.importorskip("c2pa")
    video = tmp_path / "out.mp4"
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    (tmp_path / "old").mkdir()
    other, old = Authority(tmp_path / "other"), Authority(tmp_path / "old", days=-1)
    chain, key = authority.certificates, authority.key
    for arguments, kind, words in (
        ((chain, None, video), ConfigError, "belong together"),
        ((chain, key, tmp_path / "out.mkv"), ConfigError, "write an .mp4"),
        ((tmp_path / "none.pem", key, video), WrongInput, "no file .*none.pem"),
        ((key, key, video), InputError, "no PEM certificate"),
        ((chain, chain, video), InputError, "no PEM private key"),
        ((chain, authority.locked, video), InputError, "locked with a password"),
        ((chain, other.key, video), InputError, "is not the key of"),
        ((old.certificates, old.key, video), InputError, "not valid today"),
    ):
        with pytest.raises(kind, match=words):
            open_signer(*arguments)
    assert open_signer(None, None, tmp_path / "out.mkv") is None


def test_a_certificate_for_other_purposes_leaves_no_file(tmp_path: Path, speech: Path) -> None:
    pytest.importorskip("c2pa")
    from engines.errors import OutputError

    authority = Authority(tmp_path)
    chain = authority.certificates.read_bytes()
    root = chain[chain.index(b"-----BEGIN", 10) :]
    out = tmp_path / "out.mp4"
    signer = open_signer(authority.certificates, authority.key, out)
    assert signer is not None
    broken = type(signer)(root, signer.key, signer.algorithm)  # a root may not sign files
    with pytest.raises(OutputError, match="cannot be signed"):
        render_file(FakePortrait(128, 160), engines(), speech, out, signer=broken)
    assert not list(tmp_path.glob("*.mp4"))
    assert not list(tmp_path.glob(".*"))


def record_live(out: Path, sound: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """`voxcam live` with the loud face, recording a sound file."""
    command = [sys.executable, "-m", "tests.rigs.loud_voxcam", "live", "--portrait", "any", "--camera", "none"]
    command += ["--camera-size", "320x240", "--source", str(sound), "--out", str(out), *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)


def test_a_recording_of_a_call_is_signed_when_it_ends(tmp_path: Path, speech: Path) -> None:
    pytest.importorskip("c2pa")
    authority, out = Authority(tmp_path), tmp_path / "call.mp4"
    done = record_live(out, speech, "--c2pa-cert", str(authority.certificates), "--c2pa-key", str(authority.key))
    assert done.returncode == 0, done.stderr
    found, faults = read_manifest(out)
    assert found["signature_info"]["common_name"] == "me"
    assert SOURCE_TYPE in json.dumps(found["assertions"])
    assert faults == ["signingCredential.untrusted"]
    assert source_type(xmp_of_mp4(out)) == SOURCE_TYPE
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) >= 15
    assert [path.name for path in tmp_path.glob("*.mp4")] == ["call.mp4"]


def test_a_recording_that_cannot_be_signed_is_told_first_or_kept(tmp_path: Path, speech: Path) -> None:
    pytest.importorskip("c2pa")
    from engines.errors import OutputError

    authority = Authority(tmp_path)
    named = ["--c2pa-cert", str(authority.certificates), "--c2pa-key", str(authority.key)]
    done = record_live(tmp_path / "call.mkv", speech, *named)
    assert done.returncode == 2
    assert "call.mkv cannot hold a C2PA manifest" in done.stderr
    chain = authority.certificates.read_bytes()
    out = tmp_path / "call.mp4"
    signer = open_signer(authority.certificates, authority.key, out)
    assert signer is not None
    broken = type(signer)(chain[chain.index(b"-----BEGIN", 10) :], signer.key, signer.algorithm)
    file = VideoFile(out, 16_000, 1, signer=broken, keep=True)
    file.open(120, 160, 25)
    for i in range(30):
        file.send(Picture(i, np.zeros((120, 160, 3), np.uint8), 0, 0, 0))
        file.hear(np.zeros((640, 1), np.float32))
    with pytest.raises(OutputError, match=r"call.mp4 is kept without a signature"):
        file.close()
    with av.open(str(out)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30
    assert source_type(xmp_of_mp4(out)) == SOURCE_TYPE
