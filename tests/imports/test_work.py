"""What methods and steps may make of an image's metadata: what users may."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.domain.metadata import MetadataLimits
from glancecore.domain.quota import Limits
from glancecore.features.imports.import_services import ImportSettings
from glancecore.features.imports.stages.work import MethodWork, StepWork
from glancecore.testing.examples import make_image

LIMITS = MetadataLimits(properties=3, bytes=100, project_bytes=1000)


class Run:
    """Saves nothing but the image."""

    def __init__(self) -> None:
        self.services = SimpleNamespace(settings=ImportSettings(metadata=LIMITS))
        self.kept = make_image(properties={"own": "x"})
        self.limits: list[Limits | None] = []

    def save(self, image: Callable[[Image], Image], limits: Limits | None = None) -> None:
        self.kept = image(self.kept)
        self.limits.append(limits)


@pytest.mark.parametrize("work", [MethodWork, lambda run: StepWork(run, "step")], ids=["method", "step"])
@pytest.mark.parametrize(
    ("properties", "error"),
    [
        ({"a": "1", "b": "2", "c": "3"}, errors.LimitExceeded),
        ({"a": "x" * 100}, errors.LimitExceeded),
        ({"a\n": "x"}, errors.Invalid),
        ({"a": "x\0"}, errors.Invalid),
    ],
)
def test_what_users_may_not_imports_may_not(
    work: Callable[[Any], MethodWork], properties: dict[str, str], error: type[Exception]
) -> None:
    run = Run()
    with pytest.raises(error):
        work(run).set_properties(**properties)
    work(run).set_properties(a="one\ntwo")
    assert run.kept.properties == {"own": "x", "a": "one\ntwo"}
    assert run.limits == [Limits(metadata_bytes=1000)]
