"""
The check: ask one back-end once whether it is well.

It keeps to the time, and turns whatever happens into a phrase.  How to ask is each kind's own.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
from typing import TYPE_CHECKING, Any

from lbctl.control.health import grpc, http, icmp, script, tcp, udp
from lbctl.control.health.target import CannotCheck, CheckFailed, Outcome, Progress, Target

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

__all__ = ["Outcome", "Target", "look"]

log = logging.getLogger(__name__)

ASK: dict[str, Callable[[Target, Any, Progress], Awaitable[str]]] = {
    "tcp": tcp.ask,
    "http": http.ask,
    "https": http.ask,
    "udp": udp.ask,
    "icmp": icmp.ask,
    "grpc": grpc.ask,
    "script": script.ask,
}
# What the kernel says when this host lacks something, be the server as it may.
OURS = {
    errno.EACCES,
    errno.EADDRNOTAVAIL,
    errno.EAFNOSUPPORT,
    errno.EAGAIN,
    errno.EMFILE,
    errno.ENFILE,
    errno.ENOBUFS,
    errno.ENOMEM,
    errno.EPERM,
}
OVERSLEPT = 2  # times the timeout: this process cannot have been running all the while


async def look(target: Target) -> Outcome:
    """
    Check *target* once; never raises, and ends within the check's timeout.

    Every kind cleans up what it opened: sockets at once, a script's processes by SIGKILL.
    """
    loop, timeout = asyncio.get_running_loop(), target.check.timeout
    begin = loop.time()
    found = await _found(target)
    took = loop.time() - begin
    if found.ok:
        return found._replace(reason=f"{found.reason} in {_span(took)}", seconds=took)
    if took > OVERSLEPT * timeout:
        why = f"lbctld did not run for {_span(took - timeout)}"
        return Outcome(ok=False, reason=why, seconds=took, conclusive=False)
    return found._replace(seconds=took)


async def _found(target: Target) -> Outcome:
    """The outcome, without its seconds."""
    progress, timeout = Progress(), target.check.timeout
    try:
        async with asyncio.timeout(timeout) as limit:
            return Outcome(ok=True, reason=await _ask(target, progress), seconds=0)
    except CheckFailed as failed:
        return _bad(str(failed))
    except CannotCheck as failed:
        return _bad(str(failed), conclusive=False)
    except OSError as error:
        if limit.expired():
            return _time_up(progress, timeout)
        return _bad(phrase(error), conclusive=error.errno not in OURS)
    except Exception:  # a bug of ours must not end the watch over all others
        log.exception("%s: back-end %s: check %s", target.pool, target.address, target.check.check)
        return _bad("the check itself failed; see lbctld's log", conclusive=False)


async def _ask(target: Target, progress: Progress) -> str:
    if target.vip and not target.mark:
        raise CannotCheck(f"no way to {target.vip} on this server; see lbctld's log")
    return await ASK[target.check.check](target, target.check, progress)


def _time_up(progress: Progress, timeout: float) -> Outcome:
    if progress.silence_is_well:
        return Outcome(ok=True, reason=progress.missing, seconds=0)
    return _bad(f"{progress.missing} in {_span(timeout)}")


def _bad(reason: str, *, conclusive: bool = True) -> Outcome:
    return Outcome(ok=False, reason=reason, seconds=0, conclusive=conclusive)


def phrase(error: OSError) -> str:
    """Name an error of the kernel as people do: "connection refused"."""
    said = os.strerror(error.errno) if error.errno else str(error) or type(error).__name__
    return said.lower()


def _span(seconds: float) -> str:
    """A time in a unit that needs no zeros."""
    return f"{seconds * 1000:.3g} ms" if seconds < 1 else f"{seconds:.3g} s"
