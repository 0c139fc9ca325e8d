"""The kit for extensions. Each route has an upload of its own, to an image that is queued."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from glancecore.domain.context import Context
from glancecore.ports.http import Route
from glancecore.testing.extension import ExtensionConformance, Running

UPLOADS, UPLOAD = "/v2/images/<image_id>/uploads", "/v2/images/<image_id>/uploads/<upload_id>"
OWNER = Context(project="owners", roles=frozenset({"member", "reader"}))


class TestTus(ExtensionConformance):
    name = "tus"
    values: ClassVar[Mapping[str, str]] = {"upload_id": "none"}
    public = frozenset({f"OPTIONS {UPLOADS}", f"OPTIONS {UPLOAD}"})
    bodies: ClassVar[Mapping[str, object]] = {
        f"POST {UPLOADS}": b"some",
        f"PATCH {UPLOAD}": b"more",
        f"POST {UPLOAD}": b"more",
    }
    headers: ClassVar[Mapping[str, Mapping[str, str]]] = {
        f"POST {UPLOADS}": {"Tus_Resumable": "1.0.0", "Upload_Length": "10"},
        f"HEAD {UPLOAD}": {"Tus_Resumable": "1.0.0"},
        f"DELETE {UPLOAD}": {"Tus_Resumable": "1.0.0"},
        f"PATCH {UPLOAD}": {"Tus_Resumable": "1.0.0", "Upload_Offset": "0"},
        f"POST {UPLOAD}": {"Tus_Resumable": "1.0.0", "Upload_Offset": "0", "X_HTTP_Method_Override": "PATCH"},
    }

    def work(self, service: Running, image_id: str) -> None:
        """An upload, to another image: an active one has its data."""
        del image_id
        other = str(service.owner.create()["id"])
        answer = service.owner.call(
            "POST",
            f"/v2/images/{other}/uploads",
            b"data",
            Tus_Resumable="1.0.0",
            Upload_Length="4",
            Content_Type="application/offset+octet-stream",
        )
        assert answer.status_code == 201, answer.text
        assert service.row(other).status.value == "active"

    def example_values(self, service: Running, route: Route, image_id: str) -> Mapping[str, str]:
        del image_id
        image_id = str(service.owner.create()["id"])
        if route.path == UPLOADS:
            return {"image_id": image_id}
        session = service.service.tools.kernel.uploads.begin(OWNER, image_id, 10)
        return {"image_id": image_id, "upload_id": session.id}
