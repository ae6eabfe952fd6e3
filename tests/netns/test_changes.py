"""
Changes under traffic: whatever is changed, no request fails; what cannot be done changes nothing.
"""

from __future__ import annotations

import copy
import json
from contextlib import closing

import pytest
import yaml

from tests.netns.live import ask, connect, going, none_failed, switch, until, vip4, vip6

WEB, OTHER = 10, 11
URLS = (f"http://{vip4(WEB)}/", f"http://{vip6(WEB)}/")
SLOW = f"http://{vip4(WEB)}/slow?bytes=300000&seconds=3"
FIRST = "10.0.1.11:8080"  # server0
SHORT = {"timeouts": {"closing": 2, "closed": 2}}  # so that a drained server is soon idle


@pytest.fixture(scope="module")
def live():
    """Three clients, three servers, one pool for each family."""
    with switch(clients=3) as live:
        configuration = live.export()
        configuration["settings"] = SHORT
        configuration["pools"] = [
            pool("web", f"{vip4(WEB)}:80/tcp", live.backends()),
            pool("web6", f"{vip6(WEB)}:80/tcp", live.backends(6)),
        ]
        live.apply(configuration)
        yield live


@pytest.fixture
def usual(live):
    """The configuration to begin with, which is put back afterwards."""
    configuration = live.export()
    yield copy.deepcopy(configuration)
    live.apply(configuration)


def pool(name, vip, addresses, **more):
    """A pool as a file has it."""
    return {"name": name, "vips": [vip], "backends": [{"address": a} for a in addresses], **more}


def test_no_request_fails_whatever_is_changed(live, usual):
    """
    Servers come, go, drain and return, weights change, whole files are applied; by both families.
    """
    few = copy.deepcopy(usual)
    few["pools"][0]["backends"] = few["pools"][0]["backends"][:2]
    few["pools"][1]["scheduler"] = "rr"
    few["pools"].append(pool("other", f"{vip4(OTHER)}:81/tcp", live.backends()[1:]))
    with (
        live.crowd(*URLS, options=("--rate=80",)) as short,
        live.crowd(*URLS, options=("--rate=40", "--keep-alive", "--concurrency=4")) as kept,
        live.crowd(SLOW, options=("--requests=2", "--concurrency=2")) as long,
    ):
        going(short)
        for words in (
            ("backend", "remove", "web", FIRST),
            ("backend", "add", "web", FIRST, "--weight", "3"),
            ("backend", "drain", "web", FIRST),
            ("backend", "set", "web", "10.0.2.12:8080", "--weight", "0"),
            ("backend", "restore", "web", FIRST),
            ("pool", "set", "web", "--scheduler", "wrr"),
            ("pool", "set", "web6", "--table-size", "4099"),
        ):
            live.lbctl(*words)
        for configuration in (few, usual) * 3:
            live.apply(configuration)
        going(short)
        downloads = none_failed(long)
        none_failed(kept)
        none_failed(short)

    assert downloads.ok


def test_a_server_that_was_removed_gets_nothing_more(live, usual):
    """
    Requests go on, and one to it that had begun ends well.
    """
    with live.crowd(URLS[0]) as crowd:
        until(lambda: crowd.progress().servers["server0"], "it gets nothing")
        live.lbctl("backend", "remove", "web", FIRST)
        going(crowd, 60)
        before = crowd.progress().servers["server0"]
        going(crowd, 150)
        after = crowd.progress().servers["server0"]
        live.lbctl("backend", "add", "web", FIRST)
        until(lambda: crowd.progress().servers["server0"] > after, "it gets nothing again")
        none_failed(crowd)

    again = live.json("pool", "show", "web")["backends"]
    assert before == after
    assert {b["address"] for b in usual["pools"][0]["backends"]} == {b["address"] for b in again}


def test_a_drained_server_is_idle(live, usual):
    """
    `drain --wait` returns when it is; from then on not a packet goes there.
    """
    with live.crowd(URLS[0]) as crowd:
        until(lambda: crowd.progress().servers["server0"], "it gets nothing")
        said = live.lbctl("backend", "drain", "web", FIRST, "--wait")
        before = packets_to(live, FIRST)
        state = live.json("pool", "show", "web")["backends"][0]
        going(crowd, 100)
        after = packets_to(live, FIRST)
        live.lbctl("backend", "restore", "web", FIRST)
        until(lambda: packets_to(live, FIRST) > after, "it gets nothing again")
        none_failed(crowd)

    assert "no connections left" in said
    assert ("draining", 0, 0) == (state["state"], state["share"], state["connections"])
    assert before == after
    assert usual == live.export()


def packets_to(live, address):
    """How many packets a server of the pool web was sent."""
    rows = live.api.stats()["backends"]
    return sum(
        row["packets_in"] for row in rows if (row["pool"], row["address"]) == ("web", address)
    )


def test_a_drain_waits_for_open_connections(live, usual):
    """
    They are served until they end; with a limit, the command tells how many are left.
    """
    plugs = list(connections_of_every_server(live))
    ((number, plug),) = [(i, plug) for i, plug in enumerate(plugs) if ask(plug) == b"server0\n"]
    plugs.pop(number)
    for other in plugs:
        other.close()
    with closing(plug):
        early = live.typed("backend", "drain", "web", FIRST, "--timeout", "0.1")
        waiting = live.typing("backend", "drain", "web", FIRST, "--wait")
        answer = ask(plug)
        left = live.json("connection", "count", "--backend", FIRST, "--pool", "web")["count"]
        still = waiting.poll()
    with waiting.stdout, waiting.stderr:
        until(lambda: waiting.poll() is not None, "it waits for ever")

    assert usual != live.export()
    assert (1, "") == (early.returncode, early.stdout)
    assert "remain after 0.1 s" in early.stderr
    assert (b"server0\n", None, 0) == (answer, still, waiting.returncode)
    assert left >= 1


def connections_of_every_server(live):
    """Kept connections, one to each server."""
    seen = set()
    while len(seen) < 3:
        plug = live.inside("client0", connect, vip4(WEB), 80)
        server = ask(plug)
        if server in seen:
            plug.close()
        else:
            seen.add(server)
            yield plug


def test_remove_now_cuts_connections_off(live, usual):
    """
    Those of that server, and no others.
    """
    plugs = list(connections_of_every_server(live))
    try:
        servers = [ask(plug) for plug in plugs]
        live.lbctl("backend", "remove", "web", FIRST, "--now")
        for plug, server in zip(plugs, servers, strict=True):
            if server == b"server0\n":
                with pytest.raises(ConnectionResetError):
                    ask(plug)
            else:
                assert server == ask(plug)
    finally:
        for plug in plugs:
            plug.close()

    assert usual != live.export()


def test_a_removed_pool_lets_connections_finish(live, usual):
    """
    New ones are refused at once: by the kernel of the switch, whose business the VIP is now.
    """
    with closing(live.inside("client0", connect, vip4(WEB), 80)) as plug:
        server = ask(plug)
        live.lbctl("pool", "remove", "web")
        with pytest.raises(OSError, match=r"unreachable|refused|No route"):
            live.inside("client0", connect, vip4(WEB), 80)
        assert server == ask(plug)
    assert "web" in {one["name"] for one in usual["pools"]}


def test_rollback_under_load(live, usual):
    """
    The configuration is the same to the letter, under a number of its own.
    """
    number = live.generation
    with live.crowd(*URLS) as crowd:
        going(crowd)
        live.lbctl("backend", "remove", "web", FIRST)
        live.lbctl("pool", "set", "web6", "--scheduler", "rr")
        live.lbctl("rollback", str(number))
        going(crowd, 60)
        none_failed(crowd)

    history = live.json("generations")
    assert usual == live.export()
    assert (number + 3, True) == (history[0]["generation"], history[0]["active"])
    assert f"rollback {number}" == history[0]["what"]


def test_two_who_apply_at_once_take_turns(live, usual):
    """
    Both are done, one after the other, and the one with the higher number is what holds.
    """
    rivals = []
    for weight in (2, 3):
        wanted = copy.deepcopy(usual)
        wanted["pools"][0]["backends"][0]["weight"] = weight
        rivals.append(wanted)
    number = live.generation
    with live.crowd(*URLS) as crowd:
        going(crowd)
        children = [
            live.typing("apply", "-f", "-", "-o", "json", text=yaml.safe_dump(wanted))
            for wanted in rivals
        ]
        answers = [child.communicate(timeout=60) for child in children]
        going(crowd)
        none_failed(crowd)

    assert [0, 0] == [child.returncode for child in children], answers
    numbers = [json.loads(out)["generation"] for out, _ in answers]
    assert {number + 1, number + 2} == set(numbers)
    assert number + 2 == live.generation
    assert rivals[numbers.index(number + 2)]["pools"] == live.export()["pools"]


def with_nic(wanted):
    """A NIC that is not there."""
    wanted["nics"].append({"name": "nosuch0"})


def with_far_backend(wanted):
    """A server without a route to it."""
    wanted["pools"][0]["backends"].append({"address": "192.0.2.9:80"})


def with_silent_backend(wanted):
    """A server that does not answer ARP."""
    wanted["pools"][0]["backends"].append({"address": "10.0.1.99:80"})


def with_own_backend(wanted):
    """The switch itself as a server."""
    wanted["pools"][0]["backends"].append({"address": "10.0.1.1:80"})


def with_vip_twice(wanted):
    """One VIP in two pools."""
    wanted["pools"].append({**wanted["pools"][0], "name": "again"})


def with_wrong_key(wanted):
    """A misspelt key."""
    wanted["pools"][0]["shceduler"] = "rr"


def with_mixed_families(wanted):
    """A server of the other family."""
    wanted["pools"][0]["backends"].append({"address": "[2001:db8:a::11]:80"})


@pytest.mark.parametrize(
    ("spoil", "status", "named"),
    [
        (with_nic, 3, "nosuch0"),
        (with_far_backend, 1, "192.0.2.9"),
        (with_silent_backend, 1, "10.0.1.99"),
        (with_own_backend, 1, "10.0.1.1"),
        (with_vip_twice, 2, vip4(WEB)),
        (with_wrong_key, 2, "line "),
        (with_mixed_families, 2, "family"),
    ],
)
def test_a_bad_file_changes_nothing(live, usual, spoil, status, named):
    """
    Nor does what is good in it; requests go on.
    """
    wanted = copy.deepcopy(usual)
    wanted["pools"][1]["backends"].pop()
    wanted["pools"].append(pool("good", f"{vip4(OTHER)}:80/tcp", live.backends()))
    spoil(wanted)

    line = live.refused(status, "apply", "-f", "-", text=yaml.safe_dump(wanted))

    assert named in line
    assert live.curl(URLS[1]).stdout.startswith("server")


def test_what_is_no_yaml_changes_nothing(live):
    """
    The line is named.
    """
    assert "line 3, column 1" in live.refused(2, "apply", "-f", "-", text="version: 1\npools: [\n")


def test_a_dry_run_changes_nothing(live, usual):
    """
    It says what would be.
    """
    usual["pools"].pop()
    before = live.export(), live.generation

    said = live.lbctl("apply", "--dry-run", "-f", "-", text=yaml.safe_dump(usual))

    assert "- pool web6" in said
    assert before == (live.export(), live.generation)


def test_an_export_applied_is_no_change(live):
    """
    Not even a generation.
    """
    before = live.export(), live.generation

    live.lbctl("apply", "-f", "-", text=live.lbctl("export"))

    assert before == (live.export(), live.generation)
