"""What only the Swift store does; the rest is the kit's."""

import json
import re
import socket
import subprocess
import time
import urllib.error
import urllib.request
from contextlib import closing
from urllib.parse import quote, urlsplit

import lab
import pytest
from glancecore_store_swift import segments
from glancecore_store_swift.driver import SwiftStore
from glancecore_store_swift.trouble import store_errors
from glancecore_store_swift.uploads import SMALL
from swiftclient import ClientException

from glancecore.domain import errors
from glancecore.ports.store import StoredPart
from glancecore.testing import relay as relays
from glancecore.testing.store import make_store

from .proxy import Room

MIB = 1 << 20
LOGIN = {
    "swift_store_auth_address": "http://127.0.0.1:9/v3",
    "swift_store_user": "service:glance",
    "swift_store_key": "password",
}


def data_of(size, seed=1):
    return bytes((seed * 7 + number * 31) % 251 for number in range(9973)) * (size // 9973 + 1)


def pieces(data, length=MIB):
    return (data[start : start + length] for start in range(0, len(data), length))


def read(store, url, *what):
    return b"".join(store.open(url, *what))


@pytest.fixture
def made(proxy, container):
    """made(**options) -> a store on the container; closed at the end."""
    stores = []

    def made(**options):
        stores.append(
            make_store(
                SwiftStore,
                swift_store_container=container,
                **{**proxy.version_one(swift_store_create_container_on_put=True, swift_store_timeout=10), **options},
            )
        )
        return stores[-1]

    yield made
    for store in stores:
        store.close()


@pytest.fixture
def room(proxy, container):
    return Room(proxy.client(), container)


@pytest.fixture
def relay(proxy):
    with relays.relay("127.0.0.1", proxy.port) as relay:
        yield relay


def through(relay, **options):
    return {"swift_store_auth_address": f"http://127.0.0.1:{relay.port}/auth/v1.0", **options}


SEGMENTS = {"swift_store_large_object_size": 1, "swift_store_large_object_chunk_size": 1}


# -- settings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"swift_store_auth_address": ""}, r"\[kit\] swift_store_auth_address: it is empty; give the URL"),
        ({"swift_store_user": ""}, r"\[kit\] swift_store_user: it is empty"),
        ({"swift_store_key": ""}, r"\[kit\] swift_store_key: it is empty"),
        ({"swift_store_user": "glance"}, r"\[kit\] swift_store_user: give project:user"),
        ({"swift_store_auth_address": "ftp://x/"}, r"swift_store_auth_address is no http or https URL"),
        (
            {"swift_store_auth_address": "http://me:secret@x/"},
            r"swift_store_auth_address is no .* without user and password",
        ),
        ({"swift_store_auth_address": "http://[x/"}, r"swift_store_auth_address"),
        ({"swift_store_auth_address": "http://x:99999999/"}, r"swift_store_auth_address"),
        ({"swift_store_container": "a/b"}, r"swift_store_container = 'a/b'"),
        ({"swift_store_container": ""}, r"swift_store_container"),
        ({"swift_store_container": "x" * 224}, r"swift_store_container"),
        ({"swift_store_multiple_containers_seed": 2}, r"swift_store_create_container_on_put = true"),
        ({"swift_store_large_object_chunk_size": 5121}, r"swift_store_large_object_chunk_size: .* set 5120 at most"),
        ({"swift_store_cacert": "/nowhere"}, r"swift_store_cacert = /nowhere can't be read"),
        ({"swift_upload_buffer_dir": "/nowhere"}, r"swift_upload_buffer_dir = /nowhere can't be written to"),
        ({"swift_store_config_file": "/nowhere"}, r"swift_store_config_file = /nowhere can't be read"),
        ({"swift_store_config_file": __file__}, r"swift_store_config_file = .* is not a file of sections"),
    ],
)
def test_wrong_settings_are_config_errors(settings, message):
    with pytest.raises(errors.ConfigError, match=message) as caught:
        make_store(SwiftStore, **{**LOGIN, **settings})
    assert "password" not in str(caught.value).replace("without user and password", "").replace("give the password", "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "[other]\nuser = a:b\nkey = c\nauth_address = http://x\n",
            "default_swift_reference = ref1 is not in .*there are: other",
        ),
        ("[ref1]\nuser = a:b\nauth_address = http://x\n", r"\[ref1\] key: it is empty"),
        (
            "[ref1]\nuser = a:b\nkey = c\nauth_address = http://x\nauth_version = 2\n",
            r"\[ref1\] auth_version = 2: 1 and 3",
        ),
    ],
)
def test_wrong_references_are_config_errors(tmp_path, text, message):
    (tmp_path / "swift.conf").write_text(text)
    with pytest.raises(errors.ConfigError, match=message):
        make_store(SwiftStore, swift_store_config_file=str(tmp_path / "swift.conf"))


def test_too_large_an_object_for_the_cluster_is_a_config_error(made):
    with pytest.raises(
        errors.ConfigError, match="swift_store_large_object_size = 6000: this Swift takes objects up to 5120 MB"
    ):
        made(swift_store_large_object_size=6000)


def test_missing_container_is_a_config_error_unless_it_may_be_made(made, container):
    with pytest.raises(errors.ConfigError, match="does not exist: make it, or set swift_store_create_container_on_put"):
        made(swift_store_create_container_on_put=False)
    made()
    made(swift_store_create_container_on_put=False)


def test_wrong_password_is_forbidden(made, proxy):
    for options in (proxy.version_one(), proxy.keystone()):
        with pytest.raises(errors.StoreForbidden, match="refuses the service's user and key") as caught:
            made(**{**options, "swift_store_key": "wrong-password"})
        assert "wrong-password" not in str(caught.value)


def test_region_without_swift_is_a_config_error(made, proxy):
    with pytest.raises(
        errors.ConfigError, match="no object-store at swift_store_endpoint_type = publicURL, swift_store_region = Mars"
    ):
        made(**proxy.keystone(swift_store_region="Mars"))


def test_nobody_there_is_unavailable(made):
    for version in ("1", "3"):
        with pytest.raises(errors.StoreUnavailable):
            made(swift_store_auth_version=version, swift_store_auth_address=f"http://127.0.0.1:{lab.free_port()}/v3")


def test_secrets_are_declared():
    assert {opt.name for opt in SwiftStore.options if opt.secret} == {"swift_store_key", "swift_store_temp_url_key"}


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (401, errors.StoreForbidden),
        (403, errors.StoreForbidden),
        (404, errors.BlobNotFound),
        (412, errors.BlobExists),
        (413, errors.StoreFull),
        (507, errors.StoreFull),
        (409, errors.StoreUnavailable),
        (498, errors.StoreUnavailable),
        (503, errors.StoreUnavailable),
        (None, errors.StoreUnavailable),
    ],
)
def test_answers_become_store_errors(status, kind):
    with pytest.raises(kind) as caught, store_errors("kit", "put"):
        raise ClientException("text", http_host="secret.example.org", http_path="/v1/AUTH_secret", http_status=status)
    assert type(caught.value) is kind
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        (b"Errors:\n/c/.segments/image/x/00000001, Size Mismatch", errors.SizeMismatch),
        (b"Errors:\n/c/.segments/image/x/00000001, 503 Service Unavailable", errors.StoreUnavailable),
    ],
)
def test_a_segment_on_a_server_that_is_away_is_no_other_size(made, monkeypatch, said, kind):
    """Both are a 400 of the manifest; what was acknowledged waits until the server is back."""
    store = made()
    handle = store.begin_parts(None, "image")
    store.put_part("image", handle, 0, 0, [b"data"])

    def refused(*_):
        with store_errors("kit", "complete_parts"):
            raise ClientException("text", http_status=400, http_response_content=said)

    with monkeypatch.context() as patched:
        patched.setattr(store._uploads, "put_manifest", refused)
        with pytest.raises(errors.GlanceError) as caught:
            store.complete_parts("image", handle, [StoredPart(0, 4)])
    assert type(caught.value) is kind
    assert read(store, store.complete_parts("image", handle, [StoredPart(0, 4)])) == b"data"


# -- how images lie in Swift -----------------------------------------------------------------------
@pytest.mark.parametrize("told", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize(("size", "count"), [(MIB, 0), (MIB + 1, 2), (2 * MIB, 2), (2 * MIB + 1, 3), (4 * MIB - 1, 4)])
def test_segments_at_the_edges(made, room, container, size, count, told):
    store, data = made(**SEGMENTS), data_of(size)[:size]
    url = store.put("image", pieces(data, 300_001), size if told else None)
    assert url == f"swift+config://kit/{container}/image"
    names = sorted(room.names() - {f"{container}/image"})
    assert [name.rpartition("/")[2] for name in names] == [f"{number:08d}" for number in range(1, count + 1)]
    assert all(name.startswith(f"{container}/.segments/image/") for name in names)
    assert room.client.get_object(container, "image")[1] == data
    assert read(store, url, MIB - 1, 2) == data[MIB - 1 : MIB + 1]
    [blob] = store.list()
    assert (blob.key, blob.size) == ("image", size)
    store.delete(url)
    assert room.names() == set()


def test_unknown_size_beyond_the_buffer_is_segmented(made, room, container):
    store, data = made(), data_of(SMALL + 5)
    url = store.put("image", pieces(data))
    assert len(room.names()) == 2
    assert read(store, url) == data


def test_segments_grow_so_that_a_manifest_can_name_them(made):
    store = made(swift_store_large_object_chunk_size=200)
    room = store._uploads.room(2 << 40)
    assert room(1) * 1000 >= 2 << 40
    unknown = store._uploads.room(None)
    assert unknown(1) == 200 * MIB
    assert [unknown(number) for number in range(1, 1001)] == sorted(unknown(number) for number in range(1, 1001))
    assert sum(unknown(number) for number in range(1, 1001)) > 700 << 30
    assert max(unknown(number) for number in range(1, 1001)) <= 5 << 30


def test_shards_are_named_as_glance_does(made, room, container):
    store = made(swift_store_multiple_containers_seed=3)
    urls = {key: store.put(key, iter([key.encode()])) for key in ("fdae39a1-bac5", "fdb", "x")}
    assert set(room.containers()) - {container} == {f"{container}_fda", f"{container}_fdb", f"{container}_x"}
    assert urls["fdae39a1-bac5"] == f"swift+config://kit/{container}_fda/fdae39a1-bac5"
    assert {blob.key for blob in store.list()} == set(urls)
    other = made(swift_store_multiple_containers_seed=1)
    assert read(other, urls["fdb"]) == b"fdb", "the seed may be changed"
    with pytest.raises(errors.BadLocation):
        store.open(f"swift+config://kit/{container}_fda/fdb")


def test_listing_goes_over_pages(made, monkeypatch):
    monkeypatch.setattr(segments, "PAGE", 3)
    store = made(**SEGMENTS)
    keys = [f"image-{number}" for number in range(10)]
    for key in keys:
        store.put(key, iter([key.encode()]))
    store.put("large", pieces(data_of(5 * MIB)))
    assert sorted(blob.key for blob in store.list()) == [*keys, "large"]
    store.discard("large")
    assert sorted(blob.key for blob in store.list()) == keys


# -- trouble on the way ----------------------------------------------------------------------------
@pytest.mark.parametrize(
    "word", [rb"\.segments/image/[0-9a-f]+/00000002 ", rb"^[^P].{5000}"], ids=["before it", "in the middle of one"]
)
def test_failed_segment_is_sent_again(made, relay, container, word):
    store, data = made(**through(relay, **SEGMENTS)), data_of(4 * MIB)
    relay.word = re.compile(word, re.DOTALL)
    url = store.put("image", pieces(data))
    assert relay.cuts == 1
    assert read(store, url) == data


def test_segment_that_can_not_be_sent_leaves_nothing(made, relay, room, monkeypatch):
    store = made(**through(relay, swift_store_retry_put_count=2, **SEGMENTS))
    word = re.compile(rb"PUT [^ ]*/00000003 ")
    seen = []

    class Every:
        def search(self, data):
            if word.search(data):
                seen.append(data)
                return True
            return None

    monkeypatch.setattr(type(relay), "word", property(lambda self: Every(), lambda self, value: None), raising=False)
    with pytest.raises(errors.StoreUnavailable):
        store.put("image", pieces(data_of(6 * MIB)))
    assert len(seen) == 3, "sent once, and twice again"
    assert room.names() == set()


@pytest.mark.parametrize(
    ("size", "word"), [(5 * MIB, rb'"size_bytes"'), (1000, rb"PUT [^ ]*/image ")], ids=["manifest", "object"]
)
def test_lost_answer_is_no_conflict(made, relay, room, size, word):
    """The request is repeated, and meets what it has made itself."""
    store, data = made(**through(relay, **SEGMENTS)), data_of(size)
    relay.word, relay.deliver = re.compile(word), True
    url = store.put("image", pieces(data))
    assert relay.cuts == 1
    assert read(store, url) == data
    with pytest.raises(errors.BlobExists):
        store.put("image", pieces(data))
    assert read(store, url) == data
    store.delete(url)
    assert room.names() == set()


def test_stream_that_breaks_leaves_nothing(made, relay, room):
    """In one object, the source can't be asked again."""
    store, data = made(**through(relay)), data_of(SMALL + 3 * MIB)
    relay.word = re.compile(rb"^[^PGH].{5000}", re.DOTALL)
    with pytest.raises(errors.StoreUnavailable):
        store.put("image", pieces(data), len(data))
    assert relay.cuts == 1
    assert room.names() == set()
    assert read(store, store.put("image", pieces(data), len(data))) == data


@pytest.mark.parametrize(
    "failure", [ConnectionResetError(104, "reset"), BrokenPipeError(32, "pipe"), TimeoutError()], ids=repr
)
def test_broken_source_is_not_taken_for_a_broken_connection(made, room, failure):
    """The client libraries swallow such errors, or wait for an answer that can't come."""
    store = made()

    def source():
        yield from pieces(data_of(SMALL + MIB))
        raise failure

    for size in (None, 10 * SMALL):
        began = time.monotonic()
        with pytest.raises(type(failure)) as caught:
            store.put("image", source(), size)
        assert caught.value is failure
        assert time.monotonic() - began < 8, "it waited for the server"
        assert room.names() == set()


def test_full_buffer_folder_is_unavailable(made, room, tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "none", folder], check=True)
    try:
        store = made(swift_upload_buffer_dir=str(folder), swift_store_large_object_chunk_size=8)
        with pytest.raises(errors.StoreUnavailable, match="can't be buffered: no space left on device") as caught:
            store.put("image", pieces(data_of(20 * MIB)))
        assert str(folder) not in str(caught.value)
        assert room.names() == set()
    finally:
        subprocess.run(["umount", folder], check=True)


def test_download_is_taken_up_where_it_broke(made, proxy):
    store, data = made(**SEGMENTS), data_of(30 * MIB)
    url = store.put("image", pieces(data))
    for offset, length in ((0, None), (MIB + 5, 25 * MIB)):
        reader = store.open(url, offset, length)
        got = next(reader)
        proxy.kill()
        proxy.start()
        got += b"".join(reader)
        assert got == (data[offset:] if length is None else data[offset : offset + length])


def test_download_is_never_of_two_objects(made, proxy, room, container):
    store, data = made(), data_of(30 * MIB)
    url = store.put("image", pieces(data), len(data))
    reader = store.open(url)
    got = next(reader)
    proxy.kill()
    room.client.put_object(container, "image", data_of(30 * MIB, 2))
    proxy.start()
    more = []
    with pytest.raises(errors.StoreUnavailable, match="replaced"):
        more.extend(reader)
    assert data.startswith(got + b"".join(more))
    assert next(reader, None) is None


def test_retries_of_a_download_are_bounded(made, proxy):
    store, data = made(swift_store_retry_get_count=0), data_of(30 * MIB)
    url = store.put("image", pieces(data), len(data))
    reader = store.open(url)
    next(reader)
    proxy.kill()
    proxy.start()
    with pytest.raises(errors.StoreUnavailable):
        list(reader)


# -- logins ----------------------------------------------------------------------------------------
def forget_tokens():
    """Swift's own login keeps its tokens in memcached."""
    with closing(
        socket.create_connection(("127.0.0.1", int((lab.LAB / "ports" / "swift-memcached").read_text())))
    ) as memcached:
        memcached.sendall(b"flush_all\r\n")
        assert memcached.recv(100) == b"OK\r\n"


@pytest.mark.parametrize("size", [1000, SMALL + MIB], ids=["object", "stream"])
def test_token_that_ran_out_is_renewed(made, size):
    store, data = made(), data_of(size)
    forget_tokens()
    url = store.put("image", pieces(data), len(data))
    forget_tokens()
    assert read(store, url) == data
    forget_tokens()
    assert [blob.key for blob in store.list()] == ["image"]
    forget_tokens()
    store.delete(url)


def test_token_of_keystone_is_renewed(made, proxy):
    store = made(**proxy.keystone())
    url = store.put("image", iter([b"data"]))
    store._account._session.auth.auth_ref._auth_token = "not one"
    assert read(store, url) == b"data"
    store._account._session.auth.auth_ref._auth_token = "not one"
    store.delete(url)


def test_references_read_what_each_has_written(made, proxy, container, tmp_path):
    file = tmp_path / "swift.conf"
    file.write_text(f"""
[ref1]
user = other:store
key = other-key
auth_address = {proxy.url}/auth/v1.0
auth_version = 1
[ref2]
user = {proxy.settings["SWIFT_USER"]}
key = {proxy.settings["SWIFT_KEY"]}
auth_address = {proxy.url}/auth/v1.0
auth_version = 1
""")
    one = made(swift_store_config_file=str(file))
    two = made(swift_store_config_file=str(file), default_swift_reference="ref2")
    try:
        urls = [one.put("image", iter([b"one"])), two.put("image", iter([b"two"]))]
        assert urls == [f"swift+config://ref1/{container}/image", f"swift+config://ref2/{container}/image"]
        assert one.place != two.place
        for store in (one, two):
            assert [read(store, url) for url in urls] == [b"one", b"two"]
            with pytest.raises(errors.BadLocation):
                store.open(f"swift+config://ref3/{container}/image")
        one.delete(urls[1])
        with pytest.raises(errors.BlobNotFound):
            two.open(urls[1])
        assert read(two, urls[0]) == b"one"
    finally:
        with one._account.connection("test") as connection:
            connection.delete_object(container, "image")
            connection.delete_container(container)


def test_references_that_lead_to_one_account_are_one_name(made, proxy, container, tmp_path):
    """Or else an image's data had a second location, which another image could be given."""
    file = tmp_path / "swift.conf"
    one = (
        f"user = {proxy.settings['SWIFT_USER']}\nkey = {proxy.settings['SWIFT_KEY']}\nauth_address ="
        f" {proxy.url}/auth/v1.0\nauth_version = 1\n"
    )
    file.write_text(
        f"[b]\n{one}\n[a]\n{one}\n[c]\n{one.replace('glance:store', 'other:store').replace(proxy.settings['SWIFT_KEY'], 'other-key')}"
    )
    store = made(swift_store_config_file=str(file), default_swift_reference="b")
    mine = store.put("image", iter([b"data"]))
    assert mine == f"swift+config://b/{container}/image"
    for other in ("a", "b"):
        assert read(store, f"swift+config://{other}/{container}/image") == b"data"
        assert store.canonical(f"swift+config://{other}/{container}/image") == mine
    assert store.canonical(f"swift+config://c/{container}/image") == f"swift+config://c/{container}/image"
    store.delete(mine)


# -- what Glance left ------------------------------------------------------------------------------
def test_locations_of_glance_are_read(made, proxy, container):
    store = made()
    mine = store.put("image", iter([b"data"]))
    login, storage = f"127.0.0.1:{proxy.port}/auth/v1.0", urlsplit(store._account.storage_url)
    for scheme in ("swift", "swift+http", "swift+https"):
        for url in (
            f"{scheme}://glance%3Astore:glance-key@{login}/{container}/image",
            f"{scheme}://glance%3Astore:a-password-of-old@{login}/{container}/image",
            f"{scheme}://{storage.netloc}{storage.path}/{container}/image",
        ):
            assert read(store, url) == b"data"
            assert store.size(url) == 4
            assert store.canonical(url) == mine
        for url in (
            f"{scheme}://other%3Astore:glance-key@{login}/{container}/image",
            f"{scheme}://glance%3Astore:glance-key@127.0.0.2:{proxy.port}/auth/v1.0/{container}/image",
            f"{scheme}://glance%3Astore:glance-key@{login}/{container}-other/image",
            f"{scheme}://{storage.netloc}/v1/AUTH_other/{container}/image",
            f"{scheme}://{login}/{container}/image",
            f"{scheme}://@{login}/{container}/image",
            f"{scheme}://kit/{container}/image",
        ):
            with pytest.raises(errors.BadLocation) as caught:
                store.open(url)
            assert "glance-key" not in str(caught.value)
            with pytest.raises(errors.BadLocation):
                store.canonical(url)
    store.delete(f"swift+http://glance%3Astore:glance-key@{login}/{container}/image")
    assert list(store.list()) == []


def test_locations_of_glance_with_keystone_are_read(made, proxy, container):
    store = made(**proxy.keystone())
    store.put("image", iter([b"data"]))
    login = store.conf.swift_store_auth_address.partition("://")[2]
    assert read(store, f"swift+http://service%3Aglance:secret@{login}/{container}/image") == b"data"
    assert read(store, f"swift+http://service%3Asomebody-else:secret@{login}/{container}/image") == b"data", (
        "the account is the project"
    )
    with pytest.raises(errors.BadLocation):
        store.open(f"swift+http://demo%3Aglance:secret@{login}/{container}/image")
    store.discard("image")


def test_dynamic_large_objects_of_glance_are_one_image(made, room, container):
    store, client = made(), room.client
    for number in range(1, 4):
        client.put_object(container, f"image-{number:05d}", bytes([number]) * 1000)
    client.put_object(container, "image", b"", headers={"X-Object-Manifest": quote(f"{container}/image-")})
    client.put_object(container, "image-x", b"another image")
    client.put_object(container, "empty", b"")
    assert {(blob.key, blob.size) for blob in store.list()} == {("image", 3013), ("image-x", 13), ("empty", 0)}
    url = f"swift+config://kit/{container}/image"
    assert store.size(url) == 3000 + 13, "so does Swift see it: the prefix is all that it knows"
    client.delete_object(container, "image-x")
    assert read(store, url) == b"".join(bytes([number]) * 1000 for number in range(1, 4))
    client.put_object(container, "image-x", b"another image")
    store.delete(url)
    assert room.names() == {f"{container}/image-x", f"{container}/empty"}


def test_static_large_objects_of_the_swift_command(made, room, container):
    store, client = made(), room.client
    client.put_container(f"{container}_segments")
    parts = []
    for number in range(3):
        etag = client.put_object(f"{container}_segments", f"image/slo/1.5/3000/1000/{number:08d}", b"x" * 1000)
        parts.append(
            {"path": f"/{container}_segments/image/slo/1.5/3000/1000/{number:08d}", "etag": etag, "size_bytes": 1000}
        )
    client.put_object(container, "image", json.dumps(parts), query_string="multipart-manifest=put")
    url = f"swift+config://kit/{container}/image"
    assert store.size(url) == 3000
    store.delete(url)
    assert room.names() == set()


@pytest.mark.parametrize("kind", ["static", "dynamic"])
def test_manifest_that_names_other_images_deletes_none_of_them(made, room, container, kind):
    store, client = made(), room.client
    etag = client.put_object(container, "other", b"x" * 100)
    if kind == "static":
        client.put_object(
            container,
            "image",
            json.dumps([{"path": f"/{container}/other", "etag": etag, "size_bytes": 100}]),
            query_string="multipart-manifest=put",
        )
    else:
        client.put_object(container, "image", b"", headers={"X-Object-Manifest": f"{container}/oth"})
    store.delete(f"swift+config://kit/{container}/image")
    assert room.names() == {f"{container}/other"}


# -- temporary URLs --------------------------------------------------------------------------------
def get(url, **headers):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=30) as answer:
        return answer.read()


def test_key_of_the_container_is_used(made, room, container):
    store = made()
    url = store.put("image", iter([b"data"]))
    room.client.post_container(container, {"X-Container-Meta-Temp-URL-Key-2": "theirs"})
    signed = store.presign(url, 60)
    assert get(signed) == b"data"
    assert get(signed, Range="bytes=1-2") == b"at"
    assert room.client.head_container(container).get("x-container-meta-temp-url-key") is None


def test_processes_without_a_key_make_the_same_one(made, room, container):
    stores = [made(), made()]
    url = stores[0].put("image", iter([b"data"]))
    signed = [store.presign(url, 60) for store in stores]
    assert [get(each) for each in signed] == [b"data", b"data"]
    key = room.client.head_container(container)["x-container-meta-temp-url-key"]
    assert len(key) == 64
    assert "glance-key" not in "".join(signed)


def test_configured_key_is_put_beside_others(made, room, container):
    store = made(swift_store_temp_url_key="configured")
    url = store.put("image", iter([b"data"]))
    room.client.post_container(container, {"X-Container-Meta-Temp-URL-Key": "theirs"})
    assert get(store.presign(url, 60)) == b"data"
    keys = room.client.head_container(container)
    assert (keys["x-container-meta-temp-url-key"], keys["x-container-meta-temp-url-key-2"]) == ("theirs", "configured")
    with pytest.raises(errors.StoreForbidden, match="swift_store_temp_url_key is neither"):
        made(swift_store_temp_url_key="third").presign(url, 60)


def test_url_is_for_that_object_and_for_reading(made, proxy):
    store = made(swift_store_temp_url_endpoint=f"http://localhost:{proxy.port}/")
    signed = store.presign(store.put("image", iter([b"data"])), 60)
    store.put("other", iter([b"other"]))
    assert signed.startswith(f"http://localhost:{proxy.port}/v1/AUTH_glance/")
    assert get(signed) == b"data"
    for url, method in ((signed.replace("/image?", "/other?"), "GET"), (signed, "DELETE"), (signed, "PUT")):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(
                urllib.request.Request(url, method=method, data=b"" if method == "PUT" else None), timeout=30
            )
        assert caught.value.code == 401
        caught.value.close()
