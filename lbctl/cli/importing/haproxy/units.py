"""The units: times and numbers as HAProxy writes them."""

from __future__ import annotations

import re

TIME = re.compile(r"([0-9]{1,12})(us|ms|s|m|h|d)?")
SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str) -> float | None:
    """Read a time: `30s`, `500ms`, `500`; None if it is none."""
    found = TIME.fullmatch(text)
    return float(found[1]) * SECONDS[found[2] or "ms"] if found else None


def number(text: str, least: int, most: int) -> int | None:
    """Read a whole number from *least* to *most*; None if it is none."""
    if re.fullmatch(r"[0-9]{1,9}", text) and least <= int(text) <= most:
        return int(text)
    return None


def within(value: float, least: float, most: float) -> float:
    """Move *value* to where it may be."""
    return min(max(value, least), most)
