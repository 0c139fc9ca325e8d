"""The OpenAPI document is true: whatever it allows to be asked, no answer is a server error, and each matches its
schema."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from conftest import built
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.long

#: Somebody who may do everything, so that most questions reach an image.
IDENTITY = {
    "X-Identity-Status": "Confirmed",
    "X-User-Id": "u",
    "X-Project-Id": "p",
    "X-Roles": "admin,member,reader",
    "Accept": "application/json",
}
SEED = "aaaaaaaa-0000-4000-8000-000000000001"
#: A namespace with one of everything, all of the same name.
NAMESPACE = {
    "namespace": "seed",
    "display_name": "Seed",
    "resource_type_associations": [{"name": "seed", "prefix": "p_"}],
    "properties": {"seed": {"title": "Seed", "type": "string", "enum": ["a"]}},
    "tags": [{"name": "seed"}],
    "objects": [{"name": "seed", "required": ["x"], "properties": {"x": {"title": "X", "type": "integer"}}}],
}
#: The committed document, which another suite compares with the code; it names the operations.
DOCUMENT = json.loads((Path(__file__).parents[2] / "docs" / "openapi.json").read_text())
OPERATIONS = [(path, method.upper()) for path, methods in DOCUMENT["paths"].items() for method in methods]


@schemathesis.serializer("application/openstack-images-v2.1-json-patch", "application/openstack-images-v2.0-json-patch")
def patch(_ctx: Any, value: Any) -> bytes:
    """A patch is JSON."""
    return json.dumps(value).encode()


@pytest.fixture(scope="module")
def schema() -> Iterator[Any]:
    with (
        tempfile.TemporaryDirectory() as folder,
        built("sqlite", {"DEFAULT": {"image_cache_dir": f"{folder}/cache"}}) as service,
    ):
        made = service.app.test_client().post(
            "/v2/images", headers=IDENTITY, json={"id": SEED, "disk_format": "raw", "container_format": "bare"}
        )
        assert made.status_code == 201
        yield schemathesis.openapi.from_wsgi("/openapi.json", service.app)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_every_answer_is_as_described(schema: Any, path: str, method: str) -> None:
    operation = schema[path][method]
    if "metadefs" in path:  # made anew: an earlier operation may have renamed or emptied it
        client = schema.app.test_client()
        assert client.delete("/v2/metadefs/namespaces/seed", headers=IDENTITY).status_code in (204, 403, 404)
        assert client.post("/v2/metadefs/namespaces", headers=IDENTITY, json=NAMESPACE).status_code in (201, 409)

    @given(case=operation.as_strategy())
    @settings(
        max_examples=60,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def ask(case: Any) -> None:
        if "image_id" in case.path_parameters and len(case.path_parameters["image_id"]) % 2:
            case.path_parameters["image_id"] = SEED
        for name in {"namespace", "name"} & set(case.path_parameters):
            if len(case.path_parameters[name]) % 2:
                case.path_parameters[name] = "seed"
        answer = case.call(headers=IDENTITY)
        case.validate_response(
            answer,
            checks=[
                checks.not_a_server_error,
                response_schema_conformance,
                content_type_conformance,
                status_code_conformance,
            ],
        )

    ask()
