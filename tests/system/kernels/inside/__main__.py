"""
The checks of a guest, in the order of their worth: `python -m tests.system.kernels.inside`.

Where lbctld refuses the kernel, that it does so is the check, and what else is refused.
"""

from __future__ import annotations

import struct
import time
from unittest import mock

from lbctl.control import host
from lbctl.errors import LbctlError
from lbctl.shared import syscall
from lbctl.shared.clock import Clock
from lbctl.switching import capture, explain, program
from tests.support.progrun import Switch
from tests.system.kernels.inside import ipvs, live, programs, remote
from tests.system.kernels.inside.report import PASSED, REFUSED, Report


def supported(report: Report) -> bool:
    """Whether lbctld would start here; else its words, and those of other refusals."""
    asked = {
        "lbctld": host.require_kernel,
        "capture": capture.require_kernel,
        "explain": explaining,
    }
    answers = {}
    with report.check("kernel"):
        for name, ask in asked.items():
            try:
                ask()
            except LbctlError as error:
                answers[name] = str(error)
            report.tell(name, REFUSED if name in answers else PASSED, answers.get(name, ""))
    return "lbctld" not in answers


def explaining() -> None:
    """Run a program as if the frame had come in by a NIC; LbctlError where that cannot be."""
    frame, clock = bytes(64), Clock()
    try:
        syscall.test_run(
            clock._program, frame, context=struct.pack("=6I", 0, len(frame), 0, 1, 0, 0)
        )
    except OSError as error:
        raise explain._refused(error) from error
    finally:
        clock.close()


def bcc() -> str:
    """Compile in the guest itself, as a user's machine does."""
    begin = time.monotonic()
    Switch(("nat",)).destroy()
    return f"{time.monotonic() - begin:.0f} s"


def main() -> None:
    """All of it; what one check breaks, the next may do well without."""
    report = Report(remote.SHARED / "report")
    if not supported(report):
        return
    with mock.patch.object(program, "compile_program", remote.compile_program):
        with report.check("programs"):
            programs.verifier(report)
        with report.check("virtio"), live.virtio():
            live.walk(report)
        with report.check("veth"):
            ipvs.side_by_side(report)
        programs.packets()
    with report.check("programs"):
        report.step("bcc", bcc)


if __name__ == "__main__":
    main()
