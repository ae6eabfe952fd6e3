"""
The control processor: keep what the administrator wants, and make the switch do it.

`store` keeps the generations, `edits` and `difference` are the pure part of every change,
`master` turns pools into tables, `controller` carries a change out, `api` and `server` let the
command line ask for one, and `daemon` is the program `lbctld` around them.
"""

from __future__ import annotations

import os

# numpy's linear algebra is never used, but its library would start a thread for every core when
# it is loaded: memory for nothing, and threads that miss the daemon's network namespace.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
