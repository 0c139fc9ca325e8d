"""What nobody has read is not believed, and what was found to be bad stays so."""

from __future__ import annotations

import pytest

from glancecore.domain import errors
from glancecore.domain.image import Attachment, Image, Location, Status
from glancecore.domain.staged import Digests
from glancecore.testing.examples import make_image

WEB = Location("http://web/image", "web")
SAID = Attachment(WEB, 5, hash_algo="sha512", hash_value="aa", unproved=True)
READ = Digests(5, None, "sha512", "bb")


def queued_again() -> Image:
    """Its location was not what it was said to be."""
    image = make_image(disk_format="raw", container_format="bare", status=Status.QUEUED)
    refused = image.attach(SAID, to=Status.IMPORTING).give_up(Status.QUEUED, "the data has another hash")
    assert not refused.locations
    return refused


def test_a_location_that_was_refused_does_not_refuse_other_data() -> None:
    assert queued_again().begin_import("task", ("file",)).status is Status.IMPORTING


def test_data_that_we_have_read_is_proved() -> None:
    active = queued_again().begin_upload().finish_upload(READ, (Location("file://x", "file"),))
    assert active.begin_import("task", ("other",)).status is Status.ACTIVE


def test_data_that_nobody_has_read_is_not_copied() -> None:
    image = make_image(disk_format="raw", container_format="bare", status=Status.QUEUED).attach(SAID)
    with pytest.raises(errors.WrongStatus, match="before it was read"):
        image.begin_import("task", ("file",))


def test_the_verdict_on_an_image_in_the_trash_is_there_when_it_comes_back() -> None:
    image = make_image(disk_format="raw", container_format="bare", status=Status.QUEUED).attach(SAID)
    back = image.postpone_delete().found_bad("the data has another hash").restore()
    assert back.status is Status.DEACTIVATED
    with pytest.raises(errors.Forbidden, match="only an administrator"):
        back.deactivate().reactivate(admin=False)
    assert back.reactivate(admin=True).status is Status.ACTIVE
