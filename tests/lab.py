"""What tests run against: real backends, virtual environments and our own service, started on demand.

Everything lives in ``$LAB_DIR`` (default: ``.lab`` in the repository). A backend stays up until the test runner, or
``tests/backends/all-down.sh``, stops it, so that a second session finds it warm. Only the standard library is used
here: the module also serves programs that run outside of the project's environment."""

from __future__ import annotations

import contextlib
import fcntl
import functools
import hashlib
import http.client
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from urllib.parse import quote, urlsplit, urlunsplit

import warm

REPO = Path(__file__).resolve().parent.parent
BACKENDS = REPO / "tests" / "backends"
LAB = Path(os.environ.get("LAB_DIR") or REPO / ".lab").resolve()
BIN = Path(sys.executable).parent

Config = Mapping[str, Mapping[str, object]]


@dataclass(frozen=True)
class Backend:
    """A running backend: the URL it is reached at, and what else its script says of it (``KEY=value`` lines)."""

    name: str
    url: str
    settings: Mapping[str, str] = field(default_factory=dict)


def _variable(name: str) -> str:
    return f"GLANCECORE_TEST_{name.upper().replace('-', '_')}"


def _run(command: Sequence[str | Path], **more: str) -> str:
    done = subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env={**os.environ, "LAB_DIR": str(LAB), **more},
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout


def up(name: str, *args: str, **env: str) -> Backend:
    """Start ``tests/backends/<name>-up.sh`` (or the peer), or find it running."""
    script = REPO / "tests" / "peer" / "up.sh" if name == "peer" else BACKENDS / f"{name}-up.sh"
    *settings, url = _run([script, *args], **env).strip().splitlines()
    return Backend(name, url, dict(line.split("=", 1) for line in settings if "=" in line))


def down(name: str) -> None:
    _run([REPO / "tests" / "peer" / "down.sh" if name == "peer" else BACKENDS / f"{name}-down.sh"])


@functools.cache
def backend(name: str) -> Backend:
    """The backend that the environment names (``GLANCECORE_TEST_<NAME>_URL``), or else our own one."""
    url = os.environ.get(_variable(name) + "_URL")
    if not url:
        return up(name)
    prefix = _variable("")
    return Backend(
        name, url, {key.removeprefix(prefix): value for key, value in os.environ.items() if key.startswith(prefix)}
    )


def exported(of: Backend) -> dict[str, str]:
    """The environment in which :func:`backend` finds this one again."""
    return {_variable(of.name) + "_URL": of.url, **{_variable(key): value for key, value in of.settings.items()}}


def mariadb_url() -> str:
    return backend("mariadb").url


def postgresql_url() -> str:
    return backend("postgresql").url


def redis_url() -> str:
    return backend("redis").url


def rabbitmq_url() -> str:
    """As oslo.messaging's ``transport_url``."""
    return backend("rabbitmq").url


def keystone() -> Backend:
    """Users admin, glance (the service's), demo, alt_demo, reader, system_reader; password ``secret``."""
    return backend("keystone")


def nginx() -> Backend:
    """``settings["NGINX_ROOT"]`` is the folder that it serves."""
    return backend("nginx")


@contextlib.contextmanager
def new_database(kind: str) -> Iterator[str]:
    """The URL of an empty database on MariaDB or PostgreSQL (``sqlite``: in a new folder); dropped at the end."""
    if kind == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{folder}/glance.sqlite"
        return
    parts, name = urlsplit(backend(kind).url), f"test_{secrets.token_hex(6)}"
    _sql(kind, f"create database {name}" + (" character set utf8mb4" if kind == "mariadb" else ""))
    try:
        yield urlunsplit(parts._replace(path=f"/{name}"))
    finally:
        _sql(kind, f"drop database {name}" + (" with (force)" if kind == "postgresql" else ""))


def _sql(kind: str, statement: str) -> None:
    url = urlsplit(backend(kind).url)
    host, port, user, password = url.hostname or "", str(url.port), url.username or "", url.password or ""
    if kind == "mariadb":
        _run(["mariadb", "--no-defaults", "-h", host, "-P", port, "-u", user, "-e", statement], MYSQL_PWD=password)
    else:
        _run(["psql", "-h", host, "-p", port, "-U", user, "-d", "postgres", "-Atqc", statement], PGPASSWORD=password)


def need(*packages: str) -> None:
    """Install the Debian packages that are missing."""
    _run(["bash", "-c", f". {shlex.quote(str(BACKENDS / 'lib.sh'))}; need {shlex.join(packages)}"])


@functools.cache
def venv(name: str, *requirements: str) -> Path:
    """A virtual environment of its own with these requirements, for programs that must not share ours."""
    return Path(
        _run(
            ["bash", "-c", f". {shlex.quote(str(BACKENDS / 'lib.sh'))}; venv {shlex.join([name, *requirements])}"]
        ).strip()
    )


@functools.cache
def npm(name: str, *packages: str) -> Path:
    """A folder with these npm packages in ``node_modules``, and a ``node``."""
    return Path(
        _run(
            ["bash", "-c", f". {shlex.quote(str(BACKENDS / 'lib.sh'))}; npm_folder {shlex.join([name, *packages])}"]
        ).strip()
    )


def ceph_bindings() -> None:
    """Let this interpreter, and what it starts, find Debian's rados and rbd, and nothing else of Debian's packages."""
    folder, site_packages = Path(sys.prefix, "lib", "ceph-bindings"), Path(sysconfig.get_path("purelib"))
    folder.mkdir(parents=True, exist_ok=True)
    for module in ("rados", "rbd"):
        for library in Path("/usr/lib/python3/dist-packages").glob(f"{module}.cpython-*.so"):
            link = folder / library.name
            link.unlink(missing_ok=True)
            link.symlink_to(library)
    (site_packages / "ceph-bindings.pth").write_text(f"{folder}\n")
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


#: Ports that this process has given away.
_GIVEN: set[int] = set()
_PORTS = 500


@functools.cache
def _first_port(_pid: int) -> int:
    """Of as many that no other process of tests gives away as long as this one lives."""
    for number in range(44):
        lock = os.open(Path(tempfile.gettempdir(), f"glancecore-tests-ports-{number}"), os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(lock)
        else:
            return 10_000 + number * _PORTS  # the lock is held until the process ends
    raise RuntimeError("44 processes of tests have taken all ports")


def free_port() -> int:
    """Below the ports that the kernel gives to connections, and of some that other processes of tests leave alone: a
    server that is stopped and started again finds its own still free."""
    first = _first_port(os.getpid())
    if len(_GIVEN) > _PORTS // 2:
        _GIVEN.clear()
    while True:
        port = first + secrets.randbelow(_PORTS)
        if port in _GIVEN:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        _GIVEN.add(port)
        return port


def config_text(config: Config) -> str:
    """oslo.config's format; a list becomes a comma-separated value."""

    def value(of: object) -> str:
        if isinstance(of, bool):
            return str(of).lower()
        return ", ".join(map(str, of)) if isinstance(of, (list, tuple)) else str(of)

    return "\n".join(
        f"[{section}]\n" + "".join(f"{key} = {value(each)}\n" for key, each in options.items())
        for section, options in config.items()
    )


def merged(*configs: Config) -> dict[str, dict[str, object]]:
    result: dict[str, dict[str, object]] = {}
    for config in configs:
        for section, options in config.items():
            result.setdefault(section, {}).update(options)
    return result


def keystone_config(region: str, url: str, remote_url: str = "") -> dict[str, dict[str, object]]:
    """Puts our service at ``url`` into Keystone's catalogue, and another node of it as image_remote; returns what its
    configuration needs."""
    auth_url = up("keystone", region, url, *([remote_url] if remote_url else [])).url
    return {
        "DEFAULT": {"auth_strategy": "keystone"},
        "keystone_authtoken": {
            "auth_type": "password",
            "auth_url": auth_url,
            "www_authenticate_uri": auth_url,
            "username": "glance",
            "password": "secret",
            "project_name": "service",
            "user_domain_id": "default",
            "project_domain_id": "default",
            "region_name": region,
            "service_token_roles": "service",
            "service_token_roles_required": True,
        },
    }


Process = warm.Process | subprocess.Popen[bytes]


def launch(
    command: str,
    *words: str | Path,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    log: IO[bytes],
    cold: bool = False,
) -> Process:
    """Start one of our commands; what it says goes to ``log``. ``cold``: with no more in its memory than an operator's
    has."""
    if os.environ.get(warm.VARIABLE) and not cold:
        return warm.start(command, *map(str, words), cwd=cwd, env=env, stdout=log.fileno(), stderr=log.fileno())
    return subprocess.Popen([BIN / command, *words], cwd=cwd, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


def command(
    name: str, *words: str | Path, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 240
) -> subprocess.CompletedProcess[str]:
    """Run one of our commands to its end."""
    if not os.environ.get(warm.VARIABLE):
        return subprocess.run(
            [BIN / name, *words],
            cwd=cwd,
            env=env,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
            timeout=timeout,
        )
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        process = warm.start(name, *map(str, words), cwd=cwd, env=env, stdout=out.fileno(), stderr=err.fileno())
        try:
            code = process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess([name, *words], code, out.read().decode(), err.read().decode())


@dataclass
class Service:
    """Our own glance-api, as a process of its own."""

    folder: Path
    port: int
    config: Config
    #: Its memory is measured.
    cold: bool = False
    process: Process | None = None
    start_seconds: float = 0.0
    #: Length of the log at the last start.
    log_at: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def config_file(self) -> Path:
        return self.folder / "glance-api.conf"

    @property
    def log(self) -> Path:
        return self.folder / "glance-api.log"

    def tail(self, lines: int = 40) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:]) if self.log.exists() else ""

    def manage(self, *args: str) -> str:
        done = command("glance-manage", "--config-file", self.config_file, *args)
        if done.returncode:
            raise RuntimeError(f"glance-manage {' '.join(args)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    @property
    def workers(self) -> list[int]:
        assert self.process is not None
        return children(self.process.pid)

    def start(self, timeout: float = 30.0) -> None:
        """Raises AssertionError when somebody else has the port: who answers there must be the one that was started."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", self.port)), f"port {self.port} is held by {holders(self.port)}"
        began = time.monotonic()
        with self.log.open("ab") as log:
            self.log_at = log.tell()
            self.process = launch(
                "glance-api", "--config-file", self.config_file, cwd=self.folder, log=log, cold=self.cold
            )
        if not answers(self.port, timeout, self.process):
            self.stop()
            raise RuntimeError(f"glance-api does not answer on port {self.port}:\n{self.tail()}")
        self.start_seconds = time.monotonic() - began

    def until_killed(self, seconds: float = 60.0) -> None:
        """A process of it, a worker's or that for imports, kills itself at a step that it comes by. Raises
        AssertionError when it does not."""
        limit = time.monotonic() + seconds
        while b"SIGKILL" not in self.log.read_bytes()[self.log_at :]:
            if time.monotonic() > limit:
                raise AssertionError("the step was not passed")
            time.sleep(0.02)

    def stop(self, how: signal.Signals = signal.SIGTERM, timeout: float = 40.0) -> None:
        """KILL takes all of its processes along, as when the machine dies."""
        if self.process is not None:
            end(self.process, how, timeout)
            self.process = None


def end(process: Process, how: signal.Signals, timeout: float = 40.0) -> None:
    """Signal a server and wait for its end, and that of its workers, which hold its port as long as one of their
    threads waits for the disk. KILL goes to its workers as well: they would end by themselves, but a moment later, with
    the environment of the server that is dead and on the port of the next one. Raises AssertionError when a worker
    stays."""
    if how is signal.SIGKILL and process.poll() is None:
        freeze(process.pid)  # no worker is started anew in the meantime
    workers = children(process.pid)
    process.send_signal(how)
    if how is signal.SIGKILL:
        _kill(workers)
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        _kill(workers)
    limit = time.monotonic() + timeout
    for worker in workers:
        while _threads(worker) - set("ZX"):
            assert time.monotonic() < limit, f"worker {worker} is there still: {describe(worker)}"
            time.sleep(0.005)


def _kill(pids: Iterable[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def holders(port: int) -> list[str]:
    """The processes that listen on the port, for the sentence of a test that failed."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    sockets = {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == "0A"}
    found = set()
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            if str(link.readlink()) in sockets:
                found.add(int(link.parts[2]))
    return [f"{pid} ({describe(pid)})" for pid in sorted(found)]


def describe(pid: int) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").replace("\0", " ").strip()
        return f"{words}, threads {''.join(sorted(_threads(pid)))}, parent {_state_row(Path(f'/proc/{pid}/stat'))[1]}"
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return "gone"


def children(pid: int) -> list[int]:
    """The processes that it has started, and those that they have."""
    try:
        found = [
            int(x) for task in Path(f"/proc/{pid}/task").iterdir() for x in (task / "children").read_text().split()
        ]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [each for child in found for each in (child, *children(child))]


def freeze(*pids: int) -> None:
    """The processes hang, as on a machine that is gone: nothing is refused, nothing is answered. Returns when each of
    their threads has stopped: the signal alone lets those that run go on for a moment."""
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    for pid in pids:
        while not frozen(pid):
            time.sleep(0.001)


def frozen(pid: int) -> bool:
    """None of its threads runs: each has stopped, or is gone."""
    return _threads(pid) <= set("TZX")


def thaw(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def state(pid: int) -> str:
    """One letter of proc(5): T is stopped, Z has ended and its parent has not asked yet, X is gone."""
    return _state(Path(f"/proc/{pid}/stat"))


def _threads(pid: int) -> set[str]:
    try:
        return {_state(task / "stat") for task in Path(f"/proc/{pid}/task").iterdir()}
    except (FileNotFoundError, ProcessLookupError):
        return {"X"}


def _state(stat: Path) -> str:
    try:
        return _state_row(stat)[0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def _state_row(stat: Path) -> list[str]:
    """From the state on."""
    return stat.read_text().rpartition(")")[2].split()


def answers(port: int, timeout: float, process: Process | None = None) -> bool:
    """An HTTP server answers on that port within the time, and ``process`` still lives."""
    end = time.monotonic() + timeout
    while time.monotonic() < end and (process is None or process.poll() is None):
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
        try:
            connection.request("GET", "/")
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            time.sleep(0.02)
        else:
            return True
        finally:
            connection.close()
    return False


def _sync(made: Service) -> None:
    """By glance-manage, once for each state of the code; then a copy of what it made, when that is a new SQLite file:
    most services want one, and the schema takes seconds of CPU."""
    file = made.folder / "glance.sqlite"
    plain = made.config["database"] == {"connection": f"sqlite:///{quote(str(made.folder))}/glance.sqlite"}
    template = LAB / "services" / f"empty-{_code()}.sqlite"
    if plain and not file.exists() and template.exists():
        shutil.copy(template, file)  # with the rights that glance-manage gave it
        return
    empty = plain and not file.exists()
    made.manage("db", "sync")
    if empty and not list(made.folder.glob("glance.sqlite-*")):
        template.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=template.parent, delete=False) as other:
            shutil.copy(file, other.name)
        Path(other.name).replace(template)


@functools.cache
def _code() -> str:
    """Digest of what an empty database is made from."""
    digest = hashlib.sha256()
    for folder in (REPO / "glancecore", REPO / "drivers" / "db_sql" / "src"):
        for path in sorted(folder.rglob("*.py")):
            digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


@contextlib.contextmanager
def service(
    config: Config | None = None,
    *,
    database: str = "",
    folder: Path | None = None,
    port: int = 0,
    start: bool = True,
    cold: bool = False,
) -> Iterator[Service]:
    """Our glance-api on a free port: SQLite and one file store, unless ``config`` and ``database`` (a URL) say
    otherwise."""
    own = folder is None
    if folder is None:
        (LAB / "services").mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(dir=LAB / "services"))
    made = Service(folder, port or free_port(), {}, cold)
    made.config = merged(
        {
            "DEFAULT": {
                "bind_host": "127.0.0.1",
                "bind_port": made.port,
                "workers": 1,
                "enabled_backends": "file:file",
            },
            "glance_store": {"default_backend": "file"},
            "database": {"connection": database or f"sqlite:///{quote(str(folder))}/glance.sqlite"},
            "file": {"filesystem_store_datadir": folder / "images"},
        },
        config or {},
    )
    made.config_file.write_text(config_text(made.config))
    try:
        _sync(made)
        if start:
            made.start()
        yield made
    finally:
        made.stop()
        if own:
            shutil.rmtree(folder, ignore_errors=True)
