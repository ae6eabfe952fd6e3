"""
The pseudo-network driver: the pair of NICs that a pseudo interface is made of.

One end is for programs on the switch and has the addresses; the other one is the switch's, which
has a switching processor like any NIC.  Knows of no table and no configuration but one `Pseudo`.
"""
