"""
Exchanges: programs that talk over sockets, for tests in which both ends are programs of ours.

Each runs in a process of its own namespace; what it has to say it prints.  Bytes are those of the
test bed's servers, so that any end can check what it got.

    python -m tests.support.exchange serve ADDRESS PORT    TCP and UDP: what is asked for
    python -m tests.support.exchange fetch ADDRESS PORT SIZE [FROM]    SHA-256 of what came
    python -m tests.support.exchange store ADDRESS PORT SIZE [FROM]    the same, the other way
    python -m tests.support.exchange ask ADDRESS PORT SIZE [FROM]      one datagram, and its answer
"""

from __future__ import annotations

import hashlib
import socket
import sys
import threading

from lbctl.testbed.server import BLOCK

PATIENCE = 20


def parts(size):
    """*size* bytes, a block at a time."""
    while size > 0:
        yield BLOCK[:size]
        size -= len(BLOCK)


def digest_of(size):
    """The SHA-256 of what `parts` gives."""
    whole = hashlib.sha256()
    for part in parts(size):
        whole.update(part)
    return whole.hexdigest()


def drain(plug):
    """The SHA-256 and the number of bytes that come until the other one ends."""
    whole, size = hashlib.sha256(), 0
    while data := plug.recv(1 << 18):
        whole.update(data)
        size += len(data)
    return whole.hexdigest(), size


def family_of(address):
    """The family of sockets for an address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tell(text):
    """Say a line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def serve_one(plug):
    """Give as many bytes as are asked for, or tell what came."""
    with plug:
        verb, size = plug.makefile("rb", buffering=0).readline().split()
        if verb == b"fetch":
            for part in parts(int(size)):
                plug.sendall(part)
        else:
            found, _ = drain(plug)
            plug.sendall(found.encode())


def answer(plug):
    """Send datagrams back."""
    while True:
        data, origin = plug.recvfrom(1 << 16)
        plug.sendto(data, origin)


def serve(address, port):
    """Be a server of both protocols."""
    udp = socket.socket(family_of(address), socket.SOCK_DGRAM)
    udp.bind((address, port))
    threading.Thread(target=answer, args=(udp,), daemon=True).start()
    server = socket.create_server((address, port), family=family_of(address))
    tell("ready")
    while True:
        plug, origin = server.accept()
        tell(origin[0])
        threading.Thread(target=serve_one, args=(plug,), daemon=True).start()


def connect(address, port, source):
    """A connection, from an address of ours if one is named."""
    return socket.create_connection((address, port), PATIENCE, (source, 0) if source else None)


def fetch(address, port, size, source=""):
    """Have that many bytes sent here."""
    with connect(address, port, source) as plug:
        plug.sendall(b"fetch %d\n" % size)
        found, got = drain(plug)
    return found if got == size else f"{got} bytes"


def store(address, port, size, source=""):
    """Send that many bytes there; what arrived is told by the server."""
    with connect(address, port, source) as plug:
        plug.sendall(b"store %d\n" % size)
        for part in parts(size):
            plug.sendall(part)
        plug.shutdown(socket.SHUT_WR)
        return plug.recv(100).decode()


def ask(address, port, size, source=""):
    """Send a datagram, and get it back."""
    with socket.socket(family_of(address), socket.SOCK_DGRAM) as plug:
        plug.settimeout(PATIENCE)
        if source:
            plug.bind((source, 0))
        plug.connect((address, port))
        data = next(parts(size))
        plug.send(data)
        return hashlib.sha256(plug.recv(1 << 16)).hexdigest()


def main(verb, address, *numbers_and_source):
    """Do what was asked for."""
    numbers = [int(word) for word in numbers_and_source if word.isdigit()]
    source = [word for word in numbers_and_source if not word.isdigit()]
    if verb == "serve":
        serve(address, *numbers)
    tell({"fetch": fetch, "store": store, "ask": ask}[verb](address, *numbers, *source))


if __name__ == "__main__":
    main(*sys.argv[1:])
