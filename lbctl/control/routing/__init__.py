"""
The routing package: what the routing daemon is made of.

    netlink ─► snapshot ─► translation ─► writer        records: what they hand on
       ▲                                                mirror: one pass from left to right
       └──── neighbors: whom the kernel is to look for  reachability: the same, for people

Only `netlink` talks to the kernel, only `writer` to the shared memory; the rest is pure.
"""
