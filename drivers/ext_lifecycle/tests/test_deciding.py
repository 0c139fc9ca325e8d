"""What is kept is kept, whatever a policy says: the decision alone, on policies and images by chance."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from glancecore_ext_lifecycle.deciding import decide, enough
from glancecore_ext_lifecycle.policy import Action, Fact, moment, selected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

NOW = datetime(2026, 6, 1, tzinfo=UTC)
ALL = {"name_prefix": "i"}


def fact(number: int, age: int, **more: Any) -> Fact:
    return Fact(f"{number:04}", 1, NOW - timedelta(days=age), "name i", "i", **more)


def policy(*steps: dict[str, Any], selector: dict[str, Any] | None = None, **keep: Any) -> dict[str, Any]:
    return {"selector": ALL if selector is None else selector, "keep": keep, "steps": list(steps)}


def done(wanted: dict[str, Any], *facts: Fact) -> dict[str, str]:
    return {x.image_id: x.action.value for x in decide(wanted, facts, NOW)}


# -- examples --------------------------------------------------------------------------------------
DELETE = {"action": "delete", "age_days": 30}
FIVE = [fact(n, 100 - n) for n in range(5)]  # 0004 is the newest


def test_by_age() -> None:
    assert done(policy(DELETE), fact(1, 29), fact(2, 30), fact(3, 31)) == {"0002": "delete", "0003": "delete"}


def test_by_count() -> None:
    assert done(policy({"action": "delete", "beyond": 3}), *FIVE) == {"0000": "delete", "0001": "delete"}


def test_what_can_not_be_used_is_not_counted() -> None:
    """The newest is deactivated: three that can be used are kept beside it."""
    facts = [*FIVE[:4], replace(FIVE[4], active=False)]
    assert done(policy({"action": "delete", "beyond": 3}), *facts) == {"0000": "delete"}
    assert done(policy(DELETE, newest=3), *facts) == {"0000": "delete"}


def test_each_name_is_counted_by_itself() -> None:
    other = replace(FIVE[0], image_id="other", group="name other")
    assert "other" not in done(policy({"action": "delete", "beyond": 1}), *FIVE, other)


def test_the_steps_are_taken_one_after_the_other() -> None:
    steps = [
        {"action": "deprecate", "age_days": 1},
        {"action": "hide", "age_days": 1},
        {"action": "deactivate", "age_days": 1},
        {"action": "delete", "age_days": 1},
    ]
    first = fact(1, 99, family="f", label="1")
    taken = [
        first,
        second := replace(first, current=False),
        third := replace(second, hidden=True),
        replace(third, active=False),
    ]
    assert [done(policy(*steps), x)["0001"] for x in taken] == ["deprecate", "hide", "deactivate", "delete"]
    assert done(policy(*steps), fact(1, 99)) == {"0001": "hide"}, "what is in no family can't be deprecated"
    assert done(policy({"action": "hide", "age_days": 200}, DELETE), fact(1, 99)) == {}, "an earlier step is waited for"


def test_by_dates() -> None:
    old = fact(1, 1, dates={"provided_until": NOW - timedelta(days=10)})
    step = {"action": "delete", "past": "provided_until"}
    assert done(policy(step), old) == {"0001": "delete"}
    assert done(policy({**step, "days": 10}), old) == {"0001": "delete"}
    assert done(policy({**step, "days": 11}), old) == done(policy(step), fact(1, 1)) == {}


def test_by_use() -> None:
    idle = {x: fact(x, 99, idle_since=NOW - timedelta(days=x)) for x in (9, 10, 11)}
    facts = [*idle.values(), fact(1, 99)]
    assert done(policy({"action": "delete", "unused_days": 10}), *facts) == {"0010": "delete", "0011": "delete"}, (
        "of the last nothing is known"
    )
    assert done(policy(DELETE, used_within_days=10), *facts) == {"0010": "delete", "0011": "delete"}
    assert done(policy({"action": "delete", "unused_days": 10, "age_days": 100}), *facts) == {}
    why = decide(policy({"action": "delete", "unused_days": 10}), [idle[11]], NOW)[0].why
    assert why == "not used for 10 days"


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("forever", True),
        ("last-2", True),
        ("last-1", False),
        ("none", False),
        ("notice", False),
        ("2026-06-02", True),
        ("2026-06-01", True),
        ("20260601", True),
        ("2026-05-31", False),
        ("last-x", False),
        ("", False),
    ],
)
def test_uuid_validity(said: str, kept: bool) -> None:
    """As SCS-0102 has it: the id stays good, but the image may leave the lists."""
    older, newer = fact(1, 99, properties={"uuid_validity": said}), fact(2, 1)
    assert (done(policy(DELETE), older, newer) == {}) is kept
    assert done(policy({"action": "hide", "age_days": 1}), older) == {"0001": "hide"}


def test_a_day_is_over_when_the_next_one_begins() -> None:
    day = fact(1, 9, properties={"uuid_validity": "2026-06-01"}, dates={"provided_until": moment("2026-06-01")})
    step = {"action": "delete", "past": "provided_until"}
    for at, done in (
        (NOW, []),
        (NOW + timedelta(hours=23, minutes=59, seconds=59), []),
        (NOW + timedelta(days=1), ["0001"]),
    ):
        assert [x.image_id for x in decide(policy(step), [day], at)] == done
    assert [x.why for x in decide(policy(step), [day], NOW + timedelta(days=1))] == ["provided_until was 2026-06-01"]
    assert moment("9999-12-31") is not None
    assert moment("2026-06-01T00:00:00Z") == NOW


@pytest.mark.parametrize(
    "keep",
    [{"newest": 5}, {"younger_than_days": 1000}, {"tags": ["gold", "x"]}, {"properties": {"p": "q", "no": "no"}}],
)
def test_keep_beats_every_step(keep: dict[str, Any]) -> None:
    facts = [replace(x, tags=frozenset({"gold"}), properties={"p": "q"}) for x in FIVE]
    assert done(policy(DELETE), *facts).keys() == {x.image_id for x in FIVE}
    assert done(policy(DELETE, **keep), *facts) == {}


@pytest.mark.parametrize(
    "selector", [{}, {"tags": []}, {"properties": {}}, {"name_prefix": ""}, {"names": [], "families": []}]
)
def test_a_selector_that_says_nothing_selects_nothing(selector: dict[str, Any]) -> None:
    assert done(policy(DELETE, selector=selector), *FIVE) == {}


@pytest.mark.parametrize(
    "text", ["", None, "x", "2026-13-01", "0001-01-01T00:00:00+23:00", "9999-12-31T23:59:59-23:00"]
)
def test_no_date(text: str | None) -> None:
    assert moment(text) is None


#: What is slow is the machine.
CHANCE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=300)


# -- by chance -------------------------------------------------------------------------------------
DAYS, COUNT = st.integers(1, 40), st.integers(1, 6)
TAGS = st.lists(st.sampled_from("abc"), max_size=2)
PROPERTIES = st.dictionaries(
    st.sampled_from(["p", "q", "uuid_validity"]),
    st.sampled_from(["1", "forever", "last-2", "2026-06-10", "2026-01-01"]),
    max_size=2,
)
#: Half of them select nearly everything.
SELECTORS = st.just({"name_prefix": "x"}) | st.fixed_dictionaries(
    {},
    optional={
        "families": st.lists(st.sampled_from(["f", "g"]), max_size=2),
        "names": st.lists(st.sampled_from("xy"), max_size=2),
        "name_prefix": st.sampled_from(["", "x"]),
        "tags": TAGS,
        "properties": PROPERTIES,
    },
)
KEEPS = st.fixed_dictionaries(
    {}, optional={"newest": COUNT, "younger_than_days": DAYS, "tags": TAGS, "properties": PROPERTIES}
)
STEPS = st.lists(
    st.one_of(
        *(
            st.fixed_dictionaries({"action": st.sampled_from(list(Action)), **x})
            for x in (
                {"age_days": DAYS},
                {"beyond": COUNT},
                {"past": st.just("ends_at")},
                {"age_days": DAYS, "beyond": COUNT},
            )
        )
    ),
    min_size=1,
    max_size=4,
)
POLICIES = st.fixed_dictionaries(
    {
        "selector": SELECTORS,
        "keep": st.fixed_dictionaries({"newest": COUNT}) | KEEPS,
        "steps": st.just([{"action": Action.DELETE, "age_days": 1}]) | STEPS,
    }
)


@st.composite
def images(draw: st.DrawFn) -> list[Fact]:
    found = []
    for number in range(draw(st.integers(0, 10))):
        family = draw(st.sampled_from([None, None, "f", "g"]))
        name = draw(st.sampled_from("xxxy"))
        found.append(
            Fact(
                f"{number:04}",
                1,
                NOW - timedelta(days=draw(st.integers(0, 40))),
                f"family {family}" if family else f"name {name}",
                name,
                frozenset(draw(TAGS)),
                draw(PROPERTIES),
                draw(st.booleans()),
                draw(st.booleans()),
                family,
                "l" if family else None,
                number if family else 0,
                0,
                draw(st.booleans()),
                draw(st.sampled_from([None, None, None, "protected"])),
                {"ends_at": NOW - timedelta(days=draw(st.integers(-5, 5)))},
            )
        )
    return found


@CHANCE
@given(POLICIES, images())
def test_what_must_be_kept_is_kept(wanted: dict[str, Any], facts: list[Fact]) -> None:
    by_id = {x.image_id: x for x in facts}
    entries = decide(wanted, facts, NOW)
    touched = {x.image_id for x in entries}
    assert len(touched) == len(entries), "one step for an image"
    keep = wanted["keep"]
    groups: dict[str, list[Fact]] = defaultdict(list)
    for each in facts:
        if selected(wanted["selector"], each):
            groups[each.group].append(each)
    for members in groups.values():
        usable = sorted((x for x in members if x.usable), key=lambda x: x.order, reverse=True)
        assert not touched & {x.image_id for x in usable[: keep.get("newest", 0)]}
    for entry in entries:
        image = by_id[entry.image_id]
        assert any(wanted["selector"].values())
        assert image.held is None
        assert not image.tags & set(keep.get("tags", ()))
        assert not any(image.properties.get(x) == y for x, y in keep.get("properties", {}).items())
        assert (NOW - image.created_at).days >= keep.get("younger_than_days", 0)
        assert entry.version == image.version
        assert any(x["action"] == entry.action for x in wanted["steps"])
        if entry.action in ("delete", "deactivate"):
            assert image.properties.get("uuid_validity") not in ("forever", "2026-06-10")


@CHANCE
@given(POLICIES, images())
def test_enough_is_enough(wanted: dict[str, Any], facts: list[Fact]) -> None:
    """The decision on an image is the same when no more than those are known."""
    all_of_them = {(x.image_id, x.action) for x in decide(wanted, facts, NOW)}
    for each in facts:
        newer = sorted(
            (
                x
                for x in facts
                if x.group == each.group and x.order > each.order and x.usable and selected(wanted["selector"], x)
            ),
            key=lambda x: x.order,
        )
        found = {(x.image_id, x.action) for x in decide(wanted, [each, *newer[::-1][: enough(wanted, each)]], NOW)}
        assert {x for x in found if x[0] == each.image_id} == {x for x in all_of_them if x[0] == each.image_id}


@CHANCE
@given(POLICIES, images(), KEEPS)
def test_keeping_more_never_does_more(wanted: dict[str, Any], facts: list[Fact], more: dict[str, Any]) -> None:
    keep = wanted["keep"]
    both = {
        "newest": max(keep.get("newest", 0), more.get("newest", 0)),
        "younger_than_days": max(keep.get("younger_than_days", 0), more.get("younger_than_days", 0)),
        "tags": [*keep.get("tags", ()), *more.get("tags", ())],
        "properties": keep.get("properties", {}),
    }
    assert set(decide({**wanted, "keep": both}, facts, NOW)) <= set(decide(wanted, facts, NOW))


@CHANCE
@given(POLICIES, images(), st.randoms())
def test_the_order_of_the_images_does_not_matter(wanted: dict[str, Any], facts: list[Fact], chance: Any) -> None:
    mixed = list(facts)
    chance.shuffle(mixed)
    assert decide(wanted, mixed, NOW) == decide(wanted, facts, NOW)
