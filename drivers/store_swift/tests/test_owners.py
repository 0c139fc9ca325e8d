"""Multi-tenant mode: each image in the account of the project that owns it. The rest is the kit's, which runs in this
mode too."""

import os
import re
import urllib.error
import urllib.request

import pytest
from glancecore_store_swift.driver import SwiftStore
from glancecore_store_swift.uploads import SMALL
from swiftclient import ClientException

from glancecore.domain import errors
from glancecore.ports.store import Cap
from glancecore.testing.store import make_store

from .proxy import Proxy, Room

MIB = 1 << 20
SEGMENTS = {"swift_store_large_object_size": 1, "swift_store_large_object_chunk_size": 1}


def read(store, url, *what):
    return b"".join(store.open(url, *what))


@pytest.fixture
def made(proxy, container):
    stores = []

    def made(**options):
        stores.append(
            make_store(SwiftStore, swift_store_container=container, **proxy.reseller(swift_store_timeout=10, **options))
        )
        return stores[-1]

    yield made
    for store in stores:
        store.close()


@pytest.fixture
def others(proxy, container):
    """The owner's account, seen by one of its own users."""
    return Room(proxy.client("1", "OTHER"), container)


@pytest.fixture
def own(proxy, container):
    """The service's account."""
    return Room(proxy.client("1", "RESELLER"), container)


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """changed(pattern, text) -> a proxy server with another configuration."""
    proxies = []

    def changed(pattern, text):
        proxies.append(Proxy(tmp_path_factory.mktemp("changed"), change=lambda conf: re.sub(pattern, text, conf)))
        proxies[-1].start()
        return proxies[-1]

    yield changed
    for proxy in proxies:
        proxy.close()


# -- where images lie ------------------------------------------------------------------------------
@pytest.mark.parametrize("size", [1000, 3 * MIB + 1], ids=["one object", "segments"])
def test_image_lies_with_its_owner(made, proxy, others, own, container, size):
    store, data = made(**SEGMENTS), os.urandom(size)
    url = store.put_for("other", "image", iter([data]), size)
    assert url == f"swift+{proxy.url}/v1/AUTH_other/{container}_image/image"
    assert others.client.get_object(f"{container}_image", "image")[1] == data
    assert own.containers() == []
    assert store.size(url) == size
    assert read(store, url) == data
    assert read(store, url, 500, 400) == data[500:900]
    with pytest.raises(errors.BlobExists):
        store.put_for("other", "image", iter([b"x"]))
    assert read(store, url) == data
    store.delete(url)
    assert others.containers() == []
    with pytest.raises(errors.BlobNotFound):
        store.open(url)


def test_owners_do_not_meet(made, others, own, container):
    store = made()
    urls = {
        owner: store.put_for(owner, "image", iter([str(owner).encode()])) for owner in ("other", None, "never-seen")
    }
    assert len(set(urls.values())) == 3
    assert all(read(store, url) == str(owner).encode() for owner, url in urls.items())
    assert others.names() == own.names() == {f"{container}_image/image"}
    store.discard_for("other", "image")
    assert others.containers() == []
    assert read(store, urls[None]) == b"None"
    store.discard("image")
    store.discard_for("never-seen", "image")
    for url in urls.values():
        with pytest.raises(errors.BlobNotFound):
            store.open(url)


def test_failed_upload_leaves_no_container(made, others):
    def source():
        yield bytes(SMALL + MIB)
        raise ValueError("broke")

    store = made()
    for size in (None, 10 * SMALL):
        with pytest.raises(ValueError, match="broke"):
            store.put_for("other", "image", source(), size)
        assert others.containers() == []


def test_what_the_owner_put_there_stays(made, others, container):
    store = made()
    url = store.put_for("other", "image", iter([b"data"]))
    others.client.put_object(f"{container}_image", "notes", b"mine")
    store.delete(url)
    assert others.names() == {f"{container}_image/notes"}


@pytest.mark.parametrize("owner", ["a/b", "..", "a%2Fb", "a b", "ä", "x" * 300])
def test_owner_that_can_have_no_account_is_refused(made, owner):
    store = made()
    with pytest.raises(errors.StoreForbidden, match="can have no account in Swift"):
        store.put_for(owner, "image", iter([b"x"]))
    store.discard_for(owner, "image")


def test_account_that_swift_does_not_make_is_a_clear_error(changed, made, container):
    proxy = changed("account_autocreate = true", "account_autocreate = false")
    store = make_store(SwiftStore, swift_store_container=container, **proxy.reseller())
    try:
        owner = f"new{os.urandom(6).hex()}"
        with pytest.raises(
            errors.StoreForbidden,
            match="has no account in Swift, and Swift makes none: make it, or set account_autocreate",
        ):
            store.put_for(owner, "image", iter([b"x"]))
        store.discard_for(owner, "image")
    finally:
        store.close()


def test_refused_token_is_renewed_for_the_same_account(made, others, own, container):
    """The client library logs in again by itself, and would then go to the login's own account."""
    store = made()
    url = store.put_for("other", "image", iter([b"data"]))
    session = store._account._session
    for use in (
        lambda: store.size(url),
        lambda: read(store, url),
        lambda: store.put_for("other", "second", iter([b"x"])),
        lambda: store.delete(url),
    ):
        session._got = session._both()[0], "AUTH_tk00000000000000000000000000000000"
        use()
    assert others.names() == {f"{container}_second/second"}
    assert own.containers() == []


# -- who may read what -----------------------------------------------------------------------------
def test_admin_tenants_may_read_and_write(made, proxy, container):
    admin = proxy.logged_in("1")  # of the account glance
    places = {}
    for name, tenants in (("closed", []), ("open", ["someone", "glance"])):
        store = made(swift_store_admin_tenants=tenants)
        places[name] = store.put_for("other", name, iter([b"data"])).split("+", 1)[1]
    for name, url in places.items():
        admin.url, admin.token = url.rsplit("/", 2)[0], proxy.client().get_auth()[1]
        if name == "open":
            assert admin.get_object(f"{container}_{name}", name)[1] == b"data"
            admin.put_object(f"{container}_{name}", "more", b"x")
        else:
            with pytest.raises(ClientException) as caught:
                admin.get_object(f"{container}_{name}", name)
            assert caught.value.http_status == 403
        admin.close()


def test_owner_can_not_make_the_service_read_other_accounts(changed, container):
    """It may put a link in its image's place; the service's login may read all accounts."""
    proxy = changed(
        r"(?s)(pipeline = [^\n]*)( proxy-server\n.*)", r"\1 symlink\2\n[filter:symlink]\nuse = egg:swift#symlink\n"
    )
    store = make_store(SwiftStore, swift_store_container=container, **proxy.reseller())
    try:
        store.put_for("victim", "secret", iter([b"secret"]))
        mine = store.put_for("other", "image", iter([b"data"]))
        attacker = proxy.client("1", "OTHER")
        attacker.get_auth()
        link = {"X-Symlink-Target": f"{container}_secret/secret", "X-Symlink-Target-Account": "AUTH_victim"}
        own_proxy = proxy.logged_in("1", "OTHER")
        own_proxy.url, own_proxy.token = f"{proxy.url}/v1/AUTH_other", attacker.get_auth()[1]
        own_proxy.put_object(f"{container}_image", "image", b"", headers=link, content_type="application/symlink")
        reseller = proxy.client("1", "RESELLER")
        own_proxy.token = reseller.get_auth()[1]
        assert own_proxy.get_object(f"{container}_image", "image")[1] == b"secret", (
            "the link works for who may read both"
        )
        with pytest.raises(errors.StoreError):
            read(store, mine)
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(store.presign(mine, 60), timeout=30)
        own_proxy.close()
    finally:
        for owner, key in (("victim", "secret"), ("other", "image")):
            store.discard_for(owner, key)
        store.close()


def test_signed_url_of_another_account(made):
    store = made()
    url = store.put_for("other", "image", iter([b"data"]))
    with urllib.request.urlopen(store.presign(url, 60), timeout=30) as answer:
        assert answer.read() == b"data"


def test_accounts_can_not_be_walked_through(made):
    store = made()
    assert Cap.LIST not in store.caps
    assert Cap.LIST in SwiftStore.caps, "that is this instance's"
    with pytest.raises(errors.Unsupported):
        store.list()


# -- locations -------------------------------------------------------------------------------------
def test_images_of_glance_are_read_and_deleted(made, proxy, others, container):
    """It writes large ones as dynamic large objects, in the image's container."""
    client, key = others.client, "fdae39a1-bac5-4c2e-8dcb-6d3f3a9f9c11"
    there = f"{container}_{key}"
    client.put_container(there)
    for number in range(1, 4):
        client.put_object(there, f"{key}-{number:05d}", bytes([number]) * 1000)
    client.put_object(there, key, b"", headers={"X-Object-Manifest": f"{there}/{key}-"})
    store, url = made(), f"swift+{proxy.url}/v1/AUTH_other/{there}/{key}"
    assert store.size(url) == 3000
    assert read(store, url) == b"".join(bytes([number]) * 1000 for number in range(1, 4))
    assert read(store, url, 999, 2) == b"\x01\x02"
    store.delete(url)
    assert others.containers() == []


def test_one_text_names_an_image(made, proxy, container):
    """Who may add locations must not find another image's by another spelling."""
    store = made()
    url = store.put_for("other", "image-1", iter([b"data"]))
    assert store.size(url) == 4
    host = proxy.url.partition("://")[2]
    for wrong in (
        url.replace("swift+http:", "swift+https:"),
        url.replace("swift+http:", "swift:"),
        url.replace("image-1/", "image%2D1/"),
        url.replace("AUTH_other", "AUTH%5Fother"),
        url.replace("AUTH_other", "auth_other"),
        url.replace("AUTH_other", "AUTH_other/x"),
        url.replace("AUTH_other", "AUTH_other/../AUTH_other"),
        url.replace("AUTH_other", "other"),
        url.replace(host, "localhost:1"),
        url.replace("/image-1", "/image-2"),
        url.replace(f"{container}_", "x_"),
        f"{url}?x",
        f"{url}/",
        url.replace(host, f"me:pass@{host}"),
        f"swift+config://kit/{container}_image-1/image-1",
    ):
        with pytest.raises((errors.BadLocation, errors.BlobNotFound)):
            store.size(wrong)
    with pytest.raises(errors.BadLocation):
        store.size(f"swift+{proxy.url}/v1/AUTH_other/{container}/image-1")


def test_images_from_before_the_mode_are_read_and_deleted(made, own):
    before = made(swift_store_multi_tenant=False)
    sharded = made(swift_store_multi_tenant=False, swift_store_multiple_containers_seed=2)
    urls = [before.put("image", iter([b"data"])), sharded.put("image", iter([b"data"]))]
    store = made()
    for url in urls:
        assert read(store, url) == b"data"
        assert urllib.request.urlopen(store.presign(url, 60), timeout=30).read() == b"data"
        store.delete(url)
    assert own.names() == set()
    assert own.containers() != [], "they are not images' own"


def test_place(made, container, proxy):
    store, same, single = made(), made(), made(swift_store_multi_tenant=False)
    assert store.place == same.place == f"swift:127.0.0.1:{proxy.port}/v1/AUTH_*/{container}"
    assert single.place != store.place


# -- settings --------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"swift_store_create_container_on_put": False},
            "swift_store_multi_tenant makes a container for each image: set",
        ),
        (
            {"swift_store_multiple_containers_seed": 2},
            "swift_store_multiple_containers_seed spreads images in one account: set it to 0",
        ),
    ],
)
def test_settings_that_do_not_go_together(made, settings, message):
    with pytest.raises(errors.ConfigError, match=message):
        made(**settings)


def test_login_that_may_not_use_other_accounts_is_a_config_error(made, proxy, proxy_v3, container):
    with pytest.raises(
        errors.ConfigError,
        match=r"Swift lets glance:store into no other project's account: give it the reseller admin role",
    ):
        made(swift_store_user=proxy.settings["SWIFT_USER"], swift_store_key=proxy.settings["SWIFT_KEY"])
    with pytest.raises(errors.ConfigError, match=r"Swift lets demo:demo into no other project's account"):
        make_store(
            SwiftStore,
            swift_store_container=container,
            **proxy_v3.keystone(
                swift_store_user="demo:demo", swift_store_multi_tenant=True, swift_store_create_container_on_put=True
            ),
        )


def test_account_that_does_not_tell_the_prefix(made, proxy, others):
    where = {"swift_store_endpoint": f"{proxy.url}/v1/AUTH_service"}
    with pytest.raises(errors.ConfigError, match="set swift_store_reseller_prefix"):
        made(**where)
    store = made(swift_store_reseller_prefix="AUTH_", **where)
    store.put_for("other", "image", iter([b"data"]))
    assert len(others.names()) == 1


def test_swift_without_temporary_urls_is_a_config_error(changed, container):
    proxy = changed(" tempurl ", " ")
    with pytest.raises(errors.ConfigError, match="this Swift has no temporary URLs"):
        make_store(SwiftStore, swift_store_container=container, **proxy.reseller())
