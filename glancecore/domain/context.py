"""Who is asking: the caller of a use case and what the database must know of him."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Initiator:
    """Who made something happen, as far as the service was told: ids, roles in alphabetical order, the address that the
    request came from, and the request itself: method and path. An import's are those of who asked for it, without roles
    and request."""

    user: str | None = None
    project: str | None = None
    request_id: str | None = None
    address: str | None = None
    roles: tuple[str, ...] = ()
    request: str | None = None


@dataclass(frozen=True, slots=True)
class Viewer:
    """The part of a caller that decides which images exist for him.

    ``project`` is the caller's project id or None; ``admin`` sees every image.
    """

    project: str | None
    admin: bool = False


#: Sees everything: for the service's own work (reaper, worker, tools).
EVERYTHING = Viewer(project=None, admin=True)


@dataclass(slots=True)
class Context:
    """The identity behind one request. Roles are lower case.

    ``admin`` is decided once by the policy ``context_is_admin`` and kept here.
    ``authorized`` is set by the authorizer; a 2xx answer without it is our bug.
    ``token`` is the caller's own, for calls made in his name; it is never logged.
    """

    user: str | None = None
    project: str | None = None
    roles: frozenset[str] = frozenset()
    admin: bool = False
    #: Without credentials: reads public images, as far as policies let it, and changes nothing.
    anonymous: bool = False
    user_domain: str | None = None
    project_domain: str | None = None
    system_scope: str | None = None
    token: str | None = field(default=None, repr=False)
    #: Where the request came from; behind a proxy that the operator trusts, what that says.
    address: str | None = None
    request_id: str = field(default_factory=lambda: f"req-{uuid.uuid4()}")
    #: Method and path, without what may be secret in a query.
    request: str | None = None
    authorized: bool = False

    @property
    def initiator(self) -> Initiator:
        return Initiator(
            self.user, self.project, self.request_id, self.address, tuple(sorted(self.roles)), self.request
        )

    @property
    def viewer(self) -> Viewer:
        return Viewer(self.project, self.admin)
