"""The routes of imports."""

from __future__ import annotations

from glancecore.features.images.data_api import OCTETS
from glancecore.features.images.routes import INT, NOTHING, ONE
from glancecore.features.imports.api import ImportsApi
from glancecore.ports.http import Lane, Param, Route


def routes(importing: ImportsApi) -> list[Route]:
    return [
        Route(
            "PUT",
            f"{ONE}/stage",
            importing.stage,
            "Stage image data for an import",
            NOTHING,
            body=OCTETS,
            tag="imports",
            lane=Lane.TRANSFER,
            params=(Param("x-openstack-image-size", "Its length in bytes.", "header", INT),),
        ),
        Route(
            "POST",
            f"{ONE}/import",
            importing.start,
            "Import image data",
            {202: None},
            body=importing.schema,
            tag="imports",
            lane=Lane.TRANSFER,
            params=(Param("x-image-meta-store", "Store to put it in.", "header"),),
        ),
        Route(
            "POST",
            f"{ONE}/tasks/<task_id>/actions/cancel",
            importing.cancel,
            "Cancel an import",
            {202: None},
            tag="imports",
        ),
        Route(
            "POST",
            f"{ONE}/tasks/<task_id>/actions/retry",
            importing.retry,
            "Import again what has failed",
            {202: None},
            tag="imports",
            lane=Lane.TRANSFER,
        ),
    ]
