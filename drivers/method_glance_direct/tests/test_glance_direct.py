"""What it says of itself, found as an operator names it. Whole imports with it: tests/e2e and tempest."""

from importlib.metadata import entry_points

from glancecore.domain.image import Status
from glancecore.ports.import_method import MethodRequest, Source
from glancecore.testing.import_method import make_method


def test_it_imports_what_its_user_has_staged() -> None:
    (found,) = entry_points(group="glancecore.import_methods", name="glance-direct")
    method = make_method(found.load())
    assert (method.source, method.statuses, method.policy) == (Source.STAGED, {Status.UPLOADING}, "upload_image")
    method.check(MethodRequest({"name": "glance-direct"}))
