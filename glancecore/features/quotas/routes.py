"""The routes of the limits of projects."""

from __future__ import annotations

from glancecore.features.images.routes import INT, NOTHING
from glancecore.features.quotas import schemas
from glancecore.features.quotas.api import QuotasApi
from glancecore.features.quotas.rules import QUOTAS
from glancecore.ports.http import Param, Route

_ONE = f"{QUOTAS}/<path:project_id>"


def routes(quotas: QuotasApi) -> list[Route]:
    return [
        Route(
            "GET",
            QUOTAS,
            quotas.list,
            "List projects with limits of their own",
            {200: schemas.LISTED},
            tag="quotas",
            params=(
                Param("limit", "Rows of a page.", schema=INT),
                Param("marker", "Id of the last project of the page before."),
            ),
        ),
        Route("GET", _ONE, quotas.show, "Show limits and usage of a project", {200: schemas.ANSWER}, tag="quotas"),
        Route(
            "PATCH",
            _ONE,
            quotas.change,
            "Set limits of a project",
            {200: schemas.ANSWER},
            body=schemas.CHANGE,
            tag="quotas",
        ),
        Route("DELETE", _ONE, quotas.remove, "Let the default limits count again", NOTHING, tag="quotas"),
    ]
