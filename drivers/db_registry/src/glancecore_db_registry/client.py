"""The client of the metadata service: kept connections, proofs, repeats, and its answers as results and errors.

Three things can go wrong: no connection is had (nothing was done: tried again, also elsewhere), it breaks before the
answer (the outcome is unknown: repeated when the call bears it), or the answer refuses the call (never repeated)."""

from __future__ import annotations

import logging
import os
import ssl
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

import urllib3
from oslo_context import context as log_context
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential, wait_random
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ReadTimeoutError, SSLError
from urllib3.exceptions import TimeoutError as LateError

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore.sdk import tracing
from glancecore.sdk.registry import codec as wire
from glancecore.sdk.registry import signing as proof
from glancecore.sdk.registry.calls import PROTOCOL, Call, calls
from glancecore.sdk.tracing import SpanKind
from glancecore_db_registry.connections import NotMet, PlainConnection, TlsConnection
from glancecore_db_registry.proving import Prover, Unproved

LOG = logging.getLogger(__name__)

_AWAY = "the metadata service can't be reached at the moment"
UNKNOWN = (
    "the connection to the metadata service broke while a change was being saved: it may or may not have been saved"
)
#: A proxy's answers that say: nobody there.
_NOBODY = frozenset({502, 503})


class NotSent(Exception):
    """The service knows nothing of the call."""


class Lost(Exception):
    """The service may have carried the call out; its answer did not arrive."""


class Refusal(Exception):
    """The service has not carried the call out, and would not the next time: the operator must do something."""


class RegistryClient:
    """Thread-safe. Raises ConfigError for wrong options at once; connects at the first use, and anew in a forked
    child."""

    def __init__(self, conf: Section) -> None:
        self._conf = conf
        self._urls = [_checked(x) for x in conf.registry_urls]
        if not self._urls:
            raise errors.ConfigError("[database] registry_urls: name at least one, such as http://127.0.0.1:9191")
        for name in ("registry_ca_file", "registry_cert_file", "registry_key_file"):
            path = getattr(conf, name)
            if path and not os.access(path, os.R_OK):
                raise errors.ConfigError(
                    f"[database] {name} = {path}: the file can't be read; name one that the service may read"
                )
        if bool(conf.registry_cert_file) != bool(conf.registry_key_file):
            raise errors.ConfigError("[database] registry_cert_file and registry_key_file: set both, or none")
        self._secret: str | None = conf.registry_secret
        self._process = 0
        self._pools: list[urllib3.HTTPConnectionPool] = []
        self._at = 0
        #: No attempt has reached it lately: then one is enough, so that users' requests don't pile up.
        self._away = False
        self._retrying = Retrying(
            stop=self._enough,
            wait=wait_exponential(0.1, max=1) + wait_random(0, 0.1),
            retry=retry_if_exception_type((NotSent, Lost)),
            reraise=True,
        )
        self._retrying_unsent = self._retrying.copy(retry=retry_if_exception_type(NotSent))

    def run(self, call: Call, args: Sequence[Any]) -> Any:
        """The call's result. Raises its errors, and DatabaseUnavailable."""
        try:
            return self.once(call, args, repeat=call.repeatable)
        except Lost as exc:
            raise errors.DatabaseUnavailable(_AWAY if call.repeatable else UNKNOWN) from exc

    def once(self, call: Call, args: Sequence[Any], *, repeat: bool) -> Any:
        """The same, but Lost when the outcome can't be known; ``repeat``: unless another attempt tells it."""
        with tracing.span(f"registry {call.name}", SpanKind.CLIENT):
            return self._once(call, args, repeat=repeat)

    def _once(self, call: Call, args: Sequence[Any], *, repeat: bool) -> Any:
        body = call.request(args)
        path = f"/{PROTOCOL}/{call.name}"
        try:
            status, answer = (self._retrying if repeat else self._retrying_unsent)(self._post, path, call.shape, body)
        except NotSent as exc:
            raise errors.DatabaseUnavailable(_AWAY) from exc
        except Refusal as exc:
            LOG.error("the metadata service refuses %s: %s", call.name, exc)
            raise errors.DatabaseUnavailable("the metadata service refuses this node; its operator must look") from exc
        if status == 200:
            return call.read_answer(answer)
        value = wire.loads(answer)
        if value["error"] == "ValueError":
            raise ValueError(value["message"])
        raise wire.error_of(value)

    def handshake(self) -> Mapping[str, Any]:
        """What the service serves. Raises ConfigError when this node can't work with it, DatabaseUnavailable."""
        try:
            _, answer = self._retrying(self._post, f"/{PROTOCOL}", "", b"")
        except (NotSent, Lost) as exc:
            cause = exc.__cause__
            if isinstance(cause, NotMet):
                cause = cause.__cause__ or cause
            if isinstance(cause, SSLError):
                raise errors.ConfigError(
                    f"[database] registry_ca_file, registry_cert_file: TLS with the registry fails: {cause}; give the"
                    " authority of its certificate, and a certificate that its ca_file has signed"
                ) from exc
            if isinstance(cause, Unproved):
                raise errors.ConfigError(
                    "[database] registry_secret is set, but what answers at registry_urls does not prove that it knows"
                    " it; set it in [registry] secrets of glance-registry.conf"
                ) from exc
            LOG.error("the metadata service at %s can't be used: %s", ", ".join(self._urls), cause)
            raise errors.DatabaseUnavailable(_AWAY) from exc
        except Refusal as exc:
            raise errors.ConfigError(str(exc)) from exc
        found: Mapping[str, Any] = wire.loads(answer)
        served = found["calls"]
        absent = {x.repository for x in calls().values()} - set(found["repositories"]) - {"database"}
        strange = sorted(
            x.name for x in calls().values() if served.get(x.name) != x.shape and x.repository not in absent
        )
        if strange:
            raise errors.ConfigError(
                f"[database] registry_urls: the registry is of release {found['release']} and does not serve "
                f"{', '.join(strange)} as this node means it; install the same release on both sides"
            )
        return found

    def close(self) -> None:
        pools, self._pools = self._pools, []
        if self._process == os.getpid():
            for pool in pools:
                pool.close()

    # -- how ---------------------------------------------------------------------------------------
    def _enough(self, state: RetryCallState) -> bool:
        enough = self._away or state.attempt_number >= self._conf.registry_attempts
        self._away = enough and isinstance(state.outcome.exception() if state.outcome else None, NotSent)
        return enough

    def _post(self, path: str, shape: str, body: bytes) -> tuple[int, bytes]:
        """Status 200 or 409 and the body. Raises NotSent, Lost, Refusal."""
        pools = self._connected()
        at = self._at % len(pools)
        try:
            answer = pools[at].urlopen(
                "POST" if shape else "GET", path, body or None, _headers(shape), retries=False, redirect=False
            )
        except NotMet as exc:
            self._at = at + 1
            if proof.SERVED in exc.headers:
                raise self._refusal(exc.status, exc.body) from exc
            raise NotSent from exc
        except Unproved as exc:
            self._at = at + 1
            raise Lost from exc
        except (NewConnectionError, ConnectTimeoutError) as exc:
            self._at = at + 1
            raise NotSent from exc
        except (
            SSLError
        ) as exc:  # also a connection that breaks: only a refused certificate surely comes before the call
            self._at = at + 1
            raise (NotSent if isinstance(exc.args[0], ssl.SSLCertVerificationError) else Lost) from exc
        except (LateError, ReadTimeoutError) as exc:
            raise errors.DatabaseUnavailable(f"the metadata service did not answer in time; {_may(path)}") from exc
        except (HTTPError, OSError) as exc:
            self._at = at + 1
            raise Lost from exc
        if proof.SERVED not in answer.headers:
            self._at = at + 1
            raise (NotSent if answer.status in _NOBODY else Lost) from _Foreign(
                f"HTTP {answer.status} from something that is no registry"
            )
        self._away = False
        if answer.status in (200, 409):
            return answer.status, answer.data
        if answer.status == HTTPStatus.MISDIRECTED_REQUEST:
            raise NotSent from _Foreign(
                "the connection is handed on to several processes in turn; a balancer must hand on connections, not"
                " requests"
            )
        raise self._refusal(answer.status, answer.data)

    def _refusal(self, status: int, body: bytes) -> Exception:
        refused, message = "", ""
        try:
            value = wire.loads(body)
            refused, message = value["refused"], value["message"]
        except (KeyError, ValueError, TypeError):
            pass
        if refused == "secret":
            told = "is not set" if not self._secret else "is none of its secrets"
            return Refusal(
                f"[database] registry_secret: the registry refuses this node: the secret {told}; set one of [registry]"
                " secrets"
            )
        if refused == "clock":
            return Refusal(f"the registry refuses this node: {message}; let both follow one time server")
        if refused == "too_large":
            return errors.TooLarge("the change is larger than the metadata service takes")
        if refused == "failed":
            return RuntimeError(message)
        return Refusal(f"[database] registry_urls: the registry refuses this node ({status}): {message}")

    def _connected(self) -> list[urllib3.HTTPConnectionPool]:
        # sockets of the parent process are not ours to use or to close
        if self._process != os.getpid() or not self._pools:
            prover = Prover(self._secret) if self._secret else None
            self._pools, self._process = [self._pool(x, prover) for x in self._urls], os.getpid()
        return self._pools

    def _pool(self, url: str, prover: Prover | None) -> urllib3.HTTPConnectionPool:
        conf, parts = self._conf, urlsplit(url)
        common: dict[str, Any] = {
            "prover": prover,
            "port": parts.port or 9191,
            "maxsize": conf.registry_pool_size,
            "timeout": urllib3.Timeout(connect=conf.registry_connect_timeout, read=conf.registry_timeout),
        }
        if parts.scheme == "http":
            return PlainPool(parts.hostname or "", **common)
        return TlsPool(
            parts.hostname or "",
            **common,
            cert_reqs="CERT_REQUIRED",
            ca_certs=conf.registry_ca_file,
            cert_file=conf.registry_cert_file,
            key_file=conf.registry_key_file,
        )


def _headers(shape: str) -> dict[str, str]:
    headers = {proof.SHAPE: shape, "Content-Type": "application/json"}
    current = log_context.get_current()
    if current is not None and current.request_id:
        headers["X-OpenStack-Request-Id"] = current.request_id
    return headers


class PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = PlainConnection


class TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = TlsConnection


class _Foreign(Exception):
    """Somebody else answered."""


def _may(path: str) -> str:
    found = calls().get(path.partition(f"/{PROTOCOL}/")[2])
    return "nothing is changed by that" if found is None or found.reads else "the change may or may not have been saved"


def _checked(url: str) -> str:
    parts = urlsplit(url)
    try:
        good = (
            parts.scheme in ("http", "https")
            and bool(parts.hostname)
            and parts.path in ("", "/")
            and not parts.username
        )
        parts.port  # noqa: B018 (raises when it is no number)
    except ValueError:
        good = False
    if not good:
        raise errors.ConfigError(
            "[database] registry_urls: give http://host:port or https://host:port, without user and path"
        )
    return url
