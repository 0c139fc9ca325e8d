"""Locations: where an image is, and which texts say so."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, unquote

from glancecore.domain import errors
from glancecore_store_swift.account import Account

KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,99}")
_URL = re.compile(r"swift(\+config|\+https?|)://([^\s?#]+)/([^/\s?#]+)/([^/\s?#]+)", re.ASCII)
#: Glance shards by up to 32 characters.
_MOST_SEED = 32
#: Projects that can have an account. Swift decodes paths before it takes them apart: no other character is safe.
_OWNER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Place:
    account: Account
    container: str
    key: str


class Places:
    """The containers of one store: one, or one for each beginning of the keys, or (``tenants``) one for each key, in
    the account of its owner."""

    def __init__(
        self, store: str, reference: str, accounts: Mapping[str, Account], container: str, seed: int, *, tenants: bool
    ) -> None:
        self._store, self._reference, self._accounts = store, reference, accounts
        self._container, self._seed, self._tenants = container, seed, tenants

    @property
    def account(self) -> Account:
        """The one that new images are written with."""
        return self._accounts[self._reference]

    @property
    def name(self) -> str:
        """Without the scheme: all that lies below is this store's."""
        root = f"{self.account.all_accounts}*" if self._tenants else self.account.storage_url
        return f"{root.partition('://')[2]}/{self._container}"

    def of(self, key: str, owner: str | None = None) -> Place:
        """Where a new image goes. Without an owner: to the service's own account. Raises StoreForbidden."""
        if self._tenants:
            return self._own_container(key, owner)
        return Place(self.account, f"{self._container}_{key[: self._seed]}" if self._seed else self._container, key)

    def url(self, place: Place) -> str:
        """Names the account by its reference, as Glance does with a file of references: no credentials, and the host
        may move. A project's account is named by its storage URL, as Glance does, too."""
        if self._tenants:
            return f"swift+{place.account.storage_url}/{quote(place.container, safe='')}/{place.key}"
        return (
            f"swift+config://{quote(self._name(place.account), safe='')}/{quote(place.container, safe='')}/{place.key}"
        )

    def find(self, url: str, operation: str) -> Place:
        """What the location means. Texts are compared with texts; nothing is decoded but the user of an old one.

        Read are ``swift+config://reference/container/key``, and what Glance wrote without a file of references:
        ``swift+https://user:key@login/container/key``, and ``swift+https://storage-url/container/key`` (multi-tenant).
        The password in a location is not looked at: it may have been changed since."""
        found = _URL.fullmatch(url)
        if found:
            form, where, container, key = found.groups()
            if self._tenants and (owned := self._owned(url, where, key)):
                return owned
            account = self._accounts.get(unquote(where)) if form == "+config" else self._named(where)
            if account is not None and KEY.fullmatch(key):
                for own in self._containers(key):
                    if container in {own, quote(own, safe="")}:
                        return Place(account, own, key)
        raise errors.BadLocation(f"not a location of store {self._store}", self._store, operation)

    def alone(self, place: Place) -> bool:
        """Has the image a container of its own?"""
        return self._tenants and place.container == f"{self._container}_{place.key}"

    @staticmethod
    def possible(owner: str | None) -> bool:
        return not owner or _OWNER.fullmatch(owner) is not None

    def owns(self, container: str, key: str) -> bool:
        return container in self._containers(key)

    def _own_container(self, key: str, owner: str | None) -> Place:
        if not self.possible(owner):
            raise errors.StoreForbidden(
                f"store {self._store}: the image's owner can have no account in Swift: its id must be letters, digits "
                "and . _ -",
                self._store,
            )
        return Place(self.account.of(owner) if owner else self.account, f"{self._container}_{key}", key)

    def _owned(self, url: str, where: str, key: str) -> Place | None:
        """An image in its owner's account. Only one text names it: who may add locations can't name another project's
        image by another text than the recorded one."""
        begin = self.account.all_accounts.partition("://")[2]
        owner = where.removeprefix(begin)
        if where.startswith(begin) and _OWNER.fullmatch(owner) and KEY.fullmatch(key):
            place = self._own_container(key, owner)
            if url == self.url(place):
                return place
        return None

    def _containers(self, key: str) -> list[str]:
        """While images are spread, also those of other seeds: the operator may change it. With tenants, also those of
        before."""
        seeds = range(1, min(_MOST_SEED, len(key)) + 1) if self._seed or self._tenants else ()
        return [self._container, *(f"{self._container}_{key[:seed]}" for seed in seeds)]

    def _name(self, account: Account) -> str:
        """The account's reference. Several may lead to one account: then the one that new images are written with, or
        the first by name, so that a blob has one location. Only of the others is it asked where they lead."""
        for reference in (self._reference, *sorted(self._accounts)):
            known = self._accounts[reference]
            if known is account or known.storage_url == account.storage_url:
                return reference
        raise errors.BadLocation(f"not a location of store {self._store}", self._store)

    def _named(self, where: str) -> Account | None:
        who, at, there = where.rpartition("@")
        for account in self._accounts.values():
            if at:
                user = unquote(who.partition(":")[0]).partition(":")[0]
                if there == account.login.host_and_path and user == account.login.account:
                    return account
            elif there == account.storage_url.partition("://")[2]:
                return account
        return None
