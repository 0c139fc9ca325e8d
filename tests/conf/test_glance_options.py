"""Each option that Glance 33 has is known, and what is said to be the same or renamed is there."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from pathlib import Path

from oslo_config import cfg

from glancecore.conf import glance_options, library_options
from glancecore.conf.glance_options import OPTIONS, STORE, OptionFate, fate
from glancecore.conf.store import PER_STORE

#: Section and name of what the generators of Glance 33, glance_store and the oslo libraries that it uses write.
FACTS = [tuple(x.split()) for x in Path(__file__).with_name("glance33_options.txt").read_text().splitlines()]
OF_OSLO = (
    "log",
    "use_",
    "rate_",
    "syslog",
    "debug",
    "max_log",
    "publish_errors",
    "watch_log",
    "default_log",
    "fatal_",
    "instance_",
    "transport_url",
    "control_exchange",
    "executor_",
    "rpc_",
)


def test_every_option_of_glance_is_known() -> None:
    assert len(FACTS) > 200
    assert [
        f"[{section}] {name}" for section, name in FACTS if fate(section, name, store=section == STORE) is None
    ] == []


def _declared(prefix: str = "glancecore") -> list[tuple[str, cfg.Opt]]:
    """Section and option of what plugins and the core declare."""
    return [
        (group, option)
        for entry in entry_points(group="oslo.config.opts")
        if entry.value.startswith("glancecore") and entry.name.startswith(prefix)
        for group, options in entry.load()()
        for option in options
    ]


def test_what_is_the_same_is_there() -> None:
    ours = {(group, option.dest) for group, option in _declared()}
    of_stores = {option.dest for _, option in _declared("glancecore.store.")} | {x.dest for x in PER_STORE}
    absent = [
        f"[{section}] {name}"
        for (section, name), became in OPTIONS.items()
        if became.outcome is OptionFate.SAME
        and section not in library_options.SECTIONS
        and (section, name) not in ours
        and not (section == STORE and name in of_stores)
        and not name.startswith(OF_OSLO)
    ]
    assert absent == []


#: Not by oslo.config, which knows former names only: their values mean something else here. What they do is tested in
#: test_from_glance, test_flavor and test_driver.
TRANSLATED = {
    ("DEFAULT", "use_keystone_limits"),
    ("DEFAULT", "node_staging_uri"),
    ("paste_deploy", "flavor"),
    ("glance_store", "stores"),
    ("glance_store", "default_store"),
}


def test_what_is_renamed_is_there_and_reads_the_former_name() -> None:
    ours = {(group, option.dest): option for group, option in _declared()}
    for (section, name), became in OPTIONS.items():
        if became.outcome is not OptionFate.RENAMED:
            continue
        named = re.match(r"\[(\S+)\] (\w+)", became.words)
        assert named, became.words
        group, present = named.groups()
        if group == "os_glance_staging_store":
            group = "file"
        assert (group, present) in ours, became.words
        former = {(x.group or group, x.name or present) for x in ours[group, present].deprecated_opts}
        assert (section, name) in former or (section, name) in TRANSLATED, f"[{section}] {name}"
        assert (section, name) not in TRANSLATED or (section, name) in ours, f"[{section}] {name} is read by nobody"


def test_the_documentation_has_them_all() -> None:
    text = "\n".join(glance_options.table())
    assert [name for _, name in OPTIONS if f"{name}`" not in text] == []
