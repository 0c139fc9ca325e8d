"""Which keys extensions may show on images, and which paths lead to an image by a reference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import pytest

from glancecore.assembly import extensions
from glancecore.domain.errors import ConfigError
from glancecore.http.routes import Lanes
from glancecore.ports.extension import Extension
from glancecore.ports.http import Lane, Route, Schema

TEXT: Schema = {"type": "string"}


class One(Extension):
    title = "One"
    shows: ClassVar[Mapping[str, Schema]] = {"family": TEXT, "one_note": TEXT}


class Other(Extension):
    title = "Other"
    shows: ClassVar[Mapping[str, Schema]] = {"family": TEXT}


@pytest.mark.parametrize(
    "key",
    [
        "name",
        "status",
        "id",
        "locations",
        "deleted",
        "os_glance_x",
        "image_id",
        "architecture",
        "os_distro",
        "a-b",
        "",
        "a b",
    ],
)
def test_a_key_that_the_service_has_or_that_is_no_name(key: str) -> None:
    class Wrong(Extension):
        title = "Wrong"
        shows: ClassVar[Mapping[str, Schema]] = {key: TEXT}

    assert any(repr(key) in x or f"shows {key}," in x for x in extensions.complaints("wrong", Wrong))


def test_any_other_key() -> None:
    assert extensions.complaints("one", One) == []


def test_two_with_one_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extensions, "OPTION", "option")
    with pytest.raises(ConfigError, match="one and other both show family"):
        extensions._refuse_clashes({"one": One, "other": Other})


@pytest.mark.parametrize(
    "path",
    [
        "/v2/images/debian/13@stable/file",
        "/v2/images/debian%2F13@stable/file",
        "/v2.4/images/a/b/c/file",
        "/images/x/file",
    ],
)
def test_data_by_a_reference_takes_its_lane(path: str) -> None:
    lanes = Lanes([Route("GET", "/v2/images/<path:image_id>/file", lambda: None, "", {}, lane=Lane.TRANSFER)])  # type: ignore[arg-type]
    assert lanes("GET", path) is Lane.TRANSFER
    assert lanes("GET", path.removesuffix("/file")) is Lane.QUICK
