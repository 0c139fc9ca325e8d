"""One Swift account: its login, shared by all threads, and connections that are used again."""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol
from urllib.parse import urlparse, urlsplit

import requests
from keystoneauth1.exceptions import CatalogException
from keystoneauth1.identity import v3
from keystoneauth1.session import Session as KeystoneSession
from swiftclient import Connection
from swiftclient.client import get_auth_1_0

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore_store_swift.logins import Login
from glancecore_store_swift.trouble import store_errors

#: Connections that are kept for later; more are made when more are needed at once.
KEPT = 4
#: Swift's answers that leave a connection as good as before: all of the request was read.
_HARMLESS = (errors.BlobNotFound, errors.BlobExists)


class Session(Protocol):
    """What swiftclient asks for URL and token, as often as it needs them."""

    def get_endpoint(self, **wanted: Any) -> str | None: ...
    def get_token(self) -> str | None: ...
    def get_project_id(self) -> str | None: ...
    def invalidate(self) -> bool: ...


class VersionOne:
    """Swift's own login, once for all threads; swiftclient itself would log in for each connection."""

    def __init__(self, login: Login, **settings: Any) -> None:
        self._login, self._settings = login, settings
        self._lock = threading.Lock()
        self._got: tuple[str, str] | None = None

    def get_endpoint(self, **_wanted: Any) -> str:
        return self._both()[0]

    def get_token(self) -> str:
        return self._both()[1]

    def get_project_id(self) -> str:
        return self._login.account

    def invalidate(self) -> bool:
        with self._lock:
            self._got = None
        return True

    def _both(self) -> tuple[str, str]:
        with self._lock:
            if self._got is None:
                user = f"{self._login.account}:{self._login.user}" if self._login.user else self._login.account
                self._got = get_auth_1_0(self._login.address, user, self._login.key, **self._settings)
            return self._got


class Account:
    """Thread-safe. ``retries``: how often a request that can be repeated is; ``timeout`` in seconds."""

    def __init__(self, store: str, conf: Section, login: Login, *, timeout: float, retries: int) -> None:
        self.store, self.login = store, login
        self._conf, self._timeout, self._retries = conf, timeout, retries
        self._tls = {"insecure": conf.swift_store_auth_insecure, "cacert": conf.swift_store_cacert or None}
        self._http = requests.Session()
        self._session = self._logged_in()
        self._idle: list[Connection] = []
        self._lock = (
            threading.RLock()
        )  # a forgotten reader gives its connection back whenever the garbage collector finds it
        #: None: the login's own.
        self.project: str | None = None

    def of(self, project: str) -> Account:
        """Another project's account, reached with this login and these connections."""
        other = copy.copy(self)
        other.project = project
        return other

    @property
    def storage_url(self) -> str:
        """Where the account's containers are, without a slash at its end. Logs in the first time.

        Raises ConfigError when there is no such place, StoreForbidden, StoreUnavailable.
        """
        return self._own_url if self.project is None else f"{self.all_accounts}{self.project}"

    @property
    def all_accounts(self) -> str:
        """What the storage URLs of all projects begin with: a project's id follows. Raises ConfigError when that can't
        be told."""
        server, _, own = self._own_url.rpartition("/")
        prefix: str = self._conf.swift_store_reseller_prefix
        if not prefix:
            with store_errors(self.store, "login"):
                project = self._session.get_project_id() or ""
            if not project or not own.endswith(project):
                raise errors.ConfigError(
                    f"[{self.store}] swift_store_multi_tenant: the storage URL of the service's own account does not"
                    " end with its project's id, so accounts of other projects can't be told: set"
                    " swift_store_reseller_prefix to what Swift puts before a project's id (AUTH_), and in Ceph's"
                    " gateway rgw_swift_account_in_url = true"
                )
            prefix = own.removesuffix(project)
        return f"{server}/{prefix}"

    @property
    def _own_url(self) -> str:
        url: str | None
        try:
            with store_errors(self.store, "login"):
                url = self._conf.swift_store_endpoint or self._session.get_endpoint(
                    service_type=self._conf.swift_store_service_type,
                    interface=self._conf.swift_store_endpoint_type,
                    region_name=self._conf.swift_store_region or None,
                )
        except errors.StoreError as exc:
            if not isinstance(exc.__cause__, CatalogException):
                raise
            url = None
        if not url:
            raise errors.ConfigError(
                f"[{self.store}] Keystone's catalogue has no {self._conf.swift_store_service_type} at"
                f" swift_store_endpoint_type = {self._conf.swift_store_endpoint_type}, swift_store_region ="
                f" {self._conf.swift_store_region or '(any)'}: correct them, or set swift_store_endpoint"
            )
        return url.rstrip("/")

    @property
    def path(self) -> str:
        """The account's path on the server: ``/v1/AUTH_0123``."""
        return urlsplit(self.storage_url).path

    @contextmanager
    def connection(self, operation: str, *, repeat: bool = True) -> Iterator[Connection]:
        """A connection for one thread. What it raises comes out as store errors. ``repeat``: may requests be sent
        again?"""
        connection = self.take(operation)
        connection.retries = self._retries if repeat else 0
        kept = False
        try:
            with store_errors(self.store, operation):
                yield connection
            kept = True
        except _HARMLESS:
            kept = True
            raise
        finally:
            self.give_back(connection, kept=kept)

    def take(self, operation: str) -> Connection:
        """A connection with the token of today, to be given back. Raises ConfigError, StoreForbidden,
        StoreUnavailable."""
        url = self.storage_url
        with store_errors(self.store, operation):
            token = self._session.get_token()
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = Connection(
                session=self._session,
                starting_backoff=0.2,
                max_backoff=5,
                timeout=self._timeout,
                os_options=self._wanted,
                retry_on_ratelimit=True,
                **self._tls,
            )
        connection.url, connection.token, connection.retries = url, token, self._retries
        # the client library would else fall back to the login's own account when it logs in again, and keeps the path
        # with the connection
        connection.os_options["object_storage_url"] = url
        if connection.http_conn is not None:
            connection.http_conn = urlparse(url), connection.http_conn[1]
        return connection

    def give_back(self, connection: Connection, *, kept: bool) -> None:
        if kept:
            with self._lock:
                if len(self._idle) < KEPT:
                    self._idle.append(connection)
                    return
        connection.close()

    def close(self) -> None:
        with self._lock:
            idle = list(self._idle)
            self._idle.clear()  # other projects' accounts have the same list
        for connection in idle:
            connection.close()
        self._http.close()

    @property
    def _wanted(self) -> Mapping[str, str | None]:
        return {
            "service_type": self._conf.swift_store_service_type,
            "endpoint_type": self._conf.swift_store_endpoint_type,
            "region_name": self._conf.swift_store_region or None,
            "object_storage_url": self._conf.swift_store_endpoint or None,
        }

    def _logged_in(self) -> Session:
        if self.login.version == "1":
            return VersionOne(self.login, timeout=self._timeout, **self._tls)
        password = v3.Password(
            auth_url=self.login.address,
            username=self.login.user,
            password=self.login.key,
            project_name=self.login.account,
            **self.login.user_domain,
            **self.login.project_domain,
        )
        verify = False if self._tls["insecure"] else self._tls["cacert"] or True
        return KeystoneSession(auth=password, session=self._http, verify=verify, timeout=self._timeout)
