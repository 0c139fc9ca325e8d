"""The client library, set up as the options say."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore.config import Config

from glancecore.domain import errors
from glancecore.ports.options import Section


def address(name: str, option: str, text: str) -> str:
    """The option's URL, without a slash at its end. Raises ConfigError."""
    url = (text if "://" in text else f"https://{text}").rstrip("/")
    try:
        parts = urlsplit(url)
        good = (
            parts.scheme in {"http", "https"}
            and parts.hostname
            and not parts.query
            and not parts.fragment
            and parts.username is None
        )
        good = good and parts.port != 0
    except ValueError:
        good = False
    if not good:
        raise errors.ConfigError(
            f"[{name}] {option}: give the service's host, like https://s3.example.org, without user and password"
        )
    return url


def check(name: str, conf: Section) -> None:
    """Raises ConfigError."""
    for option, what in (
        ("s3_store_host", "give the service's host, like https://s3.example.org"),
        ("s3_store_access_key", "give the access key"),
        ("s3_store_secret_key", "give the secret key"),
        ("s3_store_bucket", "give the bucket's name"),
    ):
        if not getattr(conf, option):
            raise errors.ConfigError(f"[{name}] {option}: it is empty; {what}")
    if conf.s3_store_cacert:
        try:
            Path(conf.s3_store_cacert).read_bytes()
        except OSError as exc:
            raise errors.ConfigError(
                f"[{name}] s3_store_cacert = {conf.s3_store_cacert} can't be read ({(exc.strerror or '').lower()}):"
                " name a file of PEM certificates that the service may read"
            ) from None


class Clients:
    """Makes clients of one account, each to be used by all threads. The library's models are loaded once.

    Each body is signed with its SHA-256, which every server checks; the newer checksums are sent only where the service
    demands them: older ones refuse them. botocore alone is three megabytes smaller in each process than with boto3
    around it."""

    def __init__(self, conf: Section) -> None:
        self._conf = conf
        self._session = botocore.session.Session()

    def made(self, endpoint: str, *, timeout: float, retries: int) -> Any:
        style = (
            {}
            if self._conf.s3_store_bucket_url_format == "auto"
            else {"addressing_style": self._conf.s3_store_bucket_url_format}
        )
        config = Config(
            signature_version="s3v4",
            s3={**style, "payload_signing_enabled": True},
            connect_timeout=min(timeout, 10),
            read_timeout=timeout,
            retries={"mode": "standard", "total_max_attempts": retries + 1},
            max_pool_connections=self._conf.s3_store_thread_pools + 2,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
        return self._session.create_client(
            "s3",
            self._conf.s3_store_region_name or "us-east-1",
            endpoint_url=endpoint,
            config=config,
            verify=self._conf.s3_store_cacert or None,
            aws_access_key_id=self._conf.s3_store_access_key,
            aws_secret_access_key=self._conf.s3_store_secret_key,
        )
