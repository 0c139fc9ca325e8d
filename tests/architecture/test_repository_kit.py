"""The kit for database drivers can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from glancecore.domain.context import EVERYTHING, Viewer
from glancecore.domain.errors import GlanceError, TooBroad
from glancecore.domain.image import HIDDEN, Image, Status, Visibility
from glancecore.domain.lease import Lease
from glancecore.domain.quota import Usage
from glancecore.ports import repository as port
from glancecore.testing.fakes import MemoryDatabase, MemoryImages, _State
from glancecore.testing.repository import TEXTS, RepositoryConformance

pytestmark = pytest.mark.long

Kit = RepositoryConformance


class StaleWins(MemoryImages):
    def change_image(self, state: _State, change: port.ImageChanged) -> None:
        stored = self._image(state, change.before.id)
        super().change_image(
            state, replace(change, before=stored, after=replace(change.after, version=stored.version + 1))
        )


class HalfCommits(MemoryImages):
    def commit(self, *changes: port.Change) -> None:
        for change in changes:
            super().commit(change)


class LateJudge(MemoryImages):
    """Judges by what it read before, as a driver without a lock would."""

    def commit(self, *changes: port.Change) -> None:
        limits = [x for x in changes if isinstance(x, port.WithinLimits)]
        trial = MemoryImages()
        trial.state = copy.copy(self.state)
        trial.commit(*changes)
        time.sleep(0.01)
        super().commit(*(x for x in changes if x not in limits))


class ListsPending(MemoryImages):
    def listed(self, image: Image, query: port.ImageQuery) -> bool:
        return super().listed(image, replace(query, member_status=None))


class ListsWhatIsUnlisted(MemoryImages):
    def left(self, image: Image, at: datetime | None) -> bool:
        del image, at
        return False


class UnlistsTooEarly(MemoryImages):
    def left(self, image: Image, at: datetime | None) -> bool:
        return super().left(image, at and at + timedelta(seconds=1))


class UnlistsForOwners(MemoryImages):
    def listed(self, image: Image, query: port.ImageQuery) -> bool:
        return super().listed(image, query) and (
            image.visibility is not Visibility.PUBLIC or query.viewer.admin or not self.left(image, query.unlisted_at)
        )


class PagesWithoutTheUnlisted(MemoryImages):
    """It takes them out of the page that was found."""

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        page = super().find(replace(query, unlisted_at=None))
        return replace(page, images=[x for x in page.images if self.listed(x, query)])


class TellsVersionsOfTheListedOnly(MemoryImages):
    def versions(self, image_ids: Sequence[str]) -> dict[str, int]:
        return {x: y for x, y in super().versions(image_ids).items() if not self.state.images[x].hidden}


class NamesTheListedOnly(MemoryImages):
    def has_name(self, name: str, project: str | None) -> bool:
        return any(x.name == name for x in self.find(port.ImageQuery(Viewer(project), limit=1000)).images)


class ListsForeignCommunity(MemoryImages):
    def listed(self, image: Image, query: port.ImageQuery) -> bool:
        return super().listed(image, replace(query, all_visible=query.all_visible or query.viewer.admin))


class ShowsPrivateToMembers(MemoryImages):
    def visible(self, image: Image, viewer: Viewer) -> bool:
        return super().visible(image, viewer) or (image.id, viewer.project) in self.state.members


class OwnsTheOwnerless(MemoryImages):
    def own(self, image: Image, viewer: Viewer) -> bool:
        return image.owner == viewer.project


class FoldsCase(MemoryImages):
    def matches(self, image: Image, query: port.ImageQuery) -> bool:
        image = replace(image, tags=tuple(x.lower() for x in image.tags))
        return super().matches(image, replace(query, tags=tuple(x.lower() for x in query.tags)))


class MicrosecondFilter(MemoryImages):
    def in_time(self, value: datetime, wanted: port.TimeFilter) -> bool:
        return {"gt": value > wanted.value, "lte": value <= wanted.value}.get(
            wanted.op.value, super().in_time(value, wanted)
        )


class NullInRange(MemoryImages):
    def in_range(self, value: int | None, wanted: port.RangeFilter) -> bool:
        return super().in_range(value or 0, wanted)


class NullLast(MemoryImages):
    def sort(self, images: list[Image], query: port.ImageQuery) -> None:
        super().sort(images, query)
        images.sort(key=lambda x: x.name is None)


class SameOrderForTies(MemoryImages):
    """The order of equal keys is not the asked one."""

    def sort(self, images: list[Image], query: port.ImageQuery) -> None:
        super().sort(images, replace(query, sort=(*query.sort[:1], port.Sort(port.SortField.ID))))


class RepeatsTheMarker(MemoryImages):
    def find(self, query: port.ImageQuery) -> port.ImagePage:
        page = super().find(query)
        if query.marker is None or len(page.images) < 2:
            return page
        return replace(page, images=[self.get(query.marker, query.viewer), *page.images[:-1]])


class AcceptsAnyMarker(MemoryImages):
    def get(self, image_id: str, viewer: Viewer = EVERYTHING) -> Image:
        return super().get(image_id) if image_id in self.state.images else super().get(image_id, viewer)


class ForgetsIds(MemoryImages):
    def remove_image(self, state: _State, change: port.ImageRemoved) -> None:
        super().remove_image(state, change)
        state.removed.clear()


class KeepsMembers(MemoryImages):
    def remove_image(self, state: _State, change: port.ImageRemoved) -> None:
        members = dict(state.members)
        super().remove_image(state, change)
        state.members = members


class ThreeBytes(MemoryImages):
    def add_image(self, state: _State, change: port.ImageAdded) -> None:
        name = "".join(x for x in change.image.name or "" if ord(x) < 0x10000)
        super().add_image(state, port.ImageAdded(replace(change.image, name=name)))


class StealsLeases(MemoryImages):
    def take_lease(self, state: _State, change: port.LeaseTaken) -> None:
        if change.replacing is not None:
            state.leases.pop(change.lease.image_id, None)
        super().take_lease(state, replace(change, replacing=None))


class FreesExpired(MemoryImages):
    def take_lease(self, state: _State, change: port.LeaseTaken) -> None:
        held = state.leases.get(change.lease.image_id)
        if held is not None and held[1] < time.monotonic():
            del state.leases[change.lease.image_id]
        super().take_lease(state, change)


class EndsAnyLease(MemoryImages):
    def end_lease(self, state: _State, change: port.LeaseEnded) -> None:
        stored = state.leases.get(change.lease.image_id)
        super().end_lease(state, change if stored is None else port.LeaseEnded(stored[0]))


class NeverExpires(MemoryImages):
    def expired(self, limit: int = 100) -> list[Lease]:
        return []


class ExtendsAll(MemoryImages):
    def extend(self, holder: str, ttl: float) -> frozenset[str]:
        return frozenset().union(
            *(super(ExtendsAll, self).extend(x.holder, ttl) for x, _ in self.state.leases.values())
        )


class ReservesNothing(MemoryImages):
    def take_lease(self, state: _State, change: port.LeaseTaken) -> None:
        super().take_lease(state, change)
        lease, until = state.leases[change.lease.image_id]
        state.leases[lease.image_id] = (replace(lease, reserved=0), until)


class FoldsUrls(MemoryImages):
    def located(self, url: str) -> list[str]:
        return super().located(url.lower())


class LimitsMembersLate(MemoryImages):
    def add_member(self, state: _State, change: port.MemberAdded) -> None:
        super().add_member(state, replace(change, limit=None if change.limit is None else change.limit + 1))


class ScansTheListed(MemoryImages):
    def scan(self, statuses: frozenset[Status], after: str = "", limit: int = 100) -> list[Image]:
        return super().scan(statuses - HIDDEN, after, limit)


class ScansFromAnImage(MemoryImages):
    def scan(self, statuses: frozenset[Status], after: str = "", limit: int = 100) -> list[Image]:
        return super().scan(statuses, after if after in self.state.images else "", limit)


class HurriesTheScrubber(MemoryImages):
    def pending(self, before: datetime, limit: int = 100) -> list[Image]:
        return super().pending(before + timedelta(seconds=1), limit)


class ForgetsWhatItWas(MemoryImages):
    def change_image(self, state: _State, change: port.ImageChanged) -> None:
        super().change_image(state, replace(change, after=replace(change.after, status_before_delete=None)))


class CountsReservations(MemoryImages):
    def recount(self, project: str | None, *, mend: bool) -> tuple[Usage, Usage]:
        kept, _ = super().recount(project, mend=mend)
        return kept, self.usage(project)


class ForgetsTheOwnerless(MemoryImages):
    def projects(self) -> list[str | None]:
        return [x for x in super().projects() if x is not None]


class ReadsTooMuch(MemoryImages):
    """It ends a page behind the image that goes beyond the bound, not with the one that reaches it."""

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        return super().find(replace(query, max_bytes=None if query.max_bytes is None else query.max_bytes + 1))


class LeadsOnFromNothing(MemoryImages):
    """Clients take an empty page for the last one."""

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        try:
            return super().find(query)
        except TooBroad:
            marker = (
                super()
                .find(replace(query, equal={}, tags=(), properties={}, times=(), ranges=(), limit=query.most))
                .marker
            )
            return port.ImagePage([], marker)


class LeadsOnFromTheUnseen(MemoryImages):
    """It looks at images that are not listed for the viewer, as an index on something else would make it, and ends at
    one of those."""

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        page = super().find(query)
        if page.marker is None or page.full(query):
            return page
        every = (
            super()
            .find(port.ImageQuery(EVERYTHING, all_visible=True, sort=query.sort, marker=page.marker, limit=1))
            .images
        )
        return replace(page, marker=every[0].id) if every and not self.listed(every[0], query) else page


class EndsTooSoon(MemoryImages):
    """A page that is not full is the last one for it."""

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        page = super().find(query)
        return page if len(page.images) == query.limit else replace(page, marker=None)


class GoesOnBehindWhatItFound(MemoryImages):
    """Of a page that is cut to half its images, the marker stays."""

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        page = super().find(query)
        return replace(page, images=page.images[: len(page.images) // 2 + 1])


class LooksAtFew(MemoryImages):
    def find(self, query: port.ImageQuery) -> port.ImagePage:
        return super().find(replace(query, most=query.most // 2))


class RefusesWhatIsInOrder(MemoryImages):
    def find(self, query: port.ImageQuery) -> port.ImagePage:
        page = super().find(query)
        if len(page.images) < query.limit and page.marker is not None:
            raise TooBroad("not now")
        return page


class RefusesEverything(MemoryImages):
    def find(self, query: port.ImageQuery) -> port.ImagePage:
        raise TooBroad("not now")


class RefusesFilters(MemoryImages):
    """Whatever else but one question is asked."""

    def find(self, query: port.ImageQuery) -> port.ImagePage:
        if query.equal or query.tags or query.ranges or query.times or query.properties:
            raise TooBroad("not now")
        return super().find(query)


class CountsNoMetadata(MemoryImages):
    def _usage(self, state: _State, project: str | None) -> Usage:
        return replace(super()._usage(state, project), metadata_bytes=0)


NAME, CREATED, SIZE = port.SortField.NAME, port.SortField.CREATED_AT, port.SortField.SIZE
SHARED, PRIVATE, COMMUNITY = Visibility.SHARED, Visibility.PRIVATE, Visibility.COMMUNITY
ASTRAL = next(x for x in TEXTS if max(map(ord, x), default=0) > 0xFFFF)


@pytest.mark.parametrize(
    ("saboteur", "test", "arguments"),
    [
        (StaleWins, Kit.test_a_stale_change_is_refused, ()),
        (StaleWins, Kit.test_one_of_many_parallel_changes_wins, ()),
        (HalfCommits, Kit.test_a_commit_is_applied_whole_or_not_at_all, ()),
        (LateJudge, Kit.test_parallel_additions_cannot_overshoot, ()),
        (LateJudge, Kit.test_parallel_reservations_cannot_overshoot, ()),
        (ListsPending, Kit.test_who_sees_an_image, ("pending", SHARED)),
        (ListsWhatIsUnlisted, Kit.test_what_is_unlisted_leaves_the_lists_of_others, ()),
        (ListsWhatIsUnlisted, Kit.test_what_is_unlisted_is_left_out_of_filtered_lists, ()),
        (UnlistsTooEarly, Kit.test_what_is_unlisted_leaves_the_lists_of_others, ()),
        (UnlistsForOwners, Kit.test_what_is_unlisted_leaves_the_lists_of_others, ()),
        (PagesWithoutTheUnlisted, Kit.test_pages_are_full_although_many_are_unlisted, ()),
        (NamesTheListedOnly, Kit.test_whether_an_image_has_a_name, (True,)),
        (TellsVersionsOfTheListedOnly, Kit.test_the_versions_of_images, ()),
        (ListsForeignCommunity, Kit.test_who_sees_an_image, ("admin", COMMUNITY)),
        (ShowsPrivateToMembers, Kit.test_who_sees_an_image, ("accepted", PRIVATE)),
        (OwnsTheOwnerless, Kit.test_who_sees_an_image_without_owner, ("without project", PRIVATE)),
        (FoldsCase, Kit.test_tags_must_all_be_there_exactly, ()),
        (MicrosecondFilter, Kit.test_times_are_compared_at_whole_seconds, (CREATED, port.TimeOp.GT, {"after"}, 0.0)),
        (NullInRange, Kit.test_ranges_include_their_bounds_and_never_null, ("size", None, 5, {"small"})),
        (NullLast, Kit.test_sorted_pages_give_each_image_once, (NAME, False)),
        (SameOrderForTies, Kit.test_directions_may_differ_by_key, (SIZE,)),
        (RepeatsTheMarker, Kit.test_sorted_pages_give_each_image_once, (CREATED, True)),
        (AcceptsAnyMarker, Kit.test_an_unseen_marker_is_unknown, (10,)),
        (ForgetsIds, Kit.test_a_removed_id_stays_used_until_purged, ()),
        (KeepsMembers, Kit.test_a_removed_image_is_gone_with_all_that_is_its, ()),
        (ThreeBytes, Kit.test_any_text_is_kept, (ASTRAL,)),
        (StealsLeases, Kit.test_a_lease_is_taken_over_by_its_token, ()),
        (FreesExpired, Kit.test_an_expired_lease_still_makes_busy, ()),
        (EndsAnyLease, Kit.test_only_this_very_lease_is_ended, ()),
        (NeverExpires, Kit.test_leases_that_nobody_extends_expire, ()),
        (ExtendsAll, Kit.test_a_heartbeat_tells_the_tokens_still_held, ()),
        (ReservesNothing, Kit.test_usage_includes_what_is_reserved, ()),
        (FoldsUrls, Kit.test_images_are_found_by_the_url_of_a_location, ()),
        (LimitsMembersLate, Kit.test_members_are_limited, ()),
        (ScansTheListed, Kit.test_a_scan_tells_every_image_of_its_statuses_once, ()),
        (ScansFromAnImage, Kit.test_a_scan_goes_on_behind_an_image_that_is_gone, ()),
        (HurriesTheScrubber, Kit.test_images_whose_time_for_undoing_is_over_are_told, ()),
        (CountsReservations, Kit.test_what_is_reserved_is_not_counted_anew, ()),
        (ForgetsTheOwnerless, Kit.test_projects_are_told_and_counted, ()),
        (ForgetsWhatItWas, Kit.test_what_a_deleted_image_was_is_kept, (Status.DEACTIVATED,)),
        (ReadsTooMuch, Kit.test_a_page_ends_behind_the_image_that_reaches_the_bound_of_bytes, ()),
        (LeadsOnFromNothing, Kit.test_pages_that_end_early_give_each_image_once, (3,)),
        (EndsTooSoon, Kit.test_pages_that_end_early_give_each_image_once, (8,)),
        (GoesOnBehindWhatItFound, Kit.test_pages_that_end_early_give_each_image_once, (8,)),
        (LeadsOnFromTheUnseen, Kit.test_pages_lead_on_from_images_that_the_viewer_sees, (3,)),
        (RefusesEverything, Kit.test_what_most_images_fit_is_never_refused_in_the_order_of_an_index, ({},)),
        (
            RefusesFilters,
            Kit.test_what_most_images_fit_is_never_refused_in_the_order_of_an_index,
            ({"tags": ("all",)},),
        ),
        (LooksAtFew, Kit.test_a_list_of_few_is_whole_whatever_is_asked, ()),
        (RefusesWhatIsInOrder, Kit.test_a_list_without_filters_is_never_refused, ()),
        (CountsNoMetadata, Kit.test_metadata_is_counted_and_limited, ()),
        (ForgetsIds, Kit.test_a_random_history_ends_as_in_memory, (0,)),
    ],
)
def test_the_kit_catches(
    saboteur: type[MemoryImages], test: Callable[..., None], arguments: tuple[object, ...]
) -> None:
    database = MemoryDatabase()
    database.images = saboteur()
    with pytest.raises(BaseException) as told:
        test(Kit(), database, *arguments)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | GlanceError), told.value
