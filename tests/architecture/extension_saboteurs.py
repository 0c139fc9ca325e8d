"""An extension that keeps every rule, and others that break one each. The distribution that brings them is made by the
test; which one it brings says the environment."""

from __future__ import annotations

import json
import logging
import os
import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar

from oslo_config import cfg
from oslo_policy import policy

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.events import EventName, ExtensionEvent
from glancecore.domain.image import Image
from glancecore.domain.lease import Lease
from glancecore.ports.extension import Argument, Background, Collection, CommandTree, Extension, Subscriptions
from glancecore.ports.http import Route, Schema
from glancecore.ports.options import Options
from glancecore.ports.periodic import JobContext, PeriodicJob
from glancecore.ports.record_repository import Record, RecordAdded, RecordQuery, RecordRemoved
from glancecore.ports.site import Entrance
from glancecore.sdk.records import saving, unlisting
from glancecore.sdk.rules import OWNING_MEMBER, READER_OF_VISIBLE, rule

LOG = logging.getLogger(__name__)
VARIABLE = "EXTENSION_SABOTEUR"
NOTE = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {"text": {"type": "string", "maxLength": 200}},
}
RULES = [
    rule("sab_write", OWNING_MEMBER, "Write a note.", ("PUT", "/sab/{image_id}")),
    rule("sab_read", READER_OF_VISIBLE, "Read a note.", ("GET", "/sab/{image_id}")),
]


class Tidy(PeriodicJob):
    """Removes notes without text."""

    interval = 3600.0
    summary = "removes notes without text"

    def run(self, turn: JobContext) -> None:
        turn.check()


class Tick:
    """A thread."""

    def __init__(self) -> None:
        self.end = threading.Event()
        self.thread = threading.Thread(target=self.end.wait, name="sab", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def stop(self) -> None:
        self.end.set()
        self.thread.join()


class Good(Extension):
    plugin_api = "1.0"
    title = "Notes"
    options: ClassVar[Options] = [cfg.StrOpt("word", default="x", help="A word.")]
    section = "ext_sab"
    rules = RULES
    collections = (Collection("sab.notes", of_image=True),)
    operations = ("sab_think",)
    events = ("sab.note",)
    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"sab_tidy": Tidy}
    shows: ClassVar[Mapping[str, Schema]] = {"sab_note": {"type": "string"}}
    #: What it really does.
    collection, operation, event = "sab.notes", "sab_think", "sab.note"

    def routes(self) -> Iterable[Route]:
        return [
            Route("GET", "/sab/<image_id>", self.read, "Read a note", {200: NOTE}, tag="sab"),
            Route("PUT", "/sab/<image_id>", self.write, "Write a note", {200: NOTE}, body=NOTE, tag="sab"),
        ]

    def read(self, request: Any, ctx: Context, image_id: str) -> Any:
        from glancecore.sdk.responses import json_response

        image = self.kernel.images.show(ctx, image_id)
        self.kernel.policy.authorize(ctx, "sab_read", image)
        return json_response(self.kernel.records.get("sab.notes", image.id).data)

    def write(self, request: Any, ctx: Context, image_id: str) -> Any:
        from glancecore.sdk import request_body
        from glancecore.sdk.responses import json_response

        image = self.kernel.images.show(ctx, image_id)
        self.kernel.policy.authorize(ctx, "sab_write", image)
        note = request_body.read_json(request, 10_000)
        request_body.Checker(NOTE).check(note)
        self.think(image, note)
        return json_response(note)

    def think(self, image: Image, note: Mapping[str, Any]) -> None:
        change = saving(self.kernel.records, Record(self.collection, image.id, note, (), image.id))
        with self.kernel.operations.hold(image, None, self.operation) as held:
            held.finish(lambda x: x, change, events=lambda x: [ExtensionEvent(EventName(self.event), x.id)])

    def background(self) -> Iterable[Background]:
        return [Tick()]

    def subscribe(self, on: Subscriptions) -> None:
        on.abandoned("sab_think", self.resume)

    def resume(self, lease: Lease) -> None:
        with self.kernel.operations.resume(lease) as held:
            held.finish(lambda x: x)

    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        found = {
            x.id: x
            for x in self.kernel.records.find(RecordQuery("sab.notes", equal=[x.id for x in images], limit=len(images)))
        }
        return [{"sab_note": found[x.id].data["text"]} if x.id in found else {} for x in images]

    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        manage.add("list", "all notes", cls.list_, Argument(("--id",), {"help": "one"}))

    @staticmethod
    def list_(extension: Good, args: Any, say: Any) -> int:
        for each in extension.kernel.records.find(RecordQuery("sab.notes")):
            say(json.dumps(dict(each.data)) if args.json else str(each.data["text"]))
        return 0


# -- what it is ------------------------------------------------------------------------------------
class NotAnExtension:
    title = "x"


class WithoutTitle(Good):
    title = " "


class NamesOfOthers(Good):
    collections = (*Good.collections, Collection("other.notes"))


class LongOperation(Good):
    operations = ("sab_think", "sab_" + "x" * 40)


class ShowsTheServicesKey(Good):
    shows: ClassVar[Mapping[str, Schema]] = {**Good.shows, "status": {"type": "string"}}


class OptionWithoutHelp(Good):
    options: ClassVar[Options] = [cfg.StrOpt("word", help="x"), cfg.StrOpt("other")]


class OptionInAnotherSection(Good):
    section = "sab"


class OptionThatIsNotListed(Good):
    section = ""


class RuleWithoutDescription(Good):
    rules = [*RULES, policy.RuleDefault("sab_more", "!")]  # type: ignore[list-item]


class RuleForNoRoute(Good):
    rules = [*RULES, rule("sab_more", "!", "More.", ("POST", "/sab/{image_id}"))]


class LoadsTheWebFramework(Good):
    def start(self) -> None:
        import flask  # noqa: F401


# -- routes ----------------------------------------------------------------------------------------
def _changed(extension: Good, **about: Any) -> list[Route]:
    """Its first route, but for ..."""
    first, second = Good.routes(extension)
    given: dict[str, Any] = {x: getattr(first, x) for x in ("method", "path", "handler", "summary", "answers", "tag")}
    return [Route(**{**given, **about}), second]


class RouteWithoutSummary(Good):
    def routes(self) -> Iterable[Route]:
        return _changed(self, summary="")


class RouteWithoutSuccess(Good):
    def routes(self) -> Iterable[Route]:
        return _changed(self, answers={404: None})


class RouteWithEmptySchema(Good):
    def routes(self) -> Iterable[Route]:
        return _changed(self, answers={200: {}})


class ParameterWithoutDescription(Good):
    def routes(self) -> Iterable[Route]:
        from glancecore.ports.http import Param

        return _changed(self, params=[Param("x", "")])


class AnswersOtherwise(Good):
    def routes(self) -> Iterable[Route]:
        return _changed(self, answers={200: {"type": "object", "required": ["body"]}})


class AnswersAnotherStatus(Good):
    def routes(self) -> Iterable[Route]:
        return _changed(self, answers={201: NOTE})


class AnswersABodyThatIsNotDeclared(Good):
    def routes(self) -> Iterable[Route]:
        return _changed(self, answers={200: None})


class Public(Good):
    def routes(self) -> Iterable[Route]:
        return _changed(self, public=True)


class OpensTheGate(Good):
    """Nobody is asked who he is."""

    def start(self) -> None:
        from glancecore.http.app import Gate

        def identified(_gate: Gate, _request: Any, request_id: str) -> Context:
            return Context(
                user="x",
                project="owners",
                roles=frozenset({"member", "reader", "admin"}),
                admin=True,
                request_id=request_id,
            )

        Gate._identified = identified  # type: ignore[method-assign]


class LetsAnybodyIn(Good):
    def entrances(self) -> Iterable[Entrance]:
        return [
            Entrance(
                "/sab/in",
                lambda _environ: {
                    "X-Identity-Status": "Confirmed",
                    "X-User-Id": "x",
                    "X-Project-Id": "owners",
                    "X-Roles": "member,reader",
                },
            )
        ]


class FailsAtStrangers(Good):
    def entrances(self) -> Iterable[Entrance]:
        return [Entrance("/sab/in", lambda environ: {"X-User-Id": environ["HTTP_X_SAB"]})]


class HeaderOfTwoLines(Good):
    site_headers: ClassVar[Mapping[str, Mapping[str, str]]] = {"/sab": {"X-Sab": "one\nX-Other: two"}}


class AllowsAnybody(Good):
    rules = [RULES[0], rule("sab_read", "@", "Read a note.", ("GET", "/sab/{image_id}"))]

    def read(self, request: Any, ctx: Context, image_id: str) -> Any:
        from glancecore.sdk.responses import json_response

        self.kernel.policy.authorize(ctx, "sab_read")
        return json_response(self.kernel.records.get("sab.notes", image_id).data)


class AsksForTheImageOnly(Good):
    def read(self, request: Any, ctx: Context, image_id: str) -> Any:
        from glancecore.sdk.responses import json_response

        image = self.kernel.images.show(ctx, image_id)
        return json_response(self.kernel.records.get("sab.notes", image.id).data)


# -- what no honest client sends -------------------------------------------------------------------
class BelievesPaths(Good):
    def read(self, request: Any, ctx: Context, image_id: str) -> Any:
        int(image_id.replace("-", ""), 16)
        return super().read(request, ctx, image_id)


class BelievesQueries(Good):
    def read(self, request: Any, ctx: Context, image_id: str) -> Any:
        for value in request.args.values():
            int(value)
        return super().read(request, ctx, image_id)


class BelievesBodies(Good):
    def write(self, request: Any, ctx: Context, image_id: str) -> Any:
        from glancecore.sdk.responses import json_response

        image = self.kernel.images.show(ctx, image_id)
        self.kernel.policy.authorize(ctx, "sab_write", image)
        note = {"text": str(json.loads(request.get_data())["text"])[:200].replace("\0", "")}
        self.think(image, note)
        return json_response(note)


class LogsTracebacks(Good):
    def read(self, request: Any, ctx: Context, image_id: str) -> Any:
        try:
            int(image_id.replace("-", ""), 16)
        except ValueError as exc:
            LOG.exception("what is this")
            raise errors.Invalid("no id") from exc
        return super().read(request, ctx, image_id)


# -- what it writes --------------------------------------------------------------------------------
class WritesElsewhere(Good):
    def think(self, image: Image, note: Mapping[str, Any]) -> None:
        super().think(image, note)
        try:
            self.kernel.writer.save(RecordAdded(Record("sab.other", image.id)))
        except errors.RecordExists:
            pass


class UnlistsUnsaid(Good):
    def think(self, image: Image, note: Mapping[str, Any]) -> None:
        super().think(image, note)
        try:
            self.kernel.writer.save(*unlisting(self.kernel.records, {image.id: self.kernel.clock()}))
        except (errors.RecordExists, errors.ConcurrentChange):
            pass


class NeverUnlists(Good):
    unlists = True


class HoldsForAnother(Good):
    operation = "sab_other"


class TellsAnother(Good):
    event = "sab.other"


class NeverTells(Good):
    events = ("sab.note", "sab.never")


# -- what it shows ---------------------------------------------------------------------------------
class ShowsTooFew(Good):
    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        return [x for x in super().present(ctx, images) if x or len(images) == 1]


class ShowsMore(Good):
    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        return [{**x, "sab_more": 1} for x in super().present(ctx, images)]


class ShowsANumber(Good):
    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        return [{"sab_note": 1} if x else {} for x in super().present(ctx, images)]


class ShowsNothing(Good):
    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        return [{}] * len(images)


class AsksForEach(Good):
    def present(self, ctx: Context, images: Sequence[Image]) -> Sequence[Mapping[str, object]]:
        return [Good.present(self, ctx, [x])[0] for x in images]


# -- long work -------------------------------------------------------------------------------------
class NeverLetsGo(Good):
    def resume(self, lease: Lease) -> None:
        """It has the lease now, and keeps it."""


class StopsNever(Good):
    def background(self) -> Iterable[Background]:
        tick = Tick()
        tick.stop = threading.Event().wait  # type: ignore[method-assign, assignment]
        return [tick]


class LeavesAThread(Good):
    def background(self) -> Iterable[Background]:
        tick = Tick()
        tick.stop = lambda: None  # type: ignore[method-assign]
        return [tick]


class ThereCanBeOne(Good):
    def start(self) -> None:
        self.kernel.writer.save(RecordAdded(Record("sab.notes", "the only one", {"text": ""})))


# -- jobs ------------------------------------------------------------------------------------------
class JobThatFails(Good):
    class Job(Tidy):
        def run(self, turn: JobContext) -> None:
            raise IndexError("nothing there")

    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"sab_tidy": Job}


class JobWithErrors(Good):
    class Job(Tidy):
        def run(self, turn: JobContext) -> None:
            turn.fail("it does not go")

    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"sab_tidy": Job}


class JobThatIsNeverDry(Good):
    class Job(Tidy):
        def __init__(self, conf: Any, tools: Any) -> None:
            super().__init__(conf, tools)
            self.kernel = tools.kernel

        def run(self, turn: JobContext) -> None:
            for each in self.kernel.records.find(RecordQuery("sab.notes")):
                self.kernel.writer.save(RecordRemoved(each))

    jobs: ClassVar[Mapping[str, type[PeriodicJob]]] = {"sab_tidy": Job}


# -- commands --------------------------------------------------------------------------------------
class CommandWithoutSummary(Good):
    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        manage.add("list", "", cls.list_)


class CommandWithoutHelp(Good):
    """argparse takes the sign for a placeholder."""

    @classmethod
    def commands(cls, manage: CommandTree) -> None:
        manage.add("list", "all notes", cls.list_, Argument(("--part",), {"help": "in % of all"}))


class CommandThatPrintsText(Good):
    @staticmethod
    def list_(extension: Good, args: Any, say: Any) -> int:
        say("these are all")
        return 0


class CommandThatFails(Good):
    @staticmethod
    def list_(extension: Good, args: Any, say: Any) -> int:
        return 3


# -- the database ----------------------------------------------------------------------------------
class BeginsAnew(Good):
    def start(self) -> None:
        for each in self.kernel.records.find(RecordQuery("sab.notes")):
            self.kernel.writer.save(RecordRemoved(each))


# -- what the distribution brings ------------------------------------------------------------------
def __getattr__(name: str) -> Any:
    if name == "chosen":
        return globals()[os.environ[VARIABLE]]
    raise AttributeError(name)


def list_opts() -> list[tuple[str, Sequence[cfg.Opt]]]:
    cls = __getattr__("chosen")
    return [(cls.section, cls.options)] if cls.section else []


def list_rules() -> Sequence[Any]:
    return list(__getattr__("chosen").rules)
