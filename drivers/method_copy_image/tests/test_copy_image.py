"""What it says of itself, found as an operator names it. Whole imports with it: tests/e2e and tempest."""

from importlib.metadata import entry_points

from glancecore.domain.image import Status
from glancecore.ports.import_method import MethodRequest, Source
from glancecore.testing.import_method import make_method


def test_it_copies_what_an_active_image_has_by_a_policy_of_its_own() -> None:
    (found,) = entry_points(group="glancecore.import_methods", name="copy-image")
    method = make_method(found.load())
    assert (method.source, method.statuses, method.policy) == (Source.COPIES, {Status.ACTIVE}, "copy_image")
    method.check(MethodRequest({"name": "copy-image"}))
