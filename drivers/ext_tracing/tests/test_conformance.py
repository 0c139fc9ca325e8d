"""The kit for extensions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from glancecore.testing.extension import ExtensionConformance, Running


class TestTracing(ExtensionConformance):
    name = "tracing"
    config: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "ext_tracing": {"endpoint": "http://127.0.0.1:9/v1/traces", "drain_seconds": 0.0, "timeout": 0.2}
    }

    def work(self, service: Running, image_id: str) -> None:
        """Any request is."""
        assert service.owner.call("GET", f"/v2/images/{image_id}").status_code == 200
