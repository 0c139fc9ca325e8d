"""Options that contradict each other, or name what can't be used."""

from __future__ import annotations

import tempfile

from glancecore.domain import errors
from glancecore.ports.options import Section
from glancecore_store_swift.cluster import LARGEST_OBJECT, MB


def check(name: str, conf: Section) -> None:
    """Raises ConfigError."""
    container = conf.swift_store_container
    if (
        not container
        or "/" in container
        or len(container.encode()) > 256 - 33
        or not container.isprintable()
        or container in {".", ".."}
    ):
        raise errors.ConfigError(
            f"[{name}] swift_store_container = {container!r}: give a name without slashes, of at most 223 bytes"
        )
    if conf.swift_store_multiple_containers_seed and not conf.swift_store_create_container_on_put:
        raise errors.ConfigError(
            f"[{name}] swift_store_multiple_containers_seed makes containers: set swift_store_create_container_on_put ="
            " true, or the seed to 0"
        )
    if conf.swift_store_multi_tenant and not conf.swift_store_create_container_on_put:
        raise errors.ConfigError(
            f"[{name}] swift_store_multi_tenant makes a container for each image: set"
            " swift_store_create_container_on_put = true"
        )
    if conf.swift_store_multi_tenant and conf.swift_store_multiple_containers_seed:
        raise errors.ConfigError(
            f"[{name}] swift_store_multiple_containers_seed spreads images in one account: set it to 0, or "
            "swift_store_multi_tenant to false"
        )
    if conf.swift_store_large_object_chunk_size * MB > LARGEST_OBJECT:
        raise errors.ConfigError(
            f"[{name}] swift_store_large_object_chunk_size: it is more than Swift takes in one object; set"
            f" {LARGEST_OBJECT // MB} at most"
        )
    _check_files(name, conf)


def _check_files(name: str, conf: Section) -> None:
    if conf.swift_store_cacert:
        try:
            with open(conf.swift_store_cacert, "rb"):  # noqa: PTH123
                pass
        except OSError as exc:
            raise errors.ConfigError(
                f"[{name}] swift_store_cacert = {conf.swift_store_cacert} can't be read"
                f" ({(exc.strerror or '').lower()}): name a file of PEM certificates that the service may read"
            ) from None
    try:
        with tempfile.TemporaryFile(dir=conf.swift_upload_buffer_dir or None):
            pass
    except OSError as exc:
        raise errors.ConfigError(
            f"[{name}] swift_upload_buffer_dir = {conf.swift_upload_buffer_dir or tempfile.gettempdir()} can't be"
            f" written to ({(exc.strerror or '').lower()}): name a folder that the service may write to"
        ) from None
