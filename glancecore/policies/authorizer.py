"""The only caller of the policy enforcer.

A decision is a pure function of the rule, the caller's identity and those target attributes that the rule names, unless
the operator's file uses checks that ask something else (http: …). So decisions are remembered for a few seconds: a list
of 1,000 images costs a handful of evaluations. The operator's files are looked at again when they are forgotten; files
that are not right change nothing, for a typing error must not open the service."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence

from oslo_config import cfg
from oslo_policy import _checks, policy

from glancecore.domain import errors
from glancecore.domain.context import Context
from glancecore.domain.image import Image, Visibility
from glancecore.policies.rule_files import Fingerprint, RuleFiles

LOG = logging.getLogger(__name__)
#: Seconds that decisions are remembered; a changed policy file takes effect within it.
MEMORY = 5.0
#: Decisions that are remembered at the most.
_MOST_KNOWN = 20_000
_NAMED = re.compile(r"%\(([^)]+)\)s")
_FIELDS: Mapping[str, Callable[[Image], object]] = {
    "owner": lambda x: x.owner,
    "project_id": lambda x: x.owner,
    "member_id": lambda x: x.as_member,
    "visibility": lambda x: x.visibility.value,
    "status": lambda x: x.status.value,
    "id": lambda x: x.id,
    "image_id": lambda x: x.id,
    "name": lambda x: x.name,
    "protected": lambda x: x.protected,
    "container_format": lambda x: x.container_format,
    "disk_format": lambda x: x.disk_format,
    "min_disk": lambda x: x.min_disk,
    "min_ram": lambda x: x.min_ram,
    "size": lambda x: x.size,
    "os_hidden": lambda x: x.hidden,
    "tags": lambda x: list(x.tags),
    "checksum": lambda x: x.checksum,
}
_IDENTITIES = frozenset({"owner", "project_id", "member_id"})
Target = Image | Mapping[str, object] | None


class Authorizer:
    """Asks oslo.policy. Thread-safe. Raises ConfigError when the operator's policy files are not right. ``told``:
    called with whether they are, each time that they have changed. ``rules``: all that there are."""

    def __init__(
        self,
        conf: cfg.ConfigOpts,
        rules: Sequence[policy.RuleDefault],
        told: Callable[[bool], None] = lambda _valid: None,
        idle: Sequence[str] = (),
    ) -> None:
        """``idle``: what the rules of extensions begin with that are not enabled."""
        self._files = RuleFiles(conf, rules, idle)
        self.names = sorted(x.name for x in rules)
        self._told = told
        self._seen = self._seen_files()
        self._enforcer = self._files.load()
        self._told(True)
        self._lock = threading.Lock()
        self._attributes: dict[str, tuple[str, ...] | None] = {}
        self._known: dict[Hashable, bool] = {}
        self._until = 0.0

    def identify(self, ctx: Context) -> Context:
        """Fill in ``ctx.admin``."""
        ctx.admin = self._decide(ctx, "context_is_admin", None)
        return ctx

    def allows(self, ctx: Context, rule: str, target: Target = None) -> bool:
        """Whether the policy lets this caller do it; marks the request as checked. Who has no credentials has to do
        with public images only, whatever the policy says."""
        ctx.authorized = True
        if ctx.anonymous and isinstance(target, Image) and target.visibility is not Visibility.PUBLIC:
            return False
        return self._decide(ctx, rule, target)

    def authorize(self, ctx: Context, rule: str, target: Target = None) -> None:
        """Raises Forbidden, or ImageNotFound when the caller may not even see the image."""
        if self.allows(ctx, rule, target):
            return
        if isinstance(target, Image) and rule != "get_image" and not self.allows(ctx, "get_image", target):
            raise errors.ImageNotFound(f"no image {target.id}")
        if isinstance(target, Image) and rule == "get_image":
            raise errors.ImageNotFound(f"no image {target.id}")
        raise errors.Forbidden(f"policy {rule} does not allow this to you")

    def depends_on(self, rule: str, name: str) -> bool:
        """Whether it may be another answer with another value of that attribute of the target."""
        names = self._named_by(rule)
        return names is None or name in names

    # -- deciding ----------------------------------------------------------------------------------
    def _decide(self, ctx: Context, rule: str, target: Target) -> bool:
        now = time.monotonic()
        if now > self._until or len(self._known) > _MOST_KNOWN:
            self._look_again(now)
        attributes, known = self._attributes, self._known
        names = attributes.get(rule, ())
        if names == () and rule not in attributes:
            names = attributes[rule] = self._named_by(rule)
        if names is None:
            return self._enforce(ctx, rule, target)
        key = (
            rule,
            ctx.user,
            ctx.project,
            ctx.roles,
            ctx.system_scope,
            ctx.user_domain,
            ctx.project_domain,
            *[_attribute(ctx, target, name) for name in names],
        )
        found = known.get(key)
        if found is None:
            found = known[key] = self._enforce(ctx, rule, target)
        return found

    def _look_again(self, now: float) -> None:
        """Forget what was decided, and take the files' rules if they have changed and are right."""
        with self._lock:
            if now <= self._until and len(self._known) <= _MOST_KNOWN:
                return
            seen = self._seen_files()
            if seen != self._seen:
                self._seen = seen
                try:
                    self._enforcer = self._files.load()
                except errors.ConfigError as exc:
                    LOG.error("policies stay as they were: %s", exc)
                    self._told(False)
                else:
                    LOG.info("the policy files have changed; their rules are in force")
                    self._told(True)
            self._attributes, self._known, self._until = {}, {}, now + MEMORY

    def _seen_files(self) -> Fingerprint | str:
        try:
            return self._files.fingerprint()
        except errors.ConfigError as exc:
            return str(exc)

    def _enforce(self, ctx: Context, rule: str, target: Target) -> bool:
        creds = {
            "user_id": ctx.user,
            "project_id": ctx.project,
            "tenant": ctx.project,
            "roles": sorted(ctx.roles),
            "is_admin": ctx.admin,
            "user_domain_id": ctx.user_domain,
            "project_domain_id": ctx.project_domain,
            "system_scope": ctx.system_scope,
        }
        # what is None is left out: a caller without a project must not match an image without an owner
        known = {key: value for key, value in creds.items() if value is not None}
        return bool(self._enforcer.enforce(rule, _full_target(ctx, target), known))

    def _named_by(self, rule: str) -> tuple[str, ...] | None:
        """The target attributes that a rule's outcome depends on; None when it can't be told."""
        found: set[str] = set()
        seen: set[str] = set()

        def walk(check: object) -> bool:
            if isinstance(check, (_checks.TrueCheck, _checks.FalseCheck)):
                return True
            if isinstance(check, (_checks.AndCheck, _checks.OrCheck)):
                return all(walk(x) for x in check.rules)
            if isinstance(check, _checks.NotCheck):
                return walk(check.rule)
            if isinstance(check, _checks.RuleCheck):
                if check.match in seen:
                    return True
                seen.add(check.match)
                return walk(self._enforcer.rules[check.match]) if check.match in self._enforcer.rules else True
            if isinstance(check, _checks.Check) and type(check) in (_checks.RoleCheck, _checks.GenericCheck):
                found.update(_NAMED.findall(check.match))
                return all(x in _FIELDS for x in found)
            return False

        top = self._enforcer.rules.get(rule)
        if top is None or not walk(top):
            return None
        return tuple(sorted(found))


def _attribute(ctx: Context, target: Target, name: str) -> Hashable:
    if isinstance(target, Image):
        value = _FIELDS[name](target)
    elif target is None:
        value = ctx.project if name in ("project_id", "owner") else None
    else:
        value = target.get(name)
    return tuple(value) if isinstance(value, list) else value


def _full_target(ctx: Context, target: Target) -> Mapping[str, object]:
    if isinstance(target, Image):
        full = {**target.properties, **{name: get(target) for name, get in _FIELDS.items()}}
    elif target is None:
        full = {"project_id": ctx.project, "owner": ctx.project}
    else:
        full = dict(target)
    return {key: value for key, value in full.items() if value is not None or key not in _IDENTITIES}
