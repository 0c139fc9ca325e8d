"""The conformance kit for import methods that fetch: one test for each rule of ``glancecore.ports.import_method``.

    class TestMine(ImportMethodConformance):
        @pytest.fixture
        def method(self): ...       # a started method, from make_method
        @pytest.fixture
        def source(self): ...       # a Source: a real server that holds DATA, and what it can be told to do

Use a real server; a mock certifies the mock.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeVar

import jsonschema_rs
import pytest
from oslo_config import cfg

from glancecore.domain import errors
from glancecore.domain.image import Image
from glancecore.ports.import_method import FetchedBody, ImportMethod, MethodRequest
from glancecore.ports.import_method import Source as Where
from glancecore.testing.examples import make_image

AnyMethod = TypeVar("AnyMethod", bound=ImportMethod)
#: What the source holds; and what it holds after ``change``, of the same length.
DATA = random.Random(1).randbytes(3_000_000)  # noqa: S311 (any bytes, the same each time)
OTHER = random.Random(2).randbytes(3_000_000)  # noqa: S311


def make_method(cls: type[AnyMethod], **options: Any) -> AnyMethod:
    """A started method of ``cls`` whose section holds ``options``, and nothing that the driver did not declare."""
    conf = cfg.ConfigOpts()
    name = cls.section or "method"
    conf.register_group(cfg.OptGroup(name))
    conf.register_opts(list(cls.options), group=name)
    conf([])
    for option, value in options.items():
        conf.set_override(option, value, group=name)
    method = cls(conf[name], conf)
    method.start()
    return method


class Source(ABC):
    """A server. ``good`` asks for DATA; ``bad`` are requests that must be refused at once."""

    good: MethodRequest
    bad: tuple[MethodRequest, ...] = ()

    @abstractmethod
    def cut(self, after: int) -> None:
        """From now on it breaks the connection after so many bytes of each answer."""

    @abstractmethod
    def change(self) -> None:
        """It holds OTHER from now on, and says so as far as it says anything."""

    @abstractmethod
    def remove(self) -> None:
        """It has nothing any more."""

    @abstractmethod
    def stop(self) -> None:
        """It does not answer any more."""


class Work:
    """A ``FetchWork``."""

    def __init__(self, request: MethodRequest) -> None:
        self.image: Image = make_image(disk_format="raw", container_format="bare")
        self.request = request
        self.properties: dict[str, str] = {}

    def check_alive(self) -> None:
        """Nobody has cancelled it."""

    def set_properties(self, **properties: str) -> None:
        self.properties |= properties

    def set_formats(self, disk_format: str | None = None, container_format: str | None = None) -> None:
        """Noted by the engine."""


def read(part: FetchedBody) -> bytes:
    return b"".join(part.pieces)


def same(found: bytes, expected: bytes) -> None:
    """Without pytest's comparison, which takes minutes for megabytes when CI is set."""
    if found != expected:
        pytest.fail(f"{len(found)} bytes came that are not the {len(expected)} that were to come")


class ImportMethodConformance:
    @pytest.fixture
    def method(self) -> ImportMethod:
        raise NotImplementedError("give the kit a started method")

    @pytest.fixture
    def source(self) -> Source:
        raise NotImplementedError("give the kit a source")

    def test_it_says_that_it_fetches(self, method: ImportMethod) -> None:
        assert method.source is Where.FETCHED

    def test_a_good_request_is_taken(self, method: ImportMethod, source: Source) -> None:
        method.check(source.good)

    def test_its_schema_takes_a_good_request(self, method: ImportMethod, source: Source) -> None:
        jsonschema_rs.Draft202012Validator({"type": "object", **method.schema}).validate(dict(source.good.method))

    def test_a_bad_request_is_refused_at_once(self, method: ImportMethod, source: Source) -> None:
        assert source.bad, "name some"
        for request in source.bad:
            with pytest.raises((errors.Invalid, errors.BadLocation, errors.Forbidden)):
                method.check(request)

    def test_all_data_comes_in_order(self, method: ImportMethod, source: Source) -> None:
        work = Work(source.good)
        method.prepare(work)
        part = method.fetch(work)
        assert part.offset == 0
        assert part.total in (None, len(DATA))
        same(read(part), DATA)

    def test_pieces_are_small(self, method: ImportMethod, source: Source) -> None:
        assert max(map(len, method.fetch(Work(source.good)).pieces)) <= 4 << 20

    def test_it_may_be_prepared_again(self, method: ImportMethod, source: Source) -> None:
        once, twice = Work(source.good), Work(source.good)
        method.prepare(once)
        method.prepare(twice)
        method.prepare(twice)
        assert once.properties == twice.properties

    @pytest.mark.parametrize("offset", [1, 1_000_000, len(DATA) - 1])
    def test_it_goes_on_from_an_offset_or_begins_again(self, method: ImportMethod, source: Source, offset: int) -> None:
        work = Work(source.good)
        first = method.fetch(work)
        _close(first)
        part = method.fetch(work, offset, first.validator)
        assert part.offset in (0, offset), "somewhere else"
        same(read(part), DATA[part.offset :])

    def test_without_a_validator_it_begins_again_or_does_as_asked(self, method: ImportMethod, source: Source) -> None:
        part = method.fetch(Work(source.good), 1000, None)
        same(read(part), DATA[part.offset :])

    def test_other_content_is_never_taken_for_the_same(self, method: ImportMethod, source: Source) -> None:
        work = Work(source.good)
        first = method.fetch(work)
        _close(first)
        source.change()
        part = method.fetch(work, 1000, first.validator)
        if part.offset:
            pytest.fail("it goes on in other content")
        assert first.validator is None or part.validator != first.validator, (
            "the validator does not tell contents apart"
        )
        same(read(part), OTHER)

    def test_a_broken_source_is_told(self, method: ImportMethod, source: Source) -> None:
        source.cut(100_000)
        with pytest.raises(errors.GlanceError) as told:
            read(method.fetch(Work(source.good)))
        self._check(told.value, source)
        assert told.value.retryable, "asking again may help"

    def test_a_missing_source_is_told(self, method: ImportMethod, source: Source) -> None:
        source.remove()
        with pytest.raises(errors.GlanceError) as told:
            read(method.fetch(Work(source.good)))
        self._check(told.value, source)

    def test_a_stopped_source_is_told(self, method: ImportMethod, source: Source) -> None:
        source.stop()
        with pytest.raises(errors.GlanceError) as told:
            read(method.fetch(Work(source.good)))
        self._check(told.value, source)
        assert told.value.retryable, "asking again may help"

    def test_what_is_not_read_is_closed(self, method: ImportMethod, source: Source) -> None:
        """A ResourceWarning fails the test."""
        part = method.fetch(Work(source.good))
        next(part.pieces)
        _close(part)
        part = method.fetch(Work(source.good))
        _close(part)

    def _check(self, exc: errors.GlanceError, source: Source) -> None:
        assert isinstance(exc, (errors.FetchFailed, errors.StoreUnavailable, errors.BadLocation)), exc
        for secret in _texts(source.good.method):
            assert secret not in str(exc), "the sentence shows what may be secret"


def _texts(method: Mapping[str, object]) -> list[str]:
    return [x for name, x in method.items() if isinstance(x, str) and "://" in x and name != "name"]


def _close(part: FetchedBody) -> None:
    close = getattr(part.pieces, "close", None)
    if close:
        close()
