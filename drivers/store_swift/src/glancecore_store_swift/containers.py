"""The containers of a store: whether they are there, making them, and the marker in one of them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import closing, suppress
from http import HTTPStatus

from swiftclient import ClientException

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.ports.store import MARKER, MARKER_SIZE, agreed
from glancecore_store_swift.account import Account
from glancecore_store_swift.cluster import Cluster
from glancecore_store_swift.places import Place, Places
from glancecore_store_swift.tempurl import key_header
from glancecore_store_swift.trouble import store_errors

LOG = logging.getLogger(__name__)


class Containers:
    """One that all images share, one for each beginning of the keys, or (multi-tenant) one for each image."""

    def __init__(self, store: str, conf: Section, places: Places, cluster: Cluster) -> None:
        self._store, self._conf, self._places, self._cluster = store, conf, places, cluster
        self._tenants: bool = conf.swift_store_multi_tenant
        self._made: set[str] = set()

    def create(self) -> None:
        if not self._tenants and self._conf.swift_store_create_container_on_put:
            try:
                self.look(self._places.account, "create")
            except errors.BlobNotFound:
                self.make(Place(self._places.account, self._conf.swift_store_container, ""))

    def prepare(self) -> None:
        """Raises ConfigError, PlaceMissing."""
        if self._tenants:
            self._check_tenants()
            return
        try:
            self.look(self._places.account, "start")
        except errors.BlobNotFound:
            if not self._conf.swift_store_create_container_on_put:
                raise errors.ConfigError(
                    f"[{self._store}] swift_store_container = {self._conf.swift_store_container} does not exist: make"
                    " it, or set swift_store_create_container_on_put = true"
                ) from None
            away = errors.PlaceMissing(f"store {self._store}: the container is gone", self._store, "start")
            away.add_note(
                f"[{self._store}] swift_store_container: {self._conf.swift_store_container} does not exist: bring it"
                " back, or name the right one"
            )
            raise away from None

    def look(self, account: Account, operation: str) -> None:
        """Raises BlobNotFound when the container is not there."""
        with account.connection(operation) as connection:
            if self._tenants:
                with suppress(errors.BlobNotFound), store_errors(self._store, operation):
                    connection.head_account()  # it comes with the first image
            elif self._conf.swift_store_multiple_containers_seed:
                connection.head_account()  # none of the containers must be there
            else:
                connection.head_container(self._conf.swift_store_container)

    def make(self, place: Place) -> None:
        """Once for each shared container in a process; making one that exists changes nothing."""
        if self._tenants:
            self._make_own(place)
        elif self._conf.swift_store_create_container_on_put and place.container not in self._made:
            with self._places.account.connection("put") as connection:
                connection.put_container(place.container)
            self._made.add(place.container)

    def unmake(self, place: Place, operation: str) -> None:
        """The image's own container goes with it, unless its owner has put something else there."""
        if not self._places.alone(place):
            return
        with suppress(errors.BlobNotFound), place.account.connection(operation) as connection:
            try:
                connection.delete_container(place.container)
            except ClientException as exc:
                if exc.http_status != HTTPStatus.CONFLICT:
                    raise
                LOG.info("store %s: container %s stays: it is not empty", self._store, place.container)

    def names(self) -> Iterator[str]:
        """Those that images are spread to, and what begins with the same name."""
        name, seed = self._conf.swift_store_container, self._conf.swift_store_multiple_containers_seed
        yield name
        marker = f"{name}_" if seed else ""
        while marker:
            with self._places.account.connection("list") as connection:
                page = connection.get_account(marker=marker, limit=1000, prefix=f"{name}_")[1]
            for container in page:
                yield container["name"]
            marker = page[-1]["name"] if page else ""

    # -- the marker: one for all containers, in the one whose name they begin with ------------------
    def marker(self) -> bytes | None:
        try:
            with self._places.account.connection("markers") as connection:
                _, pieces = connection.get_object(
                    self._conf.swift_store_container, MARKER, resp_chunk_size=MARKER_SIZE + 1
                )
                with closing(pieces):
                    content: bytes = next(pieces, b"")
                if len(content) > MARKER_SIZE:  # the rest is not read, so the connection can't be used again
                    raise errors.StoreUnavailable(
                        f"store {self._store}: what is named as its marker is none", self._store, "markers"
                    )
                return content
        except errors.BlobNotFound:
            return None

    def mark(self, content: bytes) -> bytes:
        container = self._conf.swift_store_container
        self.make(Place(self._places.account, container, MARKER))

        def write() -> None:
            with suppress(errors.BlobExists), self._places.account.connection("mark") as connection:
                connection.put_object(
                    container,
                    MARKER,
                    content,
                    len(content),
                    content_type="application/json",
                    headers={"If-None-Match": "*"},
                )

        found = agreed(self.marker, write)
        if found is None:
            raise errors.StoreUnavailable(
                f"the marker of store {self._store} was removed while it was made", self._store, "mark"
            )
        return found

    # -- inside ------------------------------------------------------------------------------------
    def _check_tenants(self) -> None:
        """May this login use other projects' accounts? Looking at one that is not there makes none."""
        if self._cluster.lacks("tempurl"):
            raise errors.ConfigError(
                f"[{self._store}] swift_store_multi_tenant: this Swift has no temporary URLs, which images in other"
                " accounts are read with: add tempurl to its proxy servers' pipeline"
            )
        try:
            with self._places.account.of("glancecore-may-it").connection("start") as connection:
                connection.head_account()
        except errors.BlobNotFound:
            return
        except errors.StoreForbidden as exc:
            login = self._places.account.login
            raise errors.ConfigError(
                f"[{self._store}] swift_store_multi_tenant: Swift lets {login.account}:{login.user} into no other"
                " project's account: give it the reseller admin role (tempauth: .reseller_admin; Keystone: the"
                " reseller_admin_role of Swift's keystoneauth)"
            ) from exc

    def _make_own(self, place: Place) -> None:
        who = ",".join(
            self._conf.swift_store_admin_tenants
            if self._places.account.login.version == "1"
            else [f"{project}:*" for project in self._conf.swift_store_admin_tenants]
        )
        access = {"X-Container-Read": who, "X-Container-Write": who} if who else {}
        try:
            with place.account.connection("put") as connection:
                connection.put_container(
                    place.container, headers={**key_header(place.account, place.container, self._conf), **access}
                )
        except errors.BlobNotFound as exc:
            raise errors.StoreForbidden(
                f"store {self._store}: the image's owner has no account in Swift, and Swift makes none: make it, or"
                " set account_autocreate in its proxy servers",
                self._store,
                "put",
            ) from exc
