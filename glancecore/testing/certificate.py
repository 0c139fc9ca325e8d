"""A pytest plugin: what a run of the store kit has tested, what it has not, and what the driver's author has switched off.

``pytest -p glancecore.testing.certificate --certificate FILE.json`` writes JSON there and text beside it (``FILE.txt``), and prints the text.
The file shipped as ``certificate.json`` in the driver's package is shown by ``glance-plugins``.
"""

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

from glancecore.ports.plugin import PLUGIN_API
from glancecore.ports.store import Store
from glancecore.testing.store import StoreConformance

#: Of the file; a number more when a key changes its meaning.
FORMAT = 1
#: What every driver's tests have to give.
_GIVEN = {"store", "neighbour", "backdoor", "adoptable", "reach", "unreached"}
_RULES = sorted(name for name in dir(StoreConformance) if name.startswith("test_"))


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--certificate", metavar="FILE", help="write what the store kit tested, and what not, as JSON to FILE and as text beside it")


def pytest_configure(config: pytest.Config) -> None:
    if file := config.getoption("--certificate"):
        if config.getoption("numprocesses", None):
            raise pytest.UsageError("--certificate sees one process only: run without -n")
        if Path(file).suffix == ".txt":
            raise pytest.UsageError("--certificate: FILE gets JSON, and the text goes to the same name with .txt; give another suffix")
        config.pluginmanager.register(Certifier(Path(file)))


class Certifier:
    """Watches one run. Every set-up (a subclass of ``StoreConformance``) is told by itself."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.classes: dict[str, type[StoreConformance]] = {}
        self.seen: dict[str, tuple[Store, object]] = {}
        #: Set-up -> rule -> case -> what became of it.
        self.results: dict[str, dict[str, dict[str, str]]] = {}
        self.cases: dict[str, tuple[str, str]] = {}

    @pytest.hookimpl(tryfirst=True)
    def pytest_collection_modifyitems(self, items: Sequence[pytest.Item]) -> None:
        """Before others deselect."""
        for item in items:
            cls, name = getattr(item, "cls", None), getattr(item, "originalname", "")
            if isinstance(cls, type) and issubclass(cls, StoreConformance):
                setup = item.nodeid.rpartition("::")[0] if "[" not in item.nodeid else item.nodeid.partition("[")[0].rpartition("::")[0]
                self.classes[setup] = cls
                if name in _RULES:
                    self.cases[item.nodeid] = setup, name
                    self.results.setdefault(setup, {}).setdefault(name, {})[item.nodeid] = "not run"

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_teardown(self, item: pytest.Item) -> None:
        given: Mapping[str, Any] = getattr(item, "funcargs", {})
        if item.nodeid in self.cases and isinstance(given.get("store"), Store):
            self.seen[self.cases[item.nodeid][0]] = given["store"], given.get("backdoor")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.nodeid not in self.cases:
            return
        setup, rule = self.cases[report.nodeid]
        became = self.results[setup][rule]
        if report.failed or (report.outcome == "passed" and report.when == "call" and became[report.nodeid] != "failed"):
            became[report.nodeid] = report.outcome
        elif report.skipped:
            became[report.nodeid] = "skipped"

    def pytest_sessionfinish(self) -> None:
        if self.seen:
            told = self.certificate()
            self.file.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
            self.file.with_suffix(".txt").write_text(in_words(told), encoding="utf-8")

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("certificate of the store kit")
        terminalreporter.write(in_words(self.certificate()) if self.seen else "No rule of the store kit was run: no certificate.\n")

    def certificate(self) -> dict[str, Any]:
        setups = [self.setup(setup) for setup in self.classes if setup in self.seen]
        tested = {rule for each in setups for rule, result in each["rules"].items() if result == "passed"}
        return {"certificate": "store kit", "format": FORMAT, "glancecore": importlib.metadata.version("glancecore"),
                "plugin_api": ".".join(map(str, PLUGIN_API)), "python": platform.python_version(), "date": datetime.now(UTC).isoformat(timespec="seconds"),
                "passed": all(x["passed"] for x in setups) and len(setups) == len(self.classes),
                "not_tested_anywhere": [rule for rule in _RULES if rule not in tested], "setups": setups}

    def setup(self, setup: str) -> dict[str, Any]:
        cls, (store, backdoor) = self.classes[setup], self.seen[setup]
        results = self.results[setup]
        rules = {rule: _worst(results[rule].values()) for rule in _RULES if rule in results}
        driver = type(store)
        off = {rule: _reason(cls, rule) for rule in _RULES if rule not in rules and rule not in cls.unreached}
        changed = dict(_changed(cls))
        return {
            "setup": setup.rpartition("::")[2], "driver": f"{driver.__module__}:{driver.__qualname__}", "distribution": _distribution(driver),
            "passed": bool(rules) and set(rules.values()) == {"passed"}, "caps": sorted(cap.value for cap in store.caps),
            "back_door": type(backdoor).__name__ if backdoor is not None else None, "rules": rules,
            "cases": sum(map(len, results.values())),
            "missing_reach": {rule: cls.unreached[rule].value for rule in _RULES if rule in cls.unreached},
            "switched_off": off,
            "replaced": [name for name in changed if not _is_bound(name)],
            "bounds": {name: {"here": value, "kit": getattr(StoreConformance, name)} for name, value in changed.items() if _is_bound(name)}}


def _worst(results: Any) -> str:
    return next(x for x in ("failed", "not run", "skipped", "passed") if x in set(results))


def _is_bound(name: str) -> bool:
    return isinstance(getattr(StoreConformance, name), (int, float))


def _authors(cls: type[StoreConformance]) -> list[type]:
    """The classes that are not the kit's, the nearest first."""
    return [each for each in cls.__mro__ if each not in StoreConformance.__mro__]


def _changed(cls: type[StoreConformance]) -> Iterator[tuple[str, Any]]:
    """Parts of the kit that the author has put something else for: bounds, rules, helpers."""
    names = {name: None for each in reversed(_authors(cls)) for name in vars(each)}
    for name in names:
        value = getattr(cls, name)
        if name.startswith("__") or name in _GIVEN or not hasattr(StoreConformance, name) or value is None:
            continue
        if value is not getattr(StoreConformance, name) and value != getattr(StoreConformance, name):
            yield name, value


def _reason(cls: type[StoreConformance], rule: str) -> str:
    """The comment behind ``test_x = None``."""
    for each in _authors(cls):
        if rule in vars(each):
            with suppress(OSError, TypeError):  # a class without a source file
                if found := re.search(rf"^\s*{rule}\b[^=\n]*=\s*None[ \t]*#[ \t]*(.*)$", inspect.getsource(each), re.MULTILINE):
                    return found[1]
            break
    return ""


def _distribution(driver: type[Store]) -> str:
    """Name and version of what brings the driver; empty when it is not installed."""
    package = driver.__module__.partition(".")[0]
    for entry in importlib.metadata.entry_points(group="glancecore.stores"):
        if entry.dist is not None and entry.value.partition(":")[0].partition(".")[0] == package:
            return f"{entry.dist.name} {entry.dist.version}"
    return ""


def _readable(rule: str) -> str:
    return rule.removeprefix("test_").replace("_", " ")


def in_words(told: Mapping[str, Any]) -> str:
    """The certificate as text."""
    lines = [f"Store kit of glancecore {told['glancecore']}, plugin API {told['plugin_api']}, Python {told['python']}, {told['date']}",
             f"Result: {'passed' if told['passed'] else 'NOT PASSED'}", *_list("Tested in no set-up", map(_readable, told["not_tested_anywhere"]))]
    for each in told["setups"]:
        good = [rule for rule, result in each["rules"].items() if result == "passed"]
        lines += ["", f"{each['setup']}: {each['driver']} ({each['distribution'] or 'not installed'})", f"  can: {', '.join(each['caps']) or 'only read'}",
                  f"  {'passed' if each['passed'] else 'NOT PASSED'}: {len(good)} of {len(_RULES)} rules, in {each['cases']} cases",
                  f"  {'looked behind the store with ' + each['back_door'] if each['back_door'] else 'NO BACK DOOR: the store was believed what it says'}"]
        for result in ("failed", "skipped", "not run"):
            lines += _list(f"  {result}", [_readable(rule) for rule, x in each["rules"].items() if x == result])
        lines += _list("  not tested, the harness can't reach it", [f"{_readable(rule)} (needs {reach})" for rule, reach in each["missing_reach"].items()])
        lines += _list("  switched off by the author", [f"{_readable(rule)}: {why or 'NO REASON GIVEN'}" for rule, why in each["switched_off"].items()])
        lines += _list("  replaced by the author", each["replaced"])
        lines += _list("  bounds of the author's", [f"{name} = {x['here']} (the kit's: {x['kit']})" for name, x in each["bounds"].items()])
    return "\n".join(lines) + "\n"


def _list(head: str, entries: Any) -> list[str]:
    entries = list(entries)
    return [f"{head}:", *(f"    - {x}" for x in entries)] if entries else []
