/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The verdicts: part of the contract, see abi.h.
 */
#ifndef LB_VERDICTS_H
#define LB_VERDICTS_H

/*
 * What became of a packet: also the index into the `verdicts` counters.  The comment before each is
 * its documentation: a note of one line; then, for docs/reference/verdicts.md, cause and cure.
 */
enum lb_verdict {
	/* The stage has no objection; run the next.  Never counted. */
	LB_CONTINUE,
	/*
	 * A packet of a known connection went to its back-end.
	 *
	 * What most packets are.  The back-end was found in the connection table, in either
	 * buffer's time.
	 */
	LB_TO_BACKEND,
	/*
	 * The first packet of a new connection went to the back-end of its slot.
	 *
	 * For TCP a SYN, or where `on_unknown` is hash any packet of a stranger; for UDP the first
	 * of a client's port.  The share of each back-end of these is its measured share.
	 */
	LB_TO_BACKEND_NEW,
	/*
	 * Went by the slot table alone, for the connection table had no room.  Make it larger.
	 *
	 * The two sets of this client were full of live connections.  The packet is forwarded all
	 * the same, but such a connection does not survive a change of its slot.  Cure: start
	 * lbctld with a larger --connections; shorter timeouts help as well, and so does looking
	 * for who opens so many: `lbctl connection list --limit 100`.
	 */
	LB_TO_BACKEND_UNTRACKED,
	/*
	 * An ICMP error about a connection (path MTU, unreachable) went to its back-end.
	 *
	 * Routers between switch and client, or the client, send these to the VIP; the server that
	 * they concern needs them, to send smaller packets for instance.
	 */
	LB_TO_BACKEND_ICMP,
	/*
	 * A reply of a back-end went to its client, from the VIP.
	 *
	 * With NAT every reply comes by; with DSR none does.  Pools with NAT that have TO_BACKEND
	 * but no TO_CLIENT have servers whose default route does not lead through the switch:
	 * `lbctl preflight` looks for that.
	 */
	LB_TO_CLIENT,
	/*
	 * Not for a VIP and of no connection: the kernel has it, untouched.
	 *
	 * SSH to the switch, ARP, routing protocols, answers to health checks, and all that the
	 * switch merely forwards as a router.
	 */
	LB_TO_KERNEL,
	/*
	 * The frame is for another station's MAC (or for all): the kernel has it, untouched.
	 *
	 * Broadcasts and multicasts are among these.  Many others mean that a bridge floods, for
	 * it does not know where the station is, or that the NIC is promiscuous.  If packets for a
	 * VIP end here, then the sender has a wrong MAC for the switch: clear its neighbor table.
	 */
	LB_TO_KERNEL_OTHER_MAC,
	/*
	 * An echo request (ping) for a VIP was answered.
	 *
	 * By the switching processor itself, whatever the state of the pool: that a VIP answers
	 * pings says that the switch works, not that its servers do.
	 */
	LB_ECHO_REPLY,
	/*
	 * A TCP packet without service or connection was answered by a reset.
	 *
	 * For a VIP's address but a port that no service has, or of a connection that the switch
	 * does not know (it was idle longer than its timeout, or began before the switch did)
	 * where the pool's `on_unknown` is reset.  Cure, if these hurt: a longer timeout of
	 * established connections in `settings`, or `on_unknown: hash`.
	 */
	LB_RESET,
	/*
	 * Its server died and the pool resets: the client was told, so that it tries again at
	 * once.
	 *
	 * The pool's `on_down` is reset.  `lbctl health list` says why the server is down.
	 */
	LB_RESET_DOWN,
	/*
	 * A packet too big for the way to its receiver was answered with the size that fits.
	 *
	 * The NIC towards the receiver has a smaller MTU than the one that the packet came by.
	 * The sender obeys and sends smaller packets; if it does not, something between drops
	 * ICMP.  Cure: one MTU on all NICs, or one for the route on the server: `ip route change
	 * ... mtu N`.
	 */
	LB_TOO_BIG_REPLY,
	/*
	 * Headers that contradict each other or end too early, for a VIP.  The sender is broken.
	 *
	 * A length that goes beyond the frame, or a header too short for its kind.  A wrong
	 * checksum is not among the reasons: the receiver sees to that.  `lbctl capture --verdict
	 * DROP_MALFORMED` shows the frames.
	 */
	LB_DROP_MALFORMED,
	/*
	 * A fragment for a VIP: its ports are not known.  Make the sender use path MTU discovery.
	 *
	 * Only a first fragment has ports, so the others could not follow it.  TCP does not send
	 * fragments on its own; a UDP application or a tunnel with a small MTU on the way does.
	 * Cure: smaller datagrams (for DNS: `max-udp-size 1232`), or a larger MTU in the tunnel.
	 */
	LB_DROP_FRAGMENT,
	/*
	 * IP options or extension headers, for a VIP.
	 *
	 * Nobody needs these to reach a service; scanners send them.
	 */
	LB_DROP_OPTIONS,
	/*
	 * For a VIP's address, but no service has that port and protocol.
	 *
	 * TCP gets a reset instead (RESET).  If the port ought to be served: `lbctl vip list`
	 * shows what there is, `lbctl vip add` adds it.
	 */
	LB_DROP_NO_SERVICE,
	/*
	 * For a service, but of no connection and starting none; the pool says drop.
	 *
	 * Late packets of connections that are over, scans, and connections that were idle longer
	 * than their timeout.  The pool's `on_unknown` is drop.
	 */
	LB_DROP_NO_CONNECTION,
	/*
	 * No active back-end.  `lbctl pool show` says which are down or draining.
	 *
	 * All back-ends are down, draining, in maintenance or have weight 0; or fewer than the
	 * pool's quorum are well and it has no backup.  `lbctl health list` says what the checks
	 * found, `lbctl events` since when.
	 */
	LB_DROP_NO_BACKEND,
	/*
	 * The hop limit ran out: a routing loop, or a traceroute.
	 *
	 * A loop shows in `lbctl capture --verdict DROP_TTL_EXPIRED`: the same packet again and
	 * again, with ever smaller hop limit.  Often the server's or router's route for the VIP
	 * leads back to the switch.
	 */
	LB_DROP_TTL_EXPIRED,
	/*
	 * No route to the back-end.  `lbctl route list` has what the switch knows.
	 *
	 * The kernel of the switch has no route for the back-end's address, so neither has the
	 * switching processor.  Cure: `ip route add`.
	 */
	LB_DROP_NO_ROUTE,
	/*
	 * The next hop's MAC is not known.  Is the host up?  `lbctl neighbor list`.
	 *
	 * The kernel asked by ARP or neighbor discovery and nobody answered: the host is down, its
	 * cable is out, or it is in another network than its address says.
	 */
	LB_DROP_NO_NEIGHBOR,
	/*
	 * The next hop is behind a NIC without a switching processor.  `lbctl attach` it.
	 *
	 * Packets can leave by NICs that are attached only.  With veth, or a driver that wants it,
	 * the far end must be able to take redirected frames as well: `lbctl preflight` tells.
	 */
	LB_DROP_NOT_ATTACHED,
	/*
	 * Larger than the way to its receiver takes, and its sender allows fragments: never made
	 * here.
	 *
	 * See TOO_BIG_REPLY: there the sender can be told, here it does not want to know.
	 */
	LB_DROP_TOO_BIG,
	/*
	 * The client's address and port already has a connection to that very server.
	 *
	 * By another VIP with the same server: with NAT the server could not tell the two apart.
	 * The client's next SYN has another chance.  Cure, where it happens often: a second
	 * address or port on the servers, one for each VIP.
	 */
	LB_DROP_TUPLE_CLASH,
	/*
	 * A server refused a first SYN; withheld, so that the client's next finds another server.
	 *
	 * The client repeats its SYN after a second and another server takes it.  Many of these: a
	 * server listens no more, and no check has found out yet.
	 */
	LB_DROP_RESET_WITHHELD,
	/*
	 * A packet that must not be answered: a reset for an unknown connection.
	 *
	 * The end of connections that are forgotten already.  Harmless; a flood of them is an
	 * attack, or its echo.
	 */
	LB_DROP_UNANSWERABLE,
	/*
	 * The tables contradict each other.  A bug: please report it with `lbctl status -o json`.
	 *
	 * This must not happen.
	 */
	LB_DROP_INTERNAL,
	/*
	 * For an address of a pseudo interface: programs on the switch have it.
	 *
	 * What the control VIP gets, but for the ports that a pool or an application has.
	 */
	LB_TO_PSEUDO,
	/*
	 * From a program on the switch, by a pseudo interface: it left by the routing table.
	 *
	 * What a program sends to a VIP is not among these: that is balanced like a client's.
	 */
	LB_FROM_PSEUDO,
	/*
	 * For a VIP that a network application has: it went into the application's buffers.
	 *
	 * If the application is slower than its packets the kernel drops what its rings have no
	 * room for; `lbctl app show` counts those.
	 */
	LB_TO_APP,
	/*
	 * For a network application that does not run, or not on the queue that the packet came by.
	 *
	 * `lbctl app show` says whether it runs, and which queues it has.  Cure: start it; or let
	 * it have every queue that its packets come by (no --queue), or have the NIC steer them.
	 * With `--on-exit kernel` the kernel gets these instead.
	 */
	LB_DROP_APP_GONE,
	LB_VERDICT_MAX,
};

#endif
