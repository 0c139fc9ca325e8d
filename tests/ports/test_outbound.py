import ipaddress
import socket

import pytest

from glancecore.domain import errors
from glancecore.sdk.address_filter import AddressFilter, canonical, is_public

NOT_PUBLIC = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.1.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:127.0.0.1",
    "::ffff:8.8.8.8",
    "::ffff:0:8.8.8.8",
    "64:ff9b::7f00:1",
    "64:ff9b::808:808",
    "64:ff9b:1::1",
    "100::1",
    "2001::1",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:808:808::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "2600::1%eth0",
    "fec0::1",
    "ff02::1",
    "ff0e::1",
]
PUBLIC = [
    "1.1.1.1",
    "8.8.8.8",
    "93.184.216.34",
    "172.32.0.1",
    "192.0.1.1",
    "223.255.255.254",
    "2606:4700::1111",
    "2a00:1450:4001::1",
]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_addresses_that_are_not_public(address):
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address):
    assert is_public(ipaddress.ip_address(address))
    host = f"[{address}]" if ":" in address else address
    target = AddressFilter().target(f"https://{host}/x")
    assert target.addresses == (address,)
    assert target.port == 443


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::]",
        "0.0.0.0",
        "0",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0177.0.0.1",
        "017700000001",
        "0x7f.0.0.0x1",
        "127.000.000.001",
        "8.8.8.010",
        "134744072",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::7f00:1]",
        "[fe80::1%25lo]",
        "169.254.169.254",
        "localhost",
        "LOCALHOST",
        "localhost.",
        "\u24dbocalhost",
        "\uff11\uff12\uff17.0.0.1",
        "127\u30020\u30020\u30021",
        "a..b",
        "-a",
        "a-",
        "a" * 64,
        ".",
        "*",
        "%31%32%37.0.0.1",
        "127.0.0.1%2f",
        "a\tb",
        "[1]",
        "[::1",
        "::1",
        "",
        "a,b",
        "a|b",
    ],
)
def test_hosts_that_are_refused(host):
    with pytest.raises(errors.BadLocation) as caught:
        AddressFilter().target(f"http://{host}/x")
    assert not host or len(host) < 5 or host not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/",
        "x",
        "http:",
        "http://",
        "http:///x",
        "http:/8.8.8.8/",
        "http:8.8.8.8",
        "//8.8.8.8/",
        "ftp://8.8.8.8/",
        "file:///etc/passwd",
        "gopher://8.8.8.8/",
        "http://user@8.8.8.8/",
        "http://user:password@8.8.8.8/",
        "http://@8.8.8.8/",
        "http://8.8.8.8:0/",
        "http://8.8.8.8:65536/",
        "http://8.8.8.8:x/",
        "http://8.8.8.8:-1/",
        "http://8.8.8.8\\@127.0.0.1/",
        "http://8.8.8.8/a b",
        "http://8.8.8.8/\r\nHost: x",
        "http://8.8.8.8/\0",
        "http://8.8.8.8/\n",
        "http://8.8.8.8/ü",
        " http://8.8.8.8/",
        "http://8.8.8.8/" + "x" * 5000,
        "http://8.8.8.8/\udcff",
        "http://[::1]8.8.8.8/",
        "jar:http://8.8.8.8/",
    ],
)
def test_urls_that_are_refused(url):
    with pytest.raises(errors.BadLocation):
        AddressFilter().target(url)


def test_target_is_what_to_connect_to_and_what_to_ask():
    target = AddressFilter().target("HTTP://8.8.8.8:8080?a=/b#c")
    assert (target.scheme, target.host, target.port, target.path) == ("http", "8.8.8.8", 8080, "/?a=/b")
    assert AddressFilter().target("https://8.8.8.8:/x/../y?").path == "/x/../y"


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("HTTP://Example.ORG", "http://example.org/"),
        ("http://example.org.:80/x", "http://example.org/x"),
        ("https://example.org:443/x?", "https://example.org/x"),
        ("https://example.org:80/x", "https://example.org:80/x"),
        ("http://example.org:/x", "http://example.org/x"),
        ("http://example.org/x#y", "http://example.org/x"),
        ("http://example.org/%7ea%2Db%2fc%c3", "http://example.org/~a-b%2Fc%C3"),
        ("http://example.org/x?%7e=%2f&+#z", "http://example.org/x?%7e=%2f&+"),
        ("http://[2001:DB8:0::1]:80/", "http://[2001:db8::1]/"),
        ("http://example.org//x/", "http://example.org//x/"),
        ("http://8.8.8.8:080/x", "http://8.8.8.8/x"),
    ],
)
def test_a_url_has_one_text(url, text):
    assert canonical(url) == canonical(text) == text


@pytest.mark.parametrize(
    "url",
    [
        "",
        "ftp://example.org/",
        "http://x@example.org/",
        "http://example.org/../x",
        "http://example.org/x/./y",
        "http://example.org/%2E%2e/x",
        "http://example.org/.",
        "http://example.org/%",
        "http://example.org/%zz",
        "http://example.org/%%34%31",
        "http://example.org:0/",
        "http://:80/",
    ],
)
def test_urls_that_have_none(url):
    with pytest.raises(errors.BadLocation):
        canonical(url)


def test_allowed_hosts_addresses_and_networks():
    allowing = AddressFilter(["LocalHost", "10.1.0.0/16", "192.168.7.7", "[fd00::1]", "fd01::/64"])
    for host in (
        "localhost",
        "LOCALHOST",
        "localhost.",
        "10.1.255.1",
        "192.168.7.7",
        "[fd00::1]",
        "[fd01::99]",
        "8.8.8.8",
    ):
        assert allowing.target(f"http://{host}/").addresses
    for host in (
        "127.0.0.1",
        "10.2.0.1",
        "192.168.7.8",
        "[fd00::2]",
        "[fd01:0:0:1::]",
        "[::1]",
        "[::ffff:10.1.0.1]",
        "167837697",
        "0",
    ):
        with pytest.raises(errors.BadLocation):
            allowing.target(f"http://{host}/")


@pytest.mark.parametrize("entry", ["10.1.0.1/16", "http://x", "a b", "", "10.1", "*", "x/8", "2130706433"])
def test_entries_that_are_no_hosts(entry):
    with pytest.raises(ValueError, match="no host name, address or network"):
        AddressFilter([entry])


def names(monkeypatch, *addresses):
    """A name server's answer: the one thing here that is not real."""
    asked = []

    def getaddrinfo(host, port, **_):
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_name_with_one_bad_address_is_refused(monkeypatch):
    """A mixed answer is an attack: the connection might take either."""
    names(monkeypatch, "8.8.8.8", "127.0.0.1")
    with pytest.raises(errors.BadLocation):
        AddressFilter().target("http://mixed.example/")


def test_name_is_resolved_once_and_pinned(monkeypatch):
    asked = names(monkeypatch, "8.8.8.8", "2606:4700::1111")
    target = AddressFilter().target("http://Name.Example:81/x")
    assert target.addresses == ("8.8.8.8", "2606:4700::1111")
    assert target.host == "name.example"
    assert asked == ["name.example"]


def test_unknown_name_is_unavailable():
    with pytest.raises(errors.StoreUnavailable):
        AddressFilter().target("http://does-not-exist.invalid/")
