"""The kit for extensions; records on MariaDB, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import lab
import pytest

from glancecore.testing.extension import ExtensionConformance, Running, until


class TestCensus(ExtensionConformance):
    name = "census"

    @pytest.fixture
    def second_database(self) -> Iterator[Mapping[str, object]]:
        with lab.new_database("mariadb") as url:
            yield {"connection": url}

    def work(self, service: Running, image_id: str) -> None:
        """Counted; an example of the kit may be at it already."""
        until(lambda: service.owner.call("POST", f"/census/{image_id}").status_code == 202)
        until(lambda: service.owner.call("GET", f"/census/{image_id}").status_code == 200)
