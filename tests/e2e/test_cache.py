"""The image cache on a real server with several workers, before a real web server that counts who reads from it."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import lab
import pytest
import requests
from client import HEADERS_AUTH, Client

MIB = 1 << 20
ADMIN = "admin,member,reader"


def config(folder: Path, **more: object) -> lab.Config:
    return lab.merged(
        HEADERS_AUTH,
        {
            "DEFAULT": {
                "workers": 2,
                "enabled_backends": "file:file, web:http",
                "image_cache_dir": folder,
                "hashing_algorithm": "sha256",
                **more,
            },
            "web": {"http_store_allowed_hosts": "127.0.0.1"},
            "metrics": {"enabled": True},
        },
    )


@pytest.fixture
def service(tmp_path: Path) -> Iterator[lab.Service]:
    with lab.service(config(tmp_path / "cache", image_cache_max_size=64 * MIB)) as made:
        yield made


@contextmanager
def on_the_web(data: bytes, path: str = "counted") -> Iterator[str]:
    """The URL of ``data`` on nginx."""
    nginx = lab.nginx()
    file = Path(nginx.settings["NGINX_ROOT"], f"cache-{uuid.uuid4().hex}")
    file.write_bytes(data)
    yield f"{nginx.url}/{path}/{file.name}"
    file.unlink()


def reads(url: str) -> int:
    """How often nginx was asked for the data; it writes a line when an answer has ended."""
    time.sleep(0.1)
    name = url.rpartition("/")[2]
    log = Path(lab.nginx().settings["NGINX_COUNTED"]).read_text()
    return sum(f"{name} HTTP" in line and '"GET ' in line for line in log.splitlines())


def located(service: lab.Service, url: str, data: bytes) -> str:
    """An active image whose data is at ``url``."""
    client = Client(service.url)
    image_id = str(client.create(name="remote")["id"])
    expected = {"os_hash_algo": "sha256", "os_hash_value": hashlib.sha256(data).hexdigest()}
    assert (
        client.call("POST", f"/v2/images/{image_id}/locations", {"url": url, "validation_data": expected}).status_code
        == 202
    )
    end = time.monotonic() + 60
    while client.show(image_id)["status"] != "active" or not client.show(image_id)["checksum"]:
        assert time.monotonic() < end
        time.sleep(0.05)
    return image_id


def get(service: lab.Service, image_id: str) -> bytes:
    """The data. Raises http.client's errors when the answer is not whole."""
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=120)
    try:
        connection.request(
            "GET",
            f"/v2/images/{image_id}/file",
            headers={"X-Identity-Status": "Confirmed", "X-User-Id": "u", "X-Project-Id": "demo", "X-Roles": ADMIN},
        )
        answer = connection.getresponse()
        data = answer.read()  # raises IncompleteRead
        assert answer.status == 200, data
        assert answer.headers["Content-Length"] == str(len(data))
        return data
    finally:
        connection.close()


def cached(service: lab.Service) -> set[str]:
    return {x["image_id"] for x in Client(service.url, roles=ADMIN).call("GET", "/v2/cache").json()["cached_images"]}


def until_cached(service: lab.Service, image_id: str) -> None:
    end = time.monotonic() + 30
    while image_id not in cached(service):
        assert time.monotonic() < end, service.tail()
        time.sleep(0.05)


def entry(folder: Path, image_id: str) -> Path:
    (found,) = (x for x in (folder / "data").glob(f"{image_id}.*") if x.suffix != ".fill")
    return found


def test_a_thousand_downloads_read_the_store_once(service: lab.Service) -> None:
    data = os.urandom(3 * MIB + 17)
    with on_the_web(data, "counted/slow") as url:
        image_id = located(service, url, data)
        before = reads(url)
        everybody = threading.Barrier(1000)

        def one(_number: int) -> bool:
            everybody.wait()
            return get(service, image_id) == data

        with ThreadPoolExecutor(1000) as pool:
            right = list(pool.map(one, range(1000)))
        assert right == [True] * 1000
        assert reads(url) - before == 1
    until_cached(service, image_id)
    metrics = requests.get(f"{service.url}/metrics", timeout=10).text
    counts = {
        line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
        for line in metrics.splitlines()
        if line.startswith("glance_cache")
    }
    assert counts['glance_cache_requests_total{outcome="miss"}'] == 1
    assert counts["glance_cache_filled_bytes_total"] == len(data)
    assert (
        sum(counts.get(f'glance_cache_requests_total{{outcome="{x}"}}', 0) for x in ("miss", "hit", "followed")) == 1000
    )


def test_a_killed_filler_is_replaced(service: lab.Service, tmp_path: Path) -> None:
    """The worker that fills is killed: who was connected to it is cut off, everybody else gets all of it, by one more
    read."""
    data = os.urandom(10 * MIB)
    with on_the_web(data, "counted/slow") as url:
        image_id = located(service, url, data)
        before, results = reads(url), list[bytes | Exception]()

        def one() -> None:
            try:
                results.append(get(service, image_id))
            except (OSError, http.client.HTTPException) as exc:
                results.append(exc)

        threads = [threading.Thread(target=one)]
        threads[0].start()
        mark = _until_filling(tmp_path / "cache", image_id)
        while len(_having_open(service, mark.with_suffix(""))) < 2:  # somebody waits in each worker
            assert len(threads) < 100
            threads.append(threading.Thread(target=one))
            threads[-1].start()
            time.sleep(0.02)
        os.kill(_holder(service, mark), signal.SIGKILL)
        for thread in threads:
            thread.join()
        whole = [x for x in results if isinstance(x, bytes)]
        assert set(whole) == {data}, "nobody may get a part for the whole"
        assert 0 < len(whole) < len(threads)
        assert reads(url) - before == 2
        assert get(service, image_id) == data
        assert reads(url) - before == 2
    assert cached(service) == {image_id}


def test_after_a_kill_of_everything_the_start_is_clean(service: lab.Service, tmp_path: Path) -> None:
    data = os.urandom(6 * MIB)
    folder = tmp_path / "cache" / "data"
    with on_the_web(data, "counted/slow") as url:
        image_id = located(service, url, data)

        def cut_off() -> None:
            with pytest.raises((OSError, http.client.HTTPException)):
                get(service, image_id)

        broken = threading.Thread(target=cut_off)
        broken.start()
        _until_filling(tmp_path / "cache", image_id)
        lab.freeze(*service.workers)  # none takes over before it is killed as well
        service.stop(signal.SIGKILL)
        broken.join()
        assert list(folder.iterdir())
        service.start()
        assert list(folder.iterdir()) == []
        assert get(service, image_id) == data
        until_cached(service, image_id)
        assert get(service, image_id) == data


def test_changed_bytes_are_not_served(service: lab.Service, tmp_path: Path) -> None:
    data = os.urandom(2 * MIB)
    with on_the_web(data) as url:
        image_id = located(service, url, data)
        assert get(service, image_id) == data
        until_cached(service, image_id)
        path = entry(tmp_path / "cache", image_id)
        with path.open("r+b") as file:
            file.seek(MIB)
            file.write(bytes([data[MIB] ^ 1]))
        for _ in range(4):
            assert get(service, image_id) == data


def test_the_bound_is_hard(tmp_path: Path) -> None:
    folder, bound, stop, most = tmp_path / "cache", 8 * MIB, threading.Event(), [0]
    with lab.service(config(folder, image_cache_max_size=bound)) as service:
        client = Client(service.url)
        images = {}
        for number in range(10):
            data = os.urandom((1 + number % 4) * MIB)
            image_id = client.create()["id"]
            assert client.upload(image_id, data).status_code == 204
            images[image_id] = data

        def watch() -> None:
            while not stop.is_set():
                most[0] = max(most[0], _used(folder / "data"))

        watcher = threading.Thread(target=watch)
        watcher.start()
        with ThreadPoolExecutor(12) as pool:
            got = list(pool.map(lambda x: get(service, x) == images[x], list(images) * 6))
        stop.set()
        watcher.join()
        assert all(got)
        assert 0 < most[0] <= bound
        assert cached(service)


def test_a_full_disk_stops_no_download(tmp_path: Path) -> None:
    """The cache's own disk is smaller than the cache may be."""
    folder = tmp_path / "disk"
    folder.mkdir()
    assert os.geteuid() == 0, "run this test as root: it mounts a file system"
    lab._run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder])
    try:
        with lab.service(config(folder / "cache")) as service:
            client, data = Client(service.url), os.urandom(6 * MIB)
            image_id = client.create()["id"]
            assert client.upload(image_id, data).status_code == 204
            for _ in range(3):
                assert get(service, image_id) == data
            assert cached(service) == set()
            assert Client(service.url, roles=ADMIN).call("POST", "/v2/cache/clean").status_code == 200
            assert list((folder / "cache" / "data").iterdir()) == []
    finally:
        lab._run(["umount", "-l", folder])


# -- commands --------------------------------------------------------------------------------------
def manage(service: lab.Service, *args: str, answer: str = "", status: int = 0) -> str:
    """glance-cache-manage as an admin; its answer."""
    done = subprocess.run(
        [
            lab.BIN / "glance-cache-manage",
            "--url",
            service.url,
            "--header",
            "X-Identity-Status: Confirmed",
            "--header",
            "X-Roles: admin",
            "--header",
            "X-User-Id: u",
            "--header",
            "X-Project-Id: p",
            *args,
        ],
        input=answer,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == status, done.stderr
    return done.stdout if status == 0 else done.stderr


def test_cache_manage(service: lab.Service) -> None:
    client, data = Client(service.url), os.urandom(MIB)
    ids = [str(client.create()["id"]) for _ in range(2)]
    for image_id in ids:
        assert client.upload(image_id, data).status_code == 204
    assert "Nothing is queued" in manage(service, "list-queued")
    assert manage(service, "queue-image", ids[0], answer="n\n") == ""
    assert manage(service, "--force", "queue-image", *ids).split() == ["queued", ids[0], "queued", ids[1]]
    for image_id in ids:
        until_cached(service, image_id)
    listed = json.loads(manage(service, "--json", "list-cached"))
    assert {x["image_id"]: x["size"] for x in listed} == dict.fromkeys(ids, MIB)
    assert f"2 images, {2 * MIB} bytes" in manage(service, "list-cached")
    assert manage(service, "delete-cached-image", ids[0], answer="y\n").split() == ["deleted", ids[0]]
    assert cached(service) == {ids[1]}
    assert "is not queued" in manage(service, "--force", "delete-queued-image", ids[1], status=1)
    assert json.loads(manage(service, "--json", "prune")) == {"total_files_pruned": 0, "total_bytes_pruned": 0}
    manage(service, "clean")
    assert json.loads(manage(service, "--json", "--force", "delete-all-cached-images")) == {"deleted": 1}
    assert json.loads(manage(service, "--json", "--force", "delete-all-queued-images")) == {"deleted": 0}
    assert cached(service) == set()
    assert "404" in manage(service, "--force", "queue-image", str(uuid.uuid4()), status=1)
    done = lab.command("glance-cache-manage", "-p", "9", "list-cached")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def run(service: lab.Service, command: str, *args: str) -> dict[str, Any]:
    done = lab.command(command, "--config-file", service.config_file, *args, "--json")
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def test_care_by_command(service: lab.Service, tmp_path: Path) -> None:
    """Silent rot, which changes no time, is found by the cleaner; the others are there as well."""
    client, data = Client(service.url), os.urandom(MIB)
    image_id = str(client.create()["id"])
    assert client.upload(image_id, data).status_code == 204
    assert get(service, image_id) == data
    until_cached(service, image_id)
    path = entry(tmp_path / "cache", image_id)
    about = path.stat()
    with path.open("r+b") as file:
        file.write(bytes([data[0] ^ 1]))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    assert found(run(service, "glance-cache-cleaner", "--verify-all", "--dry-run")) == [("to be verified", image_id)]
    report = run(service, "glance-cache-cleaner", "--verify-all")
    assert found(report) == [("damaged", image_id)]
    assert (report["counts"]["files removed"], report["counts"]["bytes removed"]) == (1, MIB)
    assert get(service, image_id) == data
    assert run(service, "glance-cache-pruner")["counts"]["files removed"] == 0
    assert run(service, "glance-cache-prefetcher")["job"] == "cache_prefetcher"
    assert run(service, "glance-periodic", "report", "cache_cleaner")["findings"] == report["findings"]
    jobs = {x["job"]: x for x in run(service, "glance-periodic", "list")["jobs"]}
    assert [jobs[x]["of_machine"] for x in ("cache_cleaner", "auditor")] == [True, False]
    assert jobs["cache_cleaner"]["outcome"] == "done"


def found(report: dict[str, Any]) -> list[tuple[str, str]]:
    return [(x["kind"], x["subject"]) for x in report["findings"]]


def test_care_by_glance_periodic_alone(tmp_path: Path) -> None:
    """Where glance-api runs no jobs, a queued image waits for the machine's own glance-periodic."""
    jobs = {"periodic": {"embedded": False}, "periodic_cache_prefetcher": {"interval": 1}}
    with lab.service(lab.merged(config(tmp_path / "cache"), jobs)) as service:
        client = Client(service.url, roles=ADMIN)
        image_id = str(client.create()["id"])
        assert client.upload(image_id, b"data").status_code == 204
        assert client.call("PUT", f"/v2/cache/{image_id}").status_code == 202
        assert client.call("GET", "/v2/cache").json()["queued_images"] == [image_id]
        process = subprocess.Popen(
            [lab.BIN / "glance-periodic", "--config-file", service.config_file], stderr=subprocess.DEVNULL
        )
        try:
            until_cached(service, image_id)
        finally:
            lab.end(process, signal.SIGTERM)


def test_jobs_that_are_switched_off_do_not_run(tmp_path: Path) -> None:
    with lab.service(lab.merged(config(tmp_path / "cache"), {"periodic": {"enabled_jobs": "[reaper]"}})) as service:
        client = Client(service.url, roles=ADMIN)
        image_id = str(client.create()["id"])
        assert client.upload(image_id, b"data").status_code == 204
        assert client.call("PUT", f"/v2/cache/{image_id}").status_code == 202
        assert found(run(service, "glance-cache-prefetcher", "--dry-run")) == [("to be fetched", image_id)]
        assert client.call("GET", "/v2/cache").json()["queued_images"] == [image_id]
        assert found(run(service, "glance-cache-prefetcher")) == [("fetched", image_id)]
        assert cached(service) == {image_id}


# -- helpers ---------------------------------------------------------------------------------------
def _until_filling(folder: Path, image_id: str) -> Path:
    """The mark of the fill, when some of its bytes are there."""
    end = time.monotonic() + 20
    while time.monotonic() < end:
        for mark in (folder / "data").glob(f"{image_id}.*.fill"):
            data = mark.with_suffix("")
            if data.exists() and data.stat().st_size > MIB:
                return mark
        time.sleep(0.01)
    raise AssertionError("nobody fills")


def _having_open(service: lab.Service, path: Path) -> dict[int, list[str]]:
    """The workers that have the file open, and its descriptors there."""
    found: dict[int, list[str]] = {}
    for pid in service.workers:
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            try:
                if fd.readlink() == path:
                    found.setdefault(pid, []).append(fd.name)
            except FileNotFoundError:
                continue
    return found


def _holder(service: lab.Service, mark: Path) -> int:
    """The worker that fills: the one with the data file open for writing."""
    return next(
        pid
        for pid, fds in _having_open(service, mark.with_suffix("")).items()
        if any(int(_flags(pid, fd), 8) & os.O_RDWR for fd in fds)
    )


def _flags(pid: int, fd: str) -> str:
    return next(
        x.split()[1] for x in Path(f"/proc/{pid}/fdinfo/{fd}").read_text().splitlines() if x.startswith("flags:")
    )


def _used(folder: Path) -> int:
    """Bytes of image data, whole or not."""
    total = 0
    for path in folder.iterdir():
        if path.suffix == ".fill":
            continue
        try:
            total += path.stat().st_size
        except FileNotFoundError:
            continue
    return total
