"""A collector of the tests' own: OTLP over HTTP on loopback, as protobuf, in this process."""

from __future__ import annotations

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from waiting import until


@dataclass(frozen=True)
class Seen:
    """A span that has arrived."""

    trace: str
    id: str
    parent: str
    name: str
    kind: int
    start: int
    end: int
    failed: bool
    attributes: dict[str, object]
    service: str
    pid: int


@dataclass
class Collector:
    spans: list[Seen] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    #: Answers as long as it is set.
    answering: threading.Event = field(default_factory=threading.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1/traces"

    def of(self, trace: str) -> list[Seen]:
        return sorted((x for x in list(self.spans) if x.trace == trace), key=lambda x: x.start)

    def named(self, trace: str, name: str) -> list[Seen]:
        return [x for x in self.of(trace) if x.name == name]

    def until(self, trace: str, name: str, count: int = 1) -> list[Seen]:
        """So many spans of that name are here: they come when they have ended."""
        until(lambda: len(self.named(trace, name)) >= count, 60)
        return self.named(trace, name)

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            about = {x.key: x.value for x in resource.resource.attributes}
            for scope in resource.scope_spans:
                for x in scope.spans:
                    attributes = {y.key: getattr(y.value, y.value.WhichOneof("value")) for y in x.attributes}
                    assert not x.events, "events may have texts of errors"
                    self.spans.append(
                        Seen(
                            x.trace_id.hex(),
                            x.span_id.hex(),
                            x.parent_span_id.hex(),
                            x.name,
                            x.kind,
                            x.start_time_unix_nano,
                            x.end_time_unix_nano,
                            x.status.code == 2,
                            attributes,
                            about["service.name"].string_value,
                            about["process.pid"].int_value,
                        )
                    )


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    made = Collector()
    made.answering.set()
    ending = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            while not made.answering.wait(0.05):
                if ending.is_set():
                    return
            body = self.rfile.read(int(self.headers["Content-Length"]))
            made.headers.append(dict(self.headers))
            assert self.headers["Content-Type"] == "application/x-protobuf"
            made.take(gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(200)
            self.send_header("Content-Type", "application/x-protobuf")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    made.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield made
    finally:
        ending.set()
        server.shutdown()
        server.server_close()
        thread.join()
