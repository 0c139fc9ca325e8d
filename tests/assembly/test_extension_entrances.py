"""Other ways into the service that an extension brings, and headers of its own part of the site."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, cast

import pytest

from glancecore import conf
from glancecore.assembly.extension_kernel import ServiceKernel
from glancecore.assembly.extensions import Extensions
from glancecore.assembly.loader import Loader
from glancecore.domain.errors import ConfigError
from glancecore.kernel.subscriptions import Subscriptions
from glancecore.ports.extension import Extension
from glancecore.ports.http import Route
from glancecore.ports.site import Entrance


class First(Extension):
    plugin_api, title = "1.0", "the first"
    name = "first"
    paths: ClassVar[list[str]] = ["/first/in"]
    site_headers: ClassVar[Mapping[str, Mapping[str, str]]] = {"/first": {"X-First": "1"}}

    def entrances(self) -> list[Entrance]:
        return [Entrance(x, lambda _environ: {}) for x in self.paths]


class Second(First):
    name = "second"
    paths: ClassVar[list[str]] = ["/second/in"]
    site_headers: ClassVar[Mapping[str, Mapping[str, str]]] = {"/second": {"X-Second": "1"}}


def made(*classes: type[First]) -> Extensions:
    kernel = ServiceKernel(*[cast("Any", None)] * 13)
    return Extensions(Loader(conf.new(files=[])), {x.name: x for x in classes}, kernel, Subscriptions())


def route(path: str) -> Route:
    return Route("GET", path, lambda: None, "", {})  # type: ignore[arg-type, return-value]


def test_each_brings_its_own() -> None:
    both = made(First, Second)
    assert [x.path for x in both.entrances([route("/first"), route("/first/inside"), route("/v2/images")])] == [
        "/first/in",
        "/second/in",
    ]
    assert both.site_headers() == {"/first": {"X-First": "1"}, "/second": {"X-Second": "1"}}


@pytest.mark.parametrize("path", ["/v2", "/v2/in", "/", "", "in", "/in/", "//in", "/in/<x>", "/In", "/in?x"])
def test_an_entrance_leads_from_outside(path: str) -> None:
    with pytest.raises(ConfigError, match=r"enabled_extensions = other: its entrance .* is no path outside /v2"):
        made(type("Other", (First,), {"name": "other", "paths": [path]})).entrances([])


def test_an_entrance_hides_nothing() -> None:
    with pytest.raises(ConfigError, match=r"first: its entrance /first/in hides /first/in/<x>"):
        made(First).entrances([route("/first/in/<x>")])


def test_one_entrance_is_one_extensions() -> None:
    with pytest.raises(ConfigError, match=r"/first/in is an entrance of other and of first"):
        made(First, type("Other", (First,), {"name": "other"})).entrances([])


@pytest.mark.parametrize("path", ["/v2", "/v2/images", "/", "", "first"])
def test_headers_are_of_what_is_ones_own(path: str) -> None:
    with pytest.raises(ConfigError, match=r"enabled_extensions = other: it has headers for .*, which is not its own"):
        made(type("Other", (First,), {"name": "other", "site_headers": {path: {"X-Other": "1"}}})).site_headers()


def test_headers_of_a_path_are_one_extensions() -> None:
    with pytest.raises(ConfigError, match=r"other: it has headers for /first"):
        made(First, type("Other", (First,), {"name": "other"})).site_headers()
