"""Keys that are made of a session's cookie. The database has none of them: who reads it learns no credential, and can't
take part in a session."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from glancecore.domain.errors import ConfigError

_COOKIE, _ID = re.compile(r"[A-Za-z0-9_-]{43}"), re.compile(r"[0-9a-f]{64}")
#: Bytes of a nonce, and of a secret at least.
_NONCE, _SHORTEST = 12, 32


def new_cookie() -> str:
    """256 random bits."""
    return secrets.token_urlsafe(32)


def is_cookie(text: str) -> bool:
    return _COOKIE.fullmatch(text) is not None


def is_id(text: str) -> bool:
    """Whether it can be one of ``Keys.id_of``."""
    return _ID.fullmatch(text) is not None


def read_secret(path: str | None) -> bytes:
    """Raises ConfigError."""
    if path is None:
        return b""
    option = f"[ext_console] secret_file = {path}"
    try:
        found = Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(
            f"{option}: {exc.strerror}; make the file with: head -c 32 /dev/urandom >{path}, and let the service"
            " read it"
        ) from exc
    if len(found) < _SHORTEST:
        raise ConfigError(
            f"{option}: it has {len(found)} bytes; put {_SHORTEST} random ones there, the same on every node"
        )
    return found


class Keys:
    """What is made of a cookie; ``secret`` goes into the key of credentials, too."""

    def __init__(self, secret: bytes) -> None:
        self._secret = hashlib.sha256(secret).digest() if secret else b""

    @staticmethod
    def id_of(cookie: str) -> str:
        """By what the session is found."""
        return hashlib.sha256(cookie.encode()).hexdigest()

    @staticmethod
    def csrf(cookie: str) -> str:
        """What the page sends in X-CSRF-Token: no page of another site can know it."""
        return base64.urlsafe_b64encode(_derived(cookie.encode(), b"csrf")).decode().rstrip("=")

    def seal(self, cookie: str, credentials: Mapping[str, str]) -> str:
        nonce = secrets.token_bytes(_NONCE)
        sealed = AESGCM(self._key(cookie)).encrypt(
            nonce, json.dumps(dict(credentials)).encode(), self.id_of(cookie).encode()
        )
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, cookie: str, sealed: str) -> Mapping[str, str] | None:
        """None: it was not sealed by this cookie and secret."""
        raw = base64.b64decode(sealed)
        try:
            opened = AESGCM(self._key(cookie)).decrypt(raw[:_NONCE], raw[_NONCE:], self.id_of(cookie).encode())
        except InvalidTag:
            return None
        return {str(name): str(value) for name, value in json.loads(opened).items()}

    def _key(self, cookie: str) -> bytes:
        return _derived(cookie.encode() + self._secret, b"credentials")


def _derived(key: bytes, purpose: bytes) -> bytes:
    """256 bits of a key that is random already."""
    return hmac.digest(key, b"glancecore console " + purpose, "sha256")
