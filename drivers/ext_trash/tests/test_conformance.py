"""The kit for extensions; records on MariaDB, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import lab
import pytest

from glancecore.ports.http import Route
from glancecore.testing.extension import ExtensionConformance, Running, until

PATCH = "application/openstack-images-v2.1-json-patch"


class TestTrash(ExtensionConformance):
    name = "trash"
    config = {"DEFAULT": {"delayed_delete": True, "scrub_time": 86400}, "ext_trash": {"cooldown_minutes": 10}}

    @pytest.fixture
    def second_database(self) -> Iterator[Mapping[str, object]]:
        with lab.new_database("mariadb") as url:
            yield {"connection": url}

    def work(self, service: Running, image_id: str) -> None:
        """The image was in the trash and came back; its protection has been taken away."""
        assert service.owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
        assert service.owner.call("POST", f"/trash/{image_id}/actions/restore").status_code == 200
        for protected in (True, False):
            body = [{"op": "replace", "path": "/protected", "value": protected}]
            assert service.owner.call("PATCH", f"/v2/images/{image_id}", body, Content_Type=PATCH).status_code == 200
        until(lambda: service.owner.call("GET", f"/v2/images/{image_id}").status_code == 200)
        self.arguments = {
            "list": ["--project", "owners"],
            "restore": [self._deleted(service)],
            "purge": [self._deleted(service)],
        }  # type: ignore[misc]

    def example_values(self, service: Running, route: Route, image_id: str) -> Mapping[str, str]:
        del image_id
        return {"image_id": self._deleted(service)} if "<image_id>" in route.path else {}

    def _deleted(self, service: Running) -> str:
        image_id = service.image()
        assert service.owner.call("DELETE", f"/v2/images/{image_id}").status_code == 204
        return image_id
