/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The trace: what every stage made of the packet, for `lbctl explain`.
 *
 * A traced program is run on single packets by the control processor and never sits on a NIC.  It
 * reads the tables of the others, but what it writes is its own: counters, and two sets of
 * connections, into which the control processor has copied those that may hold the client.
 */
#ifndef LB_TRACE_H
#define LB_TRACE_H

#if LB_WITH_TRACE

LB_TABLE("array", u32, struct lb_trace, traces, LB_STAGE_MAX, LB_MMAPABLE);

/*
 * Each stage notes what is new with it, and no more: what a packet must carry to the end costs the
 * verifier dear.
 */
static __always_inline int lb_trace(const struct lb_packet *pkt, __u32 stage, int verdict)
{
	struct lb_trace *trace = traces.lookup(&stage);

	if (!trace)
		return verdict;
	trace->reached = 1;
	trace->verdict = verdict;
	if (stage == LB_STAGE_SERVICE) {
		trace->service = pkt->service ? pkt->service->index : LB_NONE;
		trace->server = pkt->server ? pkt->server->index : LB_NONE;
		trace->buffer = pkt->buffer;
	}
	if (stage == LB_STAGE_CONNECTION) {
		trace->key = pkt->key;
		trace->previous = pkt->previous;
	}
	if (stage == LB_STAGE_CONNECTION || stage == LB_STAGE_SELECT) {
		trace->connection = pkt->connection ? pkt->connection_index : LB_NONE;
		trace->backend = pkt->backend ? pkt->backend_index : LB_NONE;
		trace->delivered = pkt->delivered;
	}
	if (stage == LB_STAGE_SELECT) {
		trace->slots = pkt->run.slots;
		trace->slot = pkt->slot;
	}
	if (stage == LB_STAGE_ROUTE || stage == LB_STAGE_PSEUDO)
		trace->mtu = pkt->mtu;
	if (stage == LB_STAGE_FINISH) {
		trace->in_nic = pkt->in_nic;
		trace->out_nic = pkt->out_nic;
	}
	return verdict;
}

#else

#define lb_trace(pkt, stage, verdict) (verdict)

#endif

#endif
