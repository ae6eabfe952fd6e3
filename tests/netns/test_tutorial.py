"""The tutorial, typed in as it stands: what the page shows is what happens."""

from __future__ import annotations

import shutil
from pathlib import Path
from uuid import uuid4

import pytest

from lbctl.testbed import Testbed
from tests.support.console import Console, agrees, steps

TUTORIAL = Path(__file__).parents[2] / "docs" / "tutorial"
OTHERS = (
    *("design/packet-walk", "howto/add-a-service", "howto/upgrade"),
    *("howto/programs-on-the-switch", "howto/network-application"),
)
PAGES = sorted(TUTORIAL.glob("*.md")) + [TUTORIAL.parent / f"{name}.md" for name in OTHERS]
PREPARATION = ("sudo ", "PATH=")  # the reader's; here it is done


@pytest.fixture
def name():
    """Name an instance and a test bed like no other, and remove what is left of them."""
    name = f"tutorial{uuid4().hex[:8]}"
    yield name
    bed = Testbed(name)
    if bed.file.exists():
        Testbed.load(name).down()
    for folder in ("/var/lib/lbctl", "/sys/fs/bpf/lbctl"):
        shutil.rmtree(Path(folder) / name, ignore_errors=True)
    Path(f"/run/lbctl/{name}.sock").unlink(missing_ok=True)


def own(line, name):
    """Put *name* where the page has the default names."""
    line = line.replace("lbctl testbed up", f"lbctl testbed up --prefix {name}")
    line = line.replace("lbctl testbed down", f"lbctl testbed down --prefix {name}")
    return line.replace("lbtb", name).replace("default", name)


def test_there_are_pages():
    """
    Nothing found would be nothing wrong.
    """
    assert {"first-switch.md", "health-and-load.md"} <= {page.name for page in PAGES}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_tutorial_is_true(name, page):
    """
    Every command works and says what the page says, figures aside.
    """
    typed = [s for s in steps(page.read_text()) if not s.command.startswith(PREPARATION)]
    with Console({"LBCTL_NAME": name}) as console:
        for step in typed:
            shown = tuple(own(line, name) for line in step.output)
            # What runs in the background says when it is ready, and the reader waits for that.
            awaited = len(shown) if step.command.endswith("&") else 0
            answer = console.type(own(step.command, name), awaited)
            assert agrees(shown, answer), "\n".join([f"{step.line}: {step.command}", *answer])
