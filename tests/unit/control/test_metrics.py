"""The metrics of a switch: every value is the one that the API shows."""

from __future__ import annotations

from ipaddress import ip_address

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lbctl import __version__
from lbctl.agent.wire import LoadReport
from lbctl.control.health.record import Health
from lbctl.control.journal import Journal
from lbctl.control.metrics import catalogue, exporter, series
from lbctl.control.metrics.labels import Labels
from lbctl.control.standing import Shares
from lbctl.control.supervision.counts import Counts
from lbctl.control.supervision.supervisor import Supervisor
from lbctl.control.watch import Observation
from lbctl.model import State
from lbctl.shared import abi
from lbctl.shared.abi import Verdict
from lbctl.shared.counters import Count
from tests.support.promtool import promtool
from tests.unit.control import fakes
from tests.unit.control.fakes import ONE, TWO, VIP, connection, standings

WEB = {"pool": "web"}
FIRST = {"pool": "web", "backend": str(ONE)}
SECOND = {"pool": "web", "backend": str(TWO)}
AGENT = {"address": "10.0.1.11:9777", "kind": "haproxy"}


@pytest.fixture
def supervisor(controller, tmp_path):
    """The one of the controller; its loop does not run."""
    journal = Journal(tmp_path / "journal")
    controller.watch = Supervisor(Counts(controller.dataplane), journal)
    yield controller.watch
    journal.close()


@pytest.fixture
def watched(client, supervisor, controller):
    """A controller whose pool web has a check, passive health and an agent that spoke."""
    client.post("/v1/pools", json=fakes.web(1, 3, health={"check": "tcp"}, passive={}))
    client.post("/v1/agents", json=AGENT)
    found = Health(up=True, reason="200", since=60.0, response_seconds=0.003)
    supervisor.health._health["web", ONE] = found
    agent = controller.configuration.agents[0].address
    supervisor.resources.take([(agent, LoadReport(cpu=0.5), 2.0)])
    return controller


class Found:
    """The samples of one scrape."""

    def __init__(self, controller) -> None:
        page = exporter.collect(controller, Labels.of(controller.configuration))
        self.text = page.text(openmetrics=False)
        families = text_string_to_metric_families(self.text)
        self.samples = [sample for family in families for sample in family.samples]

    def all(self, metric):
        """Value by labels, those of a metric's samples."""
        return {
            tuple(sample.labels[name] for name in metric.labels): sample.value
            for sample in self.samples
            if sample.name == metric.name
        }

    def value(self, metric, **labels):
        """The value of the one sample with these labels, or None."""
        (found,) = [
            s.value for s in self.samples if (s.name, s.labels) == (metric.name, labels)
        ] or [None]
        return found


# -- lbctld, NICs, tables ------------------------------------------------------------------------


def test_lbctld_tells_who_it_is_and_what_is_in_force(served, controller):
    """
    As `lbctl status` does.
    """
    found, status = Found(controller), served.get("/v1/status").json()

    named = {"name": "default", "version": __version__, "abi": str(abi.ABI_VERSION)}
    assert 1 == found.value(catalogue.BUILD, **named)
    assert status["generation"] == found.value(catalogue.GENERATION)
    assert {("A",): 1, ("B",): 0} == found.all(catalogue.ACTIVE_BUFFER)
    assert "A" == status["active_buffer"]
    assert controller.publications.count == found.value(catalogue.PUBLISHES) >= 2
    assert controller.publications.time == found.value(catalogue.LAST_PUBLISH)
    assert 0 <= found.value(catalogue.LAST_PUBLISH_DURATION)
    assert 0 < found.value(catalogue.SCRAPE)
    assert found.value(catalogue.BY_NAME["process_resident_memory_bytes"]) > 1 << 20


def test_nothing_was_published_and_nobody_watches(empty):
    """
    What is not known is left out; the page is one all the same.
    """
    empty.publications.count = 0
    found = Found(empty)

    assert found.value(catalogue.LAST_PUBLISH) is None
    assert {} == found.all(catalogue.EVENTS) == found.all(catalogue.AGENT)
    assert 0 == found.value(catalogue.PUBLISHES)


def test_nics_and_what_became_of_packets(served, controller):
    """
    Verdicts that occurred, and a NIC that is wanted and not there.
    """
    served.post("/v1/nics", json={"name": "eth1"})
    controller.dataplane.detach("eth1")
    controller.links.down.add("eth0")
    controller.dataplane.counts = [
        Count(2, Verdict.TO_BACKEND, 7, 700),
        Count(2, Verdict.DROP_NO_NEIGHBOR, 2, 120),
        Count(9, Verdict.DROP_MALFORMED, 5, 300),  # a NIC that was detached
    ]
    found = Found(controller)

    expected = {("eth0", "native", "938c70b5"): 1, ("eth1", "detached", ""): 1}
    assert expected == found.all(catalogue.NIC)
    assert {("eth0",): 1, ("eth1",): 0} == found.all(catalogue.NIC_ATTACHED)
    assert {("eth0",): 0, ("eth1",): 1} == found.all(catalogue.NIC_UP)
    packets = {("eth0", "TO_BACKEND"): 7, ("eth0", "DROP_NO_NEIGHBOR"): 2}
    assert packets == found.all(catalogue.NIC_PACKETS)
    assert 120 == found.value(catalogue.NIC_BYTES, nic="eth0", verdict="DROP_NO_NEIGHBOR")


def test_how_full_the_tables_are(served, controller):
    """
    By the names of the options that say how large they are.
    """
    six = {"name": "six", "vips": ["[2001:db8::1]:80/tcp"], "table_size": 37}
    six["rules"] = [{"clients": "2001:db8:1::/48", "pool": "six-b"}]
    served.post("/v1/pools", json={"name": "six-b", "backends": [{"address": "[2001:db8::b]:80"}]})
    served.post("/v1/pools", json={**six, "backends": [{"address": "[2001:db8::a]:80"}]})
    controller.dataplane.connections.rows = [connection(n) for n in (1, 2, 3)]
    found = Found(controller)

    assert {
        ("connections",): 3,
        ("services",): 2,
        ("backends",): 4,
        ("slots",): 128 + 64 + 65568,  # 101, 37 and 65537, each in whole lines of 32
        ("next_hops",): 5,
        ("routes",): 2,
        ("rules",): 1,
    } == found.all(catalogue.TABLE_ENTRIES)
    limits = found.all(catalogue.TABLE_LIMIT)
    assert catalogue.TABLES == tuple(table for (table,) in limits)
    assert (262_144, 2048) == (limits["connections",], limits["backends",])


def test_events_are_counted_by_kind(watched):
    """
    Those that have not come yet, too: so the first is seen to come.
    """
    watched.watch.tell("passive", "web 10.0.1.11:8080", "inhibited")
    counts = Found(watched).all(catalogue.EVENTS)

    assert (1, 0) == (counts["passive",], counts["load",])
    assert counts["configuration",] == 2
    assert {(kind,) for kind in catalogue.EVENT_KINDS} == set(counts)


# -- pools and back-ends -------------------------------------------------------------------------


def test_counters_of_back_ends_and_vips_are_those_of_stats(served, controller):
    """
    One series for each VIP and back-end, however the numbers are read.
    """
    plane = controller.dataplane
    for number, name in enumerate(plane.traffic.dtype.names, 1):
        plane.traffic[name][:2] = [number, 10 * number]
    services, backends = plane.reasons
    services[0, Verdict.RESET], backends[1, Verdict.DROP_NO_NEIGHBOR] = 3, 2
    plane.connections.rows = [connection(n, TWO) for n in (1, 2, 3)]
    found, stats = Found(controller), served.get("/v1/stats").json()

    for row in stats["backends"]:
        labels = {"pool": row["pool"], "vip": row["vip"], "backend": row["address"]}
        for name, metric in exporter.pools.COUNTED.items():
            assert row[name] == found.value(metric, **labels) > 0
    of_vip = {("web", str(VIP), "RESET"): 3}
    assert of_vip == found.all(catalogue.VIP_PACKETS)
    assert {("web", str(VIP)): 1} == found.all(catalogue.VIP)
    of_backend = {("web", str(VIP), str(TWO), "DROP_NO_NEIGHBOR"): 2}
    assert of_backend == found.all(catalogue.BACKEND_PACKETS)
    opened = {("web", str(VIP), str(ONE)): 0, ("web", str(VIP), str(TWO)): 3}
    assert opened == found.all(catalogue.OPEN_CONNECTIONS)


def test_how_back_ends_stand(served, controller):
    """
    As `lbctl backend list` has it.
    """
    controller.watch = fakes.Watch()
    controller.watch.found = standings(TWO)._replace(
        shares={"web": Shares({ONE: 0.75, TWO: 0.25}, {ONE: 1.0}, "the plugin failed")}
    )
    controller.watch.seen = {ONE: Observation(0.9, 3.0, 0.5, 2.0)}
    controller.on_news()
    controller.dataplane.routing.lost = {ip_address("10.0.1.12")}
    found, (pool,) = Found(controller), served.get("/v1/pools").json()

    for labels, backend in zip((FIRST, SECOND), pool["backends"], strict=True):
        for state in State:
            is_it = found.value(catalogue.STATE, **labels, state=str(state))
            assert (backend["state"] == state) == is_it
        assert backend["weight"] == found.value(catalogue.WEIGHT, **labels)
        assert backend["share"] == found.value(catalogue.GIVEN_SHARE, **labels)
        assert backend["wanted"] == found.value(catalogue.WANTED_SHARE, **labels)
        assert backend["measured"] == found.value(catalogue.MEASURED_SHARE, **labels)
        assert backend["load"] == found.value(catalogue.LOAD, **labels)
        assert backend["report_age_seconds"] == found.value(catalogue.LOAD_AGE, **labels)
    assert (1, 0.25, 0.9) == (
        found.value(catalogue.STATE, **SECOND, state="down"),
        found.value(catalogue.WANTED_SHARE, **SECOND),
        found.value(catalogue.MEASURED_SHARE, **FIRST),
    )
    assert 1 == found.value(catalogue.REACHABLE, **FIRST)
    assert 0 == found.value(catalogue.REACHABLE, **SECOND)
    assert 1 == found.value(catalogue.POOL_SCHEDULER_FAILING, **WEB)
    assert 1 == found.value(catalogue.POOL_BACKENDS, **WEB, state="down")
    assert 1 == found.value(catalogue.POOL, **WEB, scheduler="maglev", forward="nat")


@pytest.mark.parametrize(
    ("fields", "down", "expected"),
    [
        ({}, [], (1, 0, 0)),
        ({}, [ONE, TWO], (0, 0, 0)),
        ({"panic": 0.9}, [ONE], (1, 0, 1)),
        ({"backup": "spare"}, [ONE, TWO], (1, 1, 0)),
    ],
)
def test_who_serves_a_pool(served, controller, fields, down, expected):
    """
    Itself, nobody, all in panic, or its backup.
    """
    served.post("/v1/pools", json={"name": "spare", "backends": [{"address": "10.0.2.1:8080"}]})
    served.patch("/v1/pools/web", json=fields)
    controller.watch = fakes.Watch()
    controller.watch.found = standings(*down)
    controller.on_news()
    found = Found(controller)

    asked = (catalogue.POOL_SERVED, catalogue.POOL_ON_BACKUP, catalogue.POOL_PANICKING)
    assert expected == tuple(found.value(metric, **WEB) for metric in asked)


def test_health_and_agents(watched):
    """
    Before the first look, and before the first word, there is nothing to say.
    """
    found = Found(watched)

    assert {("web", str(ONE), "tcp"): 1} == found.all(catalogue.HEALTH_UP)
    assert {("web", str(ONE), "tcp"): 0.003} == found.all(catalogue.HEALTH_RESPONSE)
    assert {("web", str(ONE)): 0, ("web", str(TWO)): 0} == found.all(catalogue.INHIBITED)
    agent = {"agent": AGENT["address"]}
    assert 1 == found.value(catalogue.AGENT, **agent, kind="haproxy")
    assert {1, 0} == set(found.all(catalogue.AGENT_STATE).values())
    assert 1 == found.value(catalogue.AGENT_STATE, **agent, state="fresh")
    assert 2 <= found.value(catalogue.AGENT_AGE, **agent)
    assert 1 == found.value(catalogue.AGENT_REPORTS, **agent)
    assert 0 == found.value(catalogue.AGENT_FAILURES, **agent)
    assert 0.5 == found.value(catalogue.LOAD, **FIRST)


# -- the page as a whole -------------------------------------------------------------------------


def test_every_sample_is_in_the_catalogue_and_has_its_labels(watched):
    """
    And there are no more of them than the configuration allows.
    """
    found = Found(watched)

    for sample in found.samples:
        assert set(catalogue.BY_NAME[sample.name].labels) == set(sample.labels)
    assert len(found.samples) <= series.most_series(watched.configuration)


def test_promtool_finds_nothing_wrong(watched):
    """
    Names, units, types and helps are as Prometheus wants them.
    """
    watched.dataplane.counts = [Count(2, Verdict.TO_BACKEND, 7, 700)]

    assert "" == promtool("check", "metrics", text=Found(watched).text)
