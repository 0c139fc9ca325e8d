"""The certificates of the server itself: judged before it starts, and before they are read again. How long its own is
good is a metric."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from oslo_config import cfg

from glancecore.domain.errors import ConfigError

if TYPE_CHECKING:
    from cryptography.x509 import Certificate


def check(conf: cfg.ConfigOpts) -> None:
    """Raises ConfigError for files that clients would find broken, one after the other."""
    if not (conf.cert_file or conf.key_file):
        if conf.ca_file:
            raise ConfigError(
                f"[DEFAULT] ca_file = {conf.ca_file}: clients can show certificates over HTTPS only; set cert_file and"
                " key_file, or remove it"
            )
        return
    if not (conf.cert_file and conf.key_file):
        raise ConfigError("[DEFAULT] cert_file and key_file: set both for HTTPS, or none")
    certificate = _certificate(conf.cert_file)
    _read("key_file", conf.key_file)
    trial = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        trial.load_cert_chain(conf.cert_file, conf.key_file, _no_password)
    except ssl.SSLError as exc:
        if exc.reason == "KEY_VALUES_MISMATCH":
            raise ConfigError(
                f"[DEFAULT] key_file = {conf.key_file}: it is not the key of the certificate in cert_file ="
                f" {conf.cert_file}; name the two that belong together"
            ) from exc
        raise ConfigError(
            f"[DEFAULT] key_file = {conf.key_file}: no key can be read from it ({exc.reason or exc}); give the private"
            " key as PEM, without a password"
        ) from exc
    if conf.ca_file:
        _read("ca_file", conf.ca_file)
        try:
            trial.load_verify_locations(conf.ca_file)
        except ssl.SSLError as exc:
            raise ConfigError(
                f"[DEFAULT] ca_file = {conf.ca_file}: no certificate can be read from it; give certificates as PEM"
            ) from exc
    if (end := certificate.not_valid_after_utc) <= datetime.now(UTC):
        raise ConfigError(
            f"[DEFAULT] cert_file = {conf.cert_file}: the certificate is good until {end:%Y-%m-%d %H:%M:%S} UTC only,"
            " so no client will take it; put a new one there"
        )


def context(conf: cfg.ConfigOpts) -> ssl.SSLContext | None:
    """What connections are made with, from files that were checked; None: without TLS. It is whole in memory."""
    if not conf.cert_file:
        return None
    made = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=conf.ca_file)
    made.load_cert_chain(conf.cert_file, conf.key_file, _no_password)
    made.verify_mode = ssl.CERT_REQUIRED if conf.ca_file else ssl.CERT_NONE
    return made


def expires(path: str) -> float:
    """When the server's own certificate in that file ends, as Unix seconds. Raises ConfigError."""
    return _certificate(path).not_valid_after_utc.timestamp()


def _certificate(path: str) -> Certificate:
    """The first one: the server's own."""
    from cryptography import x509  # late: most processes serve no TLS

    try:
        return x509.load_pem_x509_certificate(_read("cert_file", path))
    except ValueError as exc:
        raise ConfigError(
            f"[DEFAULT] cert_file = {path}: no certificate can be read from it; give the server's certificate as PEM,"
            " then those between it and the authority"
        ) from exc


def _read(option: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as exc:
        raise ConfigError(
            f"[DEFAULT] {option} = {path}: {exc.strerror}; name a file of PEM that the service may read"
        ) from exc


def _no_password() -> str:
    """Else OpenSSL asks the terminal."""
    return ""
