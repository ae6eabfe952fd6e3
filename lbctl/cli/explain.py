"""The explain command: what the switch would do with a packet, and why."""

from __future__ import annotations

import base64
from itertools import islice
from typing import TYPE_CHECKING, Any

import click

from lbctl.cli import render
from lbctl.cli.options import example, limit_option, output_option
from lbctl.cli.parameters import NIC
from lbctl.cli.tables import Column, Fields, Lines, Table

if TYPE_CHECKING:
    from lbctl.cli.client import Client
    from lbctl.cli.tables import Block, Row

PROTOCOLS = ("tcp", "udp", "icmp")
ERRORS = ("too-big", "unreachable", "time-exceeded")
LIMIT = 1000
BATCH = 100  # frames in one request
PACKETS = (
    Column("NUMBER", "number", right=True),
    Column("PACKET", "packet"),
    Column("VERDICT", "verdict"),
    Column("BACKEND", "backend"),
    Column("OUT", "out_nic"),
)


@click.command(
    epilog=example(
        "lbctl explain tcp 198.51.100.7:40000 203.0.113.10:80",
        "lbctl explain udp 198.51.100.7 203.0.113.10:53 --length 1500 -o json",
        "lbctl explain tcp 198.51.100.7:40000 203.0.113.10:80 --icmp too-big",
        "lbctl explain --pcap trouble.pcap --limit 20",
    )
)
@click.argument("words", nargs=-1, metavar="[PROTO SRC[:PORT] DST[:PORT]]")
@click.option("--in", "in_nic", type=NIC, help="It comes in by this NIC.  [where SRC is]")
@click.option(
    "--queue",
    type=click.IntRange(0, 0xFFFF),
    metavar="N",
    help="By this queue of that NIC: an application may receive by some only.  [0]",
)
@click.option("--flags", metavar="FLAGS", help="TCP flags, as SYN,ACK or none.  [see above]")
@click.option("--length", type=click.IntRange(min=1), metavar="N", help="Bytes of the IP packet.")
@click.option("--ttl", type=click.IntRange(1, 255), metavar="N", help="TTL or hop limit.  [64]")
@click.option(
    "--icmp", type=click.Choice(ERRORS), help="An ICMP error of SRC about what DST sent to it."
)
@click.option("--pcap", metavar="FILE", help="Packets of a pcap or pcapng file; - is stdin.")
@limit_option(LIMIT, "Of --pcap so many packets at most.")
@click.option("--to-nic", is_flag=True, help="Of --pcap: as if all were for the NIC's MAC.")
@output_option
@click.pass_obj
def explain(daemon: Client, /, words: tuple[str, ...], output: str, **given: Any) -> None:  # noqa: ANN401
    """
    Tell what the switch would do with a packet, and why.

    The real program is run on it, on tables of its own: nothing is changed, and nothing is sent.
    PROTO is tcp, udp or icmp, which is a ping.  The flags of TCP are ACK where there is such a
    connection, else SYN.

    The packets of --pcap are explained as they are, each by itself, against the tables as they are
    now: no packet sees what another before it would have changed.
    """
    if given["pcap"]:
        _explain_file(daemon, words, output, given)
        return
    if len(words) != 3:
        raise click.UsageError("give PROTO SRC[:PORT] DST[:PORT], or --pcap FILE")
    if given["to_nic"]:
        raise click.UsageError("--to-nic is for --pcap")
    protocol, source, destination = words
    if protocol not in PROTOCOLS:
        raise click.UsageError(f"{protocol!r} is not one of {', '.join(PROTOCOLS)}")
    told = {name: given[name] for name in ("in_nic", "queue", "flags", "length", "ttl", "icmp")}
    asked = {"protocol": protocol, "source": source, "destination": destination}
    question = asked | {name: value for name, value in told.items() if value is not None}
    render.show(daemon.explain(question), output, _stages)


def _explain_file(daemon: Client, words: tuple[str, ...], output: str, given: Row) -> None:
    """Explain the packets of a file, so many in a request."""
    of_words = [f"--{name}" for name in ("flags", "length", "ttl", "icmp") if given[name]]
    if words or of_words:
        extra = " ".join([*words, *of_words])
        raise click.UsageError(f"--pcap has packets enough: leave out {extra}")
    from lbctl.cli.packets import frames_of  # noqa: PLC0415 - dpkt is slow to import

    frames = islice(frames_of(given["pcap"]), given["limit"])
    question = {name: given[name] for name in ("to_nic", "in_nic")}
    question |= {} if given["queue"] is None else {"queue": given["queue"]}
    told: list[Row] = []
    with render.progress("explaining") as progress:
        while batch := list(islice(frames, BATCH)):
            texts = [base64.b64encode(frame).decode() for frame in batch]
            told += daemon.explain_frames({**question, "frames": texts})
            progress(len(told), given["limit"])
    numbered = [{"number": number, **row} for number, row in enumerate(told, start=1)]
    render.show(numbered, output, _packets)


def _packets(data: list[Row]) -> list[Block]:
    """One line for each packet, and what is to be said of those that could not be tried."""
    notes = [f"{row['number']}: {row['note']}" for row in data if not row["verdict"]]
    table = Table(PACKETS, data, "no packets in that file")
    return [table, *([Lines(notes)] if notes else [])]


def _stages(data: Row) -> list[Block]:
    """What every stage found, and what it came to."""
    told = [Fields([(stage["stage"], stage["text"]) for stage in data["stages"]])]
    end = [("verdict", data["verdict"]), ("", data["note"])]
    if data["next"]:
        end.append(("next", data["next"]))
    return [*told, Fields(end)]
