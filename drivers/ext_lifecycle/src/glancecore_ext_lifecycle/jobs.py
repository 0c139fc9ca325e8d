"""What is looked after from time to time."""

from __future__ import annotations

from typing import Any

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.ports.options import Section
from glancecore.ports.periodic import JobContext, JobTools, PeriodicJob
from glancecore.ports.record_repository import RecordQuery, RecordRemoved
from glancecore_ext_lifecycle.applying import PLANS, POLICIES


class Plan(PeriodicJob):
    """Plans every policy, as a member of its project would; it applies nothing."""

    interval = 86_400.0
    summary = (
        "plans what each lifecycle policy would do (events lifecycle.plan tell of it), and forgets old plans; it"
        " changes no image"
    )

    def __init__(self, conf: Section, tools: JobTools) -> None:
        super().__init__(conf, tools)
        self._kernel, self._clock = tools.kernel, tools.clock

    def run(self, turn: JobContext) -> None:
        self._forget(turn)
        after: tuple[str, str] | None = None
        while page := self._kernel.records.find(RecordQuery(POLICIES.name, after=after)):
            for policy in page:
                turn.check()
                turn.count("planned")
                if turn.dry_run:
                    continue
                ctx = Context(project=str(policy.data["owner"]), roles=frozenset({"member", "reader"}))
                try:
                    plan = self._kernel.extension("lifecycle").plans.make(ctx, policy)
                except errors.Conflict:  # somebody else makes a plan of the project's
                    turn.count("busy")
                    continue
                except errors.GlanceError as exc:
                    turn.fail(f"policy {policy.id}: {exc}")
                    continue
                notes: Any = plan.data["notes"]
                for note in notes:
                    turn.find(
                        "unknown", policy.id, f"policy {policy.data['name']} of project {policy.data['owner']}: {note}"
                    )
                if plan.data["entries"]:
                    turn.find("due", policy.id, f"plan {plan.id} of policy {policy.data['name']} has something to do")
            after = (page[-1].id, page[-1].id)

    def _forget(self, turn: JobContext) -> None:
        while page := self._kernel.records.expired(PLANS.name, self._clock()):
            for record in page:
                turn.check()
                turn.count("forgotten")
                if not turn.dry_run:
                    try:
                        self._kernel.writer.save(RecordRemoved(record))
                    except (errors.RecordNotFound, errors.ConcurrentChange):
                        turn.count("changed")
            if turn.dry_run:
                return
