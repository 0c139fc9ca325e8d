"""Checksum files in the usual forms."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

import pytest
from glancecore_method_web_download.checksums import find

SHA = hashlib.sha256(b"x").hexdigest()
MD5 = hashlib.md5(b"x").hexdigest()


@pytest.mark.parametrize(
    "text",
    [
        f"{SHA}  disk.img\n",
        f"{SHA} *disk.img\r\n",
        f"{SHA.upper()}  ./disk.img",
        f"SHA256 (disk.img) = {SHA}\n",
        f"SHA2-256 (disk.img) = {SHA}\n{SHA}  disk.img",
        f"{'0' * 64}  other.img\n{SHA}  disk.img\n{'1' * 64}  disk.img.sig\n",
        f"{SHA}\n",
        (
            f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{SHA}  disk.img\n-----BEGIN PGP"
            " SIGNATURE-----\n\niQIz\n-----END PGP SIGNATURE-----\n"
        ),
        f"# disk.img: 5 bytes\nSHA256 (disk.img) = {SHA}\n",
    ],
)
def test_the_digest_is_found(text: str) -> None:
    assert find(text, "disk.img") == {"sha256": SHA}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "disk.img",
        f"{SHA}  disk.img.sig",
        f"{SHA[:-1]}  disk.img",
        f"SHA512 (disk.img) = {SHA}",
        f"{SHA} disk.img",
        f"{SHA}  a disk.img",
        f"CRC (disk.img) = {SHA}",
        "<html>not found</html>",
    ],
)
def test_nothing_is_made_up(text: str) -> None:
    assert find(text, "disk.img") == {}


def test_several_algorithms() -> None:
    assert find(f"MD5 (a) = {MD5}\nSHA256 (a) = {SHA}\n", "a") == {"md5": MD5, "sha256": SHA}


@pytest.mark.parametrize("name", ["plain", "with blank", "back\\slash", "new\nline", "(odd) = name"])
@pytest.mark.parametrize("how", [["sha256sum"], ["sha256sum", "-b"], ["sha256sum", "--tag"], ["sha512sum"]])
def test_what_the_programs_write(tmp_path: Path, name: str, how: list[str]) -> None:
    (tmp_path / name).write_bytes(b"data")
    text = subprocess.run([*how, name], cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    if "--tag" in how and ("\\" in name or "\n" in name):
        return  # GNU escapes what BSD's form has no way to say
    algorithm = how[0].removesuffix("sum")
    assert find(text, name) == {algorithm: hashlib.new(algorithm, b"data").hexdigest()}
