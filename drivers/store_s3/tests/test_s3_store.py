"""What only the S3 store does; the rest is the kit's."""

import re
import socket
import subprocess
import urllib.error
import urllib.request

import lab
import pytest
from botocore.exceptions import ClientError
from glancecore_store_s3 import driver
from glancecore_store_s3.driver import S3Store
from glancecore_store_s3.trouble import store_errors

from glancecore.domain import errors
from glancecore.ports.store import StoredPart
from glancecore.testing import _store_process
from glancecore.testing import relay as relays
from glancecore.testing.store import make_store

MIB = 1 << 20
LOGIN = {
    "s3_store_host": "http://127.0.0.1:9",
    "s3_store_access_key": "access",
    "s3_store_secret_key": "top-secret",
    "s3_store_bucket": "glance",
}
PARTS = {"s3_store_large_object_size": 1, "s3_store_large_object_chunk_size": 5}


def data_of(size, seed=1):
    return (bytes((seed * 7 + number * 31) % 251 for number in range(9973)) * (size // 9973 + 1))[:size]


def pieces(data, length=MIB):
    return (data[start : start + length] for start in range(0, len(data), length))


def read(store, url, *what):
    return b"".join(store.open(url, *what))


@pytest.fixture
def made(server, bucket):
    """made(**options) -> a store on the bucket; closed at the end."""
    stores = []

    def made(**options):
        stores.append(make_store(S3Store, **{"s3_store_bucket": bucket, **server.options(), **options}))
        return stores[-1]

    yield made
    for store in stores:
        store.close()


@pytest.fixture
def relay(server):
    with relays.relay("127.0.0.1", server.port) as relay:
        yield relay


def through(relay, **options):
    return {"s3_store_host": f"http://127.0.0.1:{relay.port}", **options}


# -- settings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"s3_store_host": ""}, r"\[kit\] s3_store_host: it is empty; give"),
        ({"s3_store_access_key": ""}, r"\[kit\] s3_store_access_key: it is empty; give"),
        ({"s3_store_secret_key": ""}, r"\[kit\] s3_store_secret_key: it is empty; give"),
        ({"s3_store_bucket": ""}, r"\[kit\] s3_store_bucket: it is empty; give"),
        ({"s3_store_host": "ftp://x"}, r"\[kit\] s3_store_host: give the service's host"),
        ({"s3_store_host": "http://me:password@x"}, r"s3_store_host: .* without user and password"),
        ({"s3_store_host": "http://x:99999999"}, r"s3_store_host"),
        ({"s3_store_presign_host": "http://["}, r"s3_store_presign_host"),
        ({"s3_store_cacert": "/nowhere"}, r"s3_store_cacert = /nowhere can't be read"),
        ({"s3_store_buffer_dir": "/nowhere"}, r"s3_store_buffer_dir = /nowhere can't be written to"),
    ],
)
def test_wrong_settings_are_config_errors(settings, message):
    with pytest.raises(errors.ConfigError, match=message) as caught:
        make_store(S3Store, **{**LOGIN, **settings})
    assert "top-secret" not in str(caught.value)


def test_missing_bucket_is_a_config_error_unless_it_may_be_made(made):
    with pytest.raises(errors.ConfigError, match="does not exist: make it, or set s3_store_create_bucket_on_put"):
        made(s3_store_create_bucket_on_put=False)
    made()
    made(s3_store_create_bucket_on_put=False)


def test_name_that_is_none_is_a_config_error(made):
    with pytest.raises(errors.ConfigError, match="s3_store_bucket"):
        made(s3_store_bucket="X", s3_store_create_bucket_on_put=False)


@pytest.mark.parametrize("option", ["s3_store_secret_key", "s3_store_access_key"])
def test_wrong_keys_are_forbidden(made, option):
    store = made()
    url = store.put("image", iter([b"data"]))
    with pytest.raises(errors.StoreForbidden) as caught:
        made(**{option: "wrong-key"})
    assert "wrong-key" not in str(caught.value)
    wrong = S3Store("kit", made().conf)
    wrong._client.close()
    wrong._client = wrong._signing
    wrong._client._request_signer._credentials.secret_key = "wrong-key"
    for operation in (
        lambda: wrong.open(url),
        lambda: wrong.size(url),
        lambda: wrong.delete(url),
        lambda: wrong.put("other", iter([b"x"])),
        lambda: list(wrong.list()),
        lambda: wrong.discard("image"),
    ):
        with pytest.raises(errors.StoreForbidden):
            operation()
    wrong.close()
    assert read(store, url) == b"data"


def test_nobody_there_is_unavailable():
    with pytest.raises(errors.StoreUnavailable):
        make_store(S3Store, **{**LOGIN, "s3_store_host": f"http://127.0.0.1:{lab.free_port()}", "s3_store_retries": 1})


def test_secrets_are_declared():
    assert {opt.name for opt in S3Store.options if opt.secret} == {"s3_store_access_key", "s3_store_secret_key"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "SignatureDoesNotMatch", errors.StoreForbidden),
        (404, "NoSuchKey", errors.BlobNotFound),
        (404, "NoSuchBucket", errors.StoreUnavailable),
        (404, "NoSuchUpload", errors.StoreUnavailable),
        (412, "PreconditionFailed", errors.BlobExists),
        (403, "QuotaExceeded", errors.StoreFull),
        (507, "", errors.StoreFull),
        (400, "EntityTooLarge", errors.StoreFull),
        (503, "SlowDown", errors.StoreUnavailable),
        (500, "", errors.StoreUnavailable),
    ],
)
def test_answers_become_store_errors(status, code, kind):
    with pytest.raises(kind) as caught, store_errors("kit", "put"):
        raise ClientError(
            {
                "Error": {"Code": code, "Message": "http://secret.example.org/"},
                "ResponseMetadata": {"HTTPStatusCode": status},
            },
            "PutObject",
        )
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)


# -- how images lie there --------------------------------------------------------------------------
@pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize(
    ("size", "count"), [(MIB, 0), (MIB + 1, 1), (5 * MIB, 1), (5 * MIB + 1, 2), (10 * MIB, 2), (15 * MIB - 1, 3)]
)
def test_parts_at_the_edges(made, room, bucket, size, count, told):
    store, data = made(**PARTS), data_of(size)
    url = store.put("image", pieces(data, 300_001), size if told else None)
    assert url == f"s3://{store.conf.s3_store_host.partition('://')[2]}/{bucket}/image"
    there = room.client.get_object(Bucket=bucket, Key="image")
    assert there["Body"].read() == data
    parts = re.fullmatch(r'"[0-9a-f]{32}(?:-(\d+))?"', there["ETag"])
    assert int(parts[1] or 0) == count
    [blob] = store.list()
    assert (blob.key, blob.size) == ("image", size)
    if size > 5 * MIB:
        assert read(store, url, 5 * MIB - 1, 2) == data[5 * MIB - 1 : 5 * MIB + 1]
    store.delete(url)
    assert room.names() == set()


def test_known_size_up_to_the_limit_is_one_request(made, room, bucket):
    store, data = made(s3_store_large_object_size=12, s3_store_large_object_chunk_size=5), data_of(12 * MIB)
    url = store.put("image", pieces(data), len(data))
    assert "-" not in room.client.head_object(Bucket=bucket, Key="image")["ETag"]
    assert read(store, url) == data

    def broken():
        yield from pieces(data)
        raise ConnectionResetError(104, "reset")  # behind the last byte

    with pytest.raises(ConnectionResetError):
        store.put("other", broken(), len(data))
    assert room.names() == {"image"}


def test_parts_grow_so_that_the_service_takes_them():
    store = S3Store("kit", make_store_section(s3_store_max_parts=1000))
    known, unknown = store._room(2 << 40), store._room(None)
    assert known(1) * 1000 >= 2 << 40
    assert unknown(1) == 10 * MIB
    assert sum(unknown(number) for number in range(1, 1001)) > 300 << 30
    assert max(unknown(number) for number in range(1, 1001)) <= 5 << 30
    store.close()


def make_store_section(**options):
    from glancecore.testing.settings import make_section

    return make_section(S3Store.options, **LOGIN, **options)


def test_listing_and_discarding_go_over_pages(made, monkeypatch, room, bucket):
    monkeypatch.setattr(driver, "PAGE", 2)
    store = made(**PARTS)
    keys = [f"image-{number}" for number in range(5)]
    for key in keys:
        store.put(key, iter([key.encode()]))
    assert sorted(blob.key for blob in store.list()) == keys
    for key in ["image", "image", "image", "image-0", "image-x"]:
        room.client.create_multipart_upload(Bucket=bucket, Key=key)
    store.discard("image")
    assert {name.partition(" unfinished")[0] for name in room.names() if "unfinished" in name} == {"image-0", "image-x"}
    assert sorted(blob.key for blob in store.list()) == keys


def test_what_is_no_image_is_not_listed(made, room, bucket):
    store = made()
    for key in ("folder/image", ".hidden", "a b", "x" * 101):
        room.client.put_object(Bucket=bucket, Key=key, Body=b"")
    assert list(store.list()) == []


@pytest.mark.parametrize("server", ["swift"], indirect=True)
def test_bucket_may_be_part_of_the_host(made, server, monkeypatch, bucket):
    asked, real = [], socket.getaddrinfo

    def getaddrinfo(host, *args, **kwargs):
        asked.append(host)
        return real("127.0.0.1" if host.endswith(server.domain) else host, *args, **kwargs)

    made()
    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    store = made(s3_store_host=f"http://{server.domain}:{server.port}", s3_store_bucket_url_format="virtual", **PARTS)
    data = data_of(6 * MIB)
    assert read(store, store.put("image", pieces(data))) == data
    assert set(asked) == {f"{bucket}.{server.domain}"}


# -- trouble on the way ----------------------------------------------------------------------------
def test_failed_part_is_sent_again(made, relay):
    store, data = made(**through(relay, **PARTS)), data_of(12 * MIB)
    relay.word = re.compile(rb"PUT [^ ]*partNumber=2")
    url = store.put("image", pieces(data))
    assert relay.cuts == 1
    assert read(store, url) == data


def test_part_that_can_not_be_sent_leaves_nothing(made, relay, room, monkeypatch):
    store, seen, word = made(**through(relay, s3_store_retries=1, **PARTS)), [], re.compile(rb"PUT [^ ]*partNumber=3")

    class Every:
        def search(self, data):
            found = word.search(data)
            if found:
                seen.append(data)
            return found

    monkeypatch.setattr(type(relay), "word", property(lambda self: Every(), lambda self, value: None), raising=False)
    with pytest.raises(errors.StoreUnavailable):
        store.put("image", pieces(data_of(30 * MIB)))
    assert len(seen) == 2, "sent once, and once again"
    assert room.names() == set()


@pytest.mark.parametrize(
    ("size", "word"), [(6 * MIB, rb"</CompleteMultipartUpload>"), (1000, rb"PUT [^ ]*/image")], ids=["parts", "object"]
)
def test_lost_answer_is_no_conflict(made, relay, room, size, word):
    """The request is repeated, and meets what it has made itself."""
    store, data = made(**through(relay, **PARTS)), data_of(size)
    relay.word, relay.deliver = re.compile(word), True
    url = store.put("image", pieces(data))
    assert relay.cuts == 1
    assert read(store, url) == data
    with pytest.raises(errors.BlobExists):
        store.put("image", pieces(data))
    assert read(store, url) == data
    store.delete(url)
    assert room.names() == set()


@pytest.mark.parametrize("size", [1000, 6 * MIB], ids=["object", "parts"])
def test_image_that_appears_meanwhile_is_not_replaced(made, room, bucket, size):
    store, data = made(**PARTS), data_of(size)

    def source():
        yield from pieces(data)
        room.client.put_object(Bucket=bucket, Key="image", Body=b"somebody else's")

    with pytest.raises(errors.BlobExists):
        store.put("image", source())
    assert room.client.get_object(Bucket=bucket, Key="image")["Body"].read() == b"somebody else's"
    assert room.names() == {"image"}


def test_full_buffer_folder_is_unavailable(made, room, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    try:
        store = made(s3_store_buffer_dir=str(folder))
        with pytest.raises(errors.StoreUnavailable, match="can't be buffered: no space left on device") as caught:
            store.put("image", pieces(data_of(20 * MIB)))
        assert str(folder) not in str(caught.value)
        assert room.names() == set()
    finally:
        subprocess.run(["umount", folder], check=True)


def test_download_is_taken_up_where_it_broke(made, server):
    store, data = made(**PARTS), data_of(30 * MIB)
    url = store.put("image", pieces(data))
    for offset, length in ((0, None), (MIB + 5, 25 * MIB)):
        reader = store.open(url, offset, length)
        got = next(reader)
        server.kill()
        server.start()
        got += b"".join(reader)
        assert got == (data[offset:] if length is None else data[offset : offset + length])


def test_download_is_never_of_two_objects(made, server, room, bucket):
    store, data = made(), data_of(30 * MIB)
    url = store.put("image", pieces(data), len(data))
    reader = store.open(url)
    got = next(reader)
    server.kill()
    room.client.put_object(Bucket=bucket, Key="image", Body=data_of(30 * MIB, 2))
    server.start()
    more = []
    with pytest.raises(errors.StoreUnavailable, match="replaced"):
        more.extend(reader)
    assert data.startswith(got + b"".join(more))
    assert next(reader, None) is None


# -- locations -------------------------------------------------------------------------------------
def test_locations_of_glance_are_read(made, bucket):
    store = made()
    mine = store.put("image", iter([b"data"]))
    host = store.conf.s3_store_host.partition("://")[2]
    for scheme in ("s3", "s3+http", "s3+https"):
        for who in ("", "access:secret@", "access:se/cr%40et+old@"):
            assert read(store, f"{scheme}://{who}{host}/{bucket}/image") == b"data"
            assert store.canonical(f"{scheme}://{who}{host}/{bucket}/image") == mine
            for where in (
                f"other.example.org/{bucket}",
                f"{host}/{bucket}-other",
                f"{host}.example.org/{bucket}",
                f"{host}/x/{bucket}",
            ):
                with pytest.raises(errors.BadLocation) as caught:
                    store.open(f"{scheme}://{who}{where}/image")
                assert "secret" not in str(caught.value)
    store.delete(f"s3+http://access:secret@{host}/{bucket}/image")
    assert list(store.list()) == []


# -- signed URLs -----------------------------------------------------------------------------------
def test_url_is_for_that_object_and_for_reading(made, server):
    store = made(s3_store_presign_host=f"http://localhost:{server.port}/")
    signed = store.presign(store.put("image", iter([b"data"])), 60)
    store.put("other", iter([b"other"]))
    assert signed.startswith(f"http://localhost:{server.port}/")
    assert server.secret not in signed
    with urllib.request.urlopen(urllib.request.Request(signed, headers={"Range": "bytes=1-2"}), timeout=30) as answer:
        assert answer.read() == b"at"
    for url, method in ((signed.replace("/image?", "/other?"), "GET"), (signed, "DELETE"), (signed, "PUT")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(
                urllib.request.Request(url, method=method, data=b"" if method == "PUT" else None), timeout=30
            )
        assert caught.value.code == 403
        caught.value.close()


def test_a_marker_is_asked_for_as_a_ping_asks():
    """Once, and not for long: the check of a store's health has five seconds. Nothing answers here."""
    asked = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = _store_process.build(
            S3Store,
            "kit",
            {
                **LOGIN,
                "s3_store_host": f"http://127.0.0.1:{silent.getsockname()[1]}",
                "s3_store_timeout": 0.2,
                "s3_store_retries": 2,
                "s3_store_bucket_url_format": "path",
            },
        )
        with pytest.raises(errors.StoreUnavailable):
            store.markers()
        store.close()
        silent.setblocking(False)
        while True:
            try:
                asked.append(silent.accept()[0])
            except BlockingIOError:
                break
    for connection in asked:
        connection.close()
    assert len(asked) == 1


# -- parts -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("server", ["gateway"], indirect=True)
@pytest.mark.parametrize("step", ["_made_anew", "forget"])
def test_parts_that_do_not_count_are_left_out_also_after_a_crash(made, room, monkeypatch, step):
    """Ceph's gateway completes no upload in which there are others: the object is made anew of those that count."""
    store = made()
    handle, contents = store.begin_parts(None, "kit"), [data_of(8 * MIB + number, number) for number in range(4)]
    for number, data in enumerate(contents):
        store.put_part("kit", handle, number, 0, pieces(data))
    counting = [StoredPart(number, len(contents[number])) for number in (0, 2)]

    def dies(*_):
        raise errors.StoreUnavailable("the process is killed")

    with monkeypatch.context() as patched:
        patched.setattr(store._parts, step, dies)
        with pytest.raises(errors.StoreUnavailable):
            store.complete_parts("kit", handle, counting)
    assert room.names() == {"kit", ".kit.parts"} | {x for x in room.names() if x.startswith("kit unfinished")}
    other = made()
    url = other.complete_parts("kit", handle, counting)
    assert read(other, url) == contents[0] + contents[2]
    assert room.names() == {"kit"}


def test_uploads_that_were_begun_and_not_told_of_are_given_up(made, room):
    store = made()
    for _ in range(2):
        store.begin_parts(None, "kit")
    handle = store.begin_parts(None, "kit")
    store.put_part("kit", handle, 0, 0, [b"all"])
    assert len(room.names()) == 3
    assert read(store, store.complete_parts("kit", handle, [StoredPart(0, 3)])) == b"all"
    assert room.names() == {"kit"}
