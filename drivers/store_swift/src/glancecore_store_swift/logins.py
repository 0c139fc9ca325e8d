"""Who logs in where: the accounts that a store knows, from its options or from a file of references."""

from __future__ import annotations

import configparser
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from glancecore.domain import errors
from glancecore.ports.options import Section


@dataclass(frozen=True, slots=True)
class Login:
    """``address``: a URL without a slash at its end. ``account``: Keystone's project, or the account of version 1."""

    version: str
    address: str
    account: str
    user: str
    key: str
    #: Arguments of keystoneauth1's.
    user_domain: Mapping[str, Any]
    project_domain: Mapping[str, Any]

    def __repr__(self) -> str:
        return f"Login({self.account}:{self.user})"

    @property
    def host_and_path(self) -> str:
        """What an old location must begin with."""
        return self.address.partition("://")[2]


def logins(name: str, conf: Section) -> tuple[str, Mapping[str, Login]]:
    """The reference to write with, and the logins by reference. Raises ConfigError."""
    if not conf.swift_store_config_file:
        named = {"auth_address": "swift_store_auth_address", "user": "swift_store_user", "key": "swift_store_key"}
        values = {
            "auth_version": conf.swift_store_auth_version,
            **{key: getattr(conf, option) for key, option in named.items()},
        }
        return name, {name: _login(values, lambda key: f"[{name}] {named.get(key, key)}")}
    sections = _sections(f"[{name}] swift_store_config_file", conf.swift_store_config_file)
    if conf.default_swift_reference not in sections:
        raise errors.ConfigError(
            f"[{name}] default_swift_reference = {conf.default_swift_reference} is not in swift_store_config_file;"
            f" there are: {', '.join(sections) or 'none'}"
        )
    return conf.default_swift_reference, {
        reference: _login(
            {"auth_version": conf.swift_store_auth_version, **values},
            partial("swift_store_config_file, [{}] {}".format, reference),
        )
        for reference, values in sections.items()
    }


def _sections(option: str, path: str) -> Mapping[str, Mapping[str, str]]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(Path(path).read_text())
    except OSError as exc:
        raise errors.ConfigError(
            f"{option} = {path} can't be read ({(exc.strerror or '').lower()}): name a file that the service may read"
        ) from None
    except (configparser.Error, UnicodeDecodeError) as exc:
        raise errors.ConfigError(
            f"{option} = {path} is not a file of sections and values ({type(exc).__name__}): write [reference], then"
            " name = value"
        ) from None
    return {section: dict(parser[section]) for section in parser.sections()}


def _login(values: Mapping[str, str], option: Callable[[str], str]) -> Login:
    for key, what in (
        ("auth_address", "give the URL of the login"),
        ("user", "give project:user (version 1: account:user)"),
        ("key", "give the password"),
    ):
        if not values.get(key):
            raise errors.ConfigError(f"{option(key)}: it is empty; {what}")
    version = values["auth_version"]
    if version not in {"1", "3"}:
        raise errors.ConfigError(f"{option('auth_version')} = {version}: 1 and 3 are known; set one of them")
    account, _, user = values["user"].partition(":")
    if version == "3" and not user:
        raise errors.ConfigError(f"{option('user')}: give project:user")
    return Login(
        version,
        _address(values["auth_address"], version, option("auth_address")),
        account,
        user,
        values["key"],
        _domain(values, "user_domain"),
        _domain(values, "project_domain"),
    )


def _address(text: str, version: str, option: str) -> str:
    address = (text if "://" in text else f"https://{text}").rstrip("/")
    try:
        parts = urlsplit(address)
        good = (
            parts.scheme in {"http", "https"}
            and parts.hostname
            and not parts.query
            and not parts.fragment
            and parts.username is None
        )
        good = good and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise errors.ConfigError(
            f"{option} is no http or https URL: give one like https://keystone.example.org/v3, without user and"
            " password"
        )
    if version == "3" and not address.endswith("/v3"):
        address += "/v3"
    return address


def _domain(values: Mapping[str, str], kind: str) -> Mapping[str, str]:
    if name := values.get(f"{kind}_name"):
        return {f"{kind}_name": name}
    return {f"{kind}_id": values.get(f"{kind}_id") or "default"}
