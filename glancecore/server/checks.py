"""What the operator is told before the server starts: an address that can't be had, a service that is open to
everybody."""

from __future__ import annotations

import ipaddress
import socket

from oslo_config import cfg

from glancecore.domain.errors import ConfigError


def refuse_open_access(conf: cfg.ConfigOpts, *, open_to_all: bool) -> None:
    """Raises ConfigError when everybody on the network would be an admin."""
    if open_to_all and not conf.allow_open_access and beyond_this_machine(conf):
        raise ConfigError(
            f"[DEFAULT] auth_strategy = none with bind_host = {conf.bind_host} would let everybody on the network "
            "do everything; choose another auth_strategy, bind to 127.0.0.1, or set allow_open_access = true"
        )


def beyond_this_machine(conf: cfg.ConfigOpts) -> bool:
    """Whether others than this machine's processes can connect. Raises ConfigError for an address that can't be."""
    if conf.bind_host.startswith("unix:"):
        return False
    try:
        addresses = {x[4][0] for x in socket.getaddrinfo(conf.bind_host, None)}
    except OSError as exc:
        raise ConfigError(
            f"[DEFAULT] bind_host = {conf.bind_host}: {exc.strerror}; give an address of this machine"
        ) from exc
    return not all(ipaddress.ip_address(x).is_loopback for x in addresses)


def check_port(conf: cfg.ConfigOpts) -> None:
    """Say at once, in one line, when the address can't be had."""
    if conf.bind_host.startswith("unix:"):
        return
    try:
        family, kind, proto, _, address = socket.getaddrinfo(conf.bind_host, conf.bind_port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, proto) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as exc:
        raise ConfigError(
            f"[DEFAULT] bind_host = {conf.bind_host}, bind_port = {conf.bind_port}: {exc.strerror}; choose "
            "another address or stop what is using it"
        ) from exc
