"""
The capturing: show packets as they came and as they left, with what became of them.

The program picks them (bpf_src/lb/capture.h) by a filter that `wanted` writes, `session` reads them
from the ring, a form makes a file or lines of them, and `answer` sends that as long as it comes.
"""
