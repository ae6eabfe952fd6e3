"""What docs/howto/network-application.md shows is what the examples have, and it works."""

from __future__ import annotations

import ast
import asyncio
import re
from contextlib import suppress
from pathlib import Path

import pytest

from examples.echo.in_asyncio import echo
from lbctl.netif import testing
from tests.examples.test_echo import answer, packet

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/howto/network-application.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
FILES = {
    name: (ROOT / "examples/echo" / name).read_text(encoding="utf-8")
    for name in ("ten_lines.py", "in_asyncio.py")
}


@pytest.mark.parametrize("name", FILES)
def test_the_page_has_what_the_file_has(name):
    """
    Word for word.
    """
    found = [block for block in BLOCKS if block in FILES[name]]

    assert 1 == len(found)


def test_the_page_has_no_other_python():
    """
    Beside these, a test that passes, and a piece that is Python.
    """
    others = [block for block in BLOCKS if not any(block in text for text in FILES.values())]
    (test,) = [block for block in others if "testing.interface" in block]

    assert 2 == len(others)
    assert all(map(ast.parse, others))
    exec(compile(test, "page", "exec"), {})


def test_asyncio_waits_for_ports():
    """
    Packets are answered beside other tasks, on all ports.
    """

    async def ask(fake):
        serving = asyncio.create_task(echo(fake))
        for port, family in zip(fake.ports, (4, 6), strict=True):
            fake.deliver(port, [packet(family)])
            async with asyncio.timeout(20):
                while not (sent := fake.sent(port)):  # noqa: ASYNC110 - the fake tells nobody
                    await asyncio.sleep(0)
            assert [answer(family)] == sent
        serving.cancel()
        with suppress(asyncio.CancelledError):
            await serving

    with testing.interface({"eth0": [0], "eth1": [0]}) as fake:
        asyncio.run(ask(fake))
