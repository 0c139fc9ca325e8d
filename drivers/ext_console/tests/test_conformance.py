"""The kit for extensions. Requests of the console's own have the cookie of a session, which the kit's owner begins
behind his proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import lab
import pytest

from glancecore.ports.http import Route
from glancecore.testing._extension_bench import Bench
from glancecore.testing.extension import ExtensionConformance, Running, until

SESSION = "/console/session"
STORE = "/v2/console/stores/slow"
EVACUATION = "POST /v2/console/stores/<store>/evacuation"


def begin(service: Running) -> tuple[str, str]:
    """A cookie, and what is sent beside it."""
    answer = service.owner.call("POST", SESSION, {"method": "proxy"}, Content_Type="application/json")
    assert answer.status_code == 200, answer.text
    return answer.headers["Set-Cookie"].partition(";")[0], str((answer.json or {})["csrf"])


@pytest.mark.usefixtures("static")
class TestConsole(ExtensionConformance):
    name = "console"
    values: ClassVar[Mapping[str, str]] = {
        "page": "images",
        "name": "app-1a2b.bin",
        "job": "console_sweep",
        "store": "slow",
    }
    bodies: ClassVar[Mapping[str, object]] = {f"POST {SESSION}": {"method": "proxy"}, EVACUATION: {"dry_run": True}}
    public = frozenset(
        {
            "GET /console",
            "GET /console/",
            "GET /console/<path:page>",
            "GET /console/assets/<path:name>",
            f"GET {SESSION}",
            f"POST {SESSION}",
            f"DELETE {SESSION}",
            "DELETE /console/sessions",
            "GET /console/permissions",
        }
    )

    @pytest.fixture(autouse=True)
    def _headers(self) -> None:
        self.headers: Mapping[str, Mapping[str, str]] = {}  # type: ignore[misc]

    @pytest.fixture
    def second_database(self) -> Iterator[Mapping[str, object]]:
        with lab.new_database("mariadb") as url:
            yield {"connection": url}

    def make_bench(self, folder: Path, database: Mapping[str, object] | None = None) -> Bench:
        """With a store that nothing goes to of itself."""
        config = {
            "DEFAULT": {"enabled_backends": "fast:file, slow:file"},
            "slow": {"filesystem_store_datadir": folder / "slow"},
        }
        return Bench(self.name, folder, config, database)

    def work(self, service: Running, image_id: str) -> None:
        """A session, and the event of another image's making."""
        del image_id
        begin(service)
        other = service.owner.create()["id"]
        until(lambda: service.owner.call("GET", f"/v2/console/events?subject={other}", X_Roles="admin").json["events"])

    def example_values(self, service: Running, route: Route, image_id: str) -> Mapping[str, Any]:
        if (
            f"{route.method} {route.path}" == EVACUATION
        ):  # a dry run of a store that drains waits until all processes know that it does
            service.owner.call("POST", f"{STORE}/actions/undrain", X_Roles="admin")
            until(
                lambda: all(
                    (x["evacuation"] or {}).get("state") != "running"
                    for x in service.owner.call("GET", "/v2/console/stores", X_Roles="admin").json.get("stores", ())
                )
            )
        cookie, csrf = begin(service)
        self.headers = {**self.headers, f"{route.method} {route.path}": {"Cookie": cookie, "X_CSRF_Token": csrf}}  # type: ignore[misc]
        return {**self.values, "image_id": image_id}


def test_pages_are_looked_for_where_the_distribution_is() -> None:
    from glancecore_ext_console import pages

    assert Path(pages.__file__).with_name("static") == pages.STATIC
