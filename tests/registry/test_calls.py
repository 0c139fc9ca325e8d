"""The table of calls has the whole port, and what will be added to it; every value travels."""

from __future__ import annotations

import inspect
import typing
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from glancecore.domain import errors
from glancecore.ports import repository as port
from glancecore.registry.app import RegistryApp, RegistrySettings
from glancecore.sdk.registry import codec as wire
from glancecore.sdk.registry.calls import calls, repositories
from glancecore.testing.fakes import MemoryDatabase

HERE = {"sync", "close"}
REPOSITORIES = {name: kind for name, kind in typing.get_type_hints(port.Database).items() if inspect.isabstract(kind)}


@pytest.mark.parametrize(
    "name",
    sorted(
        [
            *(f"database/{x}" for x in port.Database.__abstractmethods__ - HERE),
            *(f"{name}/{method}" for name, kind in REPOSITORIES.items() for method in kind.__abstractmethods__),
        ]
    ),
)
def test_every_method_of_the_port_is_served(name: str) -> None:
    served = RegistryApp(MemoryDatabase(), RegistrySettings(), None)._served  # type: ignore[arg-type]
    assert f"/2/{name}" in served


def test_only_what_is_about_the_place_itself_is_not_served() -> None:
    assert {f"database/{x}" for x in HERE} & set(calls()) == set()


def test_all_but_changes_may_be_repeated() -> None:
    assert {name for name, call in calls().items() if not call.repeatable} == {
        "images/commit",
        "images/recount",
        "metadefs/commit",
        "tasks/forget",
        "database/purge",
        "outbox/claim",
        "outbox/settle",
        "outbox/retry",
        "outbox/forget",
    }


def test_each_call_that_only_reads_says_so_and_no_other() -> None:
    """A call that changes something and may be repeated is not reported as one that changes nothing."""
    assert {name for name, call in calls().items() if call.repeatable and not call.reads} == {
        "images/extend",
        "jobs/hold",
        "jobs/keep",
        "jobs/let_go",
        "places/replace",
    }
    assert all(call.repeatable for call in calls().values() if call.reads)


# -- a port that has grown -------------------------------------------------------------------------
class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True)
class Round:
    radius: float
    at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Square:
    side: int
    within: Round | None = None
    colours: Mapping[str, Colour] = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True)
class Wall:
    pictures: tuple[Round | Square, ...]
    pair: tuple[int, Colour] = (0, Colour.RED)
    age: timedelta = timedelta()
    raw: bytes = b""
    words: frozenset[str] = frozenset()


class ShapeRepository(ABC):
    @abstractmethod
    def hang(self, wall: Wall, *shapes: Round | Square) -> dict[str, list[Wall]]: ...

    @abstractmethod
    def paint(self, wall: Wall, coats: int = 1, *, colour: Colour, dry: bool = True) -> tuple[int, bool]: ...

    def best(self, limit: int = 3) -> Wall | None:
        """With a body: a driver may have a better one."""
        return None

    def _inside(self) -> int:
        return 1


class Grown(port.Database):
    shapes: ShapeRepository
    perhaps: ShapeRepository | None = None

    @abstractmethod
    def undelete(self, before: datetime, ids: Collection[str] = ()) -> set[str]: ...


def test_a_repository_and_a_method_that_are_added_are_in_the_table() -> None:
    assert set(calls(Grown)) - set(calls()) == {
        "shapes/hang",
        "shapes/best",
        "shapes/paint",
        "perhaps/hang",
        "perhaps/best",
        "perhaps/paint",
        "database/undelete",
    }
    assert repositories(Grown)["perhaps"] is ShapeRepository
    assert not any(calls(Grown)[x].repeatable for x in ("shapes/hang", "database/undelete")), (
        "unknown methods are never repeated blindly"
    )


def test_values_of_an_added_repository_travel() -> None:
    when = datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
    square = Square(1, Round(0.5, when), {"left": Colour.RED})
    wall = Wall((Round(1.5), square), (7, Colour.RED), timedelta(days=1, microseconds=3), b"\0\xff", frozenset("ab"))
    hang, best, undelete = (calls(Grown)[x] for x in ("shapes/hang", "shapes/best", "database/undelete"))
    assert hang.read_request(hang.request([wall, square, Round(2.0)])) == [wall, square, Round(2.0)]
    assert hang.read_answer(hang.answer({"x": [wall]})) == {"x": [wall]}
    assert [best.read_answer(best.answer(x)) for x in (None, wall)] == [None, wall]
    assert undelete.read_answer(undelete.answer({"a"})) == {"a"}
    assert undelete.read_request(undelete.request([when, {"a"}])) == [when, ["a"]]


def test_named_arguments_travel() -> None:
    def paint(wall: Wall, coats: int = 1, *, colour: Colour, dry: bool = True) -> tuple[object, ...]:
        return wall, coats, colour, dry

    call, wall = calls(Grown)["shapes/paint"], Wall(())
    for args, named in (
        ([wall], {"colour": Colour.RED}),
        ([wall, 2], {"colour": Colour.RED, "dry": False}),
        ([], {"dry": True, "colour": Colour.RED, "wall": wall}),
    ):
        arguments = call.read_request(call.request(call.flat(args, named)))
        assert call.fits(arguments)
        assert call.run(paint, arguments) == paint(*args, **named)  # type: ignore[arg-type]
    assert not call.fits([wall])
    assert not call.fits([wall, 1, Colour.RED, True, 5])


def test_a_type_that_cannot_travel_is_named_with_its_method() -> None:
    class Bad(ABC):
        @abstractmethod
        def stream(self) -> Iterator[bytes]: ...

    class Broken(port.Database):
        bad: Bad

    Broken.__annotations__["bad"] = Bad
    with pytest.raises(TypeError, match=r"Database\.bad\.stream"):
        calls(Broken)


def test_shapes_tell_other_fields_and_other_values_of_an_enum() -> None:
    @dataclass
    class One:
        a: int

    shape = wire.shape([One])

    @dataclass
    class Two:
        a: int
        b: int = 0

    Two.__name__ = "One"

    class Other(StrEnum):
        RED = "red"
        BLUE = "blue"

    Other.__name__ = "Colour"
    assert shape == wire.shape([One]) != wire.shape([Two])
    assert wire.shape([Colour]) != wire.shape([Other])


# -- values ----------------------------------------------------------------------------------------
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**80), 2**80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda x: st.lists(x, max_size=3) | st.dictionaries(st.text(), x, max_size=3),
    max_leaves=8,
)
TIMES = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))
FILTERS = st.builds(
    port.RangeFilter, field=st.text(), minimum=st.none() | st.integers(), maximum=st.none() | st.integers()
)
QUERIES = st.builds(
    port.ImageQuery,
    viewer=st.builds(port.Viewer, project=st.none() | st.text(), admin=st.booleans()),
    equal=st.dictionaries(st.text(), st.lists(st.text() | st.integers() | st.booleans()).map(tuple)),
    times=st.lists(
        st.builds(port.TimeFilter, field=st.sampled_from(port.SortField), op=st.sampled_from(port.TimeOp), value=TIMES)
    ).map(tuple),
    ranges=st.lists(FILTERS).map(tuple),
    properties=st.dictionaries(st.text(), st.text()),
    sort=st.lists(st.builds(port.Sort, field=st.sampled_from(port.SortField), descending=st.booleans())).map(tuple),
)


#: How fast the machine is, is no property of the code.
UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@UNTIMED
@given(QUERIES)
def test_any_query_travels(query: port.ImageQuery) -> None:
    find = calls()["images/find"]
    assert find.read_request(find.request([query])) == [query]


@UNTIMED
@given(JSON)
def test_any_document_travels(value: Any) -> None:
    assert wire.loads(wire.dumps(value)) == value


@pytest.mark.parametrize("value", ["\ud800", 2**64, -(2**63) - 1, 10**40, [{"x": "\udfff"}]])
def test_what_orjson_cannot_hold_travels_exactly(value: object) -> None:
    assert wire.loads(wire.dumps(value)) == value


# -- errors ----------------------------------------------------------------------------------------
def _classes(root: type[errors.GlanceError]) -> list[type[errors.GlanceError]]:
    return [
        root,
        *(y for x in root.__subclasses__() if x.__module__.startswith(f"{errors.__name__}.") for y in _classes(x)),
    ]


@pytest.mark.parametrize("cls", dict.fromkeys(_classes(errors.GlanceError)), ids=lambda x: x.__name__)
def test_every_error_travels_with_its_fields(cls: type[errors.GlanceError]) -> None:
    extra = {
        "OffsetMismatch": {"offset": 7},
        "RangeNotSatisfiable": {"size": 7},
        "UnsupportedContentType": {"accepted": ("a", "b")},
    }
    more: dict[str, Any] = (
        {"store": "fast", "operation": "put"} if issubclass(cls, errors.StoreError) else extra.get(cls.__name__, {})
    )
    made = cls("what happened", **more)
    found = wire.error_of(wire.loads(wire.dumps(wire.error_value(made))))
    assert type(found) is cls
    assert (str(found), vars(found), found.code, found.retryable) == (
        "what happened",
        vars(made),
        made.code,
        made.retryable,
    )


def test_an_error_that_a_plugin_has_derived_goes_as_what_it_is_derived_from() -> None:
    class Special(errors.ImageBusy):
        pass

    assert type(wire.error_of(wire.error_value(Special("x")))) is errors.ImageBusy
