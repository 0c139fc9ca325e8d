"""A real Swift to test with: that of tests/backends/swift-up.sh, and proxy servers of our own in front of its servers,
which can be killed."""

import os
import re
import subprocess
import time
import urllib.request
from contextlib import suppress
from pathlib import Path

import lab
from swiftclient import Connection


class Proxy:
    """``version``: of the login, 1 or 3."""

    def __init__(self, folder, version="1", change=lambda text: text):
        self.backend, self.version = lab.backend("swift"), version
        self.settings = self.backend.settings
        self.port = lab.free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.conf, self.log = folder / "proxy-server.conf", folder / "proxy-server.log"
        text = Path(self.settings["SWIFT_PROXY_CONF" if version == "1" else "SWIFT_V3_PROXY_CONF"]).read_text()
        self.conf.write_text(change(re.sub(r"(?m)^bind_port = .*$", f"bind_port = {self.port}", text, count=1)))
        self.process = None
        self.clients = {}

    def start(self):
        if self.process is not None:
            return
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [self.settings["SWIFT_PROXY"], self.conf],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "EVENTLET_NO_GREENDNS": "yes", "PYTHONWARNINGS": "ignore"},
            )
        deadline = time.monotonic() + 30
        while not self.answers():
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            time.sleep(0.05)

    def answers(self):
        with suppress(OSError), urllib.request.urlopen(f"{self.url}/healthcheck", timeout=5) as answer:
            return answer.read() == b"OK"
        return False

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    # -- how a store reaches it --------------------------------------------------------------------
    def version_one(self, **options):
        return {
            "swift_store_auth_version": "1",
            "swift_store_auth_address": f"{self.url}/auth/v1.0",
            "swift_store_user": self.settings["SWIFT_USER"],
            "swift_store_key": self.settings["SWIFT_KEY"],
            **options,
        }

    def reseller(self, **options):
        """A login that may use all accounts, each image in its owner's."""
        return self.version_one(
            **{
                "swift_store_user": self.settings["SWIFT_RESELLER_USER"],
                "swift_store_key": self.settings["SWIFT_RESELLER_KEY"],
                "swift_store_multi_tenant": True,
                "swift_store_create_container_on_put": True,
                **options,
            }
        )

    def keystone(self, **options):
        """The storage URL is in the catalogue."""
        return {
            "swift_store_auth_version": "3",
            "swift_store_auth_address": self.settings["SWIFT_V3_AUTH_URL"],
            "swift_store_user": self.settings["SWIFT_V3_USER"],
            "swift_store_key": self.settings["SWIFT_V3_KEY"],
            **options,
        }

    # -- how a test looks behind it ----------------------------------------------------------------
    def client(self, version="1", who=""):
        """On the backend's own proxy server, which stays up. One for all tests: a login takes its time. ``who``:
        RESELLER or OTHER with version 1, a user with a project of the same name with version 3."""
        if (version, who) not in self.clients:
            self.clients[version, who] = self.logged_in(version, who)
        return self.clients[version, who]

    def logged_in(self, version, who=""):
        if version == "1":
            prefix = f"SWIFT_{who}_" if who else "SWIFT_"
            return Connection(
                authurl=self.backend.url,
                user=self.settings[f"{prefix}USER"],
                key=self.settings[f"{prefix}KEY"],
                auth_version="1",
                starting_backoff=0.1,
            )
        from keystoneauth1.identity import v3
        from keystoneauth1.session import Session

        project, _, user = (f"{who}:{who}" if who else self.settings["SWIFT_V3_USER"]).partition(":")
        return Connection(
            starting_backoff=0.1,
            session=Session(
                auth=v3.Password(
                    auth_url=self.settings["SWIFT_V3_AUTH_URL"],
                    username=user,
                    password=self.settings["SWIFT_V3_KEY"],
                    project_name=project,
                    user_domain_id="default",
                    project_domain_id="default",
                )
            ),
        )

    def close(self):
        for client in self.clients.values():
            client.close()
        self.kill()


class Room:
    """The containers whose names begin with one word."""

    def __init__(self, client, name):
        self.client, self.name = client, name

    def containers(self):
        return [each["name"] for each in self.client.get_account(prefix=self.name, full_listing=True)[1]]

    def names(self):
        return {
            f"{container}/{each['name']}"
            for container in self.containers()
            for each in self.client.get_container(container, full_listing=True)[1]
        }

    def remove(self):
        for container in self.containers():
            for each in self.client.get_container(container, full_listing=True)[1]:
                self.client.delete_object(container, each["name"])
            self.client.delete_container(container)
