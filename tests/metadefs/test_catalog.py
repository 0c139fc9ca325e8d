"""What becomes of a namespace that is there already when another of its name is loaded."""

from __future__ import annotations

from dataclasses import replace

import pytest

from glancecore.domain import errors
from glancecore.domain.metadef import MetadefVisibility, Namespace
from glancecore.features.metadefs.catalog import LoadOutcome, MetadefCatalog, Mode
from glancecore.testing.examples import after, make_association, make_namespace, make_object, make_property, make_tag
from glancecore.testing.memory_metadefs import MemoryMetadefs

OLD = make_namespace(
    "n",
    display_name="old",
    owner="ours",
    protected=True,
    associations=(make_association("A", "old_"), make_association("B")),
    properties=(make_property("a", minimum=1), make_property("b")),
    objects=(make_object("o", make_property("x")),),
    tags=(make_tag("T1"), make_tag("t2")),
)
NEW = make_namespace(
    "n",
    100,
    display_name="new",
    description="new",
    owner=None,
    visibility=MetadefVisibility.PUBLIC,
    associations=(make_association("A", "new_", 100), make_association("C", second=100)),
    properties=(make_property("c"), make_property("a", minimum=2)),
    objects=(make_object("o", second=100),),
    tags=(make_tag("t1", 100), make_tag("t3", 100)),
)


@pytest.fixture
def repository() -> MemoryMetadefs:
    found = MemoryMetadefs()
    assert MetadefCatalog(found).load(OLD, Mode.KEEP) is LoadOutcome.ADDED
    return found


def load(repository: MemoryMetadefs, mode: Mode, namespace: Namespace = NEW) -> tuple[LoadOutcome, Namespace]:
    return MetadefCatalog(repository).load(namespace, mode), repository.get("n")


def test_keep(repository: MemoryMetadefs) -> None:
    assert load(repository, Mode.KEEP) == (LoadOutcome.KEPT, OLD)


def test_merge_adds_what_is_missing(repository: MemoryMetadefs) -> None:
    outcome, found = load(repository, Mode.MERGE)
    assert outcome is LoadOutcome.CHANGED
    assert (found.display_name, found.description, found.visibility, found.protected, found.owner) == (
        "old",
        "new",
        MetadefVisibility.PRIVATE,
        True,
        "ours",
    )
    assert found.associations == (*OLD.associations, NEW.associations[1])
    assert found.properties == (*OLD.properties, NEW.properties[0])
    assert found.objects == OLD.objects
    assert found.tags == (*OLD.tags, NEW.tags[1]), "t1 is T1"
    assert (found.version, found.updated_at, found.created_at) == (2, NEW.updated_at, OLD.created_at)


def test_merge_prefers_the_new(repository: MemoryMetadefs) -> None:
    outcome, found = load(repository, Mode.MERGE_NEW)
    assert outcome is LoadOutcome.CHANGED
    assert (found.display_name, found.visibility, found.protected, found.owner) == (
        "new",
        MetadefVisibility.PUBLIC,
        False,
        "ours",
    )
    assert found.associations == (NEW.associations[0], OLD.associations[1], NEW.associations[1])
    assert found.properties == (NEW.properties[1], OLD.properties[1], NEW.properties[0])
    assert found.objects == NEW.objects
    assert [x.name for x in found.tags] == ["t1", "t2", "t3"]


def test_overwrite_leaves_nothing_old(repository: MemoryMetadefs) -> None:
    outcome, found = load(repository, Mode.OVERWRITE)
    assert outcome is LoadOutcome.CHANGED
    assert found == replace(NEW, id=OLD.id, created_at=OLD.created_at, version=2)


@pytest.mark.parametrize("mode", [Mode.MERGE, Mode.MERGE_NEW, Mode.OVERWRITE])
def test_the_same_again_changes_nothing(repository: MemoryMetadefs, mode: Mode) -> None:
    later = after(500)
    again = replace(
        OLD,
        id="other",
        created_at=later,
        updated_at=later,
        tags=tuple(replace(x, created_at=later, updated_at=later) for x in OLD.tags),
        associations=tuple(replace(x, created_at=later, updated_at=later) for x in OLD.associations),
        objects=tuple(replace(x, created_at=later, updated_at=later) for x in OLD.objects),
    )
    assert load(repository, mode, again) == (LoadOutcome.UNCHANGED, OLD)


def test_a_name_given_twice_is_refused() -> None:
    repository = MemoryMetadefs()
    for wrong in (
        replace(OLD, tags=(make_tag("a"), make_tag("A"))),
        replace(OLD, objects=(make_object("o"), make_object("o"))),
    ):
        with pytest.raises(errors.MetadefExists):
            MetadefCatalog(repository).load(wrong, Mode.OVERWRITE)
    assert repository.namespaces == {}


def test_unload_takes_protected_ones_too(repository: MemoryMetadefs) -> None:
    catalog = MetadefCatalog(repository)
    assert (catalog.unload("n"), catalog.unload("n")) == (True, False)
