"""The endpoint of the preflight: all that is wrong with the switch, and what mends it."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import Field

from lbctl.control.endpoints.common import Control  # noqa: TC001 - FastAPI reads annotations
from lbctl.control.preflight.finding import Report  # noqa: TC001 - the same
from lbctl.control.preflight.inspection import inspect
from lbctl.model import Model

router = APIRouter(tags=["preflight"])


class Chosen(Model):
    """NICs to look at, attached or not; none: all of the switch, and everything else."""

    nic: list[Annotated[str, Field(min_length=1, max_length=15)]] = Field(default_factory=list)


@router.get("/preflight")
def preflight(control: Control, chosen: Annotated[Chosen, Query()]) -> Report:
    """Look at machine, NICs, VIPs and back-ends; sends some packets, changes nothing."""
    return inspect(control, chosen.nic)
