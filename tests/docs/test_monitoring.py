"""The files for Prometheus and Grafana: every metric in them exists, and Prometheus takes them."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from lbctl.control.metrics import catalogue
from lbctl.shared.abi import Verdict
from tests.docs import pages
from tests.support.promtool import promtool

FOLDER = pages.ROOT / "docs" / "monitoring"
PAGE = (FOLDER / "README.md").read_text(encoding="utf-8")
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "alerts.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
DASHBOARD = json.loads((FOLDER / "grafana.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [target for panel in PANELS for target in panel["targets"]]
SCRAPED = {"up": ()}  # what Prometheus itself says of each target
OF_TARGET = {"instance", "job"}
NAME = re.compile(r"\b(?:lbctl_\w+|process_\w+|up)\b")
VARIABLES = {"$__rate_interval": "5m", "$instance": ".*", "$pool": ".*"}


def labels_of(expression):
    """The labels that the series of an expression can have, by the metrics in it."""
    known = SCRAPED | {metric.name: metric.labels for metric in catalogue.METRICS}
    names = set(NAME.findall(re.sub(r'"[^"]*"', '""', expression)))
    assert names, expression
    assert names <= set(known), names - set(known)
    return OF_TARGET.union(*(known[name] for name in names))


def written(expression):
    """The labels that an expression selects or groups by."""
    bare = re.sub(r'"[^"]*"', '""', expression)
    selected = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)\s*\"", bare)
    grouped = re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", bare)
    return set(selected) | {name.strip() for names in grouped for name in names.split(",")}


def filled(expression):
    """An expression of the dashboard without its variables."""
    for variable, value in VARIABLES.items():
        expression = expression.replace(variable, value)
    return expression


def test_the_page_has_every_metric():
    """
    Its table is what the catalogue says, row by row.
    """
    rows = [line for line in PAGE.splitlines() if re.match(r"\| `(lbctl|process)_", line)]

    assert rows == [
        f"| `{metric.name}` | {' '.join(f'`{name}`' for name in metric.labels) or 'none'} "
        f"| {metric.help} |"
        for metric in catalogue.METRICS
    ]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_a_rule_is_of_metrics_that_exist(rule):
    """
    With labels that they have; and it says what to type.
    """
    known = labels_of(rule["expr"])

    assert written(rule["expr"]) <= known
    text = " ".join(rule["annotations"].values())
    assert set(re.findall(r"\$labels\.(\w+)", text)) <= known
    assert re.search(r"`(lbctl|systemctl|ip) [a-z]", rule["annotations"]["runbook"])
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}


def test_no_drop_is_without_a_rule():
    """
    Every reason is in one of them, and in no more than one.
    """
    rules = [re.findall(r'verdict=~?"(DROP_[^"]*)"', rule["expr"]) for rule in RULES]
    patterns = [pattern for found in rules for pattern in found]
    drops = [verdict.name for verdict in Verdict if verdict.name.startswith("DROP_")]

    assert [1] * len(drops) == [
        sum(bool(re.fullmatch(pattern, drop)) for pattern in patterns) for drop in drops
    ]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target["expr"])
def test_the_dashboard_is_of_metrics_that_exist(target):
    """
    With labels that they have, in what is asked and in the legend.
    """
    known = labels_of(target["expr"])

    assert written(target["expr"]) <= known
    assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= known


def test_the_dashboard_hangs_together():
    """
    One source of data, which is a variable; variables that exist; panels side by side.
    """
    listed = DASHBOARD["templating"]["list"]
    names = {variable["name"] for variable in listed}
    text = json.dumps(DASHBOARD)
    used = set(re.findall(r"\$\{?([a-z]+)\b", re.sub(r"\$__\w+", "", text)))
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    cells = [
        (x, y)
        for place in places
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]

    assert names == used == {"datasource", "instance", "pool"}
    for panel in PANELS:
        assert {"type": "prometheus", "uid": "${datasource}"} == panel["datasource"]
    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    for variable in listed[1:]:
        labels_of(variable["definition"])


def test_prometheus_takes_the_rules_and_the_configuration():
    """
    As `promtool` reads them.
    """
    assert "SUCCESS" in promtool("check", "config", FOLDER / "prometheus.yml")
    assert f"{len(RULES)} rules found" in promtool("check", "rules", FOLDER / "alerts.yml")


def test_rules_fire_when_they_should():
    """
    Each of them, and not before; with words that can be read.
    """
    tests = yaml.safe_load((FOLDER / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fired = {
        one["alertname"] for test in tests for one in test["alert_rule_test"] if one["exp_alerts"]
    }

    assert {rule["alert"] for rule in RULES} == fired
    assert "SUCCESS" in promtool("test", "rules", FOLDER / "alerts_test.yml")


def test_prometheus_takes_the_expressions_of_the_dashboard(tmp_path):
    """
    Each as a rule of its own.
    """
    rules = [
        {"record": f"lbctl:panel{number}", "expr": filled(target["expr"])}
        for number, target in enumerate(TARGETS)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))

    assert f"{len(TARGETS)} rules found" in promtool("check", "rules", path)


def test_prometheus_takes_the_configuration_with_a_token(tmp_path):
    """
    The one on the page, with files where it names some.
    """
    (block,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    for name in re.findall(r"/etc/prometheus/(\S+)", block):
        (tmp_path / name).write_text("t" * 32)
    path = tmp_path / "prometheus.yml"
    path.write_text(block.replace("/etc/prometheus", str(tmp_path)))

    assert "SUCCESS" in promtool("check", "config", path)
