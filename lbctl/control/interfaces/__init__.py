"""
The interfaces package: what the interface daemon is made of.

    facts ─► plan ─► kernel        records: what they hand on

Only `facts` and `kernel` talk to the kernel; `plan` is pure.
"""
