"""Which of the facets that an image must have a list should begin with.

An index has the images of one facet in the order of created_at. For several facets, or another order, that is the right way
only for a rare facet; of common ones the images are read in the asked order, and each is looked at. So they are counted first,
each up to a bound: that costs the same whatever the number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from glancecore.ports.repository import ImageQuery, SortField
from glancecore_db_sql.rows import hash_facet, property_facet, tag_facet

#: Images that have a facet, from which on it is common. To sort that many takes about a millisecond.
COMMON = 1000


@dataclass(frozen=True, slots=True)
class Facets:
    """``names``: the rarest first, when they were counted. ``doubtful``: they have to be."""

    names: tuple[str, ...]
    doubtful: bool = False
    counted: bool = False
    all_common: bool = False

    def after_count(self, counts: Sequence[int]) -> Facets:
        """``counts``: the row of ``count_statement``."""
        ranked = sorted(zip(counts, self.names, strict=True), key=lambda x: x[0])
        return Facets(tuple(name for _, name in ranked), counted=True, all_common=ranked[0][0] >= COMMON)


def facets_of(query: ImageQuery) -> Facets:
    hashes = [hash_facet(name, str(query.equal[name][0])) for name in ("checksum", "hash_value") if len(query.equal.get(name, ())) == 1]
    found = [*hashes, *(property_facet(name, value) for name, value in query.properties.items()), *map(tag_facet, query.tags)]
    names = tuple(dict.fromkeys(found))
    several = len(names) > 1 or not query.sort or query.sort[0].field is not SortField.CREATED_AT
    return Facets(names, doubtful=bool(names) and several and not hashes)  # of a hash there are few images


def count_statement(facets: Facets) -> tuple[str, list[str]]:
    """One row with a number for each facet, none above ``COMMON``."""
    one = " ".join(["(SELECT COUNT(*) FROM (SELECT 1 FROM image_facets WHERE facet = ? LIMIT", str(COMMON), ") x)"])
    return " ".join(["SELECT", ", ".join([one] * len(facets.names))]), list(facets.names)
