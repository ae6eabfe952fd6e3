"""
Readers: processes of their own that run frames through a pinned program without a pause.

Threads would not do: whoever publishes holds the interpreter's lock just when it matters.
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

from lbctl.shared import syscall


class Reader:
    """One process; `seen` is known when it has ended."""

    def __init__(self, program, frames):
        self.seen = Counter()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.reader", program],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.process.stdin.write(json.dumps([frame.hex() for frame in frames]) + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "running\n"

    def finish(self):
        """End the process; `seen` counts (number of the frame, action, frame that left)."""
        out, _ = self.process.communicate("stop\n", timeout=30)
        for number, action, frame, count in json.loads(out):
            self.seen[number, action, bytes.fromhex(frame)] += count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()


@contextmanager
def reading(program, *jobs):
    """Run readers, each with its frames, until the block is left."""
    with ExitStack() as cleanup:
        readers = [cleanup.enter_context(Reader(program, frames)) for frames in jobs]
        yield readers
        for reader in readers:
            reader.finish()


def main(path):
    """Run the frames of the first line of stdin in turn until there is a second one."""
    program = syscall.get(Path(path))
    frames = [bytes.fromhex(frame) for frame in json.loads(sys.stdin.readline())]
    seen = Counter()
    sys.stdout.write("running\n")
    sys.stdout.flush()
    while not select.select([sys.stdin], [], [], 0)[0]:
        for number, frame in enumerate(frames):
            ran = syscall.test_run(program, frame)
            seen[number, ran.action, ran.frame] += 1
    json.dump([(n, action, out.hex(), seen[n, action, out]) for n, action, out in seen], sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1])
