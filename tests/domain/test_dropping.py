"""A copy that is to be removed, and stays."""

from __future__ import annotations

import pytest

from glancecore.domain.image import Location, LocationStatus, Status
from glancecore.testing.examples import make_image


@pytest.mark.parametrize("before", [LocationStatus.ACTIVE, LocationStatus.DAMAGED])
def test_a_copy_that_could_not_be_removed_is_as_it_was(before: LocationStatus) -> None:
    """A store that refuses to delete a damaged copy has not mended it."""
    locations = (Location("mem://good", "one"), Location("mem://other", "two", status=before))
    image = make_image(status=Status.ACTIVE, size=1, locations=locations)
    marked = image.drop("mem://other")
    assert [x.status for x in marked.locations] == [LocationStatus.ACTIVE, LocationStatus.DELETING]
    assert marked.undo_drop().locations == locations


@pytest.mark.parametrize("before", [LocationStatus.ACTIVE, LocationStatus.DAMAGED])
def test_nor_does_a_deletion_that_comes_between_and_fails_mend_it(before: LocationStatus) -> None:
    locations = (Location("mem://good", "one"), Location("mem://other", "two", status=before))
    image = make_image(status=Status.ACTIVE, size=1, locations=locations)
    deleting = image.drop("mem://other").begin_delete()
    assert {x.status for x in deleting.locations} == {LocationStatus.DELETING}
    assert deleting.undo_delete(Status.ACTIVE).locations == locations
