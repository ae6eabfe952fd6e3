"""
Programs that talk over sockets, in the namespaces of a test bed; see tests.support.exchange.
"""

from __future__ import annotations

import sys

from tests.netns.live import until

PORT = 7000
EXCHANGE = (sys.executable, "-m", "tests.support.exchange")


def host(live, kind, number, family):
    """The address of a client or server."""
    found = getattr(live.bed, f"{kind}s")[number]
    return str(found.ipv4 if family == 4 else found.ipv6)


def serve(live, role, address):
    """Start a server of ours there and wait until it listens; returns the file of what it says."""
    log = live.bed.folder / f"exchange-{role}-{address}.log"
    with log.open("wb") as file:
        words = [*EXCHANGE, "serve", address, str(PORT)]
        live.bed.popen(role, words, stdout=file, stderr=file)
    until(lambda: b"ready" in log.read_bytes(), "the program does not listen")
    return log


def talk(live, role, verb, address, size, *source):
    """Have a program in a namespace talk to a server of ours; returns what it says."""
    done = live.bed.run(role, [*EXCHANGE, verb, address, str(PORT), str(size), *source])
    assert 0 == done.returncode, done.stderr
    return done.stdout.strip()
