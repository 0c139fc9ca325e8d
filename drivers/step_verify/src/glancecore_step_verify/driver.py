"""Detached OpenPGP signatures, as distributions publish them beside their images, checked with gpgv."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from glancecore.domain import errors
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore_step_verify.options import OPTIONS, SECTION

#: Seconds between two looks at the program while it reads the data.
LOOK = 0.2


class Verify(ImportStep):
    """Check ``method.signature`` with the keys that the operator trusts. Put it first: it is about the data as it came."""

    options = OPTIONS
    section = SECTION
    takes_anything = True
    checks_signatures = True

    def start(self) -> None:
        if shutil.which(self.conf.gpgv) is None:
            raise errors.ConfigError(f"[{SECTION}] gpgv = {self.conf.gpgv}: no such program; install gpgv, or name its path")
        if not Path(self.conf.keyring).is_file():
            raise errors.ConfigError(f"[{SECTION}] keyring = {self.conf.keyring}: no such file; make it with gpg --export")

    def run(self, work: ImportWork) -> None:
        work.check_alive()
        signature = work.request.method.get("signature")
        if signature is None:
            if self.conf.required:
                raise errors.SignatureInvalid("method.signature: imports without a signature are refused here")
            return
        file = work.scratch / "signature"
        file.write_text(str(signature))
        told = work.scratch / "told"
        with told.open("wb") as out:
            process = subprocess.Popen(  # noqa: S603 (no shell; the words are ours)
                [self.conf.gpgv, "--quiet", "--status-fd", "1", "--keyring", str(Path(self.conf.keyring).absolute()), str(file), str(work.staged)],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.DEVNULL, env={**os.environ, "LC_ALL": "C"})
            try:
                while True:
                    try:
                        process.wait(LOOK)
                        break
                    except subprocess.TimeoutExpired:
                        work.check_alive()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        lines = told.read_text(errors="replace").splitlines()
        if process.returncode or not any(x.startswith("[GNUPG:] VALIDSIG ") for x in lines):
            raise errors.SignatureInvalid(_reason(lines))


def _reason(lines: list[str]) -> str:
    said = {x.split()[1] for x in lines if x.startswith("[GNUPG:] ") and len(x.split()) > 1}
    if "BADSIG" in said:
        return "method.signature: the data is not what was signed"
    if "NO_PUBKEY" in said:
        return "method.signature: signed by a key that is not trusted here"
    if said & {"EXPKEYSIG", "EXPSIG", "REVKEYSIG"}:
        return "method.signature: the signature or its key has expired or was revoked"
    return "method.signature: not an OpenPGP signature that can be checked"
