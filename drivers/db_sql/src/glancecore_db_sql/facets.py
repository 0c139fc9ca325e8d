"""Which of the facets that an image must have a list should begin with.

An index has the images of one facet in the order of created_at. For several facets, another order or more conditions,
that is the right way only for a rare facet. So they are counted first, each up to a bound: that costs the same whatever
the number of images."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glancecore.ports.repository import ImageQuery
from glancecore_db_sql.rows import hash_facet, property_facet, tag_facet


@dataclass(frozen=True, slots=True)
class Facets:
    """``names``: the rarest first, when they were counted. ``rare``: few images have the first one."""

    names: tuple[str, ...]
    rare: bool = False

    def after_count(self, counts: Sequence[int], common: int) -> Facets:
        """``counts``: the row of ``count_statement``."""
        ranked = sorted(zip(counts, self.names, strict=True), key=lambda x: x[0])
        return Facets(tuple(name for _, name in ranked), ranked[0][0] < common)


def facets_of(query: ImageQuery) -> Facets:
    hashes = [
        hash_facet(name, str(query.equal[name][0]))
        for name in ("checksum", "hash_value")
        if len(query.equal.get(name, ())) == 1
    ]
    found = [
        *hashes,
        *(property_facet(name, value) for name, value in query.properties.items()),
        *map(tag_facet, query.tags),
    ]
    return Facets(tuple(dict.fromkeys(found)))


def count_statement(facets: Facets, common: int) -> tuple[str, list[str]]:
    """One row with a number for each facet, none above ``common``."""
    one = " ".join(["(SELECT COUNT(*) FROM (SELECT 1 FROM image_facets WHERE facet = ? LIMIT", str(common), ") x)"])
    return " ".join(["SELECT", ", ".join([one] * len(facets.names))]), list(facets.names)
