"""The kit's rules, and real signatures by gpg."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from glancecore_step_verify.driver import Verify

from glancecore.domain import errors
from glancecore.ports.import_method import MethodRequest
from glancecore.testing.examples import make_image
from glancecore.testing.import_step import Bench, ImportStepConformance, make_step

sys.path.insert(0, str(Path(__file__).parents[3] / "tests"))

import lab

DATA = os.urandom(1_000_000)


class Signer:
    """Two people with keys, of whom one is trusted."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "home"
        self.home.mkdir(mode=0o700)
        for name in ("trusted", "stranger", "revoked"):
            self.gpg("--quick-generate-key", "--passphrase", "", f"{name}@example.org", "ed25519", "sign", "never")
        # made and used two years ago, when it was good for a year
        self.gpg(*_at(2), "--quick-generate-key", "--passphrase", "", "expired@example.org", "ed25519", "sign", "1y")
        self.keyring = folder / "trusted.gpg"
        self.export()

    def export(self) -> None:
        self.keyring.write_bytes(
            self.gpg("--export", "trusted@example.org", "revoked@example.org", "expired@example.org")
        )

    def revoke(self, who: str) -> None:
        """By the certificate that gpg makes with each key; a colon guards it against use by mistake."""
        listed = self.gpg("--list-keys", "--with-colons", f"{who}@example.org").decode().splitlines()
        fingerprint = next(x.split(":")[9] for x in listed if x.startswith("fpr"))
        text = (self.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_text()
        self.gpg("--import", data=text.replace(":-----BEGIN", "-----BEGIN").encode())
        self.export()

    def gpg(self, *words: str, data: bytes = b"") -> bytes:
        return subprocess.run(
            ["gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", *words],
            input=data,
            capture_output=True,
            check=True,
        ).stdout

    def sign(self, data: bytes, who: str = "trusted", *words: str) -> str:
        return self.gpg(*words, "--detach-sign", "--armor", "--local-user", f"{who}@example.org", data=data).decode()


def _at(years_ago: int) -> tuple[str, ...]:
    return "--faked-system-time", f"{int(time.time()) - years_ago * 366 * 86400}!"


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signer]:
    lab.need("gnupg", "gpgv")
    folder = Path("/tmp") / f"gpg-{os.getpid()}"  # an agent's socket needs a short path
    folder.mkdir()
    try:
        yield Signer(folder)
    finally:
        subprocess.run(["gpgconf", "--homedir", folder / "home", "--kill", "all"], check=False)
        subprocess.run(["rm", "-rf", folder], check=True)


class TestVerify(ImportStepConformance):
    @pytest.fixture
    def step(self, signer: Signer) -> Verify:
        return make_step(Verify, keyring=str(signer.keyring))


def run(tmp_path: Path, signer: Signer, signature: str | None, data: bytes = DATA, **options: object) -> None:
    work = Bench(tmp_path, data, make_image())
    work.request = MethodRequest(
        {"name": "web-download", **({"signature": signature} if signature is not None else {})}
    )
    make_step(Verify, keyring=str(signer.keyring), **options).run(work)


def test_a_trusted_signature(tmp_path: Path, signer: Signer) -> None:
    run(tmp_path, signer, signer.sign(DATA))


@pytest.mark.parametrize(
    ("who", "data", "words"), [("trusted", b"other", "not what was signed"), ("stranger", DATA, "not trusted")]
)
def test_a_wrong_signature(tmp_path: Path, signer: Signer, who: str, data: bytes, words: str) -> None:
    with pytest.raises(errors.SignatureInvalid, match=words):
        run(tmp_path, signer, signer.sign(data, who))


def test_a_revoked_key(tmp_path: Path, signer: Signer) -> None:
    signature = signer.sign(DATA, "revoked")
    run(tmp_path / "before", signer, signature)
    signer.revoke("revoked")
    with pytest.raises(errors.SignatureInvalid, match=r"revoked \(REVKEYSIG\)"):
        run(tmp_path / "after", signer, signature)


def test_an_expired_key(tmp_path: Path, signer: Signer) -> None:
    """The signature is of a time when the key was good; who has it now may sign with any time."""
    with pytest.raises(errors.SignatureInvalid, match=r"expired \(EXPKEYSIG\)"):
        run(tmp_path, signer, signer.sign(DATA, "expired", *_at(2)))


def test_an_expired_signature(tmp_path: Path, signer: Signer) -> None:
    signature = signer.sign(DATA, "trusted", "--default-sig-expire", "seconds=1")
    while int(time.time()) < _made(signer, signature) + 2:
        time.sleep(0.2)
    with pytest.raises(errors.SignatureInvalid, match=r"expired \(EXPSIG\)"):
        run(tmp_path, signer, signature)


def _made(signer: Signer, signature: str) -> int:
    """When, in seconds since 1970."""
    told = signer.gpg("--list-packets", data=signature.encode()).decode()
    return int(told.partition("created ")[2].partition(",")[0])


def test_one_good_signature_of_two_is_not_enough(tmp_path: Path, signer: Signer) -> None:
    both = signer.gpg(
        "--detach-sign",
        "--armor",
        "--local-user",
        "trusted@example.org",
        "--local-user",
        "stranger@example.org",
        data=DATA,
    ).decode()
    with pytest.raises(errors.SignatureInvalid, match="not trusted"):
        run(tmp_path, signer, both)


@pytest.mark.parametrize("how", ["--sign", "--clear-sign"])
def test_a_signature_with_its_own_data(tmp_path: Path, signer: Signer, how: str) -> None:
    """It is good, but of what it brings, not of the image."""
    text = signer.gpg(how, "--armor", "--local-user", "trusted@example.org", data=b"other\n").decode()
    with pytest.raises(errors.SignatureInvalid, match="not a detached"):
        run(tmp_path, signer, text)


@pytest.mark.parametrize(
    "status",
    [
        "GOODSIG 1 x",
        "VALIDSIG 1",
        *(
            f"GOODSIG 1 x\\n[GNUPG:] VALIDSIG 1\\n[GNUPG:] {x} 1"
            for x in ("BADSIG", "ERRSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG")
        ),
    ],
)
def test_what_the_program_must_say(tmp_path: Path, signer: Signer, status: str) -> None:
    """Whatever its exit code."""
    program = tmp_path / "gpgv"
    program.write_text(f"#!/bin/sh\nprintf '[GNUPG:] {status}\\n'\n")
    program.chmod(0o755)
    with pytest.raises(errors.SignatureInvalid):
        run(tmp_path / "w", signer, "x", gpgv=str(program))


@pytest.mark.parametrize("text", ["", "junk", "-----BEGIN PGP SIGNATURE-----\n\njunk\n-----END PGP SIGNATURE-----"])
def test_no_signature_at_all(tmp_path: Path, signer: Signer, text: str) -> None:
    with pytest.raises(errors.SignatureInvalid, match=r"can't be|not"):
        run(tmp_path, signer, text)


def test_a_required_signature(tmp_path: Path, signer: Signer) -> None:
    run(tmp_path / "a", signer, None)
    with pytest.raises(errors.SignatureInvalid, match="without a signature"):
        run(tmp_path / "b", signer, None, required=True)


def test_a_missing_keyring_stops_the_start() -> None:
    with pytest.raises(errors.ConfigError, match="gpg --export"):
        make_step(Verify, keyring="/nowhere")
