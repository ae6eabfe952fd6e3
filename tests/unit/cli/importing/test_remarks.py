"""
Remarks: told by line, neighbors together, nothing that a terminal would obey.
"""

from __future__ import annotations

from lbctl.cli.importing.remarks import Kind, Remarks


def test_neighbors_that_say_the_same_are_one_line():
    """
    With the span of their lines; another kind or reason begins another line.
    """
    remarks = Remarks()
    for line in (7, 3, 4, 5):
        remarks.not_needed(line, f"word {line % 2}", "no need")
    remarks.not_taken(8, "word", "no way")
    remarks.differs(9, "word", "no way")
    remarks.not_needed(10, "word", "no need")

    assert [
        "lines 3-5, 7: not needed: word 1, word 0: no need",
        "line 8: not taken: word: no way",
        "line 9: differs: word: no way",
        "line 10: not needed: word: no need",
    ] == [*remarks.texts()]


def test_notes_come_last():
    """
    They are of no line.
    """
    remarks = Remarks()
    remarks.note("all in all")
    remarks.differs(2, "word", "why")

    assert ["line 2: differs: word: why", "note: all in all"] == [*remarks.texts()]


def test_what_is_said_twice_counts_once():
    """
    Lines are counted, not words.
    """
    remarks = Remarks()
    for what in ("one", "one", "two"):
        remarks.not_taken(1, what, "why")

    assert (1, 0) == (remarks.lines(Kind.NOT_TAKEN), remarks.lines(Kind.DIFFERS))
    assert ["line 1: not taken: one, two: why"] == [*remarks.texts()]


def test_strange_and_long_words():
    """
    What a terminal would obey is spelt out, and long words are cut.
    """
    remarks = Remarks()
    remarks.not_taken(1, f"\x1b[2J{'x' * 100}", "why")
    (told,) = remarks.texts()

    assert told.startswith(r"line 1: not taken: \x1b[2Jxxx")
    assert told.endswith("xxx...: why")
    assert len(told) < 100
