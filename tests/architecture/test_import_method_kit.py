"""The kit for import methods can fail: each saboteur breaks one rule, and the test of that rule tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from glancecore.domain import errors
from glancecore.ports.import_method import FetchedBody, FetchWork, ImportMethod, MethodRequest
from glancecore.ports.import_method import Source as Where
from glancecore.testing.import_method import DATA, OTHER, ImportMethodConformance, Source, make_method

Kit = ImportMethodConformance


class Shelf(Source):
    """A source in memory: good enough to break rules on."""

    good = MethodRequest({"name": "shelf", "uri": "shelf://secret"})
    bad = (MethodRequest({"name": "shelf"}),)

    def __init__(self) -> None:
        self.data: bytes | None = DATA
        self.after: int | None = None
        self.stopped = False
        self.open = 0

    def cut(self, after: int) -> None:
        self.after = after

    def change(self) -> None:
        self.data = OTHER

    def remove(self) -> None:
        self.data = None

    def stop(self) -> None:
        self.stopped = True


def failed(text: str, *, again: bool) -> errors.FetchFailed:
    exc = errors.FetchFailed(text)
    exc.retryable = again
    return exc


class Reads(ImportMethod):
    """Keeps every rule."""

    shelf: Shelf
    piece = 1 << 20

    def check(self, request: MethodRequest) -> None:
        if "uri" not in request.method:
            raise errors.Invalid("uri")

    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        if self.shelf.stopped:
            raise failed("no answer", again=True)
        if self.shelf.data is None:
            raise failed("missing", again=False)
        name = "one" if self.shelf.data is DATA else "two"
        at = offset if validator == name else 0
        return FetchedBody(at, len(self.shelf.data), self.pieces(at), name)

    def pieces(self, at: int) -> Iterator[bytes]:
        data = self.shelf.data or b""
        for start in range(at, len(data), self.piece):
            if self.shelf.after is not None and start > self.shelf.after:
                raise failed("broke off", again=True)
            yield data[start : start + self.piece]


class Staged(Reads):
    source = Where.STAGED


class RefusesAll(Reads):
    def check(self, request: MethodRequest) -> None:
        raise errors.Invalid("no")


class TakesAll(Reads):
    def check(self, request: MethodRequest) -> None:
        pass


class LosesTheEnd(Reads):
    def pieces(self, at: int) -> Iterator[bytes]:
        yield (self.shelf.data or b"")[at:-1]


class OnePiece(Reads):
    piece = 1 << 30

    def pieces(self, at: int) -> Iterator[bytes]:
        yield (self.shelf.data or b"")[at:] * 2


class CountsPreparations(Reads):
    times = 0

    def prepare(self, work: FetchWork) -> None:
        self.times += 1
        work.set_properties(times=str(self.times))


class IgnoresTheOffset(Reads):
    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        part = super().fetch(work, 0)
        return FetchedBody(offset, part.total, part.pieces, part.validator)


class GoesOnInOtherContent(Reads):
    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        part = super().fetch(work, 0)
        return FetchedBody(offset, part.total, self.pieces(offset), part.validator)


class SameValidator(Reads):
    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        part = super().fetch(work, 0)
        return FetchedBody(0, part.total, part.pieces, "always")


class EndsQuietly(Reads):
    def pieces(self, at: int) -> Iterator[bytes]:
        yield (self.shelf.data or b"")[at : self.shelf.after]


class ShowsTheUri(Reads):
    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        if self.shelf.data is None:
            raise failed(f"{work.request.method['uri']} is missing", again=False)
        return super().fetch(work, offset, validator)


class GivesUp(Reads):
    def fetch(self, work: FetchWork, offset: int = 0, validator: str | None = None) -> FetchedBody:
        if self.shelf.stopped:
            raise failed("no answer", again=False)
        return super().fetch(work, offset, validator)


@pytest.mark.parametrize(
    ("saboteur", "test", "arguments"),
    [
        (Staged, Kit.test_it_says_that_it_fetches, ()),
        (RefusesAll, Kit.test_a_good_request_is_taken, ()),
        (TakesAll, Kit.test_a_bad_request_is_refused_at_once, ()),
        (LosesTheEnd, Kit.test_all_data_comes_in_order, ()),
        (OnePiece, Kit.test_pieces_are_small, ()),
        (CountsPreparations, Kit.test_it_may_be_prepared_again, ()),
        (IgnoresTheOffset, Kit.test_it_goes_on_from_an_offset_or_begins_again, (1_000_000,)),
        (IgnoresTheOffset, Kit.test_without_a_validator_it_begins_again_or_does_as_asked, ()),
        (GoesOnInOtherContent, Kit.test_other_content_is_never_taken_for_the_same, ()),
        (SameValidator, Kit.test_other_content_is_never_taken_for_the_same, ()),
        (EndsQuietly, Kit.test_a_broken_source_is_told, ()),
        (ShowsTheUri, Kit.test_a_missing_source_is_told, ()),
        (GivesUp, Kit.test_a_stopped_source_is_told, ()),
    ],
)
def test_the_kit_catches(saboteur: type[Reads], test: Callable[..., None], arguments: tuple[object, ...]) -> None:
    shelf, method = Shelf(), make_method(saboteur)
    method.shelf = shelf
    takes_method = test is Kit.test_it_says_that_it_fetches
    with pytest.raises(BaseException) as told:
        test(Kit(), method) if takes_method else test(Kit(), method, shelf, *arguments)
    assert isinstance(told.value, AssertionError | pytest.fail.Exception | errors.GlanceError), told.value


class TestReads(ImportMethodConformance):
    """The kit lets a method pass that keeps the rules."""

    @pytest.fixture
    def source(self) -> Shelf:
        return Shelf()

    @pytest.fixture
    def method(self, source: Shelf) -> Reads:
        method = make_method(Reads)
        method.shelf = source
        return method
