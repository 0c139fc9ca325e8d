"""What a task keeps of its caller's secrets, for requests in his name: sealed with keys that are not in the
database."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import orjson

from glancecore.domain import errors

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet

LOG = logging.getLogger(__name__)
_SEALED = "sealed"
#: Kept beside them, and no secret.
_ROLES = "roles"


class KeptSecrets:
    """``keys``: Fernet keys; the first seals, each opens. Without any, nothing is kept. Raises ConfigError for what is
    no key."""

    def __init__(self, keys: Sequence[str] = ()) -> None:
        self._fernet = _fernet(keys) if keys else None

    def seal(self, task_id: str, secrets: Mapping[str, str]) -> dict[str, str]:
        """What may be stored with that task: elsewhere it can't be opened."""
        if not secrets or self._fernet is None:
            return {}
        return {_SEALED: self._fernet.encrypt(orjson.dumps([task_id, dict(secrets)])).decode()}

    def open(self, task_id: str, stored: Mapping[str, str]) -> dict[str, str]:
        """Raises SecretsUnreadable."""
        sealed = stored.get(_SEALED)
        if sealed is None and not stored.keys() - {_ROLES}:
            return {}
        found = None if sealed is None else self._opened(sealed)
        if found is not None and found[0] == task_id:
            return dict(found[1])
        if sealed is None:
            LOG.error(
                "task %s keeps its caller's secrets unsealed, as an older release wrote them: they are not used; let"
                " the import be asked for again",
                task_id,
            )
        elif found is not None:
            LOG.error(
                "what task %s keeps of its caller's secrets was sealed for another task: its row was changed by hand,"
                " or forged",
                task_id,
            )
        else:
            LOG.error(
                "[imports] token_keys: no key opens what task %s keeps of its caller's secrets; give all nodes the same"
                " keys, and keep an old one until the imports that began with it have ended",
                task_id,
            )
        raise errors.SecretsUnreadable("the caller's token can't be read any more; the operator's log says why")

    def _opened(self, sealed: str) -> tuple[str, Mapping[str, str]] | None:
        if self._fernet is None:
            return None
        from cryptography.fernet import InvalidToken

        try:
            task_id, secrets = orjson.loads(self._fernet.decrypt(sealed))
        except InvalidToken:
            return None
        return task_id, secrets


def _fernet(keys: Sequence[str]) -> MultiFernet:
    from cryptography.fernet import Fernet, MultiFernet  # late: most deployments keep no token

    try:
        return MultiFernet([Fernet(x) for x in keys])
    except ValueError as exc:
        raise errors.ConfigError(
            "[imports] token_keys: a key is 32 random bytes in URL-safe Base64, such as the output of: "
            "openssl rand -base64 32 | tr '+/' '-_'"
        ) from exc
