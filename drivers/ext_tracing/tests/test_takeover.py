"""An import whose worker is killed with -9 and that a worker of another node takes over is one trace. The documents
show it as it is drawn here: FIGURE=1 writes it there."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import lab
from client import HEADERS_AUTH, Client
from collector import Collector, collecting
from drawing import drawn
from importing import until_ended

DATA = b"x" * 1_000_000
PAGE = lab.REPO / "docs/tracing.md"
BEGIN, END = "```text\n", "\n```\n"


@contextmanager
def slow_source(once: threading.Event) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """Sends a piece of the data, and the rest when it is let."""
    asked: list[dict[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(dict(self.headers))
            self.send_response(200)
            self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            try:
                self.wfile.write(DATA[:1000])
                self.wfile.flush()
                once.wait(60)
                self.wfile.write(DATA[1000:])
            except OSError:  # who asked has been killed
                self.close_connection = True

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/x.raw", asked
    finally:
        once.set()
        server.shutdown()
        server.server_close()
        thread.join()


def node(name: str, collector: Collector, shared: Path, url: str) -> lab.Config:
    return lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {"enabled_extensions": "tracing"},
            "ext_tracing": {"endpoint": collector.url, "interval": 0.05, "service_name": name},
            "database": {"connection": f"sqlite:///{shared}/shared.sqlite"},
            "file": {"filesystem_store_datadir": shared / "images"},
            "os_glance_staging_store": {"filesystem_store_datadir": shared / "staging"},
            "imports": {"work_dir": shared / f"work-{name}"},
            "lease": {"ttl": 2, "reap_interval": 0.2},
            "import_filtering_opts": {
                "allowed_ports": f"[{url.rpartition(':')[2].partition('/')[0]}]",
                "trusted_networks": "[127.0.0.1]",
            },
        },
    )


def test_one_trace_over_a_kill_and_two_nodes(tmp_path: Path) -> None:
    let = threading.Event()
    with (
        collecting() as collector,
        slow_source(let) as (url, asked),
        lab.service(node("node-a", collector, tmp_path, url)) as first,
    ):
        client = Client(first.url)
        image_id = str(client.create()["id"])
        trace = os.urandom(16).hex()
        answer = client.call(
            "POST",
            f"/v2/images/{image_id}/import",
            {"method": {"name": "web-download", "uri": url}},
            headers={"traceparent": f"00-{trace}-00f067aa0ba902b7-01"},
        )
        assert answer.status_code == 202, answer.text
        collector.until(trace, "POST /v2/images/{image_id}/import")
        collector.until(trace, "import")
        collector.until(trace, "GET")
        first.stop(signal.SIGKILL)
        with lab.service(node("node-b", collector, tmp_path, url)) as second:
            collector.until(trace, "import", 2)
            let.set()
            task = until_ended(Client(second.url), image_id, 60)
            assert task["status"] == "success", task
            collector.until(trace, "import finish")
            assert f"[trace {trace}] " in second.log.read_text()
            assert Client(second.url).download(image_id).content == DATA
            second.stop()  # what waits is sent
        spans = collector.of(trace)
        begun = collector.named(trace, "import")
        assert [(x.service, x.attributes["glance.import.stage"]) for x in begun] == [
            ("node-a", "waiting"),
            ("node-b", "fetch"),
        ]
        assert len({x.pid for x in spans}) == 3
        assert {x.parent for x in begun} == {x.id for x in spans if x.name == "Import image data"}
        assert not [x for x in asked if "traceparent" in {y.lower() for y in x}], (
            "the context of the trace went to somebody's web server"
        )
        figure = drawn(spans)
        text = PAGE.read_text() if PAGE.exists() else BEGIN + END
        before, _, rest = text.partition(BEGIN)
        shown, _, after = rest.partition(END)
        if os.environ.get("FIGURE"):
            PAGE.write_text(f"{before}{BEGIN}{figure}{END}{after}")
        else:
            assert shown == figure
