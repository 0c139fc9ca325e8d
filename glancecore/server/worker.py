"""A gunicorn worker in which only requests that can go on hold a thread.

One loop accepts, shakes hands, collects headers and small bodies, and waits for clients that take their answers slowly.
Threads do the rest (``serving``); they are divided into lanes."""

from __future__ import annotations

import contextlib
import errno
import select
import socket
import ssl
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn.workers.gthread import PollableMethodQueue

from glancecore.domain import errors
from glancecore.kernel import metrics
from glancecore.ports.http import Lane
from glancecore.sdk.pace import TooSlow
from glancecore.server.connection import Connection, State
from glancecore.server.limits import ServerLimits
from glancecore.server.paced_socket import TICK
from glancecore.server.poller import Poller
from glancecore.server.refusal import patience, refusal, still_sends
from glancecore.server.serving import Served, Serving
from glancecore.server.shares import Shares
from glancecore.server.stopping import STOP_EARLY, StoppingWorker

#: Connections that are accepted before others are looked after.
ACCEPTED_AT_ONCE = 8
#: Seconds that idle connections are kept by a worker that was asked to stop: a request may be on its way.
STOP_IDLE = 2.0
PROBE_THREADS = 2
#: Bytes of bodies that are waited for without a thread.
WAITING_BODIES = 64 << 20


class Worker(StoppingWorker):
    def init_process(self) -> None:
        self._limits: ServerLimits = self.app.limits
        self._poller = Poller()
        self._calls = PollableMethodQueue()
        self._calls.init()
        self._tls: ssl.SSLContext | None = self.app.tls
        self._shares = Shares(self._limits.shares)
        threads = {
            Lane.PROBE: PROBE_THREADS,
            Lane.QUICK: self.cfg.threads,
            Lane.TRANSFER: self._limits.shares.transfers,
        }
        self._pools = {
            lane: ThreadPoolExecutor(count, thread_name_prefix=lane.value) for lane, count in threads.items()
        }
        #: Requests of each lane that have a thread, or wait for one.
        self._running: Counter[Lane] = Counter(dict.fromkeys(Lane, 0))
        self._connections: dict[Connection, None] = {}
        #: Bytes of the bodies that are waited for, as they were declared.
        self._bodies = 0
        self._accepting = False
        #: The process can't open another file until then.
        self._full_until = 0.0
        self._swept = time.monotonic()
        self._serving = Serving(self, self._limits)
        try:
            super().init_process()
        except Exception as exc:
            if self.booted or self.age <= self.app.first_workers:
                raise
            self._try_again_later(exc)
        finally:
            self._leave()

    # -- the loop ----------------------------------------------------------------------------------
    def run(self) -> None:
        self._poller.always(self._calls.fileno(), lambda: self._calls.run_callbacks(None))
        while self.alive:
            self.notify()
            self._accept_when(True)
            self._turn()
            if self._orphaned:
                self.log.info("Parent changed, shutting down: %s", self)
                break
        self._accept_when(False)
        self._hand_over()
        for connection in self._connections:
            if connection.state is State.IDLE or (connection.state is State.HEADER and not connection.buffer):
                connection.deadline = min(connection.deadline, time.monotonic() + STOP_IDLE)
        while self._connections and self._drains:
            self.notify()
            self._turn()
        self._break_off()
        end = time.monotonic() + STOP_EARLY / 2
        while self._connections and time.monotonic() < end:
            self.notify()
            self._turn()
        for pool in self._pools.values():
            pool.shutdown(wait=False)
        for listener in self.sockets:
            listener.close()

    def _turn(self) -> None:
        for target in self._poller.ready(TICK):
            if not isinstance(target, Connection):
                target()
            # what is told of a descriptor may be of one that was closed since, in the same turn
            elif target.state is not State.RUNNING:
                self._call(target, target.callback)
        if time.monotonic() - self._swept >= TICK:
            self._sweep()

    def _call(self, connection: Connection, callback: Callable[[Connection], None]) -> None:
        try:
            callback(connection)
        except Exception:
            self.log.exception("a connection is given up")
            self._end(connection)

    def _wake(self) -> None:
        self._calls.defer(lambda: None)

    def handle_quit(self, sig: int, frame: Any) -> None:
        self._break_off()
        for pool in self._pools.values():
            pool.shutdown(wait=False)
        super().handle_quit(sig, frame)

    def _break_off(self) -> None:
        """Threads that wait for a client notice at once."""
        for connection in list(self._connections):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection.sock, socket.SHUT_RDWR)

    def _accept_when(self, wanted: bool) -> None:
        wanted = wanted and self._has_room() and time.monotonic() >= self._full_until
        if wanted == self._accepting:
            return
        for listener in self.sockets:
            if wanted:
                listener.setblocking(False)
                self._poller.always(listener.fileno(), partial(self._accept, listener))
            else:
                self._poller.forget(listener.fileno())
        self._accepting = wanted

    def _has_room(self) -> bool:
        """For one more, be it in place of another."""
        return len(self._connections) < self._limits.connections or any(map(Connection.gives_way, self._connections))

    def _evict(self, gives_way: Callable[[Connection], bool] = Connection.gives_way) -> bool:
        """The connection that has waited longest for its client makes room for another. Whether there is one."""
        for connection in self._connections:
            if gives_way(connection):
                metrics.SERVER_REFUSED.labels("connections").inc()
                self._end(connection)
                return True
        return False

    def _accept(self, listener: Any) -> None:
        for _ in range(ACCEPTED_AT_ONCE):
            if not self._has_room():
                return
            try:
                sock, client = listener.accept()
            except OSError as exc:
                if exc.errno in (errno.EMFILE, errno.ENFILE):
                    if self._evict():
                        continue
                    self._full_until = time.monotonic() + TICK
                elif exc.errno not in (errno.EAGAIN, errno.EWOULDBLOCK, errno.ECONNABORTED):
                    raise
                return
            try:
                connection = Connection(sock, client, time.monotonic() + self._limits.header_timeout, self._tls)
            except OSError:
                sock.close()
                continue
            # only now: the one that gives way may have come just before
            if len(self._connections) >= self._limits.connections:
                self._evict()
            self._connections[connection] = None
            self._call(connection, self._readable)

    def _watch(self, connection: Connection, events: int, callback: Callable[[Connection], None]) -> None:
        """``callback`` at the next of ``events``, once."""
        connection.callback = callback
        self._poller.once(connection, events)

    def _end(self, connection: Connection) -> None:
        """Of the loop's own connections; a thread's is ended when the thread gives it back."""
        self._poller.forget(connection.sock.fileno())
        self._connections.pop(connection, None)
        self._expect(connection, 0)
        self._serving.finish(connection)
        connection.close()
        self._release(connection)

    def _release(self, connection: Connection) -> None:
        if connection.transfer is not None:
            connection.transfer.end()
            connection.transfer = None

    def _sweep(self) -> None:
        now, self._swept = time.monotonic(), time.monotonic()
        states: Counter[State] = Counter(dict.fromkeys(State, 0))
        for connection in list(self._connections):
            state = connection.state
            states[state] += 1
            if state is State.SENDING:
                self._look_at_taker(connection)
            elif state is State.LINGERING and not connection.sends_enough():
                self._end(connection)
            elif state is not State.RUNNING and connection.deadline < now:
                if state is State.BODY:
                    self._refuse(
                        connection,
                        HTTPStatus.REQUEST_TIMEOUT,
                        "truncated_body",
                        "the body came too slowly",
                        "slow body",
                    )
                    continue
                if state in (State.HANDSHAKE, State.HEADER) and (connection.buffer or state is State.HANDSHAKE):
                    metrics.SERVER_REFUSED.labels("slow header").inc()
                self._end(connection)
        for each, count in states.items():
            metrics.SERVER_CONNECTIONS.labels(each.value).set(count)
        for lane, count in self._running.items():
            metrics.SERVER_RUNNING.labels(lane.value).set(count)
        metrics.SERVER_TRANSFERS.set(self._shares.count)

    # -- before a thread ---------------------------------------------------------------------------
    def _readable(self, connection: Connection) -> None:
        try:
            if connection.state is State.HANDSHAKE:
                wanted = connection.shake_hands()
                if wanted:
                    self._watch(connection, wanted, self._readable)
                    return
                connection.state = State.HEADER
            if not connection.receive():
                self._end(connection)
                return
        except OSError:  # SSLError is one
            self._end(connection)
            return
        self._advance(connection)

    def _advance(self, connection: Connection) -> None:
        """Look whether the request is there by now."""
        if connection.state is State.IDLE:
            if not connection.buffer:
                self._watch(connection, select.EPOLLIN, self._readable)
                return
            connection.state = State.HEADER
            connection.within(self._limits.header_timeout)
        head = connection.head()
        if head is None:
            if len(connection.buffer) > self._limits.header_size:
                self._refuse(
                    connection,
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
                    "header_too_large",
                    f"the header is larger than [server] limit_request_header, {self._limits.header_size} bytes",
                    "header too large",
                )
                return
        elif len(connection.buffer) < head.size:
            if connection.state is State.HEADER:
                connection.state = State.BODY
                pace = self._limits.pace
                connection.within(pace.silence + (head.size / pace.least_rate if pace.least_rate else pace.window))
                self._expect(connection, head.size)
                while self._bodies > WAITING_BODIES and self._evict(lambda x: x.state is State.BODY):
                    pass
                if connection.state is State.CLOSED:
                    return
        else:
            self._dispatch(connection, self.wsgi.lane(head.method, head.path), slow=head.slow)
            return
        self._watch(connection, select.EPOLLIN, self._readable)

    def _expect(self, connection: Connection, size: int) -> None:
        """So many bytes of a body."""
        self._bodies += size - connection.expected
        connection.expected = size

    def _dispatch(self, connection: Connection, lane: Lane, *, slow: bool) -> None:
        self._expect(connection, 0)
        connection.slow = slow
        if slow:
            lane = Lane.TRANSFER
        if lane is Lane.TRANSFER:
            try:
                connection.transfer = self._shares.begin(connection.address)
            except errors.ServerBusy as exc:
                self._refuse(connection, HTTPStatus.SERVICE_UNAVAILABLE, exc.code, str(exc), None)
                return
            except errors.TooManyTransfers as exc:
                self._refuse(connection, HTTPStatus.TOO_MANY_REQUESTS, exc.code, str(exc), None)
                return
        self._submit(connection, lane, self._serving.serve)

    def _submit(self, connection: Connection, lane: Lane, work: Any) -> None:
        connection.state, connection.lane = State.RUNNING, lane
        self._running[lane] += 1
        future = self._pools[lane].submit(work, connection)
        future.add_done_callback(lambda done: self._calls.defer(self._returned, connection, done))

    def _returned(self, connection: Connection, done: Future[Served]) -> None:
        self._running[connection.lane] -= 1
        try:
            outcome = done.result()
            connection.wait(False)
            self._go_on_after(connection, outcome)
        except BaseException:
            self.log.exception("a connection is given up")
            self._end(connection)

    def _go_on_after(self, connection: Connection, outcome: Served) -> None:
        if outcome is Served.PARKED:
            self._park(connection)
            return
        self._release(connection)
        if outcome is Served.KEEP:
            connection.state = State.IDLE
            connection.within(self.cfg.keepalive if self.alive else min(self.cfg.keepalive, STOP_IDLE))
            connection.buffer += connection.parser.unreader.take_buffered()
            if connection.held_back():
                self._readable(connection)
            else:
                self._advance(connection)
        elif outcome is Served.LAST:
            self._linger(connection)
        else:
            self._end(connection)

    def _refuse(self, connection: Connection, status: HTTPStatus, code: str, message: str, reason: str | None) -> None:
        """Answer without a thread, and end. ``reason``: for the metrics."""
        if reason:
            metrics.SERVER_REFUSED.labels(reason).inc()
        try:
            connection.sock.send(refusal(status, code, message))
        except OSError:
            self._end(connection)
        else:
            self._linger(connection)

    def _linger(self, connection: Connection) -> None:
        self._expect(connection, 0)
        connection.buffer.clear()
        connection.state = State.LINGERING
        connection.within(self._limits.lingering_time)
        connection.pace, connection.seen = patience(self._limits.pace), 0
        try:
            socket.socket.shutdown(connection.sock, socket.SHUT_WR)
        except OSError:
            self._end(connection)
        else:
            self._watch(connection, select.EPOLLIN, self._still_sends)

    def _still_sends(self, connection: Connection) -> None:
        if still_sends(connection):
            self._watch(connection, select.EPOLLIN, self._still_sends)
        else:
            self._end(connection)

    # -- answers that wait for their client --------------------------------------------------------
    def _park(self, connection: Connection) -> None:
        self._watch(connection, connection.sending(self._limits.pace).wants, self._takes_more)

    def _takes_more(self, connection: Connection) -> None:
        self._submit(connection, Lane.TRANSFER, self._serving.go_on)

    def _look_at_taker(self, connection: Connection) -> None:
        """It may take bytes for long before there is room for more."""
        try:
            connection.takes_enough()
        except TooSlow as exc:
            self.log.info("a download from %s is broken off: %s", connection.address, exc)
            metrics.SERVER_REFUSED.labels("slow download").inc()
            self._end(connection)
        except OSError:
            self._end(connection)
