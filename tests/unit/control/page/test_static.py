"""
The files of the page: they need nothing from elsewhere, keep its policy, and are in the package.
"""

from __future__ import annotations

import re

import pytest
from hatchling.builders.wheel import WheelBuilder

from lbctl.control.page.server import STATIC, TYPES
from tests.architecture import source

FILES = {path.name: path.read_text(encoding="utf-8") for path in sorted(STATIC.iterdir())}
SCRIPTS = {name: text for name, text in FILES.items() if name.endswith(".js")}
MOST_BYTES = 120_000
MOST_LINES = 300
FORBIDDEN = (  # what makes markup or code out of text, or leaves something behind
    *("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval("),
    *("new Function", 'setAttribute("style"', "document.cookie", "localStorage"),
)


def test_the_page_is_small():
    """
    All files together, before anybody compresses them.
    """
    assert 0 < sum(len(text.encode()) for text in FILES.values()) < MOST_BYTES


@pytest.mark.parametrize("name", FILES)
def test_every_file_is_served_and_one_idea(name):
    """
    A file of an unknown type would be left out in silence.
    """
    assert name.endswith(tuple(TYPES))
    assert len(FILES[name].splitlines()) <= MOST_LINES


@pytest.mark.parametrize("name", FILES)
def test_nothing_comes_from_elsewhere(name):
    """
    The only addresses are names of XML namespaces.
    """
    addresses = set(re.findall(r"\w+://[^\s\"'<>)]+", FILES[name]))

    assert addresses <= {"http://www.w3.org/2000/svg"}


def test_what_the_page_names_is_there():
    """
    Scripts, styles and the icon; and what scripts import.
    """
    named = set(re.findall(r'(?:src|href)="([^"#]+)"', FILES["index.html"]))
    named |= {name for text in SCRIPTS.values() for name in re.findall(r'from "\./([^"]+)"', text)}

    assert set(FILES) - {"index.html"} == named


def test_nothing_is_inline():
    """
    The policy would refuse it: the page would look broken, not unsafe.
    """
    page = FILES["index.html"]

    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", page)
    assert all('src="' in tag for tag in re.findall(r"<script[^>]*>", page))


@pytest.mark.parametrize("name", SCRIPTS)
def test_text_stays_text(name):
    """
    No script turns a name, a reason or an event into markup or code.
    """
    assert [] == [word for word in FORBIDDEN if word in SCRIPTS[name]]


def test_every_id_that_scripts_ask_for_is_in_the_page():
    """
    A misspelt one would be an error in the browser only.
    """
    asked = {i for text in SCRIPTS.values() for i in re.findall(r'byId\("([^"]+)"\)', text)}

    assert asked
    assert set() == asked - set(re.findall(r'\sid="([^"]+)"', FILES["index.html"]))


def test_the_wheel_has_the_files():
    """
    Whoever installs lbctl has the page as well.
    """
    builder = WheelBuilder(str(source.ROOT))
    packed = {file.distribution_path for file in builder.recurse_included_files()}

    assert {f"lbctl/control/page/static/{name}" for name in FILES} <= packed
