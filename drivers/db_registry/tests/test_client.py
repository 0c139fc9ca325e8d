"""The registry away and back, several of them, forks, and somebody else on its port."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import lab
import pytest
from glancecore_db_registry import client
from glancecore_db_registry.driver import RegistryDatabase
from oslo_context import context as log_context
from registries import Registry, registry

from glancecore.domain import errors
from glancecore.ports.repository import ImageAdded
from glancecore.sdk.registry import calls
from glancecore.testing.examples import make_image

Open = Callable[..., RegistryDatabase]


@pytest.fixture
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry that may be stopped."""
    with registry(f"sqlite:///{tmp_path_factory.mktemp('own')}/glance.sqlite") as made:
        yield made


def test_away_is_unavailable_and_it_comes_back_by_itself(own: Registry, opened: Open) -> None:
    database = opened(own.url, registry_attempts=2)
    database.ping()
    image = make_image()
    database.images.commit(ImageAdded(image))
    own.stop(signal.SIGKILL)
    for call in (
        lambda: database.images.get_any(image.id),
        lambda: database.images.commit(ImageAdded(make_image())),
        database.ping,
    ):
        with pytest.raises(errors.DatabaseUnavailable) as caught:
            call()
        assert own.url not in str(caught.value)
    own.start()
    assert database.images.get_any(image.id) == image
    database.ping()


def test_while_it_stays_away_one_attempt_is_enough(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    database, tried = opened(f"http://127.0.0.1:{lab.free_port()}", registry_attempts=3), []
    post = database.client._post

    def counted(*args: Any) -> Any:
        tried.append(args)
        return post(*args)

    monkeypatch.setattr(database.client, "_post", counted)
    for count in (3, 1, 1):
        tried.clear()
        with pytest.raises(errors.DatabaseUnavailable):
            database.images.get("x")
        assert len(tried) == count


def test_a_restart_is_waited_for(own: Registry, opened: Open) -> None:
    """Kept connections are all dead then, and the first new ones are refused."""
    database = opened(own.url, registry_attempts=100)
    image = make_image()
    database.images.commit(ImageAdded(image))
    own.stop()
    back = threading.Timer(0.3, own.start)
    back.start()
    assert database.images.get_any(image.id) == image
    back.join()


def test_the_next_registry_is_asked_when_one_is_away(own: Registry, opened: Open) -> None:
    database = opened(own.url, registry_urls=[f"http://127.0.0.1:{lab.free_port()}", own.url], registry_attempts=2)
    database.ping()
    image = make_image()
    database.images.commit(ImageAdded(image))
    assert database.images.get_any(image.id) == image


def test_many_threads_use_few_connections(own: Registry, opened: Open) -> None:
    database = opened(own.url)
    with ThreadPoolExecutor(16) as pool:
        made = [make_image(n) for n in range(64)]
        list(pool.map(lambda x: database.images.commit(ImageAdded(x)), made))
        assert list(pool.map(lambda x: database.images.get_any(x.id), made)) == made


def test_a_forked_child_has_connections_of_its_own(own: Registry, opened: Open) -> None:
    database = opened(own.url)
    images = [make_image(n) for n in range(20)]
    database.images.commit(*(ImageAdded(x) for x in images))
    child = os.fork()
    if child == 0:
        good = False
        try:
            good = all(database.images.get_any(x.id) == x for x in images * 5)
        finally:
            os._exit(0 if good else 1)
    assert all(database.images.get_any(x.id) == x for x in images * 5)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert database.images.get_any(images[0].id) == images[0]


def test_the_request_id_is_in_the_registrys_log(own: Registry, opened: Open) -> None:
    log_context.RequestContext(request_id="req-of-a-user", overwrite=True)
    database = opened(own.url, registry_secret="a secret that is wrong")
    with pytest.raises(errors.DatabaseUnavailable):
        database.images.get("x")
    assert "req-of-a-user" in own.log


# -- another release, another server ---------------------------------------------------------------
def test_another_protocol_is_refused_at_the_start_and_later(
    own: Registry, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = opened(own.url)
    monkeypatch.setattr(client, "PROTOCOL", 3)
    with pytest.raises(errors.ConfigError, match=r"protocol 3 is not spoken here but 2.*install the same release"):
        database.ping()
    with pytest.raises(errors.DatabaseUnavailable, match="refuses this node"):
        database.images.get("x")


def test_values_of_another_shape_are_refused_at_the_start_and_later(
    own: Registry, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    from dataclasses import replace

    known = dict(calls.calls())
    known["images/get"] = replace(known["images/get"], shape="0123")
    monkeypatch.setattr(client, "calls", lambda: known)
    with pytest.raises(
        errors.ConfigError, match="does not serve images/get as this node means it; install the same release"
    ):
        opened(own.url).ping()
    with pytest.raises(errors.DatabaseUnavailable, match="refuses this node"):
        opened(own.url).client.run(known["images/get"], ["x"])


@pytest.fixture
def stranger() -> Iterator[Callable[[int], str]]:
    """The URL of a server that is no registry and always answers that status."""
    servers: list[HTTPServer] = []

    def make(status: int) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"hi")

            def log_message(self, *_: Any) -> None: ...

        servers.append(HTTPServer(("127.0.0.1", 0), Handler))
        threading.Thread(target=servers[-1].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[-1].server_address[1]}"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize("status", [200, 401, 404, 409, 500, 502, 503])
def test_somebody_elses_answer_is_never_taken_for_the_registrys(
    stranger: Callable[[int], str], opened: Open, status: int
) -> None:
    database = opened(stranger(status), registry_attempts=1)
    for call in (lambda: database.images.get("x"), lambda: database.images.commit(ImageAdded(make_image()))):
        with pytest.raises(errors.DatabaseUnavailable):
            call()


def test_a_change_that_is_too_large_is_told_as_such(tmp_path_factory: pytest.TempPathFactory, opened: Open) -> None:
    with (
        registry(
            f"sqlite:///{tmp_path_factory.mktemp('small')}/glance.sqlite", {"registry": {"max_body": 1 << 20}}
        ) as small,
        pytest.raises(errors.TooLarge),
    ):
        opened(small.url).images.commit(ImageAdded(make_image(name="x" * (1 << 20))))


def test_a_failure_in_the_registry_is_no_users_mistake(own: Registry, opened: Open) -> None:
    database = opened(own.url)
    with pytest.raises(RuntimeError, match="the registry failed; its log says why"):
        database.images.located(None)  # type: ignore[arg-type]


# -- the schema ------------------------------------------------------------------------------------
def test_the_schema_is_looked_at_and_not_changed(own: Registry, opened: Open) -> None:
    database = opened(own.url)
    assert database.version() == database.head()
    database.sync()
    with pytest.raises(errors.ConfigError, match="glance-registry runs"):
        database.sync("0001")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ("images/scan", "nothing is changed by that"),
        ("outbox/waiting", "nothing is changed by that"),
        ("jobs/keep", "may or may not have been saved"),
        ("images/commit", "may or may not have been saved"),
    ],
)
def test_a_call_that_is_not_answered_in_time_is_told_by_what_it_does(call: str, said: str) -> None:
    """A change that may be repeated is a change all the same."""
    assert said in client._may(f"/{client.PROTOCOL}/{call}")
