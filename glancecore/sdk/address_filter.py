"""Where the service may connect to when a user names the URL (SSRF): locations, web-download.

A URL is parsed once and its host resolved once; the caller connects to the addresses in the ``Target``, never to the
name again, so that a second answer of the name server (DNS rebinding) is never asked for.
Source: RFC 6890 and IANA's registries of special-purpose addresses.
"""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from glancecore.domain import errors

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PORTS = {"http": 80, "https": 443}
_SIX = 6

#: Addresses that ``ipaddress`` calls global, although they lead to our own side, or through a translator to any IPv4
#: address.
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    map(
        ipaddress.ip_network,
        (
            "::/96",  # IPv4-compatible
            "::ffff:0:0/96",  # IPv4-mapped
            "::ffff:0:0:0/96",  # IPv4-translated
            "64:ff9b::/96",
            "64:ff9b:1::/48",  # NAT64
            "2001::/32",  # Teredo
            "2002::/16",  # 6to4
            "fec0::/10",  # site-local
            "5f00::/16",  # segment routing
            "3fff::/20",  # documentation, unknown to Python 3.11
            "192.88.99.0/24",  # 6to4 relays
            "168.63.129.16/32",  # Azure's metadata server has a public address
        ),
    )
)
_NAME = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*")
#: What a URL is made of; no blanks, controls, quotes, backslashes.
_URL = re.compile(r"[!#-;=?-\[\]_a-z~]{1,4096}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Target:
    """A URL that may be fetched: connect to one of ``addresses``, name ``host`` in Host and SNI, ask for ``path``."""

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]
    path: str


def is_public(address: Address) -> bool:
    """Is it a host's own address on the Internet?"""
    return (
        address.is_global
        and not address.is_multicast
        and not address.is_reserved
        and not (
            isinstance(address, ipaddress.IPv6Address)
            and (address.ipv4_mapped is not None or address.scope_id is not None)
        )
        and not any(address in network for network in _NOT_PUBLIC)
    )


class AddressFilter:
    """Lets public addresses through, and the ``allowed`` ones: host names, addresses or networks (``10.1.0.0/16``).

    Raises ValueError for an entry that is none of them. Thread-safe.
    """

    def __init__(self, allowed: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        self._networks: list[Network] = []
        for entry in allowed:
            try:
                self._networks.append(ipaddress.ip_network(entry.strip("[]")))
            except ValueError:
                name = entry.lower().removesuffix(".")
                if not _NAME.fullmatch(name) or _looks_like_an_address(name):
                    raise ValueError(f"{entry} is no host name, address or network") from None
                self._names.add(name)

    def target(self, url: str) -> Target:
        """Where ``url`` leads. Raises BadLocation when it may not be fetched, StoreUnavailable when its host is
        unknown.

        Texts name neither the URL nor what its host resolves to: that would make the service a map of our network.
        """
        scheme, host, port, path = _parse(url)
        addresses = _resolve(host, port)
        if host not in self._names and not all(self._allows(address) for address in addresses):
            raise errors.BadLocation("the URL leads to an address that is not allowed")
        return Target(scheme, host, port, tuple(map(str, addresses)), path)

    def named(self, target: Target) -> bool:
        """Whether it is one of the ``allowed`` entries itself, rather than merely public."""
        addresses = [ipaddress.ip_address(x) for x in target.addresses]
        return target.host in self._names or all(any(x in network for network in self._networks) for x in addresses)

    def touches(self, target: Target) -> bool:
        """Whether any address of it is one of an entry's, whatever name leads to it."""
        if target.host in self._names:
            return True
        addresses = {ipaddress.ip_address(x) for x in target.addresses}
        if any(x in network for network in self._networks for x in addresses):
            return True
        return any(x in addresses for name in self._names for x in _known(name, target.port))

    def _allows(self, address: Address) -> bool:
        return is_public(address) or any(address in network for network in self._networks)


def canonical(url: str) -> str:
    """The one text of an http or https URL (RFC 3986 6.2): scheme and host in lower case, no default port, no fragment,
    no needless percent-encoding in the path. What a query means is the server's to say: it stays as it is. Nobody is
    asked.

    Raises BadLocation for what ``AddressFilter.target`` would never take, and for paths with ``.`` or ``..`` in them.
    """
    scheme, host, port, path = _parse(url)
    path, mark, query = path.partition("?")
    if re.search(r"%(?![0-9A-Fa-f]{2})", path):
        raise errors.BadLocation("a % in the URL's path does not begin the code of a character")
    path = re.sub(r"%[0-9A-Fa-f]{2}", _plain, path)
    if {".", ".."} & set(path.split("/")):
        raise errors.BadLocation("a URL with . or .. in its path is not taken")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        pass
    else:
        host = f"[{address}]" if address.version == _SIX else str(address)
    return f"{scheme}://{host}{'' if port == PORTS[scheme] else f':{port}'}{path}{mark}{query}"


def _plain(code: re.Match[str]) -> str:
    """An unreserved character as itself, the others in upper case."""
    character = chr(int(code[0][1:], 16))
    return character if re.fullmatch(r"[A-Za-z0-9._~-]", character, re.ASCII) else code[0].upper()


def _parse(url: str) -> tuple[str, str, int, str]:
    refused = errors.BadLocation("not a plain http or https URL")
    if not _URL.fullmatch(url):
        raise refused
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise refused from None
    host = (parts.hostname or "").removesuffix(".")
    if parts.scheme not in PORTS or not host or port == 0:
        raise refused
    if "@" in parts.netloc:
        raise errors.BadLocation("a URL with a user or a password in it is not taken")
    path = parts.path or "/"
    return parts.scheme, host, port or PORTS[parts.scheme], f"{path}?{parts.query}" if parts.query else path


def _known(name: str, port: int) -> list[Address]:
    """The addresses of a name of the operator's; none when nobody knows it."""
    try:
        return _resolve(name, port)
    except errors.StoreUnavailable:
        return []


def _looks_like_an_address(host: str) -> bool:
    """Spellings that C libraries take for IPv4: 2130706433, 0x7f.1, 0177.0.0.1, 127.1."""
    try:
        socket.inet_aton(host)
    except OSError:
        return False
    return True


def _resolve(host: str, port: int) -> list[Address]:
    try:
        return [ipaddress.ip_address(host)]
    except ValueError:
        if _looks_like_an_address(host) or not _NAME.fullmatch(host):
            raise errors.BadLocation("the URL's host is neither a name nor a plain address") from None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    except (OSError, UnicodeError) as exc:
        raise errors.StoreUnavailable("the URL's host is not known") from exc
    return [ipaddress.ip_address(str(address[0])) for *_, address in found]
