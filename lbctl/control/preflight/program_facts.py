"""
The facts about programs on the switch: what checks are told of pseudo interfaces and applications.

Values only.  None stands for what could not be found out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from lbctl.control.preflight.facts import Link
from lbctl.model import IPAddress, OnExit


@dataclass(frozen=True, slots=True)
class Pseudo:
    """
    A pseudo interface that is wanted; *link*: the programs' end.

    *attached*: the switch's end has a switching processor.  *without_rule*: addresses whose packets
    no rule leads to it, *table*: that the rules should name.  *deaf*: attached NICs that do not
    answer ARP for it, for their reverse path filter is strict.
    """

    name: str
    link: Link | None
    attached: bool = True
    offloads: frozenset[str] | None = None
    without_rule: tuple[IPAddress, ...] | None = None
    table: int = 0
    deaf: tuple[str, ...] = ()

    @property
    def subject(self) -> str:
        """Whom findings are about."""
        return f"pseudo interface {self.name}"


@dataclass(frozen=True, slots=True)
class App:
    """
    A network application that is wanted.

    *pid*: of the process that has its buffers; None: it does not run.  *unheard*: by NIC the queues
    that it does not receive from.  *lost*: packets so far that found no application.
    """

    name: str
    on_exit: OnExit
    pid: int | None
    hung: bool = False
    unheard: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    lost: int = 0

    @property
    def subject(self) -> str:
        """Whom findings are about."""
        return f"application {self.name}"
