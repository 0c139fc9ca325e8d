"""SIGHUP reads everything again; what a start would refuse changes nothing, and nothing that is wrong in a file ends
the service."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import lab
import pytest
from client import BROKEN_OFF, HEADERS_AUTH, Client
from waiting import until

REFUSED = "SIGHUP changes nothing"
JUDGE = "glancecore.cmd.judge"


def judges(process: lab.Process | None) -> set[int]:
    """What judges the configuration for it."""
    assert process is not None
    found = subprocess.run(
        ["pgrep", "-f", "-P", str(process.pid), JUDGE], capture_output=True, text=True, check=False
    ).stdout
    return {int(x) for x in found.split()}


@contextmanager
def hanging(file: Path) -> Iterator[None]:
    """Who reads the file inside waits until the end, then it is the one that it was."""
    text, aside = file.read_text(), file.with_suffix(".aside")
    file.unlink()
    os.mkfifo(file)
    yield
    aside.write_text(text)
    waiting = os.open(file, os.O_RDWR)  # lets a reader go on
    aside.replace(file)
    os.write(waiting, text.encode())
    os.close(waiting)


@dataclass
class Running:
    """A service whose files a test changes."""

    service: lab.Service
    folder: Path

    def write(self, *more: lab.Config) -> None:
        self.service.config_file.write_text(lab.config_text(lab.merged(self.service.config, *more)))

    @property
    def log(self) -> str:
        return self.service.log.read_text(errors="replace")[self.service.log_at :]

    def metric(self, name: str, **tls: ssl.SSLContext) -> float:
        connection = (
            http.client.HTTPSConnection("127.0.0.1", self.service.port, context=tls["context"], timeout=10)
            if tls
            else http.client.HTTPConnection("127.0.0.1", self.service.port, timeout=10)
        )
        connection.request("GET", "/metrics")
        text = connection.getresponse().read().decode()
        connection.close()
        return float(next(x for x in text.splitlines() if x.startswith(f"{name} ")).split()[-1])

    @property
    def serving(self) -> set[int]:
        """Workers, by number: not what they have started, nor what judges the configuration."""
        assert self.service.process is not None
        found = subprocess.run(
            ["pgrep", "-a", "-P", str(self.service.process.pid)], capture_output=True, text=True, check=False
        ).stdout
        return {int(x.split()[0]) for x in found.splitlines() if JUDGE not in x}

    @property
    def judges(self) -> set[int]:
        return judges(self.service.process)

    def hang_up(self) -> None:
        assert self.service.process is not None
        self.service.process.send_signal(signal.SIGHUP)

    def refused(self, *words: str) -> None:
        """SIGHUP is refused, once, and the log says so in these words."""
        before, workers = self.log.count(REFUSED), self.serving
        self.hang_up()
        until(lambda: self.log.count(REFUSED) > before, lambda: self.log[-3000:])
        (line,) = [x for x in self.log.splitlines() if REFUSED in x][before:]
        assert "ERROR" in line
        for word in words:
            assert word in line
        assert workers <= self.serving
        assert self.log.count(REFUSED) == before + 1

    def taken(self) -> None:
        """SIGHUP is taken: other workers serve, and the former ones have ended."""
        before = self.serving
        self.hang_up()
        until(lambda: self.serving and not self.serving & before, lambda: self.log[-3000:])


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    with lab.service(
        lab.merged(HEADERS_AUTH, {"server": {"graceful_timeout": 5}, "periodic": {"embedded": False}})
    ) as service:
        yield Running(service, tmp_path)


def _certificate(folder: Path, name: str) -> tuple[str, str]:
    cert, key = folder / "cert.pem", folder / "key.pem"
    subprocess.run(
        [
            "openssl",
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "2",
            "-subj",
            f"/CN={name}",
            "-keyout",
            key,
            "-out",
            cert,
        ],
        check=True,
        capture_output=True,
    )
    return cert.read_text(), key.read_text()


def _shown(port: int) -> str:
    return ssl.get_server_certificate(("127.0.0.1", port), timeout=20)


def test_all_options_are_read_again(running: Running) -> None:
    client = Client(running.service.url)
    for _ in range(3):
        client.create()
    assert len(client.call("GET", "/v2/images").json()["images"]) == 3
    running.write(
        {
            "DEFAULT": {
                "limit_param_default": 2,
                "workers": 2,
                "default_log_levels": "glancecore.events=ERROR",
                "image_tag_quota": 0,
            }
        }
    )
    told = running.log.count("image.create")
    assert told == 3
    running.taken()
    until(lambda: len(running.serving) == 2)
    assert len(client.call("GET", "/v2/images").json()["images"]) == 2
    assert client.call("POST", "/v2/images", {"tags": ["x"]}).status_code == 413
    client.create()
    assert running.log.count("image.create") == told
    running.write()
    running.taken()
    until(lambda: len(running.serving) == 1)
    assert len(client.call("GET", "/v2/images").json()["images"]) == 4
    client.create()
    until(lambda: running.log.count("image.create") == told + 1, lambda: running.log[-3000:])


@pytest.fixture
def tls(tmp_path: Path) -> Iterator[Running]:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    _certificate(tmp_path, "first")
    with lab.service(
        lab.merged(HEADERS_AUTH, {"DEFAULT": {"cert_file": cert, "key_file": key}, "periodic": {"embedded": False}}),
        start=False,
    ) as service:
        service.log_at = 0
        with service.log.open("ab") as log:
            service.process = subprocess.Popen(
                [lab.BIN / "glance-api", "--config-file", service.config_file],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        running = Running(service, tmp_path)
        until(lambda: _served(service.port), lambda: running.log[-3000:])
        yield running


def _served(port: int) -> str:
    """The certificate; empty: nobody is there yet."""
    try:
        return _shown(port)
    except OSError:
        return ""


def test_a_broken_certificate_changes_nothing_and_a_good_one_is_taken(tls: Running) -> None:
    running, tmp_path = tls, tls.folder
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    first = cert.read_text()
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE

    def shown() -> str:
        return _served(running.service.port)

    assert shown() == first
    assert running.metric("glance_configuration_valid", context=trusting) == 1
    cert.write_text("no certificate")
    running.refused("cert_file", "no certificate can be read")
    assert shown() == first
    assert running.metric("glance_configuration_valid", context=trusting) == 0

    (worker,) = running.serving  # another one takes its place, with the certificate that was good
    os.kill(worker, signal.SIGKILL)
    until(lambda: running.serving - {worker} and shown())
    assert shown() == first
    assert running.metric("glance_tls_certificate_expires_seconds", context=trusting) > time.time()

    cert.write_text(first)
    key.unlink()
    running.refused("key_file", "No such file")
    second, _ = _certificate(tmp_path, "second")
    running.taken()
    assert shown() == second != first
    assert running.metric("glance_configuration_valid", context=trusting) == 1
    (tmp_path / "other").mkdir()
    key.write_text(_certificate(tmp_path / "other", "third")[1])
    running.refused("key_file", "is not the key of")
    assert shown() == second


def test_a_default_store_that_is_away_is_not_changed_to(running: Running) -> None:
    """A start would go on without one that was there before; a service that has it does not give it up for a typing
    error. While it is away by itself, all else is changed as ever."""
    client = Client(running.service.url)
    image_id = client.create()["id"]
    assert client.upload(image_id, b"data").status_code == 204
    own = running.service.folder / "images"
    running.write({"file": {"filesystem_store_datadir": running.service.folder / "imagse"}})
    running.refused("[glance_store] default_backend", "is away", "imagse")
    assert client.download(image_id).content == b"data"
    away = own.rename(own.with_name("away"))
    running.write({"DEFAULT": {"image_tag_quota": 0}})
    running.taken()
    assert client.call("POST", "/v2/images", {"tags": ["x"]}).status_code == 413
    away.rename(own)
    until(lambda: client.download(image_id).content == b"data")


def test_all_else_goes_on_while_the_configuration_is_judged(tls: Running) -> None:
    (worker,) = tls.serving
    with hanging(tls.folder / "cert.pem"):
        tls.hang_up()
        until(lambda: tls.judges)
        first = tls.judges
        tls.hang_up()
        os.kill(worker, signal.SIGKILL)
        until(lambda: tls.serving - {worker}, lambda: tls.log[-3000:])
        until(lambda: _served(tls.service.port), lambda: tls.log[-3000:])
        assert tls.judges == first
        before = tls.serving
    until(lambda: tls.serving and not tls.serving & before and not tls.judges, lambda: tls.log[-3000:])
    assert tls.log.count("the configuration is read again") == 2
    assert REFUSED not in tls.log


def test_a_service_ends_while_its_configuration_is_judged(running: Running) -> None:
    with hanging(running.service.config_file):
        running.hang_up()
        until(lambda: running.judges)
        (judge,) = running.judges
        assert running.service.process is not None
        lab.end(running.service.process, signal.SIGTERM)
        assert not Path(f"/proc/{judge}").exists()


WRONG: list[tuple[lab.Config, tuple[str, ...]]] = [
    ({"server": {"threads": "many"}}, ("[server] threads", "many")),
    ({"DEFAULT": {"debug": "perhaps"}}, ("[DEFAULT] debug", "perhaps")),
    ({"DEFAULT": {"enabled_backends": "file:fiel"}}, ("enabled_backends", "file")),
    ({"DEFAULT": {"hashing_algorithm": "none"}}, ("hashing_algorithm",)),
    ({"DEFAULT": {"auth_strategy": "keystoen"}}, ("auth_strategy",)),
    ({"DEFAULT": {"property_protection_file": "/nowhere"}}, ("property_protection_file",)),
    ({"oslo_policy": {"policy_file": "/nowhere"}}, ("policy_file",)),
    ({"DEFAULT": {"strict_options": "true", "wokers": 3}}, ("wokers",)),
    ({"DEFAULT": {"ca_file": "/nowhere"}}, ("ca_file",)),
    ({"database": {"connection": "sqlite:////nowhere/x"}}, ("database",)),
    ({"DEFAULT": {"log_config_append": "/nowhere"}}, ("[DEFAULT] log_config_append", "/nowhere")),
]


def test_what_a_start_would_refuse_changes_nothing(running: Running) -> None:
    for changes, words in WRONG:
        running.write(changes, {"server": {"access_log": "true", **changes.get("server", {})}})
        running.refused(*words)
    assert running.metric("glance_configuration_valid") == 0
    text = running.service.config_file.read_text()
    running.service.config_file.unlink()
    running.refused("glance-api.conf")
    running.service.config_file.write_text("no section\n")
    running.refused("glance-api.conf")
    assert "GET /metrics" not in running.log
    running.service.config_file.write_text(text)
    running.write({"server": {"access_log": "true"}})
    running.taken()
    assert running.metric("glance_configuration_valid") == 1
    until(lambda: "GET /metrics" in running.log, lambda: running.log[-3000:])


def test_another_address_needs_a_restart_and_the_rest_is_taken(running: Running) -> None:
    port = lab.free_port()
    running.write({"DEFAULT": {"bind_port": port, "limit_param_default": 1}})
    running.taken()
    assert f"bind_port = {port}: it is read at the start only, and stays {running.service.port}" in running.log
    client = Client(running.service.url)
    client.create()
    client.create()
    assert len(client.call("GET", "/v2/images").json()["images"]) == 1
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)


def test_a_worker_that_cannot_begin_does_not_end_the_service(running: Running) -> None:
    policy = running.folder / "policy.yaml"
    policy.write_text("{}")
    running.write({"oslo_policy": {"policy_file": policy}, "DEFAULT": {"workers": 2}})
    running.taken()
    until(lambda: len(running.serving) == 2)
    policy.write_text("{")
    before = running.serving
    os.kill(min(before), signal.SIGKILL)
    until(lambda: "a worker can't begin" in running.log, lambda: running.log[-3000:])
    assert lab.answers(running.service.port, 30)
    policy.write_text("{}")
    until(
        lambda: (
            len(running.serving) == 2
            and min(before) not in running.serving
            and running.log.rfind("a worker can't begin") >= 0
        )
    )
    assert lab.answers(running.service.port, 30)
    assert max(before) in running.serving


def test_a_transfer_goes_on_while_workers_are_replaced_again_and_again(running: Running) -> None:
    """The former worker drains, for as long as reload_timeout says, and nothing waits for it."""
    client = Client(running.service.url)
    image_id = str(client.create()["id"])
    go_on, begun, status = threading.Event(), threading.Event(), []

    def pieces() -> Iterator[bytes]:
        yield os.urandom(1000)
        begun.set()
        go_on.wait(300)
        yield os.urandom(1000)

    upload = threading.Thread(target=lambda: status.append(client.upload(image_id, pieces()).status_code))
    upload.start()
    assert begun.wait(60)
    (first,) = running.serving
    for count in (2, 3):
        running.write({"DEFAULT": {"limit_param_default": count}})
        seen = running.serving
        running.hang_up()
        until(lambda seen=seen: (now := running.serving) - seen and len(now) == 2, lambda: running.log[-3000:])  # type: ignore[misc]
        assert first in running.serving
        assert lab.answers(running.service.port, 30)
    (last,) = running.serving - {first}
    os.kill(last, signal.SIGKILL)  # another takes its place, although one that drains is there
    until(lambda: len(running.serving - {first, last}) == 1)
    assert lab.answers(running.service.port, 30)
    go_on.set()
    upload.join(60)
    assert status == [204]
    until(lambda: first not in running.serving)


@contextmanager
def slow_upload(client: Client) -> Iterator[tuple[str, threading.Event, list[object]]]:
    """An upload that has begun: of which image, what lets it go on, and what became of it."""
    image_id, go_on, begun, became = str(client.create()["id"]), threading.Event(), threading.Event(), []  # type: tuple[str, threading.Event, threading.Event, list[object]]

    def pieces() -> Iterator[bytes]:
        yield b"x" * 1000
        begun.set()
        go_on.wait(300)
        yield b"y" * 1000

    def upload() -> None:
        try:
            became.append(client.upload(image_id, pieces()).status_code)
        except BROKEN_OFF as exc:
            became.append(exc)

    thread = threading.Thread(target=upload)
    thread.start()
    assert begun.wait(60)
    try:
        yield image_id, go_on, became
    finally:
        go_on.set()
        thread.join(120)


def test_no_transfer_is_dropped_by_a_reload(running: Running) -> None:
    """Longer than a stop would have waited for it: passwords of users, levels of logs and a new store are there before
    it ends."""
    client = Client(running.service.url)
    (first,) = running.serving
    with slow_upload(client) as (image_id, go_on, became):
        running.write(
            {
                "server": {"graceful_timeout": 1},
                "DEFAULT": {"enabled_backends": "file:file, more:file"},
                "more": {"filesystem_store_datadir": running.folder / "more"},
            }
        )
        running.hang_up()
        until(lambda: running.serving - {first} and first in running.serving, lambda: running.log[-3000:])
        until(
            lambda: (
                {x["id"] for x in Client(running.service.url).call("GET", "/v2/info/stores").json()["stores"]}
                == {"file", "more"}
            )
        )
        other = str(client.create()["id"])
        # the former worker takes connections until it is told
        until(
            lambda: (
                Client(running.service.url).upload(other, b"data", **{"x-image-meta-store": "more"}).status_code == 204
            )
        )
        ends = time.monotonic() + 8  # more than the former graceful_timeout of 5 s, and the new one
        until(lambda: time.monotonic() > ends)
        assert first in running.serving
        assert became == []
        go_on.set()
        until(lambda: became)
        assert became == [204]
    assert client.download(image_id).content == b"x" * 1000 + b"y" * 1000
    until(lambda: first not in running.serving)
    assert "could not be stopped" not in running.log


def test_a_reload_has_an_end_and_a_stop_waits_no_longer(running: Running) -> None:
    client = Client(running.service.url)
    running.write({"server": {"reload_timeout": 4}})
    running.taken()
    (first,) = running.serving
    with slow_upload(client) as (_, go_on, became):
        running.hang_up()
        until(lambda: first not in running.serving, lambda: running.log[-3000:])
        go_on.set()  # it notices when it sends
        until(lambda: became)
        assert became != [204]
    running.write({"server": {"graceful_timeout": 3}})
    running.taken()
    (first,) = running.serving
    with slow_upload(Client(running.service.url)) as (_, go_on, became):
        running.hang_up()
        until(lambda: running.serving - {first} and first in running.serving, lambda: running.log[-3000:])
        running.service.stop()
        go_on.set()  # it notices when it sends
        until(lambda: became)
        assert became != [204]


def test_the_jobs_of_a_replaced_worker_are_anothers_at_once(tmp_path: Path) -> None:
    """Although a transfer keeps it, and with it the configuration that was."""
    with lab.service(lab.merged(HEADERS_AUTH, {"periodic": {"enabled_jobs": "reaper", "leader_ttl": 2}})) as service:
        running = Running(service, tmp_path)
        until(lambda: " leading the periodic jobs" in running.log, lambda: running.log[-3000:])
        (first,) = running.serving
        with slow_upload(Client(service.url)) as (_, go_on, became):
            running.hang_up()
            until(lambda: running.log.count(" leading the periodic jobs") == 2, lambda: running.log[-3000:])
            assert first in running.serving
            assert became == []
            go_on.set()
            until(lambda: first not in running.serving)
        assert became == [204]
        assert "could not be stopped" not in running.log


def test_glance_periodic_begins_anew_as_the_same_process(tmp_path: Path) -> None:
    with lab.service(
        lab.merged(HEADERS_AUTH, {"periodic": {"embedded": "false", "enabled_jobs": "reaper", "leader_ttl": 2}}),
        start=False,
    ) as service:
        log = service.folder / "periodic.log"
        with log.open("ab") as out:
            process = subprocess.Popen(
                [lab.BIN / "glance-periodic", "--config-file", service.config_file],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
            )
        try:
            until(lambda: "ready as" in log.read_text(), log.read_text)
            good = service.config_file.read_text()
            service.config_file.write_text(good.replace("enabled_jobs = reaper", "enabled_jobs = raeper"))
            process.send_signal(signal.SIGHUP)
            until(lambda: REFUSED in log.read_text(), log.read_text)
            assert "raeper" in log.read_text()
            with hanging(service.config_file):
                for _ in range(3):
                    process.send_signal(signal.SIGHUP)
                    until(lambda: judges(process))
                assert len(judges(process)) == 1
            until(lambda: log.read_text().count(REFUSED) == 3 and not judges(process), log.read_text)
            service.config_file.write_text(good.replace("enabled_jobs = reaper", "enabled_jobs = reaper, updater"))
            process.send_signal(signal.SIGHUP)
            until(lambda: "jobs reaper, updater" in log.read_text(), log.read_text)
            assert process.poll() is None
        finally:
            lab.end(process, signal.SIGTERM)
        assert process.returncode == 0
