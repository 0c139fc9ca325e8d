"""One receiver over HTTP: a kept connection, a deadline for everything, no redirects, no proxy of the environment."""

from __future__ import annotations

import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult

from glancecore.sdk.deadline import Deadline

#: Bytes of an answer's body that are read so that the connection can be used again; nobody looks at them.
_SMALL = 1 << 16
#: What a kept connection says when the receiver has closed it meanwhile.
_STALE = (http.client.RemoteDisconnected, ConnectionResetError, BrokenPipeError, ConnectionAbortedError)
#: Seconds after which a kept connection is not tried again: most receivers have closed it.
_IDLE = 20.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    reason: str
    retry_after: str


class Unanswered(Exception):
    """No answer came; the text says why."""


class Poster:
    """Not thread-safe."""

    def __init__(self, url: SplitResult, timeout: float, tls: ssl.SSLContext | None) -> None:
        self._url = url
        self._path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        self._timeout = timeout
        self._tls = tls
        self._kept: http.client.HTTPConnection | None = None
        self._used = 0.0

    def post(self, body: bytes, headers: Mapping[str, str]) -> Answer:
        """Raises Unanswered."""
        end = time.monotonic() + self._timeout
        kept, self._kept = self._kept, None
        if kept is not None and time.monotonic() - self._used < _IDLE:
            try:
                return self._exchange(kept, body, headers, end)
            except _STALE:
                kept.close()  # once more on a new one: the receiver knows the event by its id
            except Exception:
                kept.close()
                raise
        elif kept is not None:
            kept.close()
        connection = self._connection()
        try:
            return self._exchange(connection, body, headers, end)
        except _STALE as exc:
            connection.close()
            raise Unanswered(f"the connection broke off: {_reason(exc)}") from exc
        except BaseException:
            connection.close()
            raise

    def close(self) -> None:
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    # -- inside ------------------------------------------------------------------------------------
    def _connection(self) -> http.client.HTTPConnection:
        host = self._url.hostname or ""
        if self._tls is not None:
            return http.client.HTTPSConnection(host, self._url.port, timeout=self._timeout, context=self._tls)
        return http.client.HTTPConnection(host, self._url.port, timeout=self._timeout)

    def _exchange(
        self, connection: http.client.HTTPConnection, body: bytes, headers: Mapping[str, str], end: float
    ) -> Answer:
        try:
            if connection.sock is None:
                connection.connect()
            with Deadline(end) as deadline:
                deadline.watch(connection.sock)
                try:
                    connection.request("POST", self._path, body, {**headers, "Connection": "keep-alive"})
                    answer = connection.getresponse()
                    rest = answer.read(_SMALL)
                except Exception:
                    if deadline.passed:
                        raise Unanswered(f"no answer within {self._timeout:g} seconds") from None
                    raise
        except _STALE:
            raise
        except TimeoutError as exc:
            raise Unanswered(f"no answer within {self._timeout:g} seconds") from exc
        except (OSError, http.client.HTTPException, ValueError) as exc:
            raise Unanswered(_reason(exc)) from exc
        if len(rest) < _SMALL and answer.isclosed() and not answer.will_close:
            self._kept, self._used = connection, time.monotonic()
        else:
            connection.close()
        return Answer(answer.status, answer.reason, answer.getheader("Retry-After") or "")


def _reason(exc: BaseException) -> str:
    if isinstance(exc, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {exc.verify_message}"
    return getattr(exc, "strerror", None) or str(exc) or type(exc).__name__
