"""
Servers tell their load, and new connections follow it; nobody who cannot prove who it is counts.
"""

from __future__ import annotations

import json
import secrets
import sys

import pytest

from tests.netns.live import going, none_failed, server_address, switch, until, vip4

WEB, PORT, PUSH, API = 30, 8407, 8408, 8409
BALANCE = {"interval": 0.2, "smoothing": 0.3, "step": 0.2}
FIGURES = {"clients": 3, "requests_per_second": 10.0, "execution_seconds": 0.01}


@pytest.fixture(scope="module")
def live():
    """Two clients, three servers, and an lbctld that others can reach."""
    with switch() as live:
        live.lbctl("detach", "--all")
        live.end()
        listen = (f"--push-listen=0.0.0.0:{PUSH}", f"--listen=127.0.0.1:{API}")
        live.start("--connections=65536", *listen, f"--token-file={token(live)}")
        live.lbctl("attach", *live.bed.plan.nics)
        yield live


def token(live):
    """The token of the API, in a file that nobody else reads."""
    path = live.bed.folder / "token"
    if not path.exists():
        path.write_text(secrets.token_hex(32))
        path.chmod(0o600)
    return path


class Agents:
    """A load agent on every server; what it tells is in a file that the test writes."""

    def __init__(self, live) -> None:
        self.live, self.running = live, {}
        self.key = live.bed.folder / "agent.key"
        self.key.write_text(secrets.token_hex(32))
        self.key.chmod(0o600)
        self.cgroups = live.bed.folder / "cgroups"
        self.make_idle_cgroup()

    def make_idle_cgroup(self):
        """A cgroup (version 2) that uses nothing: the machine's own load is not the test's."""
        idle = self.cgroups / "idle"
        idle.mkdir(parents=True, exist_ok=True)
        for folder in (self.cgroups, idle):
            (folder / "cgroup.controllers").write_text("cpu memory\n")
            (folder / "cpu.stat").write_text("usage_usec 1000\n")
            (folder / "cpu.max").write_text("100000 100000\n")
            (folder / "memory.current").write_text("1048576\n")
            (folder / "memory.max").write_text("1073741824\n")

    def file(self, number):
        """Where the figures of a server are."""
        return self.live.bed.folder / f"figures{number}.json"

    def tell(self, number, utilization):
        """Let a server's application be so busy."""
        path = self.file(number)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps({**FIGURES, "utilization": utilization}))
        fresh.replace(path)

    def start(self, number, *options, key=None):
        """Start the agent of a server."""
        host = self.live.bed.servers[number]
        command = [
            *(sys.executable, "-m", "lbctl.agent", "run", "--interval=0.2"),
            *(f"--key-file={key or self.key}", f"--listen={host.ipv4}:{PORT}"),
            *(f"--json-file={self.file(number)}", "--json-max-age=3600"),
            f"--state-file={self.live.bed.folder / f'wish{number}'}",
            *("--cgroup=/idle", f"--cgroup-root={self.cgroups}"),
        ]
        with (self.live.bed.folder / f"agent{number}.log").open("ab") as log:
            child = self.live.bed.popen(host.role, [*command, *options], stdout=log, stderr=log)
        self.running[number] = child

    def stop(self, number):
        """End an agent as a crash would."""
        child = self.running.pop(number)
        child.kill()
        child.wait(10)

    def address(self, number):
        """How lbctl names the agent of a server."""
        return f"{self.live.bed.servers[number].ipv4}:{PORT}"

    def configured(self, number, kind="lbctl", **fields):
        """The agent as configurations have it."""
        told = {"address": self.address(number), "kind": kind, "key_file": str(self.key)}
        return {**told, "interval": 0.2, "timeout": 0.2, "stale": 1.5, **fields}


@pytest.fixture
def agents(live):
    """Agents of all servers, which are half busy; they, and the pool, are gone afterwards."""
    before, agents = live.export(), Agents(live)
    for number in range(3):
        agents.tell(number, 0.3)
    yield agents
    for number in list(agents.running):
        agents.stop(number)
    live.apply(before)


def configure(live, agents, configured=None, **pool):
    """One pool of all servers, which follows the load."""
    hosts = live.bed.servers
    web = {
        "name": "web",
        "vips": [f"{vip4(WEB)}:80/tcp"],
        "scheduler": "least-load",
        "balance": BALANCE,
        "backends": [{"address": server_address(host)} for host in hosts],
        **pool,
    }
    told = [agents.configured(number) for number in range(3)] if configured is None else configured
    live.apply({**live.export(), "pools": [web], "agents": told})


def shares(live):
    """The given shares of the servers."""
    return [backend["share"] for backend in live.api.pool("web")["backends"]]


def even(live):
    """Whether all have about a third."""
    return all(abs(share - 1 / 3) < 0.04 for share in shares(live))


def all_fresh(live):
    """Whether every agent has been heard."""
    return all(agent["state"] == "fresh" for agent in live.json("agent", "list"))


def test_new_connections_follow_the_load(live, agents):
    """
    Away from a busy server, and back when it is not busy any more; the measured shares, too.
    """
    for number in range(3):
        agents.start(number)
    configure(live, agents)
    until(lambda: all_fresh(live) and even(live), "an agent is not heard")
    agents.tell(0, 1.2)
    until(lambda: shares(live)[0] < 0.2, "its share does not fall")
    with live.crowd(f"http://{vip4(WEB)}/", options=("--requests=300",)) as crowd:
        tally = crowd.finish()

    assert {} == dict(tally.failures)
    assert tally.servers["server0"] < 0.27 * tally.ok
    until(lambda: live.api.pool("web")["backends"][0]["measured"] is not None, "not measured")
    assert live.api.pool("web")["backends"][0]["measured"] < 0.27
    assert 1.2 == pytest.approx(live.api.pool("web")["backends"][0]["load"], abs=0.05)
    agents.tell(0, 0.3)
    until(lambda: even(live), "its share does not come back")
    kinds = [event["text"] for event in live.json("events", "--kind", "load")]
    assert any("shares: " in text for text in kinds)


def test_silent_agents_leave_the_configured_weights(live, agents):
    """
    Their last word fades; no request fails meanwhile.
    """
    for number in range(3):
        agents.start(number)
    configure(live, agents)
    until(lambda: all_fresh(live), "an agent is not heard")
    agents.tell(0, 1.2)
    until(lambda: shares(live)[0] < 0.2, "its share does not fall")
    with live.crowd(f"http://{vip4(WEB)}/") as crowd:
        going(crowd)
        for number in range(3):
            agents.stop(number)
        until(lambda: even(live), "the shares stay where they were")
        assert ["silent"] * 3 == [agent["state"] for agent in live.json("agent", "list")]
        none_failed(crowd)


def test_an_agent_takes_its_server_out_and_back(live, agents):
    """
    As its local administrator says; the others serve.
    """
    for number in range(3):
        agents.start(number)
    configure(live, agents)
    until(lambda: all_fresh(live), "an agent is not heard")
    wish = [sys.executable, "-m", "lbctl.agent", "state"]
    place = f"--state-file={live.bed.folder / 'wish1'}"
    live.bed.run("server1", [*wish, "drain", place])
    until(lambda: live.api.pool("web")["backends"][1]["state"] == "draining", "it is not heeded")

    row = live.api.pool("web")["backends"][1]
    assert (0.0, f"agent {agents.address(1)} says drain") == (row["share"], row["reason"])
    live.bed.run("server1", [*wish, "up", place])
    until(lambda: even(live), "it does not come back")


def test_an_agents_word_never_revives_a_server(live, agents):
    """
    Health belongs to the checks.
    """
    agents.start(0)
    nowhere = {"check": "tcp", "port": 9, "interval": 0.3, "timeout": 0.3}
    configure(live, agents, [agents.configured(0)], health=nowhere)
    until(lambda: all_fresh(live), "the agent is not heard")

    told = live.json("agent", "show", agents.address(0))
    assert told["report"]["wish"] in (None, "up")
    assert ["down"] * 3 == [b["state"] for b in live.api.pool("web")["backends"]]


def test_an_agent_with_another_key_changes_nothing(live, agents):
    """
    It is refused, and lbctl says so.
    """
    other = live.bed.folder / "other.key"
    other.write_text(secrets.token_hex(32))
    other.chmod(0o600)
    for number in (1, 2):
        agents.start(number)
    agents.start(0, key=other)
    agents.tell(0, 1.2)
    configure(live, agents)
    until(
        lambda: live.json("agent", "show", agents.address(0))["refused"] >= 3, "it is not refused"
    )

    assert live.json("agent", "show", agents.address(0))["report"] is None
    assert live.json("agent", "show", agents.address(0))["problem"]
    assert even(live)
    assert any(e["subject"] == agents.address(0) for e in live.json("events", "--kind", "agent"))


def test_an_agent_pushes(live, agents):
    """
    It is not asked, and is heard all the same.
    """
    gateway = live.bed.servers[0].net.gateways[0]
    agents.start(0, f"--push={gateway}:{PUSH}", f"--name={agents.address(0)}")
    configure(live, agents, [agents.configured(0, "push")])
    until(lambda: all_fresh(live), "it is not heard")

    assert 0.3 == live.json("agent", "show", agents.address(0))["report"]["utilization"]


def test_a_haproxy_agent_check_counts(live, agents):
    """
    Our own agent answers it, so that it serves other balancers, and this one.
    """
    for number in range(3):
        agents.start(number)
    told = [agents.configured(number, "haproxy", key_file=None, timeout=2) for number in range(3)]
    configure(live, agents, told)
    until(lambda: all_fresh(live), "an agent is not heard")

    agents.tell(2, 1.2)
    until(lambda: shares(live)[2] < 0.2, "its share does not fall")


def test_the_resource_manager_runs_elsewhere(live, agents):
    """
    It asks the agents and reports to the API with a token; lbctld itself asks nobody.
    """
    for number in range(3):
        agents.start(number)
    settings = {**live.export()["settings"], "resource_manager": "remote"}
    live.apply({**live.export(), "settings": settings})
    configure(live, agents)
    command = [
        *(sys.executable, "-c", "from lbctl.control.resources.command import main; main()"),
        "--interval=0.2",
        *(f"--remote=http://127.0.0.1:{API}", f"--token-file={token(live)}"),
    ]
    log = live.bed.folder / "resource-manager.log"
    with log.open("wb") as file:
        manager = live.bed.popen("switch", command, stdout=file, stderr=file)
    try:
        until(lambda: all_fresh(live) and even(live), log.read_text())
        agents.tell(0, 1.2)
        until(lambda: shares(live)[0] < 0.2, "its share does not fall")
    finally:
        manager.terminate()
        manager.wait(10)
    until(lambda: even(live), "the shares stay where they were")
    assert ["silent"] * 3 == [agent["state"] for agent in live.json("agent", "list")]
