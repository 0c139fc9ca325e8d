"""The kit for extensions; records on MariaDB, too."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import lab
import pytest

from glancecore.testing.extension import ExtensionConformance, Running, until

HERE = "/lifecycle/policies/<policy_id>"


class TestLifecycle(ExtensionConformance):
    name = "lifecycle"
    arguments = {"plan": ["--project", "owners"]}
    config = {"ext_lifecycle": {"policies_per_project": 1000}}

    @pytest.fixture
    def second_database(self) -> Iterator[Mapping[str, object]]:
        with lab.new_database("mariadb") as url:
            yield {"connection": url}

    def work(self, service: Running, image_id: str) -> None:
        """A policy that hides the image, a plan that was applied, and one that was not."""
        name = f"kit {image_id}"
        answer = service.owner.call(
            "PATCH",
            f"/v2/images/{image_id}",
            [{"op": "replace", "path": "/name", "value": name}],
            Content_Type="application/openstack-images-v2.1-json-patch",
        )
        assert answer.status_code == 200, answer.text
        body = {
            "name": "kit",
            "selector": {"names": [name]},
            "keep": {"tags": ["keep"]},
            "steps": [{"action": "hide", "past": "provided_until"}],
        }
        made = service.owner.call("POST", "/lifecycle/policies", body)
        assert made.status_code == 201, made.text
        policy = (made.json or {})["id"]
        plan = (service.owner.call("POST", f"/lifecycle/policies/{policy}/plans").json or {})["id"]
        assert service.owner.call("POST", f"/lifecycle/plans/{plan}/actions/apply").status_code == 200
        plan = (service.owner.call("POST", f"/lifecycle/policies/{policy}/plans").json or {})["id"]
        self.values = {"policy_id": policy, "plan_id": plan}  # type: ignore[misc]
        self.bodies = {"POST /lifecycle/policies": body, f"PUT {HERE}": body}  # type: ignore[misc]
        self.arguments = {"plan": ["--project", "owners"], "apply": ["--project", "owners", "--plan", plan]}  # type: ignore[misc]
        until(lambda: service.owner.call("GET", f"/lifecycle/plans/{plan}").status_code == 200)
