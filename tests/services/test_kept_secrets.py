"""Callers' tokens in the database: sealed, for one task, with keys that can be changed."""

from __future__ import annotations

import logging

import pytest
from cryptography.fernet import Fernet

from glancecore.domain import errors
from glancecore.features.imports.kept_secrets import KeptSecrets

OLD, NEW = (Fernet.generate_key().decode() for _ in range(2))
SECRETS = {"token": "gAAAA-a-token-of-keystone"}


def test_what_is_stored_shows_nothing_and_can_be_opened() -> None:
    stored = KeptSecrets([NEW]).seal("task-1", SECRETS)
    assert "keystone" not in repr(stored)
    assert KeptSecrets([NEW]).open("task-1", {"roles": "member", **stored}) == SECRETS


def test_keys_are_changed_one_node_after_the_other() -> None:
    before = KeptSecrets([OLD]).seal("task-1", SECRETS)
    for keys in ([OLD, NEW], [NEW, OLD]):
        assert KeptSecrets(keys).open("task-1", before) == SECRETS
    assert KeptSecrets([NEW]).open("task-1", KeptSecrets([NEW, OLD]).seal("task-1", SECRETS)) == SECRETS, (
        "the first seals"
    )


def test_without_keys_nothing_is_kept() -> None:
    assert KeptSecrets().seal("task-1", SECRETS) == {}
    assert KeptSecrets().open("task-1", {"roles": "member"}) == {}
    assert KeptSecrets([NEW]).seal("task-1", {}) == {}


@pytest.mark.parametrize(
    ("keys", "task", "why"),
    [
        ([OLD], "task-1", "give all nodes the same keys"),
        ([], "task-1", "give all nodes the same keys"),
        ([NEW], "task-2", "sealed for another task"),
    ],
    ids=["another key", "no key", "another task"],
)
def test_what_cannot_be_opened_is_told_to_the_operator(
    keys: list[str], task: str, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    stored = KeptSecrets([NEW]).seal("task-1", SECRETS)
    with caplog.at_level(logging.ERROR), pytest.raises(errors.SecretsUnreadable, match="the operator's log says why"):
        KeptSecrets(keys).open(task, stored)
    assert why in caplog.text
    assert task in caplog.text


@pytest.mark.parametrize("keys", [[], [NEW]], ids=["no key", "a key"])
def test_what_an_older_release_kept_in_clear_is_not_lost_without_a_word(
    keys: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(errors.SecretsUnreadable, match="the operator's log says why"):
        KeptSecrets(keys).open("task-1", {"roles": "member", **SECRETS})
    assert "task-1" in caplog.text
    assert "older release" in caplog.text
    assert SECRETS["token"] not in caplog.text


@pytest.mark.parametrize("key", ["", "short", NEW[:-2], "ä" * 44], ids=["empty", "short", "cut", "no letters of it"])
def test_what_is_no_key_stops_the_start(key: str) -> None:
    with pytest.raises(errors.ConfigError, match=r"\[imports\] token_keys.*openssl rand"):
        KeptSecrets([key])
