"""Policies and plans: kept, and made."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from glancecore.domain import errors, text
from glancecore.domain.context import Context
from glancecore.domain.events import EventName, ExtensionEvent
from glancecore.ports.extension import Kernel
from glancecore.ports.options import Section
from glancecore.ports.record_repository import Record, RecordAdded, RecordChanged, RecordQuery, RecordRemoved
from glancecore.sdk.checkpoints import checkpoint
from glancecore_ext_lifecycle.applying import PLANS, POLICIES, Applying
from glancecore_ext_lifecycle.claims import Claims, again, stamp
from glancecore_ext_lifecycle.deciding import decide
from glancecore_ext_lifecycle.facts import Facts

PLANNED = EventName("lifecycle.plan")


class Plans:
    def __init__(self, kernel: Kernel, families: Any, conf: Section) -> None:
        self._kernel = kernel
        self._records = kernel.records
        self._facts = Facts(kernel, families)
        self._conf = conf
        self._claims = Claims(kernel, conf.policies_per_project)
        self._applying = Applying(kernel, families, self._facts, timedelta(hours=conf.plan_hours))
        self.check_image = self._applying.check_image

    # -- policies ----------------------------------------------------------------------------------
    def policy(self, ctx: Context, policy_id: str, rule: str = "lifecycle_show") -> Record:
        """Raises RecordNotFound also when it is another project's; Forbidden."""
        return self._own(ctx, POLICIES.name, policy_id, rule, "policy")

    def policies(self, ctx: Context) -> list[Record]:
        most: int = self._conf.policies_per_project
        return (
            self._records.find(RecordQuery(POLICIES.name, 0, [ctx.project], limit=2 * most))
            if ctx.project is not None
            else []
        )

    def write(self, ctx: Context, body: Mapping[str, Any], policy_id: str | None = None) -> Record:
        """A new one, or in the place of that one. Raises Forbidden, Invalid, QuotaExceeded, ConcurrentChange."""
        if ctx.project is None:
            raise errors.Forbidden("a policy is of a project's images; your credentials are of no project")
        if absent := self._facts.absent(ctx, body):
            raise errors.Invalid(
                f"selector.families: your project has no family {', '.join(absent)}; make it first, or leave it out"
            )
        data = {**body, "owner": ctx.project, "written_at": stamp(self._kernel.clock())}
        if policy_id is not None:
            before = self.policy(ctx, policy_id, "lifecycle_change")
            after = replace(before, data=data, version=before.version + 1)
            self._kernel.writer.save(RecordChanged(before, after))
            return after
        return self._add(ctx, Record(POLICIES.name, str(uuid.uuid4()), data, (ctx.project,)))

    @again
    def _add(self, ctx: Context, made: Record) -> Record:
        self._kernel.writer.save(
            RecordAdded(made), self._claims.counting(ctx.project, 1, lambda: len(self.policies(ctx)))
        )
        return made

    @again
    def delete(self, ctx: Context, policy_id: str) -> None:
        """With its plans, but for one that is being applied: that one tells what was done until it is old."""
        policy = self.policy(ctx, policy_id, "lifecycle_change")
        plans = [RecordRemoved(x) for x in self.plans_of(policy.id) if x.data["state"] != "applying"]
        self._kernel.writer.save(
            RecordRemoved(policy), *plans, self._claims.counting(ctx.project, -1, lambda: len(self.policies(ctx)))
        )

    # -- plans -------------------------------------------------------------------------------------
    def plan(self, ctx: Context, plan_id: str, rule: str = "lifecycle_show") -> Record:
        """Raises RecordNotFound, Forbidden."""
        return self._own(ctx, PLANS.name, plan_id, rule, "plan")

    def plans_of(self, policy_id: str) -> list[Record]:
        """The last one first."""
        return self._records.find(RecordQuery(PLANS.name, 0, prefix=f"{policy_id}:", descending=True, limit=1000))

    def make(self, ctx: Context, policy: Record) -> Record:
        """What the policy would do now: nothing is changed by it. Raises Conflict when another plan of the project is
        being made."""
        now = self._kernel.clock()
        with self._claims.planning(ctx.project) as turn:
            entries = decide(policy.data, self._facts.of_project(ctx, policy.data, turn), now)
        most = int(self._conf.images_per_plan)
        data = {
            "policy_id": policy.id,
            "policy_version": policy.version,
            "owner": ctx.project,
            "made_at": stamp(now),
            "state": "planned",
            "left": max(0, len(entries) - most),
            "entries": [
                {"image_id": x.image_id, "version": x.version, "link": x.link, "action": x.action.value, "why": x.why}
                for x in entries[:most]
            ],
            "notes": [
                f"your project has no family {x}: that name selects nothing"
                for x in self._facts.absent(ctx, policy.data)
            ],
            "applied_at": None,
            "result": [],
        }
        plan = Record(
            PLANS.name,
            str(uuid.uuid4()),
            data,
            (f"{policy.id}:{now.timestamp():020.6f}",),
            expires_at=now + timedelta(hours=self._conf.plan_hours),
        )
        old = self.plans_of(policy.id)[int(self._conf.plans_per_policy) - 1 :]
        told = {
            "policy": policy.data["name"],
            "plan": plan.id,
            "owner": ctx.project,
            "user": ctx.user,
            "images": len(entries),
        }
        self._kernel.writer.save(RecordAdded(plan), events=[ExtensionEvent(PLANNED, policy.id, told)])
        checkpoint("lifecycle.planned")
        for each in old:
            if each.data["state"] != "applying":
                with suppress(errors.RecordNotFound, errors.ConcurrentChange):  # somebody else has, or applies it
                    self._kernel.writer.save(RecordRemoved(each))
        return plan

    def apply(self, ctx: Context, plan_id: str) -> Record:
        """Do what the plan says, and nothing else: an image that has changed since is refused, and so is one that the
        policy would not plan again.

        Raises RecordNotFound, Forbidden; Conflict when the plan was applied, is too old, or the policy is another one
        by now."""
        plan = self.plan(ctx, plan_id, "lifecycle_apply")
        return self._applying.apply(ctx, plan, self.policy(ctx, str(plan.data["policy_id"])))

    # -- inside ------------------------------------------------------------------------------------
    def _own(self, ctx: Context, collection: str, record_id: str, rule: str, what: str) -> Record:
        """Of the caller's project: what is another's is not there, not even for admins, whose images it would not
        mean."""
        try:
            record = self._records.get(collection, record_id.lower())
        except (errors.RecordNotFound, ValueError):
            record = None
        if record is None or record.data["owner"] != ctx.project:
            self._kernel.policy.authorize(ctx, rule, {"project_id": ctx.project, "owner": ctx.project})
            raise errors.RecordNotFound(f"no {what} {text.shortened(record_id)}")
        self._kernel.policy.authorize(ctx, rule, {"project_id": ctx.project, "owner": ctx.project})
        return record
