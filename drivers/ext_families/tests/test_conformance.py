"""The kit for extensions; records on MariaDB, too."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping

import lab
import pytest

from glancecore.testing.extension import ExtensionConformance, Running, until

HERE = "/families/<family_id>"


class TestFamilies(ExtensionConformance):
    name = "families"
    queries = {"DELETE /families/<family_id>": "force=true"}

    @pytest.fixture
    def second_database(self) -> Iterator[Mapping[str, object]]:
        with lab.new_database("mariadb") as url:
            yield {"connection": url}

    def work(self, service: Running, image_id: str) -> None:
        """A family of its own, with an older version; the image is deprecated, and a channel points to it all the same.
        Examples of routes are of that family."""

        def asked(method: str, path: str, body: object = None) -> dict[str, object]:
            answer = service.owner.call(method, f"/families{path}", body)
            assert answer.status_code < 300, (method, path, answer.text)
            return dict(answer.json or {})

        family = str(asked("POST", "", {"name": f"kit/{uuid.uuid4()}"})["id"])
        older = service.image(b"older")
        asked("PUT", f"/{family}/versions/1", {"image_id": older})
        asked("PUT", f"/{family}/channels/stable", {"label": "1", "reason": "the first"})
        asked("PUT", f"/{family}/versions/2", {"image_id": image_id})
        asked("PUT", f"/{family}/channels/stable", {"label": "2"})
        asked(
            "POST",
            f"/{family}/versions/2/actions/deprecate",
            {"replacement": "kit/other@stable", "obsolete_at": None, "ends_at": "2034-01-01T00:00:00Z", "force": True}
            | {"obsolete_at": "2033-01-01T00:00:00Z"},
        )
        asked("DELETE", f"/{asked('POST', '', {'name': f'gone/{uuid.uuid4()}'})['id']}")
        self.values = {"family_id": family, "label": "1", "channel": "stable"}  # type: ignore[misc]
        version, channel = f"{HERE}/versions/<label>", f"{HERE}/channels/<channel>"
        self.bodies = {  # type: ignore[misc]
            "POST /families": {"name": f"kit/{uuid.uuid4()}"},
            f"PATCH {HERE}": {"description": "text"},
            f"PUT {version}": {"image_id": older},
            f"POST {version}/actions/deprecate": {"force": True},
            f"POST {version}/actions/restore": {"reason": "text"},
            f"PUT {channel}": {"label": "1"},
            **{f"POST {channel}/actions/{x}": {"reason": "text"} for x in ("rollback", "pin", "unpin")},
        }
        until(lambda: service.owner.call("GET", f"/v2/images/{image_id}").status_code == 200)
