"""Lists of images under a policy that shows the caller some of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image
from glancecore.domain.metadata import MetadataLimits
from glancecore.features.images import use_cases as service
from glancecore.features.images.use_cases import LOOKS, PAGES, ImageRules, Images
from glancecore.ports.repository import ImageAdded, ImageQuery
from glancecore.testing.examples import OWNER, make_image
from glancecore.testing.fakes import MemoryDatabase


class Policy:
    """``shows``: the rule of ``get_image``."""

    def __init__(self, shows: Callable[[Image], bool]) -> None:
        self._shows = shows

    def authorize(self, *_: object) -> None:
        """Lists are for everybody."""

    def allows(self, _ctx: Context, _rule: str, image: Image) -> bool:
        return self._shows(image)


def listed(count: int, shows: Callable[[int], bool], *tags: str) -> list[list[int]]:
    """The pages of two of so many images, newest first; each image is named by its number, and each third one has the
    tag t. Raises TooBroad."""
    database, absent = MemoryDatabase(), None
    database.images.commit(
        *(ImageAdded(make_image(n, name=str(n)).tagged("u" if n % 3 else "t")) for n in range(count))
    )
    rules = ImageRules(limits=MetadataLimits(), protection=absent)  # type: ignore[arg-type]
    images = Images(database.images, Policy(lambda x: shows(int(x.name or ""))), absent, rules, *[absent] * 4)  # type: ignore[arg-type]
    ctx: Any = Context(project=OWNER.project)
    query, pages = ImageQuery(OWNER, limit=2, tags=tags), []
    while True:
        page = images.find(ctx, query)
        pages.append([int(x.name or "") for x in page.images])
        if page.marker is None:
            return pages
        assert shows(int(database.images.get(page.marker).name or "")), "the id of an image that is not shown"
        query = replace(query, marker=page.marker)


def test_a_page_without_images_does_not_lead_on() -> None:
    pages = listed(9, lambda n: n in (0, 1, 8))
    assert all(pages[:-1])
    assert [n for page in pages for n in page] == [8, 1, 0]


def test_each_shown_image_is_listed_once() -> None:
    for step in (1, 2, 3):
        assert [n for page in listed(12, lambda n, step=step: n % step == 0) for n in page] == [
            n for n in range(11, -1, -1) if n % step == 0
        ]  # type: ignore[misc]


def test_a_small_page_is_found_behind_many_that_are_not_shown() -> None:
    assert [n for page in listed(500, lambda n: n < 5) for n in page] == [4, 3, 2, 1, 0]


@pytest.mark.parametrize("shows", [lambda n: n % 3 == 0, lambda n: n % 3 != 1, lambda n: n % 2 == 0])
def test_a_page_of_images_that_are_shown_leads_on_from_one(
    monkeypatch: pytest.MonkeyPatch, shows: Callable[[int], bool]
) -> None:
    """Not from the last that was looked at and did not fit."""
    monkeypatch.setattr(service, "LOOKS", (2, 4))
    assert [n for page in listed(20, shows, "t") for n in page] == [n for n in range(18, -1, -3) if shows(n)]


def test_too_many_that_are_not_shown_are_refused() -> None:
    with pytest.raises(errors.TooBroad, match="none of the next images is shown to you"):
        listed(2 + (PAGES - 1) * LOOKS[0] + 2, lambda n: n == 0)
