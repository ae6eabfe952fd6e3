"""The words of ipvsadm: split its lines into options, as ipvsadm itself does."""

from __future__ import annotations

from typing import NamedTuple

LONG = {
    "--add-service": "-A",
    "--add-server": "-a",
    "--edit-service": "-E",
    "--edit-server": "-e",
    "--delete-service": "-D",
    "--delete-server": "-d",
    "--clear": "-C",
    "--zero": "-Z",
    "--tcp-service": "-t",
    "--udp-service": "-u",
    "--fwmark-service": "-f",
    "--ipv6": "-6",
    "--scheduler": "-s",
    "--persistent": "-p",
    "--netmask": "-M",
    "--ops": "-o",
    "--sched-flags": "-b",
    "--real-server": "-r",
    "--gatewaying": "-g",
    "--ipip": "-i",
    "--masquerading": "-m",
    "--weight": "-w",
    "--u-threshold": "-x",
    "--l-threshold": "-y",
    "--numeric": "-n",
}
BARE = {"ops": "-o", "pe": "--pe"}  # as some versions print them
ADD_SERVICE, ADD_SERVER = "-A", "-a"
COMMANDS = (ADD_SERVICE, ADD_SERVER, "-E", "-e", "-D", "-d", "-C", "-Z")
SERVICES = ("-t", "-u", "-f", "--sctp-service")
FORWARDS = ("-g", "-m", "-i")
VALUED = {*SERVICES, "-s", "-M", "-b", "-r", "-w", "-x", "-y"}
VALUED |= {"--pe", "--tun-type", "--tun-port"}
FLAGS = {*COMMANDS, *FORWARDS, "-o", "-6", "-n", "--tun-nocsum", "--tun-csum", "--tun-remcsum"}
PROGRAM = "ipvsadm"


class Line(NamedTuple):
    """A line and its options; a flag has the value ""."""

    number: int
    text: str
    options: dict[str, str]

    @property
    def service(self) -> tuple[str, str]:
        """The option that names the service, and its value."""
        return next((option, self.options[option]) for option in SERVICES if option in self.options)


class Unreadable(ValueError):
    """A line that is not ipvsadm's, in the words of a remark."""


def split(number: int, text: str) -> Line | None:
    """Split a line; None if it is empty or a comment.  Raises Unreadable."""
    words = text.partition("#")[0].split()
    if words and words[0] == "sudo":
        del words[0]
    if words and words[0].rpartition("/")[2] == PROGRAM:
        del words[0]
    if not words:
        return None
    options: dict[str, str] = {}
    words.reverse()  # so that the next one is popped from the end
    while words:
        option, value = _option(words)
        if option in options:
            raise Unreadable(f"{option} stands there twice")
        options[option] = value
    line = Line(number, text.strip(), options)
    _require(line)
    return line


def _option(words: list[str]) -> tuple[str, str]:
    """Take an option and its value from the end of *words*.  Raises Unreadable."""
    word = words.pop()
    if word.startswith("--"):
        word, equals, value = word.partition("=")
        if equals:
            words.append(value)
    elif word.startswith("-") and len(word) > 2:  # -Anything is -A -nything, or -A nything
        word, rest = word[:2], word[2:]
        words.append(rest if word in VALUED or word == "-p" else f"-{rest}")
    option = LONG.get(word, BARE.get(word, word))
    if option == "-p":  # its value may be left out
        return option, words.pop() if words and words[-1].isdecimal() else ""
    if option in VALUED:
        if not words:
            raise Unreadable(f"{option} has no value")
        return option, words.pop()
    if option not in FLAGS and option not in ("--set", "--start-daemon", "--stop-daemon"):
        raise Unreadable(f"{word!r} is no option of ipvsadm")
    if option.startswith("--s"):  # commands of another kind: what follows is theirs
        words.clear()
    return option, ""


def _require(line: Line) -> None:
    """Refuse a line that adds something without saying what."""
    adds = [option for option in (ADD_SERVICE, ADD_SERVER) if option in line.options]
    if not adds:
        return
    if sum(option in line.options for option in COMMANDS) > 1:
        raise Unreadable("it has two commands")
    if sum(option in line.options for option in SERVICES) != 1:
        raise Unreadable("it must have one of -t, -u and -f")
    if adds == [ADD_SERVER] and "-r" not in line.options:
        raise Unreadable("-a needs -r")
    if sum(option in line.options for option in FORWARDS) > 1:
        raise Unreadable("it must have one of -g, -m and -i")
