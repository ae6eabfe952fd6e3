#!/usr/bin/env python3
"""
The completion: write what bash, zsh and fish need to complete our programs, where each looks.

    completion.py TARGET PROGRAM...    # TARGET is such as /usr/share

As `lbctl completion` prints it, for every program.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from click.shell_completion import get_completion_class
from man import PROGRAMS

PLACES = {
    "bash": "bash-completion/completions/{}",
    "zsh": "zsh/vendor-completions/_{}",
    "fish": "fish/vendor_completions.d/{}.fish",
}


def completion(program: str, shell: str) -> str:
    """The words for *shell* that make it ask *program* itself."""
    module, _, attribute = PROGRAMS[program].target.partition(":")
    kind = get_completion_class(shell)
    if kind is None:
        raise SystemExit(f"completion: click knows no {shell}")
    variable = f"_{program}_COMPLETE".replace("-", "_").upper()
    return kind(getattr(import_module(module), attribute), {}, program, variable).source()


def main() -> None:
    """Write three files for each program that the command line names."""
    target = Path(sys.argv[1])
    for program in sys.argv[2:]:
        for shell, place in PLACES.items():
            path = target / place.format(program)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(completion(program, shell), encoding="utf-8")


if __name__ == "__main__":
    main()
