"""A pytest plugin: what a run of a kit has tested, what it has not, and what the plugin's author has switched off.

``pytest -p glancecore.testing.certificate --certificate FILE.json`` writes JSON there and text beside it
(``FILE.txt``), and prints the text. The file shipped as ``certificate.json`` in the plugin's package is shown by
``glance-plugins``."""

from __future__ import annotations

import importlib.metadata
import inspect
import json
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from glancecore.ports.plugin import PLUGIN_API, Plugin

#: Of the file; a number more when a key changes its meaning.
FORMAT = 1
#: What a store's tests give beside fixtures.
_GIVEN = {"reach", "unreached"}
_SUFFIX = "Conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--certificate",
        metavar="FILE",
        help="write what the kit tested, and what not, as JSON to FILE and as text beside it",
    )


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("--certificate"):
        if config.getoption("numprocesses", None):
            raise pytest.UsageError("--certificate sees one process only: run without -n")
        if Path(file).suffix == ".txt":
            raise pytest.UsageError(
                "--certificate: FILE gets JSON, and the text goes to the same name with .txt; give another suffix"
            )
        config.pluginmanager.register(Certifier(Path(file)))


class Certifier:
    """Watches one run. Every set-up (a subclass of a kit) is told by itself."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.classes: dict[str, type] = {}
        #: Set-up -> the plugin, when a fixture gives one, and the back door.
        self.seen: dict[str, tuple[Plugin | None, object]] = {}
        #: Set-up -> rule -> case -> what became of it.
        self.results: dict[str, dict[str, dict[str, str]]] = {}
        self.cases: dict[str, tuple[str, str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Before others deselect."""
        for item in items:
            cls, name = getattr(item, "cls", None), getattr(item, "originalname", "")
            if isinstance(cls, type) and (kit := _kit(cls)) is not None:
                setup = (
                    item.nodeid.rpartition("::")[0]
                    if "[" not in item.nodeid
                    else item.nodeid.partition("[")[0].rpartition("::")[0]
                )
                self.classes[setup] = cls
                if name in _rules(kit):
                    self.cases[item.nodeid] = setup, name
                    self.results.setdefault(setup, {}).setdefault(name, {})[item.nodeid] = "not run"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        given: Mapping[str, Any] = getattr(item, "funcargs", {})
        if item.nodeid in self.cases:
            setup = self.cases[item.nodeid][0]
            plugin = next((x for name, x in given.items() if isinstance(x, Plugin) and name != "neighbour"), None)
            if plugin is not None or setup not in self.seen:
                self.seen[setup] = plugin, given.get("backdoor")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid not in self.cases:
            return
        setup, rule = self.cases[report.nodeid]
        became = self.results[setup][rule]
        if report.failed or (
            report.outcome == "passed" and report.when == "call" and became[report.nodeid] != "failed"
        ):
            became[report.nodeid] = report.outcome
        elif report.skipped:
            became[report.nodeid] = "skipped"

    def pytest_sessionfinish(self) -> None:
        if self.seen:
            told = self.certificate()
            self.file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            self.file.with_suffix(".txt").write_text(in_words(told), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("certificate of the kit")
        terminalreporter.write(
            in_words(self.certificate()) if self.seen else "No rule of a kit was run: no certificate.\n"
        )

    def certificate(self) -> dict[str, Any]:
        setups = [self.setup(setup) for setup in self.classes if setup in self.seen]
        tested = {
            (each["kit"], rule) for each in setups for rule, result in each["rules"].items() if result == "passed"
        }
        kits = {_name(kit): kit for setup in self.seen if (kit := _kit(self.classes[setup])) is not None}
        left = [(name, rule) for name, kit in kits.items() for rule in _rules(kit) if (name, rule) not in tested]
        return {
            "certificate": f"{', '.join(kits)} kit{'s' if len(kits) > 1 else ''}",
            "format": FORMAT,
            "glancecore": importlib.metadata.version("glancecore"),
            "plugin_api": ".".join(map(str, PLUGIN_API)),
            "python": platform.python_version(),
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "passed": all(x["passed"] for x in setups) and len(setups) == len(self.classes),
            "not_tested_anywhere": [rule if len(kits) == 1 else f"{name}: {rule}" for name, rule in left],
            "setups": setups,
        }

    def setup(self, setup: str) -> dict[str, Any]:
        cls, (plugin, backdoor) = self.classes[setup], self.seen[setup]
        kit = _kit(cls)
        assert kit is not None
        results, known, unreached = self.results[setup], _rules(kit), getattr(cls, "unreached", {})
        rules = {rule: _worst(results[rule].values()) for rule in known if rule in results}
        off = {rule: _reason(cls, kit, rule) for rule in known if rule not in rules and rule not in unreached}
        changed = dict(_changed(cls, kit))
        about: dict[str, Any] = {
            "setup": setup.rpartition("::")[2],
            "kit": _name(kit),
            "driver": "",
            "distribution": "",
            "passed": bool(rules) and set(rules.values()) == {"passed"},
        }
        if plugin is not None:
            about |= {
                "driver": f"{type(plugin).__module__}:{type(plugin).__qualname__}",
                "distribution": _distribution(type(plugin)),
            }
        if isinstance(caps := getattr(plugin, "caps", None), (frozenset, set)):
            about["caps"] = sorted(cap.value for cap in caps)
        if hasattr(kit, "backdoor"):
            about["back_door"] = type(backdoor).__name__ if backdoor is not None else None
        return {
            **about,
            "rules": rules,
            "of": len(known),
            "cases": sum(map(len, results.values())),
            "missing_reach": {rule: unreached[rule].value for rule in known if rule in unreached},
            "switched_off": off,
            "replaced": [name for name in changed if not _is_bound(kit, name)],
            "bounds": {
                name: {"here": value, "kit": getattr(kit, name)}
                for name, value in changed.items()
                if _is_bound(kit, name)
            },
        }


def _kit(cls: type) -> type | None:
    """What the author's class derives from; None: it is no kit's."""
    found = next((x for x in cls.__mro__ if x.__module__.startswith("glancecore.testing.")), None)
    return found if found is not None and found is not cls and found.__name__.endswith(_SUFFIX) else None


def _name(kit: type) -> str:
    """In words: ``import step``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", kit.__name__.removesuffix(_SUFFIX)).lower()


def _rules(kit: type) -> list[str]:
    return sorted(name for name in dir(kit) if name.startswith("test_"))


def _worst(results: Any) -> str:
    return next(x for x in ("failed", "not run", "skipped", "passed") if x in set(results))


def _is_bound(kit: type, name: str) -> bool:
    return isinstance(getattr(kit, name), (int, float))


def _authors(cls: type, kit: type) -> list[type]:
    """The classes that are not the kit's, the nearest first."""
    return [each for each in cls.__mro__ if each not in kit.__mro__]


def _changed(cls: type, kit: type) -> Iterator[tuple[str, Any]]:
    """Parts of the kit that the author has put something else for: bounds, rules, helpers; not what the kit has none
    of, as it is his to give."""
    names = {name: None for each in reversed(_authors(cls, kit)) for name in vars(each)}
    for name in names:
        value, own = getattr(cls, name), getattr(kit, name, None)
        if name.startswith("__") or name in _GIVEN or not own or value is None or _is_fixture(own):
            continue
        if value is not own and value != own:
            yield name, value


def _is_fixture(found: object) -> bool:
    return hasattr(found, "_get_wrapped_function") or hasattr(found, "_pytestfixturefunction")


def _reason(cls: type, kit: type, rule: str) -> str:
    """The comment behind ``test_x = None``."""
    for each in _authors(cls, kit):
        if rule in vars(each):
            with suppress(OSError, TypeError):  # a class without a source file
                if found := re.search(
                    rf"^\s*{rule}\b[^=\n]*=\s*None[ \t]*#[ \t]*(.*)$", inspect.getsource(each), re.MULTILINE
                ):
                    return found[1]
            break
    return ""


def _distribution(driver: type) -> str:
    """Name and version of what brings the plugin; empty when it is not installed."""
    package = driver.__module__.partition(".")[0]
    for dist in importlib.metadata.distributions():
        if any(
            x.group.startswith("glancecore.") and x.value.partition(":")[0].partition(".")[0] == package
            for x in dist.entry_points
        ):
            return f"{dist.name} {dist.version}"
    return ""


def _readable(rule: str) -> str:
    return rule.removeprefix("test_").replace("_", " ")


def in_words(told: Mapping[str, Any]) -> str:
    """The certificate as text."""
    lines = [
        (
            f"{told['certificate'].capitalize()} of glancecore {told['glancecore']}, plugin API {told['plugin_api']},"
            f" Python {told['python']}, {told['date']}"
        ),
        f"Result: {'passed' if told['passed'] else 'NOT PASSED'}",
        *_list("Tested in no set-up", map(_readable, told["not_tested_anywhere"])),
    ]
    for each in told["setups"]:
        good = [rule for rule, result in each["rules"].items() if result == "passed"]
        who = (
            f"{each['driver']} ({each['distribution'] or 'not installed'})"
            if each["driver"]
            else f"the {each['kit']} kit"
        )
        lines += ["", f"{each['setup']}: {who}"]
        if "caps" in each:
            lines.append(f"  can: {', '.join(each['caps']) or 'only read'}")
        lines.append(
            f"  {'passed' if each['passed'] else 'NOT PASSED'}: {len(good)} of {each['of']} rules, in {each['cases']}"
            " cases"
        )
        if "back_door" in each:
            door = each["back_door"]
            lines.append(f"  looked behind it with {door}" if door else "  NO BACK DOOR: it was believed what it says")
        for result in ("failed", "skipped", "not run"):
            lines += _list(f"  {result}", [_readable(rule) for rule, x in each["rules"].items() if x == result])
        lines += _list(
            "  not tested, the harness can't reach it",
            [f"{_readable(rule)} (needs {reach})" for rule, reach in each["missing_reach"].items()],
        )
        lines += _list(
            "  switched off by the author",
            [f"{_readable(rule)}: {why or 'NO REASON GIVEN'}" for rule, why in each["switched_off"].items()],
        )
        lines += _list("  replaced by the author", each["replaced"])
        lines += _list(
            "  bounds of the author's",
            [f"{name} = {x['here']} (the kit's: {x['kit']})" for name, x in each["bounds"].items()],
        )
    return "\n".join(lines) + "\n"


def _list(head: str, entries: Any) -> list[str]:
    entries = list(entries)
    return [f"{head}:", *(f"    - {x}" for x in entries)] if entries else []
