"""The conformance kit for extensions: one test for each rule of ``glancecore.ports.extension``.

    class TestMine(ExtensionConformance):
        name = "mine"                       # the word in enabled_extensions

        def work(self, service, image_id):  # make the extension do on this image all that it declares
            assert service.owner.call("POST", f"/mine/{image_id}").status_code == 202
            until(lambda: service.owner.call("GET", f"/mine/{image_id}").status_code == 200)

The extension must be installed, and the drivers db_sql, store_file and auth_headers with it: the kit builds whole
services in this process. A rule that can't hold is switched off by its name, with the reason: ``test_NAME = None  #
why``. What the extension's work is good for is its own test."""

from __future__ import annotations

import argparse
import contextlib
import importlib.metadata
import io
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import jsonschema_rs
import pytest
from oslo_config import cfg

from glancecore.assembly import extensions, loader
from glancecore.assembly.jobs import make_job
from glancecore.assembly.kernel import load_database
from glancecore.cmd import manage
from glancecore.domain.context import Context
from glancecore.domain.events import EventType
from glancecore.domain.image import Status
from glancecore.domain.lease import Lease
from glancecore.kernel.transfer import draining
from glancecore.periodic.job_run import RunOutcome
from glancecore.ports import unlisted
from glancecore.ports.extension import Argument, Extension, Print
from glancecore.ports.http import Route
from glancecore.ports.record_repository import Record, RecordQuery
from glancecore.ports.repository import LeaseTaken
from glancecore.testing._extension_bench import (
    Bench,
    Example,
    Running,
    bare,
    tracebacks,
    values_of,
    within,
)
from glancecore.testing.hostile import BODIES, LITERALS, TEXTS, fields_of, with_value
from glancecore.testing.service import Config, Person, read
from glancecore.testing.waiting import until

__all__ = ["ExtensionConformance", "Running", "until"]

#: Seconds for what must end within seconds; far more than it takes.
TIMEOUT = 30.0
#: A process without routes, as a worker is.
_BARE = """
import sys
from glancecore import conf
from glancecore.assembly.build import build
service = build(conf.new(args=[], files=[sys.argv[1]]))
service.start()
service.close()
sys.exit("flask" if "flask" in sys.modules else 0)
"""
#: Threads of the service itself, which end by themselves.
_OURS = ("lease-heartbeat", "upload-", "glancecore-kit")


class ExtensionConformance:
    """``name`` and ``work`` are all that most extensions have to say."""

    #: The word in ``enabled_extensions``.
    name: ClassVar[str]
    #: More of the configuration: section to options.
    config: ClassVar[Config] = {}
    #: Values in the paths of routes, beside ``image_id``, with which they answer well.
    values: ClassVar[Mapping[str, str]] = {}
    #: Bodies with which routes answer well, by method and path as in ``Route``: ``{"PUT /mine/<image_id>": {"text":
    #: "x"}}``.
    bodies: ClassVar[Mapping[str, object]] = {}
    #: Query strings that routes need, in the same way.
    queries: ClassVar[Mapping[str, str]] = {}
    #: Headers that routes need, in the same way, with underscores: ``{"POST /mine/<image_id>": {"Mine_Version":
    #: "1"}}``.
    headers: ClassVar[Mapping[str, Mapping[str, str]]] = {}
    #: Routes that are meant to be public: ``{"GET /mine"}``.
    public: ClassVar[frozenset[str]] = frozenset()
    #: Arguments that commands need, by their words: ``{"show": ["--project", "owners"]}``.
    arguments: ClassVar[Mapping[str, Sequence[str]]] = {}

    def work(self, service: Running, image_id: str) -> None:
        """Make the extension do all that it declares on an active image of ``service.owner``'s, and return when that is
        done."""
        raise NotImplementedError("tell the kit how the extension does its work on an image")

    def example_values(self, service: Running, route: Route, image_id: str) -> Mapping[str, str]:
        """Values in the path of ``route`` with which it answers well; ``image_id`` is an image that was worked on. For
        a route that needs something of its own."""
        del service, route
        return {**self.values, "image_id": image_id}

    # -- what the tests stand on -------------------------------------------------------------------
    @pytest.fixture
    def bench(self, tmp_path: Path) -> Bench:
        return self.make_bench(tmp_path / "bench")

    @pytest.fixture
    def second_database(self) -> Mapping[str, object] | None:
        """A further database that the records must survive on: a section ``[database]``. SQLite is always one."""
        return None

    def make_bench(self, folder: Path, database: Mapping[str, object] | None = None) -> Bench:
        return Bench(self.name, folder, self.config, database)

    @property
    def _cls(self) -> type[Extension]:
        found: type[Extension] = loader.load("extension", self.name, "name")
        return found

    def _worked(self, service: Running) -> str:
        image_id = service.image()
        self.work(service, image_id)
        return image_id

    def _example(self, service: Running, at: int, image_id: str) -> Example:
        """Of the route with that number."""
        route = service.routes[at]
        said = f"{route.method} {route.path}"
        known = self.example_values(service, route, image_id)
        if missing := [x for x in values_of(route.path) if x not in known]:
            raise AssertionError(
                f"{said}: the kit needs an example of {missing[0]}: set values = {{{missing[0]!r}: …}}"
            )
        path = route.path
        for name in values_of(path):
            path = _with(path, name, known[name])
        body = self.bodies.get(said)
        assert body is not None or route.body is None, (
            f"{said}: the kit needs an example of its body: set bodies = {{{said!r}: …}}"
        )
        assert body is None or route.body is not None, (
            f"{said}: it has an example of a body, but the route declares none: set Route.body"
        )
        return Example(
            route, path + (f"?{self.queries[said]}" if said in self.queries else ""), body, self.headers.get(said, {})
        )

    def _asked(self, service: Running) -> Iterator[Example]:
        """An example of each route that is not public, on an image of its own that the extension has worked on."""
        for at, route in enumerate(service.routes):
            if not route.public:
                yield self._example(service, at, self._worked(service))

    # -- what it is --------------------------------------------------------------------------------
    def test_it_is_an_extension(self) -> None:
        found = {x.name for x in loader.installed("extension")}
        assert self.name in found, (
            f"no installed distribution has the entry point {self.name} in the group glancecore.extensions; install"
            " yours: pip install -e ."
        )
        cls = self._cls
        assert isinstance(cls, type), f"the entry point names {cls!r}: it must name a class"
        assert issubclass(cls, Extension), f"{cls.__name__} is no subclass of glancecore.ports.extension.Extension"
        assert isinstance(getattr(cls, "title", None), str), f"{cls.__name__} has no title"
        assert cls.title.strip(), f"{cls.__name__}: its title is empty"

    def test_its_names_are_its_own(self) -> None:
        wrong = extensions.complaints(self.name, self._cls)
        assert not wrong, "; ".join(wrong)

    def test_options_say_what_they_are_for(self) -> None:
        for where, options in {
            f"ext_{self.name}": self._cls.options,
            **{f"periodic_{x}": job.options for x, job in self._cls.jobs.items()},
        }.items():
            for option in options:
                assert isinstance(option, cfg.Opt), f"[{where}]: {option!r} is no option of oslo.config"
                assert (option.help or "").strip(), f"[{where}] {option.name} has no help"
                assert option.name == option.name.lower(), f"[{where}] {option.name} is not in lower case"
            twice = [x.name for x in options if sum(y.name == x.name for y in options) > 1]
            assert not twice, f"[{where}] {twice[0]} is there twice"

    def test_options_are_in_the_sample(self) -> None:
        """The entry point ``oslo.config.opts`` lists them for oslo-config-generator, in the section that they are read
        from."""
        listed: dict[str, set[str]] = {}
        for entry in self._entries("oslo.config.opts"):
            for where, options in entry.load()():
                listed.setdefault(getattr(where, "name", where), set()).update(x.name for x in options)
        own = f"ext_{self.name.replace('-', '_')}"
        if stray := [x for x in listed if x != own and x.removeprefix("periodic_") not in self._cls.jobs]:
            raise AssertionError(f"its options are listed in [{stray[0]}], but they are read from [{own}]")
        declared = {x.name for x in self._cls.options}
        assert listed.get(own, set()) == declared, (
            f"[{own}]: declared are {sorted(declared)}, but listed by oslo.config.opts {sorted(listed.get(own, ()))}"
        )

    def test_rules_say_what_they_are_for(self, bench: Bench) -> None:
        rules = self._cls.rules
        with bench.running(background=False) as service:
            document = service.owner.call("GET", "/openapi.json").json or {}
        there = {(method.upper(), bare(path)) for path, methods in document["paths"].items() for method in methods}
        for rule in rules:
            assert (getattr(rule, "description", None) or "").strip(), f"rule {rule.name} has no description"
            assert getattr(rule, "operations", None), f"rule {rule.name} names no operations"
            for operation in rule.operations:
                named: Any = operation["method"]
                for method in named if isinstance(named, list) else [named]:
                    assert (
                        method,
                        bare(operation["path"]),
                    ) in there, f"rule {rule.name} is for {method} {operation['path']}, which is no route"
        listed = {x.name for entry in self._entries("oslo.policy.policies") for x in entry.load()()}
        assert listed == {x.name for x in rules}, (
            f"declared are {sorted(x.name for x in rules)}, but listed by oslo.policy.policies {sorted(listed)}"
        )

    def _entries(self, group: str) -> list[importlib.metadata.EntryPoint]:
        """Of the distribution that brings the extension."""
        [own] = importlib.metadata.entry_points(group="glancecore.extensions", name=self.name)
        assert own.dist is not None
        return [x for x in own.dist.entry_points if x.group == group]

    def test_no_web_framework_where_nothing_is_served(self, bench: Bench) -> None:
        """Workers, imports and commands are smaller without it: import it in ``routes``."""
        done = subprocess.run(  # noqa: S603 (our own program)
            [sys.executable, "-c", _BARE, str(bench.file)],
            check=False,
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
        assert done.stderr.strip().splitlines()[-1:] != ["flask"], (
            "the extension loads flask in a process that serves nothing; import it in routes()"
        )
        assert done.returncode == 0, done.stderr

    # -- routes ------------------------------------------------------------------------------------
    def test_routes_are_described(self, bench: Bench) -> None:
        with bench.running(background=False) as service:
            document = service.owner.call("GET", "/openapi.json").json or {}
            described = {
                (method.upper(), bare(path)): said
                for path, methods in document["paths"].items()
                for method, said in methods.items()
            }
            for route in service.routes:
                said = f"{route.method} {route.path}"
                assert route.summary.strip(), f"{said} has no summary"
                assert any(200 <= x < 400 for x in route.answers), f"{said}: its answers name no success"
                assert described[route.method, bare(route.path)]["summary"] == route.summary
                for status, schema in route.answers.items():
                    assert schema is None or isinstance(schema, str) or schema, (
                        f"{said}: the schema of {status} is empty"
                    )
                    if isinstance(schema, Mapping):
                        jsonschema_rs.meta.validate(dict(schema))
                if isinstance(route.body, Mapping):
                    assert route.body, f"{said}: the schema of its body is empty"
                for param in route.params:
                    assert param.description.strip(), f"{said}: parameter {param.name} has no description"

    def test_routes_answer_as_they_say(self, bench: Bench) -> None:
        with bench.running() as service:
            for at in range(len(service.routes)):
                example = self._example(service, at, self._worked(service))
                answer = example.sent(service.owner)
                status = answer.status_code
                assert status < 400, (
                    f"{example} of the kit is not answered well: {status} {answer.text[:300]}; correct values, bodies,"
                    " queries or work"
                )
                assert status in example.route.answers, f"{example} answers {status}, which its answers do not name"
                schema = example.route.answers[status]
                kind = (answer.content_type or "").partition(";")[0]
                if schema is None:
                    assert not answer.data, (
                        f"{example} answers {status} with a body, and declares none: give answers its schema, or a"
                        " media type"
                    )
                elif isinstance(schema, str):
                    assert kind == schema, f"{example} answers {kind}, not {schema}"
                else:
                    assert kind == "application/json", f"{example} answers {kind}, not application/json"
                    told = _does_not_fit(schema, answer.json)
                    assert not told, f"{example} answers {status} with what does not fit its schema: {told}"

    def test_public_routes_are_meant_to_be(self, bench: Bench) -> None:
        with bench.running(background=False) as service:
            found = {f"{x.method} {x.path}" for x in service.routes if x.public}
        assert found == self.public, (
            f"public routes are {sorted(found)}; those that are meant to be so, by public of the kit, are"
            f" {sorted(self.public)}"
        )

    def test_without_identity_nothing_is_answered(self, bench: Bench) -> None:
        with bench.running() as service:
            for example in self._asked(service):
                answer = example.sent(service.owner, X_Identity_Status="Invalid")
                assert answer.status_code == 401, (
                    f"{example} answers {answer.status_code} without identity; is it meant to be public?"
                )

    def test_without_roles_nothing_is_allowed(self, bench: Bench) -> None:
        with bench.running() as service:
            for example in self._asked(service):
                for nobody in (Person(service.service.app, "owners", ""), Person(service.service.app, "strangers", "")):
                    answer = example.sent(nobody)
                    assert answer.status_code >= 400, (
                        f"{example} answers {answer.status_code} to somebody of {nobody.project} without a role; its"
                        " rules allow too much"
                    )

    def test_its_rules_can_shut_it(self, bench: Bench) -> None:
        """An operator who writes "!" at each of its rules has closed all of its routes. One that asks only for
        ``get_image`` stays open."""
        with bench.running() as service:
            images = [self._worked(service) for _ in service.routes]
        bench.policy({x.name: "!" for x in self._cls.rules})
        with bench.running() as service:
            for at, route in enumerate(service.routes):
                if not route.public:
                    example = self._example(service, at, images[at])
                    answer = example.sent(service.owner)
                    assert answer.status_code >= 400, (
                        f'{example} answers {answer.status_code} though each rule of {self.name} is "!": it asks for'
                        " none of them"
                    )

    def test_entrances_let_in_who_is_known_only(self, bench: Bench) -> None:
        """Nobody's request, with nothing and with nonsense where credentials may stand."""
        with bench.running() as service, tracebacks() as found:
            stranger = Person(service.service.app, "strangers")
            for entrance in service.extension.entrances():
                for method in ("GET", "POST", "DELETE"):
                    for name in ("X-Unknown", "Cookie", "Authorization", "X-Auth-Token", "X-CSRF-Token"):
                        for what, text in TEXTS.items():
                            sent = {name: text.encode().decode("latin-1")} if text.isprintable() else {}
                            answer = stranger.call(
                                method, f"{entrance.path}/v2/images", X_Identity_Status="Invalid", **sent
                            )
                            assert answer.status_code in (401, 403), (
                                f"entrance {entrance.path} lets anybody in: {method} with {name}: {what} is answered"
                                f" {answer.status_code}"
                            )
                            assert not found, (
                                f"entrance {entrance.path}: {name}: {what}: a traceback in the log: {found[0]}"
                            )

    def test_site_headers_can_be_sent(self, bench: Bench) -> None:
        for path, headers in self._cls.site_headers.items():
            for name, value in headers.items():
                fits = name.replace("-", "").isalnum() and value.isascii() and value.isprintable()
                assert fits, f"site_headers of {path}: {name} is no header that can be sent"
        with bench.running(background=False) as service:
            for path, headers in self._cls.site_headers.items():
                answer = service.owner.call("BREW", f"{path}/{'x' * 40}")
                missing = sorted(set(headers) - set(answer.headers.keys()))
                assert not missing, f"site_headers of {path}: {missing[0]} is not on an answer of {answer.status_code}"

    # -- what no honest client sends ---------------------------------------------------------------
    def test_hostile_paths(self, bench: Bench) -> None:
        def tries(_service: Running, example: Example) -> Iterator[tuple[str, str, object]]:
            for name in values_of(example.route.path):
                for what, text in TEXTS.items():
                    others = [x for x in values_of(example.route.path) if x != name]
                    path = _with(example.route.path, name, text or "-")
                    for other in others:
                        path = _with(path, other, {**self.values, "image_id": "image"}[other])
                    yield f"{name}: {what}", path, example.body

        self._never_a_fault(bench, tries)

    def test_hostile_queries(self, bench: Bench) -> None:
        def tries(_service: Running, example: Example) -> Iterator[tuple[str, str, object]]:
            path = example.path.partition("?")[0]
            for name in [*(x.name for x in example.route.params if x.where == "query"), "some_property"]:
                for what, text in TEXTS.items():
                    yield f"{name}: {what}", f"{path}?{name}={text}", example.body

        self._never_a_fault(bench, tries)

    def test_hostile_bodies(self, bench: Bench) -> None:
        def tries(_service: Running, example: Example) -> Iterator[tuple[str, str, object]]:
            yield from ((f"body: {what}", example.path, raw) for what, raw in BODIES.items())
            if isinstance(example.route.body, Mapping):
                for where, _ in fields_of(example.route.body):
                    for what, literal in LITERALS.items():
                        yield (
                            f"{'.'.join(map(str, where)) or 'body'}: {what}",
                            example.path,
                            with_value(example.body, where, literal),
                        )

        self._never_a_fault(bench, tries)

    def _never_a_fault(
        self, bench: Bench, tries: Callable[[Running, Example], Iterator[tuple[str, str, object]]]
    ) -> None:
        with bench.running() as service, tracebacks() as found:
            for at in range(len(service.routes)):
                example = self._example(service, at, self._worked(service))
                for what, path, body in tries(service, example):
                    answer = (
                        Example(example.route, path, body).sent(service.owner)
                        if example.route.body is not None or body is None
                        else service.owner.call(example.route.method, path, body, Content_Type="application/json")
                    )
                    assert answer.status_code < 500, (
                        f"{example}: {what}: {answer.status_code} {answer.text[:300]}; the log says {found[-1:]}"
                    )
                    assert not found, f"{example}: {what}: a traceback in the log: {found[0]}"
                    if example.route.method == "DELETE" and answer.status_code < 300:
                        example = self._example(service, at, self._worked(service))

    # -- what it writes ----------------------------------------------------------------------------
    def _work_watched(self, bench: Bench) -> tuple[set[str], set[str], set[str]]:
        """Collections, operations and events of the work and of each route's example."""
        with bench.running() as service:
            self._worked(service)
            for example in self._asked(service):
                example.sent(service.owner)
            self._worked(service)  # by when the examples' own work has mostly ended
            return (
                service.watch.records,
                service.watch.operations,
                set(service.watch.events) - {x.value for x in EventType},
            )

    @property
    def _collections(self) -> set[str]:
        return {*(x.name for x in self._cls.collections), *([unlisted.COLLECTION] if self._cls.unlists else [])}

    def test_records_go_to_declared_collections(self, bench: Bench) -> None:
        stray = (
            self._work_watched(bench)[0] - self._collections - {draining.COLLECTION}
        )  # as the kernel keeps what it is told to
        assert not stray, f"records are written to {sorted(stray)}, which collections and unlists do not declare"

    def test_leases_are_of_declared_operations(self, bench: Bench) -> None:
        stray = self._work_watched(bench)[1] - set(self._cls.operations)
        assert not stray, f"images are held for {sorted(stray)}, which operations do not declare"

    def test_events_have_declared_names(self, bench: Bench) -> None:
        stray = self._work_watched(bench)[2] - set(self._cls.events)
        assert not stray, f"it tells of {sorted(stray)}, which events do not declare"

    def test_the_work_shows_what_is_declared(self, bench: Bench) -> None:
        """Else the tests above have seen nothing of it."""
        records, operations, events = self._work_watched(bench)
        for what, seen, declared in (
            ("collections and unlists", records, self._collections),
            ("operations", operations, set(self._cls.operations)),
            ("events", events, set(self._cls.events)),
        ):
            assert declared <= seen, (
                f"{what}: {sorted(declared - seen)} did not come up; let work of the kit do it, or declare it no more"
            )

    # -- what it shows on images -------------------------------------------------------------------
    def test_present_tells_what_shows_declares(self, bench: Bench) -> None:
        if not self._cls.shows:
            return
        with bench.running() as service:
            images = [service.row(x) for x in (self._worked(service), service.image(), self._worked(service))]
            images.append(service.row(str(service.owner.create()["id"])))  # without data
            told = service.extension.present(Context(project="owners", roles=frozenset({"member", "reader"})), images)
            assert len(told) == len(images), f"present gives {len(told)} mappings for {len(images)} images"
            assert (
                len(service.extension.present(Context(project="owners", roles=frozenset({"member", "reader"})), []))
                == 0
            ), "present gives something for no image"
            for shown in told:
                assert set(shown) <= set(self._cls.shows), (
                    f"present gives {sorted(set(shown) - set(self._cls.shows))}, which shows does not declare"
                )
                for key, value in shown.items():
                    wrong = _does_not_fit(self._cls.shows[key], value)
                    assert not wrong, f"present gives {key} = {value!r}, which does not fit its schema: {wrong}"
            seen = {key for shown in (told[0], told[2]) for key in shown}
            assert seen == set(self._cls.shows), (
                f"{sorted(set(self._cls.shows) - seen)} did not come up on images that were worked on"
            )
            there = service.owner.call("GET", f"/v2/images/{images[0].id}").json or {}
            assert {x: there.get(x) for x in told[0]} == told[0]

    def test_present_asks_once_for_a_page(self, bench: Bench) -> None:
        if not self._cls.shows:
            return
        with bench.running() as service:
            images = [service.row(self._worked(service) if n < 3 else service.image(b"x")) for n in range(12)]

            def questions(count: int) -> list[str]:
                service.watch.questions.clear()
                service.extension.present(
                    Context(project="owners", roles=frozenset({"member", "reader"})), images[:count]
                )
                return list(service.watch.questions)

            few, many = questions(2), questions(12)
            assert len(many) <= len(few), (
                f"present asks {len(few)} times for 2 images and {len(many)} times for 12"
                f" ({', '.join(sorted(set(many)))}): ask once for all"
            )

    # -- long work ---------------------------------------------------------------------------------
    def test_the_work_of_dead_processes_ends(self, bench: Bench) -> None:
        for operation in self._cls.operations:
            with bench.running() as service:
                image_id = service.image()
                repository = service.service.database.images
                repository.commit(
                    LeaseTaken(Lease(image_id, operation, "a process that is no more", Status.ACTIVE, "owners"), 0.0)
                )
                until(
                    lambda: repository.lease(image_id) is None,  # noqa: B023 (it is called here)
                    seconds=TIMEOUT,
                    said=(
                        f"an image that a dead process held for {operation} stays held: resume it, and let it end,"
                        " where Subscriptions.abandoned tells"
                    ),
                )
                shown = service.owner.call("GET", f"/v2/images/{image_id}").json or {}
                assert shown["status"] == "active", (
                    f"after {operation} of a dead process the image is {shown['status']}"
                )
                self.work(service, image_id)
                answers: list[int] = []

                def deleted() -> bool:
                    answers.append(service.owner.call("DELETE", f"/v2/images/{image_id}").status_code)  # noqa: B023
                    return answers[-1] == 204  # noqa: B023

                until(
                    deleted,
                    lambda: f"after {operation} of a dead process the image can't be deleted: {answers[-1]}",  # noqa: B023
                    TIMEOUT,
                )

    def test_background_ends(self, bench: Bench) -> None:
        with bench.running(background=False) as service:
            image_id = service.image()
            before = set(threading.enumerate())
            within(TIMEOUT, service.service.extensions.run, "the start of its background")
            self.work(service, image_id)
            within(TIMEOUT, service.service.extensions.stop, "the stop of its background")

            def left() -> list[str]:
                return [x.name for x in threading.enumerate() if x not in before and not x.name.startswith(_OURS)]

            until(
                lambda: not left(),
                lambda: f"threads are left when its background has stopped: {', '.join(left())}",
                5.0,
            )

    def test_two_services_share_a_database(self, bench: Bench) -> None:
        with bench.running() as one, bench.running() as two:
            image_id = one.image()
            self.work(one, image_id)
            self.work(two, two.image())
            if self._cls.shows:
                told = [
                    x.extension.present(
                        Context(project="owners", roles=frozenset({"member", "reader"})), [one.row(image_id)]
                    )
                    for x in (one, two)
                ]
                assert told[0] == told[1], f"two services show an image differently: {told}"

    # -- periodic jobs -----------------------------------------------------------------------------
    def test_jobs_run(self, bench: Bench) -> None:
        """On a database that is empty, on one that has something, and when all of that is old; dry, then wet."""
        with bench.running() as service:
            self._run_jobs(service, "on an empty database")
            for _ in range(3):
                self._worked(service)
            self._run_jobs(service, "on a database with images")
            self._run_jobs(service, "ten years later", timedelta(days=3653))

    def _run_jobs(self, service: Running, when: str, later: timedelta = timedelta()) -> None:
        for name, cls in self._cls.jobs.items():
            assert cls.summary.strip(), f"job {name} has no summary"
            scheduled = make_job(
                service.conf,
                name,
                cls,
                _Later(service.service.tools, later),  # type: ignore[arg-type]
                loader.Loader(service.conf),
            )
            for dry in (True, False, False):
                service.watch.forget()
                run = service.service.runner_of(scheduled).run(scheduled, dry_run=dry)
                said = f"job {name} {when}{', dry' if dry else ''}"
                assert run.outcome is RunOutcome.DONE, f"{said}: {run.outcome.value}: {', '.join(run.report.errors)}"
                assert not run.report.errors, f"{said}: {', '.join(run.report.errors)}"
                assert not (dry and service.watch.changes), f"{said}: it has committed {service.watch.changes[0]!r}"

    # -- commands ----------------------------------------------------------------------------------
    def _commands(self) -> dict[str, str]:
        """Words and summary of each."""
        found: dict[str, str] = {}

        class Tree:
            def add(
                self,
                words: str,
                summary: str,
                run: Callable[[Any, argparse.Namespace, Print], int],
                *arguments: Argument,
            ) -> None:
                found[words] = summary

        self._cls.commands(Tree())
        return found

    def _typed(self, bench: Bench, *words: str) -> tuple[int, str]:
        """Exit code and standard output of glance-manage."""
        conf = read(bench.file)
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            try:
                args = manage.parser(extensions.load(conf)).parse_args([*words])
            except SystemExit as exc:
                return int(exc.code or 0), said.getvalue()
            args.conf = conf
            database = load_database(conf)
            try:
                return int(args.run(args, database)), said.getvalue()
            finally:
                database.close()

    def test_commands_say_what_they_do(self, bench: Bench) -> None:
        for words, summary in self._commands().items():
            assert summary.strip(), f"glance-manage {self.name} {words} has no summary"
            try:
                code, said = self._typed(bench, self.name, words, "--help")
            except (TypeError, ValueError) as exc:
                raise AssertionError(
                    f"glance-manage {self.name} {words} --help fails: {exc}; in a help text write %% for %"
                ) from exc
            assert code == 0, f"glance-manage {self.name} {words} --help: {said}"
            assert "usage:" in said

    def test_commands_print_json(self, bench: Bench) -> None:
        commands = self._commands()
        if not commands:
            return
        with bench.running() as service:
            for _ in range(2):
                self._worked(service)
        for words in commands:
            code, said = self._typed(bench, "--json", self.name, words, *self.arguments.get(words, ()))
            assert code == 0, (
                f"glance-manage --json {self.name} {words} ends with {code}: {said}; does it need arguments? Set"
                f" arguments = {{{words!r}: […]}}"
            )
            assert _is_json(said), (
                f"glance-manage --json {self.name} {words} prints what is neither JSON nor lines of it: {said[:200]!r}"
            )

    # -- the database ------------------------------------------------------------------------------
    def test_records_survive_a_restart(self, tmp_path: Path, second_database: Mapping[str, object] | None) -> None:
        if not self._cls.collections:
            return
        for number, database in enumerate([None, second_database] if second_database else [None]):
            bench = self.make_bench(tmp_path / f"restart-{number}", database)
            with bench.running() as service:
                image_id = self._worked(service)
                kept = self._kept(service)
                told = service.extension.present(
                    Context(project="owners", roles=frozenset({"member", "reader"})), [service.row(image_id)]
                )
            assert kept, f"on {database or 'SQLite'}: work has left no record"
            with bench.running(background=False) as service:
                again = self._kept(service)
                assert again == kept, (
                    f"on {database or 'SQLite'}: records are others after a restart: {again}, not {kept}"
                )
                assert (
                    service.extension.present(
                        Context(project="owners", roles=frozenset({"member", "reader"})), [service.row(image_id)]
                    )
                    == told
                )

    def _kept(self, service: Running) -> list[Record]:
        return [
            x
            for each in self._cls.collections
            for x in service.service.database.records.find(RecordQuery(each.name, limit=1000))
        ]


class _Later:
    """The service's tools, at another time."""

    def __init__(self, tools: Any, later: timedelta) -> None:
        self._tools, self._later = tools, later

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tools, name)

    def clock(self) -> datetime:
        now: datetime = self._tools.clock()
        return now + self._later


def _with(path: str, name: str, value: str) -> str:
    """A route's path with a value in it."""
    for part in [x for x in path.split("/") if values_of(x) == [name]]:
        path = path.replace(part, value)
    return path


def _does_not_fit(schema: Mapping[str, Any], value: object) -> str:
    """Empty: it fits."""
    error = next(jsonschema_rs.Draft202012Validator(dict(schema)).iter_errors(value), None)
    return "" if error is None else str(error.message)


def _is_json(text: str) -> bool:
    """One value, or one on each line; nothing, too."""
    for pieces in ([text], text.splitlines()):
        with contextlib.suppress(ValueError):
            for piece in pieces:
                if piece.strip():
                    json.loads(piece)
            return True
    return False
