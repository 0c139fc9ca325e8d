"""Temporary URLs: which key signs them."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote, urlsplit

from swiftclient.utils import generate_temp_url

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore_store_swift.account import Account
from glancecore_store_swift.places import Place

_CONTAINER = ("x-container-meta-temp-url-key", "x-container-meta-temp-url-key-2")
_ACCOUNT = ("x-account-meta-temp-url-key", "x-account-meta-temp-url-key-2")


def key_header(account: Account, container: str, conf: Section) -> Mapping[str, str]:
    """What gives a new container its key."""
    return {_CONTAINER[0]: conf.swift_store_temp_url_key or _derived(account, container)}


def confined(place: Place, seconds: float, conf: Section, about: Mapping[str, Any]) -> str:
    """The query of a request that reads the object and nothing outside of its container (or account, where only that
    has a key), whatever the sender's login may do: what lies there may be a link, which its owner has put there."""
    return temp_url(place, seconds, conf, about).partition("?")[2]


def temp_url(place: Place, seconds: float, conf: Section, about: Mapping[str, Any]) -> str:
    """``about``: what the cluster says of itself. Raises Unsupported when it has no temporary URLs."""
    store = place.account.store
    if about and "tempurl" not in about:
        raise errors.Unsupported(f"store {store}: this Swift has no temporary URLs", store, "presign")
    # servers that don't tell are older than the choice, and know SHA-1 only
    digests = about["tempurl"].get("allowed_digests", ["sha1"]) if about else ["sha256"]
    digest = next((each for each in ("sha256", "sha512", "sha1") if each in digests), "sha256")
    storage = place.account.storage_url
    signed = generate_temp_url(
        f"{place.account.path}/{place.container}/{place.key}",
        max(1, round(seconds)),
        _key(place, conf),
        "GET",
        digest=digest,
    )
    path, _, query = signed.partition("?")
    server = conf.swift_store_temp_url_endpoint.rstrip("/") or "{0.scheme}://{0.netloc}".format(urlsplit(storage))
    return f"{server}{quote(path)}?{query}"


def _key(place: Place, conf: Section) -> str:
    """The configured key, put on the container where neither it nor the account has it; else one that is there; else a
    new one.

    The new one is derived from the password, so that all processes make the same one.
    """
    account = place.account
    wanted: str = conf.swift_store_temp_url_key
    with account.connection("presign") as connection:
        container = connection.head_container(place.container)
        there = [container[name] for name in _CONTAINER if container.get(name)]
        if there and (not wanted or wanted in there):
            return wanted or str(there[0])
        whole = connection.head_account()
        others = [whole[name] for name in _ACCOUNT if whole.get(name)]
        if others and (not wanted or wanted in others):
            return wanted or str(others[0])
        free = next((name for name in _CONTAINER if not container.get(name)), None)
        if free is None:
            raise errors.StoreForbidden(
                f"store {account.store}: swift_store_temp_url_key is neither of the container's two keys",
                account.store,
                "presign",
            )
        key = wanted or _derived(account, place.container)
        connection.post_container(place.container, {free: key})
        return key


def _derived(account: Account, container: str) -> str:
    return hmac.new(
        account.login.key.encode(), f"temp-url {account.path}/{container}".encode(), hashlib.sha256
    ).hexdigest()
