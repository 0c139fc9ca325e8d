"""Who may list what: a union of slices, each one range of an index.

A list leads on from the last image that was looked at, so each image of a slice is one that the viewer may see, but for
``slices_of_owner``."""

from __future__ import annotations

from dataclasses import dataclass

from glancecore.domain.image import Visibility
from glancecore.domain.member import MemberStatus
from glancecore.ports.repository import ImageQuery

P = Visibility


@dataclass(frozen=True, slots=True)
class Slice:
    """Images of an owner, or of one visibility, or shared with a member who has one status. ``others``: the public ones
    of them are listed as another project's."""

    owner: str | None = None
    visibilities: tuple[Visibility, ...] = ()
    member: str | None = None
    status: MemberStatus | None = None
    ownerless: bool = False
    others: bool = False


def slices(query: ImageQuery) -> list[Slice]:
    """Slices may overlap: the union drops what is found twice."""
    owner = owner_of(query)
    if owner is None or not _sees_all_of(query, owner):
        return _slices(query)
    return _of_owner(_slices(query), owner)  # the viewer's memberships of his own images add nothing


def slices_of_owner(query: ImageQuery) -> list[Slice]:
    """The same by the index on a foreign owner. The viewer may not see each image of it: good for an answer that is
    whole, and leads nowhere."""
    found = _slices(query)
    return [*_of_owner(found, str(query.equal["owner"][0]), others=True), *(x for x in found if x.member is not None)]


def by_foreign_owner(query: ImageQuery) -> bool:
    owner = owner_of(query)
    return owner is not None and not _sees_all_of(query, owner)


def owner_of(query: ImageQuery) -> str | None:
    """Whose images alone are asked for, a frequent question: the index on the owner is the short way."""
    owners = query.equal.get("owner", ())
    return str(owners[0]) if len(owners) == 1 else None


def _sees_all_of(query: ImageQuery, owner: str) -> bool:
    return query.viewer.admin or owner == query.viewer.project


def _of_owner(found: list[Slice], owner: str, *, others: bool = False) -> list[Slice]:
    parts = [x for x in found if x.member is None]
    seen = frozenset(y for x in parts for y in x.visibilities or Visibility)
    return (
        [Slice(owner=owner, visibilities=() if len(seen) == len(Visibility) else tuple(sorted(seen)), others=others)]
        if parts
        else []
    )


def _slices(query: ImageQuery) -> list[Slice]:
    """But those that have no image of the owners that are asked for."""
    found = _admin_slices(query) if query.viewer.admin else _project_slices(query)
    owners = query.equal.get("owner")
    return found if owners is None else [x for x in found if not x.ownerless and (x.owner is None or x.owner in owners)]


def _admin_slices(query: ImageQuery) -> list[Slice]:
    me = query.viewer.project
    if query.visibility is not None:
        all_of, own = [query.visibility], False
    elif query.all_visible:
        all_of, own = list(Visibility), False
    else:
        all_of, own = [P.PUBLIC, P.PRIVATE, P.SHARED], me is not None
    found = [Slice(visibilities=(x,)) for x in all_of]
    return [*found, Slice(owner=me)] if own else found  # his community images; the others are found twice


def _project_slices(query: ImageQuery) -> list[Slice]:
    me, wanted = query.viewer.project, query.visibility
    shared = (
        []
        if me is None
        else [
            Slice(member=me, status=x) for x in (MemberStatus if query.member_status is None else [query.member_status])
        ]
    )
    if wanted in (P.PUBLIC, P.COMMUNITY):
        others = Slice(visibilities=(wanted,), others=wanted is P.PUBLIC)
        left_out = me is not None and others.others and query.unlisted_at is not None
        return [Slice(owner=me, visibilities=(wanted,)), others] if left_out else [others]
    public = [Slice(visibilities=(P.PUBLIC,), others=True)]
    if query.all_visible and wanted is None:
        public += [Slice(visibilities=(P.COMMUNITY,)), Slice(visibilities=(P.SHARED,), ownerless=True)]
    if me is None:
        return public if wanted is None else []
    if wanted is None:
        return [Slice(owner=me), *public, *shared]
    own = Slice(owner=me, visibilities=(wanted,))
    return [own, *shared] if wanted is P.SHARED else [own]
