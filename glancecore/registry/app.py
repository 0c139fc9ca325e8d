"""The WSGI application of the private metadata service: one POST is one call of the database port.

    POST /2/images/find     body: the arguments, in order, as JSON · 200: the result as JSON
    GET  /2                 what is served: {"release", "protocol", "calls": {name: shape}}
    GET  /instance          nothing; its header tells which process answers on this connection
    GET  /healthcheck, /healthcheck/ready, /metrics

An error of the domain is answered with 409 and the error itself: {"error": class, "message", "fields"}. Everything else
than 200 and 409 is about the call and not about its outcome; the body is {"refused": code, "message"}. How calls and
answers are proved: ``sdk.registry.signing``."""

from __future__ import annotations

import importlib.metadata
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from oslo_context import context as log_context

from glancecore.domain import errors
from glancecore.kernel import metrics
from glancecore.ports.http import Lane
from glancecore.ports.repository import Database
from glancecore.registry.probes import Probes
from glancecore.registry.replays import Replays
from glancecore.sdk.registry import codec as wire
from glancecore.sdk.registry import signing as proof
from glancecore.sdk.registry.calls import OWN, PROTOCOL, Call, calls, repositories

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

LOG = logging.getLogger(__name__)
_JSON = "application/json"
_CLAIMED = (proof.SHAPE, proof.TIME, proof.DIGEST, proof.CALLER, proof.NUMBER, proof.INSTANCE)


@dataclass(frozen=True, slots=True)
class RegistrySettings:
    """``secrets``: any of them is good; none: everybody who reaches the socket may call."""

    secrets: Sequence[str] = ()
    max_body: int = 32 << 20


def lane_of(_method: str, path: str) -> Lane:
    """Which of the server's threads a request takes."""
    return Lane.PROBE if path.startswith(("/healthcheck", "/metrics")) else Lane.QUICK


class Refused(Exception):
    """The call is not carried out."""

    def __init__(self, status: HTTPStatus, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class RegistryApp:
    def __init__(self, database: Database, settings: RegistrySettings, probes: Probes) -> None:
        self._settings = settings
        self._probes = probes
        self._replays = Replays()
        self._served: dict[str, tuple[Call, Any]] = {}
        for call in calls().values():
            target = database if call.repository == OWN else getattr(database, call.repository, None)
            if target is not None:
                self._served[f"/{PROTOCOL}/{call.name}"] = call, getattr(target, call.method)
        self._hello = wire.dumps(
            {
                "release": _release(),
                "protocol": PROTOCOL,
                "calls": {call.name: call.shape for call, _ in self._served.values()},
                "repositories": [x for x in repositories() if getattr(database, x, None) is not None],
            }
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start = time.perf_counter()
        path = environ["PATH_INFO"]
        found = self._served.get(path)
        name, outcome = (found[0].name if found else "other"), "ok"
        probe = self._probes.answer(environ) if found is None else None
        if probe is not None:
            return _send(start_response, *probe)
        log_context.RequestContext(request_id=environ.get("HTTP_X_OPENSTACK_REQUEST_ID") or None, overwrite=True)
        call = None
        try:
            call = self._proved(environ, path)
            if call.secret is not None:
                self._check(call)
            body = self._body(environ)
            if call.secret is not None and proof.digest(body) != call.claim.digest:
                raise Refused(HTTPStatus.BAD_REQUEST, "digest", "the body is not the one that the proof covers")
            if found is not None:
                status, answer = self._run(environ, *found, body)
            elif path == f"/{PROTOCOL}":
                status, answer = HTTPStatus.OK, self._hello
            elif path == proof.INSTANCE_PATH:
                status, answer = HTTPStatus.OK, b"{}"
            else:
                raise _unknown(path)
            if status is not HTTPStatus.OK:
                outcome = "error"
        except Refused as exc:
            status, answer, outcome = exc.status, wire.dumps({"refused": exc.code, "message": str(exc)}), exc.code
            LOG.warning("call %s from %s is refused: %s", name, environ.get("REMOTE_ADDR", "?"), exc)
        except Exception:  # the caller learns that it is ours, the log learns what
            LOG.exception("call %s failed", name)
            status, outcome = HTTPStatus.INTERNAL_SERVER_ERROR, "failed"
            answer = wire.dumps({"refused": "failed", "message": "the registry failed; its log says why"})
        metrics.REGISTRY_CALLS.labels(name, outcome).inc()
        metrics.REGISTRY_SECONDS.labels(name).observe(time.perf_counter() - start)
        more = [(proof.INSTANCE, self._replays.instance)]
        if call is not None and call.secret is not None:
            more.append((proof.PROOF, proof.of_answer(call.secret, call.given, status, answer)))
        return _send(start_response, status, _JSON, answer, more)

    def _run(self, environ: WSGIEnvironment, call: Call, run: Any, body: bytes) -> tuple[HTTPStatus, bytes]:
        if environ["REQUEST_METHOD"] != "POST":
            raise Refused(HTTPStatus.METHOD_NOT_ALLOWED, "method", "calls are sent by POST")
        if environ.get("HTTP_GLANCE_SHAPE") != call.shape:
            raise Refused(
                HTTPStatus.UPGRADE_REQUIRED,
                "protocol",
                f"{call.name} is made of other values here (release {_release()}): install the same release on both"
                " sides",
            )
        try:
            arguments = call.read_request(body)
        except (AttributeError, KeyError, TypeError, ValueError) as exc:
            raise Refused(HTTPStatus.BAD_REQUEST, "malformed", f"{call.name}: the arguments can't be read") from exc
        if not call.fits(arguments):
            raise Refused(HTTPStatus.BAD_REQUEST, "malformed", f"{call.name}: too few or too many arguments")
        try:
            return HTTPStatus.OK, call.answer(call.run(run, arguments))
        except errors.GlanceError as exc:
            if isinstance(exc, errors.DatabaseUnavailable):  # the driver tells an outage once
                LOG.debug("%s: %s", call.name, exc, exc_info=exc.__cause__)
            return HTTPStatus.CONFLICT, wire.dumps(wire.error_value(exc))
        except ValueError as exc:  # what the port calls the caller's mistake
            return HTTPStatus.CONFLICT, wire.dumps({"error": "ValueError", "message": str(exc), "fields": {}})

    def _body(self, environ: WSGIEnvironment) -> bytes:
        given = environ.get("CONTENT_LENGTH") or "0"
        if environ.get("HTTP_TRANSFER_ENCODING") or not given.isdecimal():
            raise Refused(HTTPStatus.LENGTH_REQUIRED, "length", "calls are sent with a Content-Length")
        length = int(given)
        if length > self._settings.max_body:
            raise Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "too_large",
                f"{length} bytes; [registry] max_body is {self._settings.max_body}",
            )
        body = bytearray()
        while len(body) < length:
            piece = environ["wsgi.input"].read(length - len(body))
            if not piece:
                raise Refused(HTTPStatus.BAD_REQUEST, "truncated", "the body ended before its length")
            body += piece
        return bytes(body)

    def _proved(self, environ: WSGIEnvironment, path: str) -> _Proved:
        """By the header alone: a stranger's body is not read. Raises Refused unless the caller knows a secret, when
        there are any."""
        given, claim = environ.get("HTTP_GLANCE_PROOF", ""), _claim(environ, path)
        if not self._settings.secrets:
            return _Proved(given, claim, None)
        secret = proof.prover(self._settings.secrets, claim, given)
        if secret is None:
            raise Refused(HTTPStatus.UNAUTHORIZED, "secret", "the call is not proved by a secret of [registry] secrets")
        return _Proved(given, claim, secret)

    def _check(self, call: _Proved) -> None:
        """Raises Refused for a call that was proved at another time, for another process, or has been here before."""
        claim = call.claim
        if not _is_number(claim.time) or abs(time.time() - int(claim.time)) > proof.LEEWAY:
            raise Refused(
                HTTPStatus.UNAUTHORIZED,
                "clock",
                f"the clocks of the two machines differ by more than {proof.LEEWAY} seconds",
            )
        if claim.instance != ("" if claim.path == proof.INSTANCE_PATH else self._replays.instance):
            raise Refused(
                HTTPStatus.MISDIRECTED_REQUEST,
                "instance",
                "the call is for another process of a registry; a balancer "
                "between must hand on connections, not requests",
            )
        if not _is_number(claim.number) or not self._replays.first(claim.caller, int(claim.number)):
            raise Refused(HTTPStatus.UNAUTHORIZED, "replay", "the call has been here before")


@dataclass(frozen=True, slots=True)
class _Proved:
    """The proof ``given`` of ``claim``, and the secret that it was made with; None: nothing is proved here."""

    given: str
    claim: proof.Claim
    secret: str | None


def _claim(environ: WSGIEnvironment, path: str) -> proof.Claim:
    return proof.claimed(path, {x: environ.get("HTTP_" + x.upper().replace("-", "_"), "") for x in _CLAIMED})


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 20


def _send(
    start_response: StartResponse, status: HTTPStatus, kind: str, body: bytes, more: Sequence[tuple[str, str]] = ()
) -> Iterable[bytes]:
    headers = [("Content-Type", kind), ("Content-Length", str(len(body))), (proof.SERVED, str(PROTOCOL)), *more]
    start_response(f"{status.value} {status.phrase}", headers)
    return [body]


def _unknown(path: str) -> Refused:
    version = path.split("/")[1] if path.count("/") else ""
    if version.isdecimal() and int(version) != PROTOCOL:
        return Refused(
            HTTPStatus.UPGRADE_REQUIRED,
            "protocol",
            f"protocol {version} is not spoken here but {PROTOCOL} "
            f"(release {_release()}): install the same release on both sides",
        )
    return Refused(HTTPStatus.NOT_FOUND, "unknown", "no such call")


def _release() -> str:
    return importlib.metadata.version("glancecore")
