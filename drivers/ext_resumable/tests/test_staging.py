"""The draft on ``PUT …/stage``, on a real server with two workers: it goes on where it broke off, and ends as ever,
with data for an import."""

from __future__ import annotations

import hashlib
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
from resuming import CONFIG, DATA, IDENTITY, OCTETS, Resuming, files, image_of, noted, sessions, told_early, usage
from waiting import until


@pytest.fixture(scope="module")
def service() -> Iterator[lab.Service]:
    with lab.service(CONFIG) as made:
        yield made


@pytest.fixture
def client(service: lab.Service) -> Resuming:
    return Resuming(service.url, way="stage")


def imported(client: Resuming, image_id: str, data: bytes = DATA) -> None:
    """What is staged becomes the image."""
    shown = client.show(image_id)
    assert (shown["status"], shown["size"]) == ("uploading", len(data))
    answer = client.importing(image_id)
    assert answer.status_code == 202, answer.text
    until(lambda: client.show(image_id)["status"] == "active", lambda: str(client.show(image_id)))
    assert client.show(image_id)["os_hash_value"] == hashlib.sha512(data).hexdigest()
    assert client.download(image_id).content == data


def test_a_whole_one_is_answered_as_ever(service: lab.Service, client: Resuming) -> None:
    for data in (DATA, iter([DATA[:1000], DATA[1000:]])):
        image_id = client.image()
        answer = client.put(image_id, data, "?1")
        assert (answer.status_code, answer.headers["Upload-Complete"], answer.headers["Upload-Offset"]) == (
            204,
            "?1",
            str(len(DATA)),
        ), answer.text
        assert len(files(service, image_id)) == 1
        imported(client, image_id)
        until(lambda image_id=image_id: files(service, image_id) == [image_id])  # type: ignore[misc]


def test_without_the_header_it_is_the_cores(client: Resuming) -> None:
    image_id = client.image()
    answer = client.put(image_id, DATA)
    assert (answer.status_code, "Upload-Complete" in answer.headers) == (204, False)
    assert client.put(image_id, DATA, "?1").status_code == 409, "data is staged already"
    imported(client, image_id)


def test_in_pieces_with_broken_connections(service: lab.Service, client: Resuming) -> None:
    url = client.begun()
    image_id = image_of(url)
    head = client.head(url)
    assert (
        head.status_code,
        head.headers["Upload-Offset"],
        head.headers["Upload-Complete"],
        head.headers["Cache-Control"],
    ) == (204, "1000", "?0", "no-store")
    assert client.show(image_id)["status"] == "uploading"
    for other in (client, Resuming(client.url)):
        assert other.put(image_id, b"x").status_code == other.put(image_id, b"x", "?1").status_code == 409, other.way
    assert client.importing(image_id).status_code == 409, "it is still being staged"
    answer = client.patched(url, 999, b"x", "?0")
    assert (answer.status_code, answer.headers["Upload-Offset"]) == (409, "1000")
    assert answer.json()["type"].endswith("#mismatching-upload-offset")

    def broken(first: int, end: int) -> Iterator[bytes]:
        yield DATA[first:end]
        raise OSError("the connection breaks")

    offset = 1000
    for end in (1_200_000, 2_700_000):
        with pytest.raises(OSError, match="breaks"):
            client.patched(url, offset, broken(offset, end), "?1")
        until(lambda offset=offset: noted(service, url) > offset, "what has come is kept")  # type: ignore[misc]
        offset = client.offset(url)
        assert offset <= end
    assert client.patched(url, offset, DATA[offset:3_000_000], "?0", Upload_Length=str(len(DATA))).status_code == 204
    answer = client.patched(url, 3_000_000, DATA[3_000_000:], "?1")
    assert (answer.status_code, answer.headers["Upload-Complete"]) == (204, "?1")
    assert client.head(url).headers["Upload-Complete"] == "?1"
    imported(client, image_id)


def test_given_up(service: lab.Service, client: Resuming) -> None:
    url = client.begun(DATA[:2_000_000])
    assert files(service, image_of(url)) != []
    assert client.give_up(url) == 204
    assert client.head(url).status_code == client.patched(url, 1000, b"x", "?1").status_code == 404
    assert (client.show(image_of(url))["status"], files(service, image_of(url))) == ("queued", [])
    assert client.put(image_of(url), DATA, "?1").status_code == 204
    [session] = sessions(service, image_of(url))
    assert client.give_up(f"{url.rpartition('/')[0]}/{session}") == 204
    imported(client, image_of(url))


def test_data_of_another_format(service: lab.Service, client: Resuming) -> None:
    url = client.begun(b"KD", disk_format="qcow2")
    assert client.patched(url, 2, b"MV" + bytes(5000), "?1").status_code == 415
    assert client.head(url).status_code == 410
    image_id = client.image(disk_format="qcow2")
    assert client.put(image_id, b"KDMV" + bytes(5000), "?1").status_code == 415
    for ended in (image_of(url), image_id):
        assert (client.show(ended)["status"], files(service, ended)) == ("queued", [])


def test_what_is_refused(client: Resuming) -> None:
    image_id = client.image()
    assert client.put(image_id, b"x", "yes").status_code == 400
    assert client.put(image_id, b"xyz", "?1", Upload_Length="4").json()["type"].endswith("#inconsistent-upload-length")
    assert client.put(image_id, b"x", "?0", Content_Type="text/plain").status_code == 415
    assert client.show(image_id)["status"] == "queued"
    assert client.put(client.image(disk_format=None), b"x", "?1").status_code == 400


def test_others_learn_nothing(service: lab.Service, client: Resuming) -> None:
    url = client.begun(visibility="private")
    stranger, reader = (
        Resuming(service.url, "strangers", way="stage"),
        Resuming(service.url, "demo", "reader", way="stage"),
    )
    for who, status in ((stranger, 404), (reader, 403)):
        assert who.head(url).status_code == who.patched(url, 1000, b"x", "?1").status_code == who.give_up(url) == status
        assert who.put(image_of(url), b"x", "?1").status_code == status
    assert client.head(url).headers["Upload-Offset"] == "1000"


def test_the_image_is_deleted_between_two_pieces(service: lab.Service, client: Resuming) -> None:
    url = client.begun(DATA[:2_000_000])
    assert client.delete(image_of(url)).status_code == 204
    assert client.patched(url, 2_000_000, b"x", "?1").status_code == 404
    until(lambda: files(service, image_of(url)) == [], lambda: str(files(service, image_of(url))))


def test_who_understands_104_goes_on_after_a_break(service: lab.Service, client: Resuming) -> None:
    """Told before the first byte; then the connection breaks, and then the server is killed."""
    image_id = client.image()
    with client.raw(image_id, "Upload-Draft-Interop-Version: 8") as raw:
        raw.sendall(DATA[:1_200_000])
        url = told_early(raw)
    until(lambda: noted(service, url) == 1_200_000)
    service.stop(signal.SIGKILL)
    service.start()
    assert client.offset(url) == 1_200_000, "what was kept stays"
    assert client.patched(url, 1_200_000, DATA[1_200_000:], "?1").status_code == 204
    imported(client, image_id)


def test_who_does_not_understand_it_leaves_nothing_behind(service: lab.Service, client: Resuming) -> None:
    image_id = client.image()
    with client.raw(image_id) as raw:
        raw.sendall(DATA[:1_200_000])
        until(lambda: client.show(image_id)["status"] == "uploading")
    until(lambda: client.show(image_id)["status"] == "queued", "it does not know where it would go on")
    assert files(service, image_id) == []
    assert client.put(image_id, DATA).status_code == 204


def test_curl_copes_with_104(service: lab.Service, client: Resuming, tmp_path: Path) -> None:
    lab.need("curl")
    image_id, file = client.image(), tmp_path / "disk.img"
    file.write_bytes(DATA)
    words = [word for line in IDENTITY.strip().split("\r\n") for word in ("-H", line)]
    subprocess.run(
        [
            "curl",
            "-sSf",
            *words,
            "-H",
            f"Content-Type: {OCTETS}",
            "-H",
            "Upload-Complete: ?1",
            "-H",
            "Upload-Draft-Interop-Version: 8",
            "-T",
            str(file),
            f"{service.url}/v2/images/{image_id}/stage",
        ],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )
    imported(client, image_id)


def test_it_counts_against_what_a_project_may_stage(tmp_path: Path) -> None:
    """While it comes against what is stored, in the end against what is staged: as in one request."""
    with lab.service(
        lab.merged(CONFIG, {"DEFAULT": {"user_storage_quota": 3_000_000, "workers": 1}}), folder=tmp_path
    ) as service:
        client, admin = Resuming(service.url, way="stage"), Resuming(service.url, "admins", "admin,member,reader")
        answer = client.put(client.image(), DATA, "?1")
        assert (answer.status_code, "image_size_total" in answer.text) == (413, True)
        url = client.begun(DATA[:1_500_000])
        assert usage(service)[1:] == (0, 1, 1)
        assert admin.call("PATCH", "/v2/quotas/demo", {"image_stage_total": 1}).status_code == 200
        until(lambda: client.call("GET", "/v2/info/usage").json()["usage"]["image_stage_total"]["limit"] == 1)
        answer = client.patched(url, 1_500_000, b"x", "?1")
        assert (answer.status_code, "image_stage_total" in answer.text) == (413, True), answer.text
        assert (client.show(image_of(url))["status"], usage(service), files(service, image_of(url))) == (
            "queued",
            (0, 0, 0, 0),
            [],
        )
        image_id = client.image()
        assert client.put(image_id, DATA[:1000], "?1").status_code == 204
        assert usage(service) == (0, 1000, 1, 0)
        imported(client, image_id, DATA[:1000])
        until(lambda: usage(service) == (1000, 0, 0, 0), lambda: str(usage(service)))


def test_where_nothing_is_staged(tmp_path: Path) -> None:
    with lab.service(
        lab.merged(CONFIG, {"DEFAULT": {"enabled_import_methods": "web-download"}}), folder=tmp_path
    ) as service:
        client = Resuming(service.url, way="stage")
        image_id = client.image()
        assert client.put(image_id, b"x", "?1").status_code == client.put(image_id, b"x").status_code == 404
        assert client.show(image_id)["status"] == "queued"


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[lab.Service]]:
    """Two servers of one cloud."""
    (tmp_path / "images").mkdir()
    shared = lab.merged(CONFIG, {"file": {"filesystem_store_datadir": tmp_path / "images"}})
    with (
        lab.new_database("sqlite") as database,
        lab.service(shared, database=database) as one,
        lab.service(shared, database=database) as two,
    ):
        yield [one, two]


def test_the_newest_request_wins_wherever_it_comes(nodes: list[lab.Service]) -> None:
    """One is in the middle of its body at a node when another one goes on at the other; the first node dies, and what
    was told is there."""
    one, two = (Resuming(x.url, way="stage") for x in nodes)
    image_id = one.image()
    with one.raw(image_id, "Upload-Draft-Interop-Version: 8") as raw:
        raw.sendall(DATA[:1_500_000])
        url = told_early(raw)
        path = url.removeprefix(nodes[0].url)
        until(lambda: noted(nodes[0], url) > 0)
        offset = two.offset(f"{nodes[1].url}{path}")
        assert 0 < offset <= 1_500_000
        assert two.patched(f"{nodes[1].url}{path}", offset, DATA[offset:2_000_000], "?0").status_code == 204
        raw.sendall(DATA[1_500_000:])
        answer = raw.recv(65536)
        assert answer.startswith(b"HTTP/1.1 409 "), answer
    assert two.offset(f"{nodes[1].url}{path}") == 2_000_000, "nothing of the older one came behind"
    nodes[0].stop(signal.SIGKILL)
    assert two.patched(f"{nodes[1].url}{path}", 2_000_000, DATA[2_000_000:], "?1").status_code == 204
    imported(two, image_id)
