"""Applying a plan: each step is decided anew before it is taken, and noted when it is."""

from __future__ import annotations

import logging
import threading
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
from glancecore.ports.record_repository import Record, RecordChanged
from glancecore.sdk.checkpoints import checkpoint
from glancecore_ext_lifecycle.claims import CLAIM_TTL, stamp
from glancecore_ext_lifecycle.deciding import due
from glancecore_ext_lifecycle.facts import Facts
from glancecore_ext_lifecycle.groups import Groups
from glancecore_ext_lifecycle.policy import Action, Entry

LOG = logging.getLogger(__name__)
POLICIES = Collection("lifecycle.policies", keys=("owner",))
#: By policy, behind which the time stands.
PLANS = Collection("lifecycle.plans", keys=("policy",))
APPLIED = EventName("lifecycle.apply")


class Applying:
    def __init__(self, kernel: Kernel, families: Any, facts: Facts, keep: timedelta) -> None:
        """``keep``: for how long a plan is kept from when it was last worked on."""
        self._kernel = kernel
        self._families = families
        self._facts = facts
        self._keep = keep
        #: The image that this thread is about to change, as the plan has seen it.
        self._expected = threading.local()

    def apply(self, ctx: Context, plan: Record, policy: Record) -> Record:
        """What was done of it before, when somebody broke off, is not done again. Raises Conflict, also when somebody
        else goes on with it."""
        plan = self._claimed(plan, policy)
        checkpoint("lifecycle.claimed")
        entries: Sequence[Mapping[str, Any]] = plan.data["entries"]  # type: ignore[assignment]
        result: list[object] = [*plan.data["result"]]  # type: ignore[misc]
        groups = self._facts.groups()
        for entry in entries[len(result) :]:
            result.append(
                {"image_id": entry["image_id"], "action": entry["action"], **self._applied(ctx, entry, policy, groups)}
            )
            checkpoint("lifecycle.step_done")
            plan = self._renewed(plan, result)
            checkpoint("lifecycle.step_noted")
        done = self._next(plan, state="applied", result=result)
        told = {
            "policy": policy.data["name"],
            "plan": plan.id,
            "owner": ctx.project,
            "user": ctx.user,
            "done": sum(x["done"] is True for x in result),  # type: ignore[index]
            "images": len(result),
        }
        event = ExtensionEvent(APPLIED, policy.id, told)
        try:
            self._kernel.writer.save(RecordChanged(plan, done), events=[event])
        except (
            errors.RecordNotFound,
            errors.ConcurrentChange,
        ):  # somebody went on in this one's place: it is done all the same
            self._kernel.writer.save(events=[event])
        return done

    def check_image(self, _ctx: Context, before: Image | None, _after: Image | None) -> None:
        """Subscribed to: what this thread does to an image it does to the one that was planned. Raises Conflict."""
        entry: Entry | None = getattr(self._expected, "entry", None)
        if entry is not None and before is not None and (before.id, before.version) != (entry.image_id, entry.version):
            raise errors.Conflict(f"image {before.id} has changed since the plan was made")

    # -- the claim ---------------------------------------------------------------------------------
    def _claimed(self, plan: Record, policy: Record) -> Record:
        """Noted as being applied: one does it at a time."""
        now = self._kernel.clock()
        state, since = plan.data["state"], plan.data["applied_at"]
        if state == "applied":
            raise errors.Conflict(f"plan {plan.id} was applied at {since}: a plan is applied once; make another one")
        if state == "applying" and now < _moment(str(since)) + CLAIM_TTL:
            raise errors.Conflict(f"plan {plan.id} is being applied since {since}")
        if plan.expires_at is not None and now >= plan.expires_at:
            raise errors.Conflict(
                f"plan {plan.id} was made at {plan.data['made_at']}, which is too long ago; make another one"
            )
        if plan.data["policy_version"] != policy.version:
            raise errors.Conflict(
                f"policy {policy.data['name']} has changed since plan {plan.id} was made; make another one"
            )
        claimed = self._next(plan, state="applying")
        self._kernel.writer.save(RecordChanged(plan, claimed))
        return claimed

    def _renewed(self, plan: Record, result: Sequence[object]) -> Record:
        """What is done is noted, unless somebody else goes on with the plan: then this one stops. Raises Conflict."""
        renewed = self._next(plan, result=list(result))
        try:
            self._kernel.writer.save(RecordChanged(plan, renewed))
        except (errors.ConcurrentChange, errors.RecordNotFound):
            raise errors.Conflict(f"plan {plan.id} is applied by somebody else by now, who goes on with it") from None
        return renewed

    def _next(self, plan: Record, **more: object) -> Record:
        now = self._kernel.clock()
        return replace(
            plan,
            data={**plan.data, "applied_at": stamp(now), **more},
            version=plan.version + 1,
            expires_at=now + self._keep,
        )

    # -- one step ----------------------------------------------------------------------------------
    def _applied(self, ctx: Context, entry: Mapping[str, Any], policy: Record, groups: Groups) -> dict[str, object]:
        wanted = Entry(entry["image_id"], entry["version"], entry["link"], Action(entry["action"]), entry["why"])
        try:
            if not self._same(policy):
                return {"done": False, "why": "the policy has changed since the plan was made"}
            found = self._due(ctx, policy, wanted.image_id, groups)
            if found is None or _key(found[0]) != _key(wanted):
                return {"done": False, "why": "changed since the plan was made, or kept by now"}
            with self._expecting(wanted):
                self._do(ctx, wanted, str(policy.data["name"]))
            groups.changed(wanted.image_id, found[1], family=wanted.action is Action.DEPRECATE)
        except errors.GlanceError as exc:
            LOG.info("image %s: %s is not done: %s", wanted.image_id, wanted.action.value, exc)
            return {"done": False, "why": text.shortened(str(exc), 300)}
        return {"done": True, "why": wanted.why}

    def _same(self, policy: Record) -> bool:
        with suppress(errors.RecordNotFound):
            return self._kernel.records.get(POLICIES.name, policy.id).version == policy.version
        return False

    def _due(self, ctx: Context, policy: Record, image_id: str, groups: Groups) -> tuple[Entry, str] | None:
        """What the policy would plan for the image now, and its group."""
        try:
            found = self._facts.around(ctx, policy.data, image_id, groups)
        except errors.ImageNotFound:
            return None
        entry = due(policy.data, *found, self._kernel.clock()) if found is not None else None
        return (entry, found[0].group) if found is not None and entry is not None else None

    def _do(self, ctx: Context, entry: Entry, policy: str) -> None:
        images = self._kernel.images
        match entry.action:
            case Action.DEPRECATE:
                self._deprecate(ctx, entry, policy)
            case Action.HIDE:
                images.update(
                    ctx, entry.image_id, lambda: [patch.PatchOperation(patch.Op.REPLACE, ("os_hidden",), value=True)]
                )
            case Action.DEACTIVATE:
                images.deactivate(ctx, entry.image_id)
            case Action.DELETE:
                images.delete(ctx, entry.image_id, version=entry.version)

    def _deprecate(self, ctx: Context, entry: Entry, policy: str) -> None:
        """From now on; what its owner has said of later dates and of what to use in its place stays."""
        found = self._families.versions([self._kernel.images.show(ctx, entry.image_id)]).get(entry.image_id)
        if found is None:
            raise errors.Conflict(f"image {entry.image_id} is no version of a family any more")
        family, version = found
        said = {x: y for x in ("obsolete_at", "ends_at", "replacement") if (y := getattr(version, x)) is not None}
        self._families.dating.deprecate(
            ctx, family.id, version.label, {**said, "reason": f"policy {policy}: {entry.why}"}, entry.link
        )

    @contextmanager
    def _expecting(self, entry: Entry) -> Any:
        self._expected.entry = entry
        try:
            yield
        finally:
            self._expected.entry = None


def _key(entry: Entry) -> tuple[object, ...]:
    """What must be the same; the words need not."""
    return entry.image_id, entry.version, entry.link, entry.action


def _moment(given: str) -> datetime:
    return datetime.strptime(given, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
