# ruff: noqa: SLF001 (prometheus_client tells a metric's name and labels nowhere else)
import re

import prometheus_client
import pytest
import yaml
from prometheus_client.metrics import MetricWrapperBase

from shared import metrics
from tests.unit.deploy.files import ROOT, dashboard, rules, services

# What others than shared/metrics.py declare: the API's exporter, Flower, Prometheus itself.
OTHERS = {
    "scenemill_api_http_request_total": {"method", "status"},
    "scenemill_api_http_request_duration_seconds": {"method", "status", "route"},
    "flower_worker_number_of_currently_executing_tasks": {"worker"},
    "up": {"job", "instance", "worker"},
}
NAME = re.compile(r"\b(?:scenemill|flower)_[a-z_]+\b|\bup\b")
WORD = re.compile(r"\b(?:by|without|on) ?\(([a-z_, ]*)\)|([a-z_]+)(?:=~?|!=)\"")


def declared() -> dict[str, set[str]]:
    """Return the names of all metrics, as they are exposed, with their labels."""
    return OTHERS | {
        _exposed(each): set(each._labelnames) for each in vars(metrics).values() if _is_metric(each)
    }


def _is_metric(value: object) -> bool:
    return isinstance(value, MetricWrapperBase)


def _exposed(metric: MetricWrapperBase) -> str:
    return f"{metric._name}_total" if isinstance(metric, prometheus_client.Counter) else metric._name


def expressions() -> list[str]:
    shown = [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]
    return [*(rule["expr"] for rule in rules()), *shown]


@pytest.mark.parametrize("expression", expressions())
def test_an_expression_asks_for_what_is_exposed(expression):
    known = declared()
    names = {re.sub(r"_bucket$", "", name) for name in NAME.findall(expression)}

    assert names
    assert names <= known.keys()
    labels = {
        word.strip() for pair in WORD.findall(expression) for part in pair for word in part.split(",") if word
    }
    assert labels - {"le", ""} <= set().union(*(known[name] for name in names))


@pytest.mark.parametrize("metric", sorted(declared().keys() - OTHERS.keys()))
def test_a_metric_of_ours_is_looked_at(metric):
    assert any(metric in expression for expression in expressions())


@pytest.mark.parametrize("rule", rules(), ids=lambda rule: rule["alert"])
def test_an_alert_says_what_to_do(rule):
    page = (ROOT / "docs/operating.md").read_text()

    assert f"### {rule['alert']}\n" in page
    assert rule["annotations"]["runbook"] == f"docs/operating.md#{rule['alert'].lower()}"
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert rule["annotations"]["summary"].endswith((".", "?"))


def test_each_alert_has_a_case():
    cases = yaml.safe_load((ROOT / "deploy/prometheus/rules_test.yml").read_text())
    fired = {
        case["alertname"] for test in cases["tests"] for case in test["alert_rule_test"] if case["exp_alerts"]
    }

    assert fired == {rule["alert"] for rule in rules()}


def test_prometheus_asks_every_process_that_counts():
    config = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    asked = {
        name
        for scrape in config["scrape_configs"]
        for source in scrape.get("static_configs", []) + scrape.get("dns_sd_configs", [])
        for name in source.get("names", []) + [target.split(":")[0] for target in source.get("targets", [])]
    }
    counting = {
        name
        for name, service in services().items()
        if "PROMETHEUS_MULTIPROC_DIR" in service.get("environment", {})
    }

    assert asked == counting | {"flower"}


def test_panels_do_not_overlap():
    cells = [
        (x, y)
        for panel in dashboard()["panels"]
        for at in [panel["gridPos"]]
        for x in range(at["x"], at["x"] + at["w"])
        for y in range(at["y"], at["y"] + at["h"])
    ]

    assert len(cells) == len(set(cells))
    assert max(x for x, _ in cells) < 24
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
