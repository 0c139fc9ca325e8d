"""The lab's Barbican: people of the lab's Keystone who keep secrets in it, and servers of our own before the same
secrets."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import time
from pathlib import Path
from typing import Any

import lab
from keystoneauth1 import session
from keystoneauth1.identity import v3

PASSWORD = "secret"  # of every user that tests/backends/keystone_setup.py makes
BINARY = "application/octet-stream"


def auth_url() -> str:
    return lab.backend("barbican").settings["BARBICAN_AUTH_URL"]


class Keeper:
    """A user, logged in to a project (by default that of the same name)."""

    def __init__(self, user: str, project: str = "") -> None:
        self.session = session.Session(
            v3.Password(
                auth_url=auth_url(),
                username=user,
                password=PASSWORD,
                user_domain_id="default",
                project_name=project or user,
                project_domain_id="default",
            ),
            timeout=60,
        )

    @property
    def token(self) -> str:
        return self.session.get_token() or ""

    def keep(self, payload: bytes | str | None, kind: str = "certificate", **more: str) -> str:
        """The id of the new secret: bytes are stored as they are, a str as text; None makes one without content."""
        body: dict[str, str] = {"secret_type": kind, **more}
        if isinstance(payload, bytes):
            body |= {
                "payload": base64.b64encode(payload).decode(),
                "payload_content_type": BINARY,
                "payload_content_encoding": "base64",
            }
        elif payload is not None:
            body |= {"payload": payload, "payload_content_type": "text/plain"}
        made = self._call("POST", "/v1/secrets", json=body)
        return str(made.json()["secret_ref"].rpartition("/")[2])

    def fill(self, secret: str, payload: bytes) -> None:
        """The content of a secret that was made without one: Barbican does not look at it then."""
        self._call("PUT", f"/v1/secrets/{secret}", data=payload, headers={"Content-Type": BINARY})

    def share(self, secret: str, reader: Keeper) -> None:
        self._call("PUT", f"/v1/secrets/{secret}/acl", json={"read": {"users": [reader.session.get_user_id()]}})

    def _call(self, method: str, path: str, **more: Any) -> Any:
        return self.session.request(lab.backend("barbican").url + path, method, **more)


def expired_token(folder: Path, user: str) -> str:
    """From a Keystone of our own that shares everything with the lab's, except for how long its tokens live."""
    conf, port = (lab.LAB / "keystone" / "conf" / "keystone.conf").read_text(), lab.free_port()
    changed = re.sub(r"(?m)^expiration = .*$", "expiration = 2", conf)
    assert changed != conf
    (folder / "keystone.conf").write_text(changed)
    with (folder / "keystone.log").open("wb") as out:
        process = subprocess.Popen(
            [
                lab.LAB / "venvs" / "keystone" / "bin" / "python",
                lab.BACKENDS / "keystone_serve.py",
                "127.0.0.1",
                str(port),
            ],
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            env={**os.environ, "OS_KEYSTONE_CONFIG_DIR": str(folder), "PYTHONWARNINGS": "ignore"},
        )
    try:
        assert lab.answers(port, 60, process), (folder / "keystone.log").read_text()[-2000:]
        login = v3.Password(
            auth_url=f"http://127.0.0.1:{port}/v3",
            username=user,
            password=PASSWORD,
            user_domain_id="default",
            project_name=user,
            project_domain_id="default",
        )
        token = login.get_token(session.Session(timeout=60)) or ""
    finally:
        process.kill()
        process.wait()
    known = session.Session(timeout=60)
    while known.get(f"{auth_url()}/auth/catalog", headers={"X-Auth-Token": token}, raise_exc=False).status_code != 401:
        time.sleep(0.1)
    return token


class Server:
    """Barbican's API as a process that a test may freeze and kill; ``auth_url``: another Keystone's."""

    def __init__(self, folder: Path, auth_url: str = "") -> None:
        backend = lab.backend("barbican")
        self._python, home = backend.settings["BARBICAN_PYTHON"], Path(backend.settings["BARBICAN_HOME"])
        self._folder, self._port = folder, lab.free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        (folder / ".barbican").mkdir(parents=True)
        text = (home / ".barbican" / "barbican.conf").read_text().replace(backend.url, self.url)
        if auth_url:
            text = text.replace(backend.settings["BARBICAN_AUTH_URL"], auth_url)
        (folder / ".barbican" / "barbican.conf").write_text(text)
        (folder / "paste.ini").write_text((home / "paste.ini").read_text())
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        log = self._folder / "server.log"
        with log.open("ab") as out:
            self._process = subprocess.Popen(
                [
                    self._python,
                    lab.BACKENDS / "barbican_serve.py",
                    self._folder / "paste.ini",
                    "127.0.0.1",
                    str(self._port),
                ],
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                env={**os.environ, "HOME": str(self._folder), "PYTHONWARNINGS": "ignore"},
            )
        assert lab.answers(self._port, 60, self._process), log.read_text()[-2000:]

    def freeze(self) -> None:
        """It still takes connections, and never answers."""
        assert self._process is not None
        lab.freeze(self._process.pid)

    def thaw(self) -> None:
        assert self._process is not None
        lab.thaw(self._process.pid)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
