"""
A real Prometheus beside a switch at work: it reads what `lbctl stats` shows, and its rules fire.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import partial

import httpx
import pytest
import yaml

from tests.docs.pages import ROOT
from tests.netns.live import (
    SMALL,
    Switch,
    going,
    kill_server,
    network,
    none_failed,
    server_address,
    start_server,
    until,
    vip4,
)

PROMETHEUS = shutil.which("prometheus")
MONITORING = ROOT / "docs" / "monitoring"
LISTEN, WEB = "127.0.0.1:9470", 45
CHECK = {"check": "http", "path": "/", "interval": 0.3, "timeout": 0.3, "rise": 2, "fall": 2}


@pytest.fixture(scope="module")
def live():
    """A switch whose metrics are to be had in its namespace; the pool web has all servers."""
    if PROMETHEUS is None:
        pytest.skip("needs prometheus, of the package of that name; run `sudo make setup`")
    with network() as bed:
        made = Switch(bed)
        made.start(*SMALL, f"--metrics-listen={LISTEN}")
        made.lbctl("attach", *bed.plan.nics)
        backends = [{"address": server_address(host)} for host in bed.servers]
        web = {"name": "web", "vips": [f"{vip4(WEB)}:80/tcp"], "backends": backends}
        made.apply({**made.export(), "pools": [{**web, "health": CHECK}]})
        yield made


def asked(live, url, **params):
    """Ask something of the switch's namespace; None while nobody answers."""
    try:
        return live.inside("switch", partial(httpx.get, url, params=params, timeout=5))
    except httpx.HTTPError:
        return None


class Prometheus:
    """The one in the switch's namespace, with the rules of the pages, in a hurry."""

    url = "http://127.0.0.1:9090"

    def __init__(self, live, folder) -> None:
        self._live, self._folder = live, folder

    def start(self):
        """Start it; it ends with the test bed."""
        wanted = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        wanted["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        wanted["scrape_configs"][0]["static_configs"] = [{"targets": [LISTEN]}]
        (self._folder / "prometheus.yml").write_text(yaml.safe_dump(wanted))
        rules = re.sub(r"\bfor: \w+", "for: 1s", (MONITORING / "alerts.yml").read_text())
        (self._folder / "alerts.yml").write_text(rules)
        options = {
            "config.file": self._folder / "prometheus.yml",
            "storage.tsdb.path": self._folder / "data",
            "web.listen-address": self.url.removeprefix("http://"),
        }
        command = [PROMETHEUS, *(f"--{name}={value}" for name, value in options.items())]
        with (self._folder / "log").open("wb") as log:
            self._live.bed.popen("switch", command, stdout=log, stderr=subprocess.STDOUT)
        until(self._is_ready, "Prometheus does not get ready")

    def _is_ready(self):
        answer = asked(self._live, f"{self.url}/-/ready")
        return answer and answer.status_code == 200

    def ask(self, expression):
        """The values of an expression, each with its labels."""
        answer = asked(self._live, f"{self.url}/api/v1/query", query=expression).json()
        assert "success" == answer["status"], answer
        return [(one["metric"], float(one["value"][1])) for one in answer["data"]["result"]]

    def value(self, expression):
        """The one value of an expression; None if there is none."""
        values = [value for _, value in self.ask(expression)]
        return values[0] if len(values) == 1 else None

    def alerts(self, name):
        """The alerts of a rule that are pending or firing."""
        found = asked(self._live, f"{self.url}/api/v1/alerts").json()["data"]["alerts"]
        return [alert for alert in found if alert["labels"]["alertname"] == name]

    def fires(self, name, **labels):
        """Whether a rule fires for something with these labels."""
        return [
            alert
            for alert in self.alerts(name)
            if alert["state"] == "firing" and labels.items() <= alert["labels"].items()
        ]


@pytest.fixture(scope="module")
def prometheus(live, tmp_path_factory):
    """It has read the metrics once."""
    made = Prometheus(live, tmp_path_factory.mktemp("prometheus"))
    made.start()
    until(lambda: made.value('up{job="lbctl"}') == 1, "Prometheus cannot read the metrics")
    return made


def differences(live, prometheus):
    """What Prometheus and `lbctl stats` do not agree on, of packets that clients make."""
    stats, found = live.json("stats"), []
    for row in stats["backends"]:
        labels = f'{{pool="{row["pool"]}",vip="{row["vip"]}",backend="{row["address"]}"}}'
        for name, metric in {
            "connections": "new_connections",
            "packets_in": "received_packets",
            "bytes_out": "sent_bytes",
            "answers": "answers",
        }.items():
            value = prometheus.value(f"lbctl_backend_{metric}_total{labels}")
            if value != row[name]:
                found.append((row["address"], name, value, row[name]))
    for nic in stats["nics"]:
        for verdict in ("TO_BACKEND", "TO_BACKEND_NEW", "TO_CLIENT"):
            if verdict in nic["verdicts"]:
                labels = f'{{nic="{nic["name"]}",verdict="{verdict}"}}'
                value = prometheus.value(f"lbctl_nic_packets_total{labels}")
                if value != nic["verdicts"][verdict]["packets"]:
                    found.append((nic["name"], verdict, value, nic["verdicts"][verdict]))
    return found


def test_prometheus_has_what_lbctl_shows(live, prometheus):
    """
    After some traffic: packets, bytes and connections to the last one; shares, states, sizes.
    """
    with live.crowd(f"http://{vip4(WEB)}/") as crowd:
        going(crowd, 100)
        none_failed(crowd)
    until(lambda: not differences(live, prometheus), "the counters do not agree")

    status, pool = live.json("status"), live.api.pool("web")
    assert sum(row["connections"] for row in live.json("stats")["backends"]) >= 100
    assert status["generation"] == prometheus.value("lbctl_generation")
    assert len(live.bed.plan.nics) == prometheus.value("sum(lbctl_nic_attached and lbctl_nic_up)")
    shares = {
        labels["backend"]: v for labels, v in prometheus.ask("lbctl_backend_given_share_ratio")
    }
    assert {one["address"]: one["share"] for one in pool["backends"]} == shares
    assert 3 == prometheus.value('lbctl_pool_backends{state="active"}')
    assert [1, 1, 1] == [value for _, value in prometheus.ask("lbctl_health_up")]
    assert [1, 1, 1] == [value for _, value in prometheus.ask("lbctl_backend_reachable")]
    assert [] == prometheus.alerts("LbctlBackendDown")


def test_the_metrics_are_all_that_is_there(live):
    """
    Nothing of the API, and nothing for who asks with another method.
    """
    assert asked(live, f"http://{LISTEN}/metrics").text.startswith("# HELP lbctl_build_info")
    assert 404 == asked(live, f"http://{LISTEN}/v1/status").status_code
    assert 404 == asked(live, f"http://{LISTEN}/").status_code


def test_a_server_that_dies_is_an_alert(live, prometheus):
    """
    It fires for that server and pool, and is over when the server is back.
    """
    address = server_address(live.bed.servers[0])
    kill_server(live, 0)
    try:
        until(lambda: prometheus.fires("LbctlBackendDown", backend=address), "nothing fires")
        (alert,) = prometheus.alerts("LbctlBackendDown")
        assert "web" == alert["labels"]["pool"]
        assert f"`lbctl health check web {address}`" in alert["annotations"]["runbook"]
        assert 1 == prometheus.value('lbctl_pool_backends{state="down"}')
    finally:
        start_server(live, 0)
    until(lambda: not prometheus.alerts("LbctlBackendDown"), "the alert stays")


def test_a_daemon_that_ends_is_an_alert_and_counters_go_on(live, prometheus):
    """
    The next one begins where it ended: no counter of packets goes back.
    """
    counted = "sum(lbctl_backend_new_connections_total)"
    before = prometheus.value(counted)
    live.kill()
    until(lambda: prometheus.fires("LbctlDaemonDown"), "nothing fires")
    live.start(*SMALL, f"--metrics-listen={LISTEN}")
    until(lambda: not prometheus.alerts("LbctlDaemonDown"), "the alert stays")

    until(lambda: prometheus.value(counted) is not None, "there are no counters")
    assert prometheus.value(counted) >= before > 0
    assert 0 == prometheus.value("sum(resets(lbctl_backend_new_connections_total[10m]))")
    assert [] == prometheus.ask('lbctl_backend_state{state="down"} == 1')
