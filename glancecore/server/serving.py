"""What a thread does with a request: parse it, run the application, read its body, and send what the client takes at
once."""

from __future__ import annotations

import enum
import time
from datetime import datetime
from typing import Any

from gunicorn import http
from gunicorn.http import wsgi
from gunicorn.http.body import ChunkedReader, LengthReader

from glancecore.ports.auth import REPEATED
from glancecore.ports.http import Lane
from glancecore.sdk import log_lines
from glancecore.server.answer import Answer, BufferedResponse
from glancecore.server.body import LengthBody
from glancecore.server.connection import Connection
from glancecore.server.limits import ServerLimits
from glancecore.server.paced_socket import TICK, PacedSocket

#: Bytes of an answer that a thread for quick requests sends itself.
QUICK_ANSWER = 1 << 20


class Served(enum.Enum):
    """What a thread leaves to the loop."""

    #: The answer is sent, and another request may come.
    KEEP = enum.auto()
    #: It is sent, and the connection ends.
    LAST = enum.auto()
    #: The client takes no more at the moment.
    PARKED = enum.auto()
    #: The connection is of no use any more.
    GONE = enum.auto()


class Serving:
    """``worker``: gunicorn's, which has the application, the configuration and the log."""

    def __init__(self, worker: Any, limits: ServerLimits) -> None:
        self._worker = worker
        self._limits = limits

    def serve(self, connection: Connection) -> Served:
        request = None
        log_lines.of_nobody()
        connection.wait(connection.slow)
        try:
            if connection.parser is None:
                connection.parser = http.get_parser(
                    self._worker.cfg, PacedSocket(connection.sock, self._limits.pace), connection.client
                )
            unreader = connection.parser.unreader
            unreader.sock.begin(self._limits.pace, waits=connection.slow)
            unreader.unread(connection.take())
            request = next(connection.parser)
            if not request:
                return Served.GONE
            self._answer(connection, request)
        except (http.errors.NoMoreData, StopIteration) as exc:
            self._worker.log.debug("Closing connection. %s", exc)
            return Served.GONE
        except OSError as exc:
            self._worker.log.debug("Client gone: %s", exc)
            return Served.GONE
        except Exception as exc:  # noqa: BLE001 (gunicorn logs and answers it)
            self._worker.handle_error(request, connection.sock, connection.client, exc)
            return Served.LAST
        return self._send(connection, None if connection.lane is Lane.TRANSFER else QUICK_ANSWER)

    def _answer(self, connection: Connection, request: Any) -> None:
        reader = getattr(request.body, "reader", None)
        if isinstance(reader, LengthReader) and reader.length:
            request.body = LengthBody(reader.unreader, reader.unreader.sock, reader.length)
        connection.started = time.monotonic()
        response, environ = wsgi.create(
            request,
            connection.sock,
            connection.client,
            connection.server,
            self._worker.cfg,
            response_class=BufferedResponse,
        )
        environ["wsgi.multithread"] = True
        names = [name for name, _ in request.headers]
        if len(set(names)) < len(names):
            environ[REPEATED] = frozenset(name for name in names if names.count(name) > 1)
        if connection.transfer is not None:
            environ["glancecore.transfer"] = connection.transfer
        if not self._worker.alive or not self._worker.cfg.keepalive:
            response.force_close()

        def start(status: str, headers: Any, exc_info: Any = None) -> Any:
            # gunicorn would close such a connection behind an answer that promises to keep it
            if _unread(request.body):
                response.force_close()
            return response.start_response(status, headers, exc_info)

        body = self._worker.wsgi(environ, start)
        connection.answer = Answer(response, body, connection.sock, sendfile=self._worker.cfg.sendfile is not False)
        connection.answer.environ = environ
        connection.answer.told = log_lines.carry()

    def go_on(self, connection: Connection) -> Served:
        """In any thread."""
        if connection.answer is not None:
            connection.answer.told()
        return self._send(connection, None)

    def _send(self, connection: Connection, budget: int | None) -> Served:
        answer = connection.answer
        assert answer is not None  # noqa: S101
        try:
            connection.wait(budget is None and not connection.tls)
            if not answer.send(budget):
                return Served.PARKED
        except OSError as exc:
            self._worker.log.debug("Client gone: %s", exc)
            self.finish(connection)
            return Served.GONE
        except Exception:
            self._worker.log.exception("an answer broke off")
            self.finish(connection)
            return Served.GONE
        response = answer.response
        self.finish(connection)
        return (
            Served.LAST
            if response.should_close() or not connection.parser.finish_body(deadline=time.monotonic() + TICK)
            else Served.KEEP
        )

    def finish(self, connection: Connection) -> None:
        answer, connection.answer, connection.pace = connection.answer, None, None
        if answer is None:
            return
        response = answer.response
        response.sent = max(response.sent, answer.body_sent)
        took = datetime.fromtimestamp(time.monotonic()) - datetime.fromtimestamp(connection.started)  # noqa: DTZ006 (a difference)
        with log_lines.kept():
            answer.told()
            self._worker.log.access(response, response.req, answer.environ, took)
            try:
                answer.done()
            except Exception:
                self._worker.log.exception("an answer could not be closed")


def _unread(body: Any) -> bool:
    if isinstance(body, LengthBody):
        return body.left > 0
    reader = getattr(body, "reader", None)
    if isinstance(reader, LengthReader):
        return bool(reader.length)
    return isinstance(reader, ChunkedReader) and reader.parser is not None
