"""The kit's rules, and real signatures by gpg."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from glancecore_step_verify.driver import Verify

from glancecore.domain import errors
from glancecore.ports.import_method import Request
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
        for name in ("trusted", "stranger"):
            self.gpg("--quick-generate-key", "--passphrase", "", f"{name}@example.org", "ed25519", "sign", "never")
        self.keyring = folder / "trusted.gpg"
        self.keyring.write_bytes(self.gpg("--export", "trusted@example.org"))

    def gpg(self, *words: str, data: bytes = b"") -> bytes:
        return subprocess.run(["gpg", "--homedir", self.home, "--batch", "--yes", "--quiet", *words], input=data, capture_output=True, check=True).stdout

    def sign(self, data: bytes, who: str = "trusted") -> str:
        return self.gpg("--detach-sign", "--armor", "--local-user", f"{who}@example.org", data=data).decode()


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
    work.request = Request({"name": "web-download", **({"signature": signature} if signature is not None else {})})
    make_step(Verify, keyring=str(signer.keyring), **options).run(work)


def test_a_trusted_signature(tmp_path: Path, signer: Signer) -> None:
    run(tmp_path, signer, signer.sign(DATA))


@pytest.mark.parametrize(("who", "data", "words"), [
    ("trusted", b"other", "not what was signed"), ("stranger", DATA, "not trusted")])
def test_a_wrong_signature(tmp_path: Path, signer: Signer, who: str, data: bytes, words: str) -> None:
    with pytest.raises(errors.SignatureInvalid, match=words):
        run(tmp_path, signer, signer.sign(data, who))


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
