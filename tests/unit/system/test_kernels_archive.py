"""Where kernels come from, and in which order results stand."""

from __future__ import annotations

import json

import pytest

from tests.system.kernels import archive, results

DEB822 = """\
Types: deb
# http://snapshot.example.org/archive/debian/20250520T000000Z
URIs: http://mirror.example.org/debian
Suites: bookworm bookworm-updates
"""
LINES = """\
# deb http://old.example.org/debian stable main
deb [arch=amd64] https://a.example/debian/ stable main
"""


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("sources.list.d/debian.sources", DEB822, "http://mirror.example.org/debian"),
        ("sources.list", LINES, "https://a.example/debian"),
    ],
)
def test_the_mirror_is_the_one_that_apt_uses(tmp_path, name, text, found):
    """
    In either form that apt reads; what is commented out is not used.
    """
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)

    assert found == archive.mirror(tmp_path)


def test_a_machine_without_a_mirror_is_told(tmp_path):
    """
    Another distribution's machine, for example.
    """
    (tmp_path / "sources.list").write_text("deb http://mirror.example.org/other stable main\n")
    with pytest.raises(archive.ArchiveError, match="no mirror of Debian"):
        archive.mirror(tmp_path)


def test_results_of_other_kernels_are_kept(tmp_path):
    """
    One kernel run again replaces what was known of it alone; they stand in order of age.
    """
    path = tmp_path / "kernels.json"
    results.write([{"suite": "b", "release": "6.12.1", "seconds": 1}], path)
    results.write([{"suite": "a", "release": "6.1.0-9", "seconds": 2}], path)
    results.write([{"suite": "b", "release": "6.12.1", "seconds": 3}], path)

    assert [("a", 2), ("b", 3)] == [
        (row["suite"], row["seconds"]) for row in json.loads(path.read_text())["kernels"]
    ]
