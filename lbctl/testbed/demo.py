"""
The demonstration: the switch at its main job, with real clients and servers, in under a minute.

Each thing that is promised is tried and counted; one that does not hold makes it end with 1.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from lbctl.cli import render
from lbctl.cli.tables import Column, Table
from lbctl.testbed.crowd import Crowd, Tally
from lbctl.testbed.plan import VIPS4, VIPS6
from lbctl.testbed.stage import Stage, say_command, wait
from lbctl.testbed.testbed import Testbed

if TYPE_CHECKING:
    from collections.abc import Iterator

CLIENTS, BACKENDS = 3, 3
VIP4, VIP6 = VIPS4[10], VIPS6[0x10]
URLS = (f"http://{VIP4}/", f"http://[{VIP6}]/")
SLOW = tuple(f"{url}slow?bytes=1000000&seconds=3" for url in URLS)
REQUESTS = 4500  # of the first part, by all clients together
RATE = 100  # requests a second and client, while something is done to the switch
FAIR = 0.8  # of its equal share, which every server must get at least
TELL = 0.1  # seconds between two reports of a client
QUIET = 1.0  # seconds without a new connection that prove a drain
PROMISES = 9
ALONE = 2.0  # seconds that the switching processors must do without a control processor


@dataclass(frozen=True, slots=True)
class Promise:
    """Something that must hold, and whether it did."""

    text: str
    kept: bool


class Demo:
    """The story, part by part."""

    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.bed = stage.bed
        self.promises: list[Promise] = []

    def promise(self, text: str, *, kept: bool) -> None:
        """Tell at once whether it holds."""
        self.promises.append(Promise(text, kept))
        click.secho(f"  {'kept' if kept else 'BROKEN'}: {text}", fg="green" if kept else "red")

    def set_up(self) -> None:
        """A switch with four NICs, and one pool for each family."""
        part("A switch, three servers, two VIPs")
        self.stage.start()
        self.stage.lbctl("attach", *self.bed.plan.nics)
        for name, vip, servers in self.pools():
            options = [word for server in servers for word in ("--backend", server)]
            self.stage.lbctl("pool", "add", name, "--vip", f"{vip}/tcp", *options)

    def pools(self) -> Iterator[tuple[str, str, list[str]]]:
        """Name, VIP and back-ends of the two pools."""
        yield "web", f"{VIP4}:80", [f"{server.ipv4}:8080" for server in self.bed.servers]
        yield "web6", f"[{VIP6}]:80", [f"[{server.ipv6}]:8080" for server in self.bed.servers]

    def balance(self) -> None:
        """Many requests, each a connection of its own."""
        part(f"{REQUESTS} requests of {CLIENTS} clients, each a new connection")
        each = REQUESTS // CLIENTS
        with (
            Crowd(self.bed, URLS, f"--requests={each}", f"--interval={TELL}") as crowd,
            render.progress("requests") as report,
        ):
            while crowd.is_busy:
                now = crowd.progress()
                report(now.ok + now.failed, REQUESTS)
                time.sleep(TELL)
            tally = crowd.finish()
        show_servers(tally)
        share = min(tally.servers[server.role] for server in self.bed.servers) / REQUESTS
        self.promise(f"{REQUESTS} of {REQUESTS} requests answered", kept=tally.ok == REQUESTS)
        self.promise("every server has had its share", kept=share * BACKENDS > FAIR)
        self.stage.lbctl("connection", "list", "--limit", "5")
        complain(tally)

    def drain(self) -> None:
        """A server is taken away and comes back while clients go on."""
        part("A server is taken out of service under load, and comes back")
        gone = self.bed.servers[0].role
        with self.short() as short, self.long() as long:
            self.wait_for_downloads(long)
            for name, _, servers in self.pools():
                self.stage.lbctl("backend", "drain", name, servers[0])
            for name, _, servers in self.pools():
                self.stage.lbctl("backend", "drain", name, servers[0], "--wait")
            time.sleep(2 * TELL)
            before = short.progress().servers[gone]
            time.sleep(QUIET)
            late = short.progress().servers[gone] - before
            for name, _, servers in self.pools():
                self.stage.lbctl("backend", "restore", name, servers[0])
            before = short.progress().servers[gone]
            wait(lambda: short.progress().servers[gone] > before, 5, f"{gone} gets nothing")
            self.judge(short, long, "while it was drained and restored")
        self.promise(f"{gone} was given no connection while it was drained", kept=late == 0)

    def die(self) -> None:
        """The control processor is killed, and another takes over."""
        part("The control processor is killed under load, and another takes over")
        with self.short() as short, self.long() as long:
            self.wait_for_downloads(long)
            generation = self.generation()
            self.stage.kill()
            before = short.progress().ok
            time.sleep(ALONE)
            alone = short.progress().ok - before
            seconds = self.stage.start()
            self.stage.lbctl("status")
            same = self.generation() == generation
            self.judge(short, long, "while it was dead and came back")
        self.promise(f"{alone} requests were served without it", kept=alone > 0)
        self.promise(
            f"the new one took over in {seconds:.1f} s, generation {generation}", kept=same
        )

    def generation(self) -> int:
        """The generation that is active."""
        return int(json.loads(self.stage.lbctl("status", "-o", "json", quiet=True))["generation"])

    def short(self) -> Crowd:
        """Small requests at a steady rate, until stopped."""
        return Crowd(self.bed, URLS, f"--rate={RATE}", f"--interval={TELL}")

    def long(self) -> Crowd:
        """Downloads that take seconds, one of each family in each client."""
        return Crowd(self.bed, SLOW, f"--requests={len(SLOW)}", f"--interval={TELL}")

    def wait_for_downloads(self, long: Crowd) -> None:
        """Wait until all of them have begun, and a moment for the first bytes."""
        wanted = len(SLOW) * CLIENTS
        wait(lambda: long.progress().begun == wanted, 10, "the downloads do not begin")
        time.sleep(TELL)

    def judge(self, short: Crowd, long: Crowd, when: str) -> None:
        """Stop the load, and see what became of it."""
        downloads = long.finish()
        short.stop()
        requests = short.finish()
        show_servers(requests)
        self.promise(f"{requests.ok} requests {when}, none failed", kept=not requests.failed)
        whole = downloads.ok == len(SLOW) * CLIENTS
        self.promise(f"{downloads.ok} downloads went on {when}, all whole", kept=whole)
        for tally in (requests, downloads):
            complain(tally)


def part(title: str) -> None:
    """Begin a part of the story."""
    click.secho(f"\n== {title}", bold=True)


def show_servers(tally: Tally) -> None:
    """Who served how many."""
    total = tally.ok + tally.failed
    rows = [
        {"server": name, "requests": count, "share": f"{count / total:.1%}"}
        for name, count in sorted(tally.servers.items())
    ]
    columns = (
        Column("SERVER", "server"),
        Column("REQUESTS", "requests", right=True),
        Column("SHARE", "share", right=True),
    )
    render.show(rows, "table", lambda data: [Table(columns, data, "no request was answered")])


def complain(tally: Tally) -> None:
    """What failed, by reason and one by one; nothing is hidden."""
    for reason, count in tally.failures.items():
        click.secho(f"  {count} failed: {reason}", fg="red")
    for failure in tally.first_failures[:5]:
        click.echo(f"    {failure}")


def run(prefix: str, *, keep: bool) -> bool:
    """Show it all; returns whether every promise was kept."""
    begin = time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # after tidying up
    bed = Testbed(prefix, clients=CLIENTS, backends=BACKENDS)
    with ExitStack() as cleanup:
        part(f"A network: {CLIENTS} clients, a switch with four NICs, {BACKENDS} servers")
        say_command(f"lbctl testbed up --prefix {prefix} --clients {CLIENTS} --backends {BACKENDS}")
        bed.up()
        cleanup.callback(bed.down)
        stage = cleanup.enter_context(Stage(bed))
        promises = show(Demo(stage))
        if keep:
            cleanup.pop_all()
            click.echo(f"It goes on: export LBCTL_SOCKET={stage.socket}")
            click.echo(f"To end it:  sudo lbctl testbed down --prefix {prefix}")
    click.echo(f"{time.monotonic() - begin:.0f} seconds")
    return all(promise.kept for promise in promises)


def show(demo: Demo) -> list[Promise]:
    """All parts; if something went wrong, what the daemon had to say about it."""
    try:
        for act in (demo.set_up, demo.balance, demo.drain, demo.die):
            act()
    finally:
        kept = sum(promise.kept for promise in demo.promises)
        part(f"{kept} of {len(demo.promises)} promises kept")
        if kept != PROMISES:
            click.echo(demo.stage.last_words(), err=True)
    return demo.promises
