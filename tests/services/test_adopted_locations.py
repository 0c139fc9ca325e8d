"""Locations of a Glance deployment: their text and what is said of them become what this service would write."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import jsonschema
import pytest

from glancecore.adoption import translate
from glancecore.adoption.source import GlanceImage
from glancecore.domain.image import Image, Location
from glancecore.features.images.schemas import location
from glancecore.kernel.transfer.store_facade import StoreFacade
from glancecore.kernel.transfer.store_settings import StoreSettings
from glancecore.kernel.transfer.stores import Stores
from glancecore.testing.memory_store import MemoryStore
from glancecore.testing.store import make_store

AT = datetime(2026, 1, 1, tzinfo=UTC)
ROW = {
    "id": "7f0b8a1e-52d5-4d4c-9c1e-0a4b6a0b5d3f",
    "created_at": AT,
    "updated_at": AT,
    "name": "x",
    "owner": "p",
    "visibility": "private",
    "protected": False,
    "container_format": "bare",
    "disk_format": "raw",
    "min_ram": 0,
    "min_disk": 0,
    "status": "active",
    "deleted": False,
    "deleted_at": None,
    "size": 1,
    "virtual_size": 1,
    "checksum": None,
}


def adopted(meta_data: str | None, url: str = "memory://x/y") -> translate.Adopted:
    row: dict[str, Any] = {"value": url, "meta_data": meta_data, "deleted": False}
    return translate.image(GlanceImage(ROW, [row]), lambda url, named: named or "fast")


@pytest.mark.parametrize(
    ("text", "kept", "findings"),
    [
        (None, {}, 0),
        ("{}", {}, 0),
        ('{"store": "slow", "zone": "a"}', {"store": "slow", "zone": "a"}, 0),
        ('{"n": 1, "b": true, "o": {"x": []}}', {"n": "1", "b": "true", "o": '{"x": []}'}, 0),
        ('"abc"', {}, 1),
        ("[1]", {}, 1),
        ('[["a", "b"]]', {}, 1),
        ("5", {}, 1),
        ("null", {}, 1),
        ("no JSON", {}, 1),
        ('{"big": "' + "x" * 1025 + '", "zone": "a"}', {"zone": "a"}, 1),
        ('{"' + "n" * 256 + '": "x"}', {}, 1),
    ],
    ids=range(12),
)
def test_metadata_fits_what_is_published(text: str | None, kept: dict[str, str], findings: int) -> None:
    made = adopted(text)
    (found,) = made.image.locations
    assert (found.metadata, len(made.findings)) == ({"store": "fast", **kept}, findings)
    jsonschema.validate({"url": found.url, "metadata": dict(found.metadata)}, location())


def test_too_many_entries_keep_the_stores() -> None:
    made = adopted("{" + ", ".join(f'"{x}": "x"' for x in range(100)) + ', "store": "slow"}')
    (found,) = made.image.locations
    assert found.store == "slow"
    jsonschema.validate({"url": found.url, "metadata": dict(found.metadata)}, location())
    assert [x.trouble for x in made.findings] == [translate.Trouble.METADATA]


class Old(MemoryStore):
    def _key(self, url: str) -> str:
        return super()._key(url.replace("memory://user:secret@", "memory://"))


def test_locations_get_their_canonical_text() -> None:
    store = make_store(Old, memory_store_place="here")
    stores = Stores(
        [StoreFacade(StoreSettings("fast", "memory"), store), StoreFacade(StoreSettings("gone", "memory"), None)],
        "fast",
    )
    image = Image(
        "i",
        AT,
        AT,
        locations=(
            Location("memory://user:secret@here/k", "fast", {"store": "fast", "n": "1"}),
            Location("memory://here/k", "fast"),
            Location("memory://user:secret@here/k", "gone"),
            Location("nonsense", "fast"),
            Location("x", "unknown"),
        ),
    )
    after = stores.renamed(image)
    assert [(x.store, x.url) for x in after.locations] == [
        ("fast", "memory://here/k"),
        ("gone", "memory://user:secret@here/k"),
        ("fast", "nonsense"),
        ("unknown", "x"),
    ]
    assert after.locations[0].metadata == {"store": "fast", "n": "1"}
    assert stores.renamed(after) == after
