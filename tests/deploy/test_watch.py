"""Alerts fire when they must and are silent otherwise; every expression, of alerts and of the dashboard, is about
metrics and labels that the service has."""

from __future__ import annotations

import json
import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import lab
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from glancecore.kernel import metrics

RULES = lab.REPO / "deploy/prometheus/glancecore.rules.yaml"
TESTS = lab.REPO / "deploy/prometheus/glancecore.rules.test.yaml"
DASHBOARD = json.loads((lab.REPO / "deploy/grafana/glancecore.json").read_text())
ALERTS = {x["alert"]: x for group in yaml.safe_load(RULES.read_text())["groups"] for x in group["rules"]}
PANELS = [x for x in DASHBOARD["panels"] if x["type"] != "row"]
#: What Prometheus adds itself; a metric's own ``job`` becomes ``exported_job``.
FROM_PROMETHEUS = {"job", "instance", "le"}


@pytest.fixture(scope="module", autouse=True)
def tools() -> None:
    lab.need("prometheus")


def promtool(*words: str | Path, text: str | None = None) -> tuple[int, str]:
    done = subprocess.run(
        ["promtool", *map(str, words)], capture_output=True, text=True, check=False, input=text, cwd=RULES.parent
    )
    return done.returncode, done.stdout + done.stderr


def known() -> dict[str, set[str]]:
    """Every series of the service's registry, and its labels."""
    found = {}
    for each in vars(metrics).values():
        if isinstance(each, MetricWrapperBase):
            labels = {"exported_job" if x == "job" else x for x in each._labelnames}
            for family in each.describe():
                suffixes = {"counter": ("_total",), "histogram": ("_bucket", "_sum", "_count"), "gauge": ("",)}[
                    family.type
                ]
                found |= {family.name + suffix: labels for suffix in suffixes}
    return found


def expressions() -> Iterator[tuple[str, str]]:
    yield from ((name, x["expr"]) for name, x in ALERTS.items())
    for panel in PANELS:
        yield from ((f"{panel['title']} {x['refId']}", x["expr"]) for x in panel["targets"])


def plain(expression: str) -> str:
    """Without Grafana's variables."""
    return expression.replace("$__rate_interval", "5m").replace("$job", "glance.*")


def test_rules_are_right(tmp_path: Path) -> None:
    code, said = promtool("check", "rules", "--lint=all", "--lint-fatal", RULES)
    assert code == 0, said
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(RULES.read_text().replace("sum by (job) (up", "sum by (job (up"))
    assert promtool("check", "rules", wrong)[0] != 0


def test_alerts_fire_and_are_silent(tmp_path: Path) -> None:
    code, said = promtool("test", "rules", TESTS)
    assert code == 0, said
    (tmp_path / RULES.name).write_text(RULES.read_text().replace("> 0.05", "> 0.5"))
    (tmp_path / TESTS.name).write_text(TESTS.read_text())
    code, said = promtool("test", "rules", tmp_path / TESTS.name)
    assert code != 0
    assert "GlanceErrors fires" in said


def test_every_alert_is_tested_both_ways() -> None:
    fires, silent = set(), set()
    for test in yaml.safe_load(TESTS.read_text())["tests"]:
        for each in test["alert_rule_test"]:
            (fires if each["exp_alerts"] else silent).add(each["alertname"])
    assert fires == silent == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_says_what_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert set(alert["annotations"]) == {"summary", "action"}
    assert all(x.endswith(".") for x in alert["annotations"].values())
    assert f"| `{name}` |" in (lab.REPO / "docs/operating.md").read_text()


@pytest.mark.parametrize(("name", "expression"), list(expressions()))
def test_expressions_are_about_what_there_is(name: str, expression: str) -> None:
    series, named = known(), re.findall(r"\b(glance_\w+)\b(?:\{([^}]*)\})?", plain(expression))
    assert named or "up{" in expression
    assert [x for x, _ in named if x not in series] == []
    for metric, matchers in named:
        assert set(re.findall(r"(\w+)\s*[=!]", matchers)) <= series[metric] | FROM_PROMETHEUS, f"{metric}{{{matchers}}}"
    labels = FROM_PROMETHEUS.union(*(series[x] for x, _ in named))
    by = {y.strip() for x in re.findall(r"\b(?:by|ignoring|on) \(([^)]*)\)", expression) for y in x.split(",")}
    assert by <= labels, name


def test_the_dashboard_parses(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": plain(expression)} for number, (_, expression) in enumerate(expressions())
    ]
    file = tmp_path / "panels.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    code, said = promtool("check", "rules", file)
    assert code == 0, said
    assert len(PANELS) > 15


def test_panels_do_not_overlap_and_say_what_they_show() -> None:
    taken: set[tuple[int, int]] = set()
    for each in DASHBOARD["panels"]:
        grid = each["gridPos"]
        cells = {
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        }
        assert not cells & taken, each["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    assert len({x["id"] for x in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    assert all(x["description"] and x["fieldConfig"]["defaults"]["unit"] for x in PANELS)


def test_a_running_service_shows_them(tmp_path: Path) -> None:
    """Those that are not there before something has happened are known by the registry alone; prometheus takes the
    whole page."""
    with lab.service() as service:
        for path in ("healthcheck/ready", "v2/images"):
            with urllib.request.urlopen(f"{service.url}/{path}", timeout=30) as answer:
                answer.read()
        with urllib.request.urlopen(f"{service.url}/metrics", timeout=30) as answer:
            text = answer.read().decode()
    values = {x: float(y) for x, y in re.findall(r"^(glance_\w+(?:\{.*\})?) (\S+)$", text, re.MULTILINE)}
    names = {x.partition("{")[0] for x in values}
    assert names <= set(known())
    assert [y for x, y in values.items() if x.startswith("glance_build_info{") and 'version="1.0.0"' in x] == [1.0]
    assert values['glance_database_connections{state="open"}'] >= values['glance_database_connections{state="busy"}']
    assert values['glance_database_connections{state="open"}'] >= 1
    assert values["glance_database_connections_limit"] >= 60
    assert [y > 0 for x, y in values.items() if x.startswith("glance_store_free_bytes{")] == [True]
    code, said = promtool("check", "metrics", text=text)
    assert (code, said) in {(0, ""), (3, said)}, said
    assert [x for x in said.splitlines() if "error" in x] == []
