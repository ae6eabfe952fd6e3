"""
The daemon ends in every way there is: packets flow on, and the next one takes over what there is.
"""

from __future__ import annotations

import copy
import json
import random
import signal
import subprocess
import threading
import time
from contextlib import closing

import pytest
import yaml

from lbctl.cli.client import connect as api
from lbctl.errors import LbctlError
from tests.netns.live import (
    PATIENCE,
    READY,
    SMALL,
    ask,
    connect,
    going,
    none_failed,
    one_line,
    switch,
    until,
    vip4,
    vip6,
)

WEB = 10
URL = f"http://{vip4(WEB)}/"
ROUNDS = 5


@pytest.fixture(scope="module")
def live():
    """Two clients and three servers behind one VIP, IPv4 alone."""
    with switch() as live:
        live.pool("web", f"{vip4(WEB)}:80/tcp", live.backends())
        yield live


@pytest.fixture(autouse=True)
def _running(live):
    """A daemon for the next test, whatever this one left."""
    yield
    if live.daemon.poll() is None:
        live.kill()
    live.start()


def programs(live):
    """The numbers of the programs on the switch's NICs: a program made anew has another."""
    done = live.bed.run("switch", ["ip", "-j", "link", "show"])
    links = json.loads(done.stdout)
    return {link["ifname"]: link["xdp"]["prog"]["id"] for link in links if "xdp" in link}


def test_requests_go_on_without_a_daemon(live):
    """
    Killed, away for a while, back: no request fails, no connection ends, nothing is compiled.
    """
    moments = random.Random(1)
    before = live.export(), live.generation, programs(live)
    with closing(live.inside("client0", connect, vip4(WEB), 80)) as plug, live.crowd(URL) as crowd:
        server = ask(plug)
        for _ in range(3):
            going(crowd, moments.randrange(60))
            live.kill()
            going(crowd, moments.randrange(20, 60))
            assert server == ask(plug)
            live.start()
            assert before == (live.export(), live.generation, programs(live))
        assert server == ask(plug)
        none_failed(crowd)

    assert set(live.bed.plan.nics) == programs(live).keys()


class Eager:
    """Somebody who applies two files in turns, as fast as the daemon can."""

    def __init__(self, live, first, second) -> None:
        self.client = api(live.name, str(live.socket))
        self.files = (first, second)
        self.acknowledged = None
        self.tried = first
        self.count = 0
        self.thread = threading.Thread(target=self._work)
        self.thread.start()

    def _work(self):
        while True:
            self.tried = self.files[self.count % 2]
            try:
                self.client.apply(self.tried)
            except LbctlError:
                return
            self.acknowledged = self.tried
            self.count += 1


def variants(live):
    """Two configurations that differ in servers, weights and pools."""
    first = live.export()
    second = copy.deepcopy(first)
    second["pools"][0]["backends"] = [
        {**backend, "weight": 2 + i} for i, backend in enumerate(second["pools"][0]["backends"][:2])
    ]
    second["pools"].append({**second["pools"][0], "name": "more", "vips": [f"{vip4(11)}:80/tcp"]})
    return first, second


def test_what_was_acknowledged_holds(live):
    """
    Killed in the middle of changes, again and again: all of that or of what was under way.
    """
    moments = random.Random(2)
    with closing(live.inside("client1", connect, vip4(WEB), 80)) as plug, live.crowd(URL) as crowd:
        server = ask(plug)
        usual = live.export()
        for _ in range(ROUNDS):
            eager = Eager(live, *reversed(variants(live)))
            wanted = moments.randrange(1, 4)
            until(lambda eager=eager, wanted=wanted: eager.count >= wanted, "nothing is applied")
            time.sleep(moments.uniform(0, 0.1))  # a moment of no meaning, which is the point
            live.kill()
            eager.thread.join()
            going(crowd, 10)
            live.start()
            known = live.export()
            assert full(known) in [full(eager.acknowledged), full(eager.tried)]
            assert server == ask(plug)
            live.apply(usual)
        none_failed(crowd)


def full(configuration):
    """A configuration with everything that a file may leave out."""
    weights = [
        {**pool, "backends": [{"weight": 1, "state": "active", **b} for b in pool["backends"]]}
        for pool in configuration["pools"]
    ]
    return {**configuration, "pools": weights}


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.4])
def test_killed_while_the_program_is_made(live, seconds):
    """
    The first IPv6 pool asks for another program; the next daemon makes it all the same.
    """
    begin_anew(live)
    usual, six = live.export(), live.export()
    address = [{"address": a} for a in live.backends(6)]
    six["pools"].append({"name": "web6", "vips": [f"{vip6(WEB)}:80/tcp"], "backends": address})
    with live.crowd(URL) as crowd:
        going(crowd)
        child = live.typing("apply", "-f", "-", text=yaml.safe_dump(six))
        until(lambda: child.poll() is not None or asked(live), "nobody asks the daemon")
        time.sleep(seconds)
        live.kill()
        child.communicate(timeout=60)
        going(crowd)
        live.start()
        known = live.export()
        live.apply(six)
        answer = live.curl(f"http://{vip6(WEB)}/")
        live.apply(usual)
        none_failed(crowd)

    assert [pool["name"] for pool in known["pools"]] in (["web"], ["web", "web6"])
    assert answer.stdout.startswith("server"), answer.stderr


def begin_anew(live, size=SMALL[0]):
    """Let the switch forget all it can do, and start with what is stored."""
    live.end()
    live.start("--detach-on-exit", size)
    live.end()
    live.start()


def asked(live):
    """Whether somebody is connected to the daemon."""
    done = subprocess.run(["ss", "-Hx", "src", str(live.socket)], capture_output=True, check=False)
    return b"ESTAB" in done.stdout


def test_sigterm_leaves_the_traffic(live):
    """
    The daemon ends well, its socket goes, and packets flow.
    """
    before = programs(live)
    with live.crowd(URL) as crowd:
        going(crowd)
        status = live.end(signal.SIGTERM)
        going(crowd, 60)
        live.start()
        going(crowd)
        none_failed(crowd)

    assert 0 == status
    assert before == programs(live)


def test_a_second_daemon_is_refused(live):
    """
    By name: it says who is there, and does no harm.
    """
    before = live.generation, programs(live)

    done = subprocess.run(
        live.command(), env=None, capture_output=True, text=True, check=False, timeout=PATIENCE
    )

    assert str(live.daemon.pid) in one_line(done, 4)
    assert before == (live.generation, programs(live))
    assert live.curl(URL).stdout.startswith("server")


def test_tables_of_another_size_are_refused(live):
    """
    One line says what does not fit and what to do; traffic goes on, and so does the old size.
    """
    before = live.export(), programs(live)
    with live.crowd(URL) as crowd:
        going(crowd)
        live.end()
        command = live.command("--connections=131072")
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        going(crowd)
        live.start()
        none_failed(crowd)

    line = one_line(done, 1)
    assert "--fresh" in line
    assert before == (live.export(), programs(live))


def test_fresh_tables(live):
    """
    Of any size: the configuration stays, connections are forgotten.
    """
    before = live.export(), live.generation
    with closing(live.inside("client0", connect, vip4(WEB), 80)) as plug:
        ask(plug)
        live.end()
        live.start("--fresh", "--connections=131072")
        with pytest.raises(ConnectionResetError):
            ask(plug)
    now = live.export(), live.generation
    answer = live.curl(URL)
    begin_anew(live, "--connections=131072")

    assert before == now
    assert answer.stdout.startswith("server"), answer.stderr


def test_detach_on_exit(live):
    """
    Nothing is left of it: no program, no pins; the next one has it all again.
    """
    before = live.export()
    live.end()
    live.start("--detach-on-exit", *SMALL)

    status = live.end()

    assert 0 == status
    assert {} == programs(live)
    assert not live.pin_dir.exists()
    assert 0 != live.curl(URL, "client0", "--connect-timeout", "0.2").returncode
    live.start()
    assert READY in live.said()
    assert before == live.export()
    assert live.curl(URL).stdout.startswith("server")
