"""The words of a server line: which take a value, and what is to be said of those not taken."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from lbctl.cli.importing.remarks import Kind

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lbctl.cli.importing.remarks import Remarks

LIMIT = (Kind.NOT_TAKEN, "lbctl does not limit the connections of a server")
HTTP = (Kind.NOT_TAKEN, "it is of HTTP: nothing looks into what is said")
ADDRESS = (Kind.NOT_NEEDED, "the address of a server is fixed")
OWN = (Kind.NOT_NEEDED, "client and server talk to each other: there is no connection of its own")
CHECKING = (Kind.NOT_TAKEN, "checks have nothing like it")
PROXY = (Kind.DIFFERS, "the server sees the client's address itself, and must not wait for PROXY")
TLS = (Kind.NOT_TAKEN, "lbctl speaks no TLS for clients")
AGENT = (Kind.NOT_TAKEN, "agents are asked at the server's address, and are sent nothing")
# Words that servers.py and checks.py read, with the number of their values.
TAKEN = {
    **dict.fromkeys(("check", "backup", "disabled", "ssl", "check-ssl", "agent-check"), 0),
    **dict.fromkeys(("weight", "inter", "rise", "fall", "port", "check-sni", "verify"), 1),
    **dict.fromkeys(("on-marked-down", "slowstart", "observe", "agent-port", "agent-inter"), 1),
}
SAID: Mapping[str, tuple[int, tuple[Kind, str]]] = {
    **dict.fromkeys(("maxconn", "minconn", "maxqueue"), (1, LIMIT)),
    **dict.fromkeys(("cookie", "redir", "ws"), (1, HTTP)),
    **dict.fromkeys(("resolvers", "init-addr", "resolve-prefer", "resolve-net"), (1, ADDRESS)),
    "resolve-opts": (1, ADDRESS),
    **dict.fromkeys(("pool-max-conn", "pool-purge-delay", "pool-low-conn"), (1, OWN)),
    **dict.fromkeys(("max-reuse", "tcp-ut", "proto", "alpn", "proxy-v2-options"), (1, OWN)),
    **dict.fromkeys(("tfo", "non-stick"), (0, OWN)),
    **dict.fromkeys(("id", "hash-key", "log-proto", "guid", "error-limit"), (1, OWN)),
    **dict.fromkeys(("on-error", "on-marked-up"), (1, CHECKING)),
    **dict.fromkeys(("addr", "fastinter", "downinter", "track", "check-alpn"), (1, CHECKING)),
    "check-proto": (1, CHECKING),
    **dict.fromkeys(("check-send-proxy", "check-via-socks4"), (0, CHECKING)),
    **dict.fromkeys(("send-proxy", "send-proxy-v2"), (0, PROXY)),
    **dict.fromkeys(("send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"), (0, PROXY)),
    **dict.fromkeys(("agent-addr", "agent-send"), (1, AGENT)),
    **dict.fromkeys(("ca-file", "crt", "crl-file", "ciphers", "ciphersuites", "sni"), (1, TLS)),
    **dict.fromkeys(("verifyhost", "ssl-min-ver", "ssl-max-ver", "curves", "sigalgs"), (1, TLS)),
    **dict.fromkeys(("allow-0rtt", "force-tlsv12", "force-tlsv13"), (0, TLS)),
    **dict.fromkeys(("no-sslv3", "no-tlsv10", "no-tlsv11", "no-tls-tickets"), (0, TLS)),
    "source": (1, (Kind.NOT_NEEDED, "servers see the addresses of clients")),
    "usesrc": (1, (Kind.NOT_NEEDED, "servers see the addresses of clients")),
    "interface": (1, (Kind.NOT_TAKEN, "routes say which NIC leads to a server")),
    "namespace": (1, (Kind.NOT_TAKEN, "servers are reached from the network namespace of lbctld")),
    "socks4": (1, (Kind.NOT_TAKEN, "servers are reached without a proxy")),
    "enabled": (0, (Kind.NOT_NEEDED, "it is so anyway")),
    "stick": (0, OWN),
}
UNKNOWN = (Kind.NOT_TAKEN, "lbctl has nothing like it")


class Option(NamedTuple):
    """A word of a server line with its value, and the line where it stands."""

    line: int
    value: str


def read(
    line: int, words: Sequence[str], before: Mapping[str, Option], remarks: Remarks
) -> dict[str, Option]:
    """Read the words after a server's address; *before* are those of default-server."""
    options = dict(before)
    place = 0
    while place < len(words):
        word = words[place]
        positive = word.removeprefix("no-")
        if word not in SAID and word != positive and positive in (*TAKEN, *SAID, "backup"):
            options.pop(positive, None)
            place += 1
            continue
        values = TAKEN[word] if word in TAKEN else SAID.get(word, (0, UNKNOWN))[0]
        value = " ".join(words[place + 1 : place + 1 + values])
        options[word] = Option(line, value)
        if word == "enabled":
            options.pop("disabled", None)
        place += 1 + values
    _say(options, remarks)
    return options


def _say(options: Mapping[str, Option], remarks: Remarks) -> None:
    """Say what is not taken of the options that hold."""
    say = {
        Kind.NOT_TAKEN: remarks.not_taken,
        Kind.DIFFERS: remarks.differs,
        Kind.NOT_NEEDED: remarks.not_needed,
    }
    for word, (line, value) in options.items():
        if word not in TAKEN:
            kind, why = SAID.get(word, (0, UNKNOWN))[1]
            say[kind](line, f"{word} {value}".strip(), why)
