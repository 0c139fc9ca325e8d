"""Policies and plans: kept, made, and applied."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from glancecore.domain import errors, patch, text
from glancecore.domain.context import Context
from glancecore.domain.events import EventName, ExtensionEvent
from glancecore.domain.image import Image
from glancecore.ports.extension import Collection, Kernel
from glancecore.ports.options import Section
from glancecore.ports.record_repository import (
    Record,
    RecordAdded,
    RecordChanged,
    RecordQuery,
    RecordRemoved,
)
from glancecore_ext_lifecycle.deciding import decide
from glancecore_ext_lifecycle.facts import Facts
from glancecore_ext_lifecycle.policy import Action, Entry

LOG = logging.getLogger(__name__)
POLICIES = Collection("lifecycle.policies", keys=("owner",))
#: By policy, behind which the time stands.
PLANS = Collection("lifecycle.plans", keys=("policy",))
PLANNED, APPLIED = EventName("lifecycle.plan"), EventName("lifecycle.apply")
#: How long somebody who applies a plan is waited for, before somebody else may go on.
_PATIENCE = timedelta(minutes=10)


class Plans:
    def __init__(self, kernel: Kernel, families: Any, conf: Section) -> None:
        self._kernel = kernel
        self._records = kernel.records
        self._families = families
        self._facts = Facts(kernel, families)
        self._conf = conf
        #: The image that this thread is about to change, as the plan has seen it.
        self._expected = threading.local()

    # -- policies ----------------------------------------------------------------------------------------------------
    def policy(self, ctx: Context, policy_id: str, rule: str = "lifecycle_show") -> Record:
        """Raises RecordNotFound also when it is another project's; Forbidden."""
        return self._own(ctx, POLICIES.name, policy_id, rule, "policy")

    def policies(self, ctx: Context) -> list[Record]:
        most: int = self._conf.policies_per_project
        return self._records.find(RecordQuery(POLICIES.name, 0, [ctx.project], limit=2 * most)) if ctx.project is not None else []

    def write(self, ctx: Context, body: Mapping[str, Any], policy_id: str | None = None) -> Record:
        """A new one, or in the place of that one. Raises Forbidden, Invalid, QuotaExceeded, ConcurrentChange."""
        if ctx.project is None:
            raise errors.Forbidden("a policy is of a project's images; your credentials are of no project")
        data = {**body, "owner": ctx.project, "written_at": _stamp(self._kernel.clock())}
        if policy_id is not None:
            before = self.policy(ctx, policy_id, "lifecycle_change")
            after = replace(before, data=data, version=before.version + 1)
            self._kernel.writer.save(RecordChanged(before, after))
            return after
        most: int = self._conf.policies_per_project
        if len(self.policies(ctx)) >= most:
            raise errors.QuotaExceeded(f"your project has {most} policies; it may have {most}")
        made = Record(POLICIES.name, str(uuid.uuid4()), data, (ctx.project,))
        self._kernel.writer.save(RecordAdded(made))
        return made

    def delete(self, ctx: Context, policy_id: str) -> None:
        """With its plans."""
        policy = self.policy(ctx, policy_id, "lifecycle_change")
        self._kernel.writer.save(RecordRemoved(policy), *(RecordRemoved(x) for x in self.plans_of(policy_id)))

    # -- plans -------------------------------------------------------------------------------------------------------
    def plan(self, ctx: Context, plan_id: str, rule: str = "lifecycle_show") -> Record:
        """Raises RecordNotFound, Forbidden."""
        return self._own(ctx, PLANS.name, plan_id, rule, "plan")

    def plans_of(self, policy_id: str) -> list[Record]:
        """The last one first."""
        return self._records.find(RecordQuery(PLANS.name, 0, prefix=f"{policy_id}:", descending=True, limit=1000))

    def make(self, ctx: Context, policy: Record) -> Record:
        """What the policy would do now: nothing is changed by it."""
        now = self._kernel.clock()
        entries, most = self._decided(ctx, policy), int(self._conf.images_per_plan)
        data = {"policy_id": policy.id, "policy_version": policy.version, "owner": ctx.project, "made_at": _stamp(now), "state": "planned", "left": max(0, len(entries) - most),
                "entries": [{"image_id": x.image_id, "version": x.version, "link": x.link, "action": x.action.value, "why": x.why} for x in entries[:most]],
                "applied_at": None, "result": []}
        plan = Record(PLANS.name, str(uuid.uuid4()), data, (f"{policy.id}:{now.timestamp():020.6f}",), expires_at=now + timedelta(hours=self._conf.plan_hours))
        old = self.plans_of(policy.id)[int(self._conf.plans_per_policy) - 1:]
        told = {"policy": policy.data["name"], "plan": plan.id, "owner": ctx.project, "user": ctx.user, "images": len(entries)}
        self._kernel.writer.save(RecordAdded(plan), events=[ExtensionEvent(PLANNED, policy.id, told)])
        for each in old:
            with suppress(errors.RecordNotFound, errors.ConcurrentChange):  # somebody else has, or applies it
                self._kernel.writer.save(RecordRemoved(each))
        return plan

    def _decided(self, ctx: Context, policy: Record) -> list[Entry]:
        said: Mapping[str, Any] = policy.data
        return decide(said, self._facts.of_project(ctx, said["selector"]), self._kernel.clock())

    # -- applying ----------------------------------------------------------------------------------------------------
    def apply(self, ctx: Context, plan_id: str) -> Record:
        """Do what the plan says, and nothing else: an image that has changed since is refused, and so is one that the policy would not plan again.

        Raises RecordNotFound, Forbidden; Conflict when the plan was applied, is too old, or the policy is another one by now."""
        plan = self.plan(ctx, plan_id, "lifecycle_apply")
        policy = self.policy(ctx, str(plan.data["policy_id"]))
        plan = self._claimed(plan, policy)
        again = set(map(_key, self._decided(ctx, policy)))
        entries: Sequence[Mapping[str, Any]] = plan.data["entries"]  # type: ignore[assignment]
        result = [{"image_id": x["image_id"], "action": x["action"], **self._applied(ctx, x, again, str(policy.data["name"]))} for x in entries]
        done = replace(plan, data={**plan.data, "state": "applied", "applied_at": _stamp(self._kernel.clock()), "result": result}, version=plan.version + 1)
        told = {"policy": policy.data["name"], "plan": plan.id, "owner": ctx.project, "user": ctx.user, "done": sum(x["done"] is True for x in result), "images": len(result)}
        event = ExtensionEvent(APPLIED, policy.id, told)
        try:
            self._kernel.writer.save(RecordChanged(plan, done), events=[event])
        except (errors.RecordNotFound, errors.ConcurrentChange):  # the policy is deleted, or somebody went on in this one's place: it is done all the same
            self._kernel.writer.save(events=[event])
        return done

    def _claimed(self, plan: Record, policy: Record) -> Record:
        """Noted as being applied: one does it at a time."""
        now = self._kernel.clock()
        state, since = plan.data["state"], plan.data["applied_at"]
        if state == "applied":
            raise errors.Conflict(f"plan {plan.id} was applied at {since}: a plan is applied once; make another one")
        if state == "applying" and now < _moment(str(since)) + _PATIENCE:
            raise errors.Conflict(f"plan {plan.id} is being applied since {since}")
        if plan.expires_at is not None and now >= plan.expires_at:
            raise errors.Conflict(f"plan {plan.id} was made at {plan.data['made_at']}, which is too long ago; make another one")
        if plan.data["policy_version"] != policy.version:
            raise errors.Conflict(f"policy {policy.data['name']} has changed since plan {plan.id} was made; make another one")
        claimed = replace(plan, data={**plan.data, "state": "applying", "applied_at": _stamp(now)}, version=plan.version + 1)
        self._kernel.writer.save(RecordChanged(plan, claimed))
        return claimed

    def _applied(self, ctx: Context, entry: Mapping[str, Any], again: set[tuple[object, ...]], policy: str) -> dict[str, object]:
        wanted = Entry(entry["image_id"], entry["version"], entry["link"], Action(entry["action"]), entry["why"])
        if _key(wanted) not in again:
            return {"done": False, "why": "changed since the plan was made, or kept by now"}
        try:
            with self._expecting(wanted):
                self._do(ctx, wanted, policy)
        except errors.GlanceError as exc:
            LOG.info("image %s: %s is not done: %s", wanted.image_id, wanted.action.value, exc)
            return {"done": False, "why": text.shortened(str(exc), 300)}
        return {"done": True, "why": wanted.why}

    def _do(self, ctx: Context, entry: Entry, policy: str) -> None:
        images = self._kernel.images
        match entry.action:
            case Action.DEPRECATE:
                family, version = self._families.versions([images.show(ctx, entry.image_id)])[entry.image_id]
                self._families.dating.deprecate(ctx, family.id, version.label, {"reason": f"policy {policy}: {entry.why}"})
            case Action.HIDE:
                images.update(ctx, entry.image_id, lambda: [patch.PatchOperation(patch.Op.REPLACE, ("os_hidden",), value=True)])
            case Action.DEACTIVATE:
                images.deactivate(ctx, entry.image_id)
            case Action.DELETE:
                images.delete(ctx, entry.image_id)

    @contextmanager
    def _expecting(self, entry: Entry) -> Any:
        self._expected.entry = entry
        try:
            yield
        finally:
            self._expected.entry = None

    def check_image(self, _ctx: Context, before: Image | None, _after: Image | None) -> None:
        """Subscribed to: what this thread does to an image it does to the one that was planned. Raises ConcurrentChange."""
        entry: Entry | None = getattr(self._expected, "entry", None)
        if entry is not None and before is not None and (before.id, before.version) != (entry.image_id, entry.version):
            raise errors.Conflict(f"image {before.id} has changed since the plan was made")

    # -- inside ------------------------------------------------------------------------------------------------------
    def _own(self, ctx: Context, collection: str, record_id: str, rule: str, what: str) -> Record:
        """Of the caller's project: what is another's is not there, not even for admins, whose images it would not mean."""
        try:
            record = self._records.get(collection, record_id.lower())
        except (errors.RecordNotFound, ValueError):
            record = None
        if record is None or record.data["owner"] != ctx.project:
            self._kernel.policy.authorize(ctx, rule, {"project_id": ctx.project, "owner": ctx.project})
            raise errors.RecordNotFound(f"no {what} {text.shortened(record_id)}")
        self._kernel.policy.authorize(ctx, rule, {"project_id": ctx.project, "owner": ctx.project})
        return record


def _key(entry: Entry) -> tuple[object, ...]:
    """What must be the same; the words need not."""
    return entry.image_id, entry.version, entry.link, entry.action


def _stamp(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _moment(given: str) -> datetime:
    return datetime.strptime(given, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
