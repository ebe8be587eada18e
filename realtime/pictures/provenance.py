"""Marks that say a file is synthetic: IPTC's digital source type as XMP, and a signed C2PA manifest.

XMP goes into mp4 (ISO 16684-1, part 3), png and jpg. A C2PA manifest (extra `c2pa`) goes into mp4 where the user names
a certificate and its key: anybody can see who vouches for the file, and whether it was changed since. A certificate
that no trust list knows works as well; readers then say that they don't know the signer.
"""

from __future__ import annotations

import json
import os
import zlib
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from engines.errors import ConfigError, InputError, OutputError, WrongInput
from realtime.targets import name_beside

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
 xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:CreatorTool="voxcam"
 Iptc4xmpExt:DigitalSourceType="{SOURCE_TYPE}"/>
</rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>"""
XMP_UUID = bytes.fromhex("BE7ACFCB97A942E89C71999491E3AFAC")
PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
PNG_HEAD_BYTES = len(PNG_SIGNATURE) + 25  # signature and IHDR, which comes first
NEW_KEY = "openssl pkcs8 -topk8 -nocrypt -in KEY -out NEW_KEY"


def append_xmp_box(path: Path) -> None:
    """Add the XMP box at the end of an mp4."""
    packet = XMP.encode()
    with path.open("ab") as file:
        file.write((8 + 16 + len(packet)).to_bytes(4, "big") + b"uuid" + XMP_UUID + packet)


def with_xmp(picture: bytes) -> bytes:
    """The bytes of a png or jpg with the XMP packet in them."""
    packet = XMP.encode()
    if picture.startswith(PNG_SIGNATURE):
        body = b"iTXt" + b"XML:com.adobe.xmp" + bytes(5) + packet  # not compressed, no language, no translation
        chunk = (len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big")
        return picture[:PNG_HEAD_BYTES] + chunk + picture[PNG_HEAD_BYTES:]
    if picture.startswith(b"\xff\xd8"):
        body = b"http://ns.adobe.com/xap/1.0/\0" + packet
        return picture[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + picture[2:]
    raise OutputError("only png and jpg can say that they are synthetic", "use .png or .jpg")


@dataclass(frozen=True, slots=True)
class ContentSigner:
    """Signs mp4 files: certificates (PEM, the signer's own first), key (PEM, PKCS #8), C2PA's name of the algorithm."""

    certificates: bytes
    key: bytes
    algorithm: str

    def sign(self, path: Path, title: str = "") -> None:
        """Put a signed manifest into an mp4: made by trained algorithms, by voxcam. OutputError where that fails."""
        import c2pa

        info = c2pa.C2paSignerInfo(
            alg=getattr(c2pa.C2paSigningAlg, self.algorithm),
            sign_cert=self.certificates,
            private_key=self.key,
            ta_url=None,  # no time stamp: signing works without a network
        )
        signed = name_beside(path, f"{os.getpid()}.signed", ".")
        try:
            with (
                c2pa.Signer.from_info(info) as signer,
                c2pa.Builder(json.dumps(manifest(title))) as builder,
                path.open("rb") as source,
                signed.open("w+b") as target,
            ):
                builder.sign(signer, "video/mp4", source, target)
            os.replace(signed, path)
        except (c2pa.C2paError, OSError) as error:
            raise OutputError(f"{path.name} cannot be signed ({error})", "check --c2pa-cert and --c2pa-key") from error
        finally:
            signed.unlink(missing_ok=True)


def manifest(title: str) -> dict[str, Any]:
    """What the manifest says: created, by trained algorithmic media, by this program."""
    try:
        agent = {"name": "voxcam", "version": version("voxcam")}
    except PackageNotFoundError:
        agent = {"name": "voxcam"}
    action = {"action": "c2pa.created", "digitalSourceType": SOURCE_TYPE, "softwareAgent": agent}
    return {
        "claim_generator_info": [agent],
        "title": title or "voxcam",
        "assertions": [{"label": "c2pa.actions", "data": {"actions": [action]}}],
    }


def open_signer(certificates: Path | None, key: Path | None, video: Path | None) -> ContentSigner | None:
    """The signer that the user named for a video, None where none is named, or no video.

    What is wrong with it is said before anything is rendered: ConfigError, InputError.
    """
    if video is None or (certificates is None and key is None):
        return None
    if video.suffix.lower() != ".mp4":
        raise ConfigError(f"{video.name} cannot hold a C2PA manifest", "write an .mp4, or name no certificate")
    if certificates is None or key is None:
        raise ConfigError("--c2pa-cert and --c2pa-key belong together", "name both, or neither")
    try:
        import c2pa  # noqa: F401
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
    except ImportError as error:
        raise ConfigError(f"signing needs {error.name}", 'pip install "voxcam[c2pa]"') from error
    chain, secret = (_read(path) for path in (certificates, key))
    try:
        own = x509.load_pem_x509_certificates(chain)[0]
    except (ValueError, IndexError) as error:
        raise InputError(f"{certificates} holds no PEM certificate", "name a chain, the signer's own first") from error
    try:
        private = serialization.load_pem_private_key(secret, password=None)
    except TypeError as error:
        raise InputError(f"{key} is locked with a password", NEW_KEY) from error
    except ValueError as error:
        raise InputError(f"{key} holds no PEM private key", "name the certificate's key") from error
    if own.public_key() != private.public_key():
        raise InputError(f"{key} is not the key of {certificates}", "name the key that belongs to it")
    if not own.not_valid_before_utc <= datetime.now(timezone.utc) <= own.not_valid_after_utc:
        raise InputError(f"{certificates} is not valid today", "name one that is")
    plain = private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return ContentSigner(chain, plain, _algorithm(private, key))


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise WrongInput(f"there is no file {path}", "check --c2pa-cert and --c2pa-key") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror})", "check the path") from error


def _algorithm(private: Any, path: Path) -> str:
    """C2PA's name of the way to sign with this key."""
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    if isinstance(private, rsa.RSAPrivateKey):
        return "PS256"
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return "ED25519"
    curves = {"secp256r1": "ES256", "secp384r1": "ES384", "secp521r1": "ES512"}
    if isinstance(private, ec.EllipticCurvePrivateKey) and private.curve.name in curves:
        return curves[private.curve.name]
    raise InputError(f"{path} is of a kind that C2PA doesn't sign with", "use EC P-256, RSA or Ed25519")
