"""Signed images by a real service: tokens of a real Keystone, certificates in a real Barbican."""

from __future__ import annotations

import contextlib
import os
import secrets
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import lab
import pytest
import signing
from client import HEADERS_AUTH, Client
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from importing import stage, start, until_ended
from key_manager import Keeper, Server

DATA = os.urandom(3_000_000)
OTHER = DATA[:-1] + bytes([DATA[-1] ^ 1])
KEYS: dict[str, Any] = {
    "RSA-PSS": rsa.generate_private_key(65537, 2048),
    "ECC_SECP384R1": ec.generate_private_key(ec.SECP384R1()),
}


class User(Client):
    """Known by a token of Keystone."""

    def __init__(self, url: str, keeper: Keeper) -> None:
        super().__init__(url)
        self.session.headers = {"X-Auth-Token": keeper.token, "Accept": "application/json"}
        self.keeper = keeper

    def create_signed(self, kind: str = "RSA-PSS", **other: str) -> str:
        """An image whose signature is of ``DATA``, and its certificate in Barbican."""
        certificate = self.keeper.keep(signing.certificate(KEYS[kind]))
        return str(self.create(**{**signing.properties(KEYS[kind], kind, "SHA-256", DATA, certificate), **other})["id"])


def castellan(**barbican: object) -> lab.Config:
    return {
        "DEFAULT": {"certificate_source": "castellan", "enabled_import_methods": "[glance-direct]"},
        "imports": {"token_keys": Fernet.generate_key().decode()},
        "key_manager": {"backend": "barbican"},
        "barbican": {"auth_endpoint": lab.keystone().url, **barbican},
    }


def configured(url: str, **barbican: object) -> lab.Config:
    return lab.merged(lab.keystone_config(f"signed-{secrets.token_hex(4)}", url), castellan(**barbican))


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    lab.backend("barbican")
    port = lab.free_port()
    with lab.service(configured(f"http://127.0.0.1:{port}"), port=port) as made:
        yield made


@pytest.fixture
def user(service: lab.Service) -> User:
    return User(service.url, Keeper("demo"))


@pytest.fixture
def stranger(service: lab.Service) -> User:
    return User(service.url, Keeper("alt_demo"))


@pytest.mark.parametrize("kind", KEYS)
def test_a_good_signature(user: User, kind: str) -> None:
    image_id = user.create_signed(kind)
    assert user.upload(image_id, DATA).status_code == 204
    assert user.show(image_id)["status"] == "active"
    assert user.download(image_id).content == DATA

    image_id = user.create_signed(kind)
    assert stage(user, image_id, DATA).status_code == 204
    assert start(user, image_id).status_code == 202
    assert until_ended(user, image_id)["status"] == "success"
    assert user.download(image_id).content == DATA


@pytest.mark.parametrize("kind", KEYS)
def test_a_wrong_signature_is_refused_and_the_image_can_be_uploaded_again(user: User, kind: str) -> None:
    image_id = user.create_signed(kind)
    check_refused(user.upload(image_id, OTHER), "signature_invalid")
    image = user.show(image_id)
    assert (image["status"], image["size"], image["checksum"]) == ("queued", None, None)
    assert user.upload(image_id, DATA).status_code == 204
    assert user.download(image_id).content == DATA


@pytest.mark.parametrize("kind", KEYS)
def test_a_wrong_signature_makes_the_import_fail_and_it_can_be_imported_again(
    user: User, service: lab.Service, kind: str
) -> None:
    image_id = user.create_signed(kind)
    assert stage(user, image_id, OTHER).status_code == 204
    assert start(user, image_id).status_code == 202
    task = until_ended(user, image_id)
    assert (task["status"], task["error"]) == ("failure", "signature_invalid")
    image = user.show(image_id)
    assert (image["status"], image["size"], image["os_glance_last_error"]) == ("queued", None, task["message"])
    assert not [x for x in (service.folder / "images").rglob("*") if x.name.startswith(image_id)], "nothing is kept"
    assert stage(user, image_id, DATA).status_code == 204
    assert start(user, image_id).status_code == 202
    assert until_ended(user, image_id)["status"] == "success"
    assert user.download(image_id).content == DATA


def test_certificates_that_can_not_be_had(user: User, stranger: User) -> None:
    """Whose it is, what it is, whether it is: the user is told, and his image waits for data."""
    pem = signing.certificate(KEYS["RSA-PSS"])
    for secret in (
        stranger.keeper.keep(pem),
        user.keeper.keep("sesame", "passphrase"),
        user.keeper.keep(pem, "opaque"),
        user.keeper.keep(b"junk"),
        user.keeper.keep(signing.certificate(KEYS["RSA-PSS"], -1)),
        str(uuid.uuid4()),
        "no-uuid",
    ):
        image_id = user.create_signed(img_signature_certificate_uuid=secret)
        check_refused(user.upload(image_id, DATA), "signature_invalid", "img_signature_certificate_uuid")
        assert user.show(image_id)["status"] == "queued"


def test_what_a_project_shares_is_good_for_others(user: User, stranger: User) -> None:
    shared = stranger.keeper.keep(signing.certificate(KEYS["RSA-PSS"]))
    image_id = user.create_signed(img_signature_certificate_uuid=shared)
    check_refused(user.upload(image_id, DATA), "signature_invalid")
    stranger.keeper.share(shared, user.keeper)
    assert user.upload(image_id, DATA).status_code == 204


def stored(service: lab.Service) -> str:
    with contextlib.closing(sqlite3.connect(service.folder / "glance.sqlite")) as database:
        return "\n".join(database.iterdump())


def test_no_token_is_left_in_the_task(user: User, service: lab.Service) -> None:
    image_id = user.create_signed()
    assert stage(user, image_id, DATA).status_code == 204
    assert start(user, image_id).status_code == 202
    assert until_ended(user, image_id)["status"] == "success"
    rows = stored(service)
    assert image_id in rows
    for text in (rows, service.log.read_text()):
        assert user.keeper.token not in text


def test_while_barbican_is_away_signed_images_wait(tmp_path: Path) -> None:
    """503, and no word of a bad signature: nothing that was staged is thrown away."""
    server, port = Server(tmp_path / "barbican"), lab.free_port()
    with lab.service(
        configured(f"http://127.0.0.1:{port}", barbican_endpoint=server.url, timeout=2), port=port
    ) as service:
        user = User(service.url, Keeper("demo"))
        uploaded, imported = user.create_signed(), user.create_signed()
        assert stage(user, imported, DATA).status_code == 204
        try:
            server.start()
            for take_away in (server.freeze, server.kill):
                take_away()
                answer = user.upload(uploaded, DATA)
                assert (answer.status_code, answer.json()["error"], answer.headers["Retry-After"]) == (
                    503,
                    "certificates_unavailable",
                    "5",
                )
                assert "key manager" in answer.json()["message"]
                assert user.show(uploaded)["status"] == "queued"
                assert start(user, imported).status_code == 202
                if take_away == server.freeze:  # the task waits for it, with the user's token
                    assert '"sealed"' in (rows := stored(service))
                    assert user.keeper.token not in rows
                task = until_ended(user, imported)
                assert (task["status"], task["error"]) == ("failure", "certificates_unavailable")
                assert user.show(imported)["status"] == "uploading", "its data is still staged"
            server.start()
            assert user.upload(uploaded, DATA).status_code == 204
            retry = user.call("POST", f"/v2/images/{imported}/tasks/{task['id']}/actions/retry")
            assert retry.status_code == 202, retry.text
            assert until_ended(user, imported)["status"] == "success"
            for image_id in (uploaded, imported):
                assert user.download(image_id).content == DATA
        finally:
            server.kill()
        assert "internal_error" not in service.log.read_text()


def test_a_token_that_expires_meanwhile_costs_no_data() -> None:
    """Here one that the service takes, as it believes a proxy, and Keystone does not."""
    lab.backend("barbican")
    with lab.service(lab.merged(HEADERS_AUTH, castellan())) as service:
        keeper = Keeper("demo")
        client = Client(service.url, keeper.session.get_project_id() or "")
        properties = signing.properties(
            KEYS["RSA-PSS"], "RSA-PSS", "SHA-256", DATA, keeper.keep(signing.certificate(KEYS["RSA-PSS"]))
        )
        uploaded, imported = (client.create(**properties)["id"] for _ in range(2))
        assert stage(client, imported, DATA).status_code == 204

        client.session.headers["X-Auth-Token"] = "expired"
        answer = client.upload(uploaded, DATA)
        assert (answer.status_code, answer.json()["error"]) == (401, "not_authenticated")
        assert client.show(uploaded)["status"] == "queued"
        assert start(client, imported).status_code == 202
        task = until_ended(client, imported)
        assert (task["status"], task["error"]) == ("failure", "not_authenticated")
        assert client.show(imported)["status"] == "uploading", "its data is still staged"

        client.session.headers["X-Auth-Token"] = keeper.token
        assert client.upload(uploaded, DATA).status_code == 204
        assert client.call("POST", f"/v2/images/{imported}/tasks/{task['id']}/actions/retry").status_code == 202
        assert until_ended(client, imported)["status"] == "success"
        assert client.download(imported).content == DATA


def check_refused(answer: Any, code: str, words: str = "") -> None:
    assert (answer.status_code, answer.json()["error"]) == (400, code), answer.text
    assert words in answer.json()["message"]
