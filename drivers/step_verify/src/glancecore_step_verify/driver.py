"""Detached OpenPGP signatures, as distributions publish them beside their images, checked with gpgv."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from glancecore.domain import errors
from glancecore.ports.import_step import ImportStep, ImportWork
from glancecore_step_verify.options import OPTIONS, SECTION

#: What gpgv must say of a signature that is believed. Its exit code, and VALIDSIG, are good for revoked and for expired
#: keys as well.
GOOD = frozenset({"GOODSIG", "VALIDSIG"})
#: What it must not say of any signature, and what that means; the first one is told.
WRONG = {
    "BADSIG": "the data is not what was signed",
    "REVKEYSIG": "the key that signed was revoked (REVKEYSIG)",
    "KEYREVOKED": "the key that signed was revoked (REVKEYSIG)",
    "EXPKEYSIG": "the key that signed has expired (EXPKEYSIG)",
    "EXPSIG": "the signature has expired (EXPSIG)",
    "NO_PUBKEY": "signed by a key that is not trusted here",
    "ERRSIG": "a signature that can't be checked (ERRSIG)",
}
#: Seconds between two looks at the program while it reads the data.
POLL_INTERVAL = 0.2


class Verify(ImportStep):
    """Check ``method.signature`` with the keys that the operator trusts. Put it first: it is about the data as it
    came."""

    plugin_api = "1.0"
    options = OPTIONS
    section = SECTION
    isolated = False
    takes_anything = True
    checks_signatures = True

    def start(self) -> None:
        if shutil.which(self.conf.gpgv) is None:
            raise errors.ConfigError(
                f"[{SECTION}] gpgv = {self.conf.gpgv}: no such program; install gpgv, or name its path"
            )
        if not Path(self.conf.keyring).is_file():
            raise errors.ConfigError(
                f"[{SECTION}] keyring = {self.conf.keyring}: no such file; make it with gpg --export"
            )

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
                [
                    self.conf.gpgv,
                    "--quiet",
                    "--status-fd",
                    "1",
                    "--keyring",
                    str(Path(self.conf.keyring).absolute()),
                    str(file),
                    str(work.staged),
                ],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "LC_ALL": "C"},
            )
            try:
                while True:
                    try:
                        process.wait(POLL_INTERVAL)
                        break
                    except subprocess.TimeoutExpired:
                        work.check_alive()
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
        said = {
            x.split()[1]
            for x in told.read_text(errors="replace").splitlines()
            if x.startswith("[GNUPG:] ") and len(x.split()) > 1
        }
        wrong = next((words for word, words in WRONG.items() if word in said), None)
        if wrong or process.returncode or not said >= GOOD:
            raise errors.SignatureInvalid(
                f"method.signature: {wrong or 'not a detached OpenPGP signature that can be checked'}"
            )
