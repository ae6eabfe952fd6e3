"""The processors: which CPUs do what; several NICs may share one, and one NIC may have several."""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, model_validator

from lbctl.model.base import Model

Cpu = Annotated[int, Field(ge=0, le=4095)]
PROCESSOR_NAME = r"^[A-Za-z0-9]([A-Za-z0-9._-]{0,30})$"


class Polling(StrEnum):
    """How a switching processor gets to know that packets are there."""

    INTERRUPT = "interrupt"  # the NIC interrupts it
    THREADED = "threaded"  # a kernel thread of its own, pinned to its CPU
    BUSY = "busy"  # whoever uses the queue polls it; interrupts are deferred


class Role(StrEnum):
    """What a processor is for."""

    SWITCHING = "switching"
    CONTROL = "control"
    APPLICATION = "application"


class Processor(Model):
    """
    CPUs with one task.

    *nics*: for switching, those whose queues it serves, dealt in turn to its *cpus*.  *apps*: for
    applications, the network applications that run there and nowhere else.
    """

    name: str = Field(pattern=PROCESSOR_NAME)
    role: Role = Role.SWITCHING
    cpus: tuple[Cpu, ...] = Field(min_length=1)
    nics: tuple[Annotated[str, Field(min_length=1, max_length=15)], ...] = ()
    apps: tuple[str, ...] = ()
    polling: Polling = Polling.INTERRUPT

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if twice := [cpu for cpu, count in Counter(self.cpus).items() if count > 1]:
            raise ValueError(f"processor {self.name!r}: CPU {twice[0]} is named twice")
        if self.nics and self.role is not Role.SWITCHING:
            raise ValueError(
                f"processor {self.name!r}: NICs belong to switching processors, not {self.role}"
            )
        if self.apps and self.role is not Role.APPLICATION:
            raise ValueError(
                f"processor {self.name!r}: apps belong to application processors, not {self.role}"
            )
        return self
