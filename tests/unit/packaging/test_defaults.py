"""The file of options: each that it names is one, and it says nothing by itself."""

from __future__ import annotations

import re

from tests.unit.packaging import files

TEXT = (files.PACKAGING / "lbctld.default").read_text()


def test_every_option_exists():
    """
    As lbctld has it.
    """
    named = set(re.findall(r"--[a-z][a-z-]+", TEXT))
    known = {option for param in files.program("lbctld").params for option in param.opts}

    assert {"--listen", "--connections"} <= named
    assert set() == named - known - {"--help"}


def test_nothing_is_set():
    """
    A fresh installation listens on the Unix socket alone.
    """
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]

    assert ['LBCTLD_OPTIONS=""'] == lines


def test_the_unit_reads_it():
    """
    The variable, and where the package puts the file.
    """
    service = files.unit("lbctld.service")["Service"]

    assert ["-/etc/default/lbctld"] == service["EnvironmentFile"]
    assert service["ExecStart"][0].endswith(" $LBCTLD_OPTIONS")
    assert "/etc/default/lbctld\n" == (files.PACKAGING / "deb/lbctl/conffiles").read_text()
