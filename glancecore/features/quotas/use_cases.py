"""What administrators see and set of the limits of projects."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from glancecore.domain import text
from glancecore.domain.context import Context
from glancecore.domain.quota import RESOURCES, UNLIMITED, Limits, Usage
from glancecore.kernel.project_quota import ProjectQuota, checked_project
from glancecore.policies.authorizer import Authorizer
from glancecore.ports.repository import ImageRepository

LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OwnQuota:
    """``own``: what the project has of its own, by the names of RESOURCES: bytes or numbers, UNLIMITED for no limit."""

    project: str
    own: Mapping[str, int]

    def in_clients_units(self) -> dict[str, int]:
        """Sizes in MiB, begun ones as whole."""
        return {x: UNLIMITED if y == UNLIMITED else -(-y >> RESOURCES[x][1]) for x, y in self.own.items()}


@dataclass(frozen=True, slots=True)
class ProjectState:
    """``limits``: what counts for the project, its own ones and the default's."""

    quota: OwnQuota
    limits: Limits
    usage: Usage


class Quotas:
    def __init__(self, quota: ProjectQuota, repository: ImageRepository, authorizer: Authorizer) -> None:
        self._quota = quota
        self._repository = repository
        self._policy = authorizer

    def list(self, ctx: Context, after: str, limit: int) -> Sequence[OwnQuota]:
        """Projects that have limits of their own, by id, behind the one named. Raises Forbidden, Invalid; NotEnabled
        where the quota plugin has them."""
        self._policy.authorize(ctx, "get_quotas")
        self._quota.require_table()
        return [OwnQuota(*x) for x in self._quota.table.page(checked_project(after) if after else "", limit)]

    def show(self, ctx: Context, project: str) -> ProjectState:
        """Any project, also one that has nothing. Raises Forbidden, Invalid."""
        self._policy.authorize(ctx, "get_quotas", {"project_id": project})
        return self._state(project)

    def set(self, ctx: Context, project: str, read: Callable[[], Mapping[str, int | None]]) -> ProjectState:
        """What ``read`` gives is set, None: the default counts again; the rest stays. It is read when the caller has
        been found to be allowed to. Raises Forbidden, Invalid, NotEnabled, and what ``read`` raises."""
        self._policy.authorize(ctx, "modify_quotas", {"project_id": project})
        checked_project(project)
        self._quota.require_table()
        wanted = dict(read())
        own = self._quota.change(project, wanted)
        LOG.info(
            "limits of project %s set by %s: %s",
            text.escaped(project),
            text.escaped(ctx.user or "the operator"),
            ", ".join(f"{x}={'default' if y is None else y}" for x, y in wanted.items()),
        )
        return self._state(project, own)

    def unset(self, ctx: Context, project: str) -> ProjectState:
        """The default counts again. Raises Forbidden, Invalid, NotEnabled."""
        return self.set(ctx, project, lambda: dict.fromkeys(RESOURCES))

    def _state(self, project: str, own: Mapping[str, int] | None = None) -> ProjectState:
        checked_project(project)
        if own is None:
            own = {} if self._quota.per_project else self._quota.table.of(project)
        return ProjectState(OwnQuota(project, own), self._quota.counting(project, own), self._repository.usage(project))
