/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: arrive.  Which NIC is this, and is the frame for it?
 *
 * In:  the context.
 * Out: pkt->in_nic, pkt->out_nic.
 *
 * A bridge floods frames whose station it has not learnt, and a NIC may be promiscuous: a frame
 * for another MAC that was balanced all the same would go in circles.
 */
#ifndef LB_ARRIVE_H
#define LB_ARRIVE_H

static __always_inline int lb_arrive(struct xdp_md *ctx, struct lb_packet *pkt)
{
	struct lb_ethernet *eth = pkt->data;
	__u32 ifindex = ctx->ingress_ifindex;
	struct lb_nic *nic = nics.lookup(&ifindex);

	if (unlikely(!nic || (void *)(eth + 1) > pkt->data_end))
		return LB_TO_KERNEL;
	pkt->in_nic = nic->slot % LB_NICS_MAX;
	pkt->out_nic = pkt->in_nic; /* of what is answered */
	if ((*(__u32 *)eth->destination ^ *(__u32 *)nic->mac) |
	    (*(__u16 *)(eth->destination + 4) ^ *(__u16 *)(nic->mac + 4)))
		return LB_TO_KERNEL_OTHER_MAC;
	return LB_CONTINUE;
}

#endif
