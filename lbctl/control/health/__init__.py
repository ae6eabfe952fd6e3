"""
The health package: find out which back-ends are well, by asking them and by what packets saw.

    targets ─► monitor ─► check ─► tcp, http, udp, icmp, grpc, script     stream: what they share
                  │
               record: rise and fall        passive: the data path's own experience
                                            dsr: routes for checks of a VIP on one server

`targets`, `record` and `passive` are pure.  Only `dsr` changes the kernel.
"""
