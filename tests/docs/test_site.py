"""The site: every page is in it and in its menu, and it shows nothing from elsewhere."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import yaml

from tests.docs import pages

CONFIGURATION = pages.ROOT / "docs" / "site" / "properdocs.yml"
# What a browser loads by itself: anything but the target of a link that somebody clicks on.
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*?\bsrc=["']([^"']+)"""
    r"""|<link\b[^>]*?\bhref=["']([^"']+)"""
    r"""|url\(\s*["']?([^"')]+)"""
    r"""|@import\s+["']([^"']+)"""
)


def menu(part):
    """The pages of the menu, or of a part of it, in their order."""
    if isinstance(part, str):
        return [part]
    entries = part.values() if isinstance(part, dict) else part
    return [page for entry in entries for page in menu(entry)]


def loaded(text):
    """What a browser would fetch for a page or a style sheet."""
    return [next(filter(None, found)) for found in LOADED.findall(text)]


def is_elsewhere(target):
    """Whether *target* is on another host."""
    return re.match(r"(?:[a-z]+:)?//", target) is not None


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Build the site; a warning is an error."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "properdocs", "build", "--strict", "--quiet"]
    done = subprocess.run(
        [*command, "--config-file", CONFIGURATION, "--site-dir", folder],
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.returncode, done.stderr
    return folder


def test_every_page_is_in_the_menu():
    """
    Once, and nothing else is.
    """
    found = menu(yaml.safe_load(CONFIGURATION.read_text(encoding="utf-8"))["nav"])
    there = [page.removeprefix("docs/") for page in pages.pages() if page.startswith("docs/")]

    assert there == sorted(found)


def test_every_page_is_in_the_site(site):
    """
    With the files that pages link to, and without what makes them.
    """
    built = {str(path.relative_to(site)) for path in site.rglob("*") if path.is_file()}
    links = {page: pages.links(page) for page in pages.pages() if page.startswith("docs/")}
    files = {link for found in links.values() for link in found if not re.search(r"\.md|#", link)}

    assert {
        re.sub(r"(README|index)\.md$", "index.html", page).removeprefix("docs/").replace(".md", "")
        + ("" if re.search(r"(README|index)\.md$", page) else ".html")
        for page in links
    } <= built
    assert files
    assert {f"monitoring/{file}" for file in files} <= built
    assert not [file for file in built if file.endswith((".py", "properdocs.yml"))]


def test_nothing_comes_from_elsewhere(site):
    """
    No font, script or picture: the site can be read without a network, and nobody hears of it.
    """
    texts = [p for p in site.rglob("*") if p.suffix in {".html", ".css"}]
    targets = {target for path in texts for target in loaded(path.read_text(encoding="utf-8"))}

    assert {"css/base.css", "js/base.js"} <= targets
    assert not [target for target in targets if is_elsewhere(target)]


@pytest.mark.parametrize(
    "text",
    [
        '<script defer src="https://cdn.example/x.js"></script>',
        '<link rel="stylesheet" href="//fonts.example/css">',
        "@font-face { src: url('https://fonts.example/f.woff2') }",
        '@import "https://fonts.example/css";',
    ],
)
def test_what_comes_from_elsewhere_is_found(text):
    """
    In whichever way it would be loaded.
    """
    assert [True] == [is_elsewhere(target) for target in loaded(text)]
