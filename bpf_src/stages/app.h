/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: app.  A VIP of a network application: into its buffers, if it runs.
 *
 * In:  pkt->service, whose role is LB_ROLE_APP.
 * Out: the socket that the packet goes to: the kernel remembers it, and finish.h lets it go there.
 *
 * A socket gets only what came by its own NIC and queue, so each of these has a place of its own.  A
 * place empties by itself when the application ends.
 */
#ifndef LB_APP_H
#define LB_APP_H

static __always_inline int lb_app_gone(const struct lb_packet *pkt)
{
	if (pkt->service->flags & LB_SERVICE_APP_KERNEL)
		return LB_TO_KERNEL;
	if ((pkt->service->flags & LB_SERVICE_APP_RESET) && lb_is_tcp(pkt))
		return LB_RESET;
	return LB_DROP_APP_GONE;
}

static __always_inline int lb_app(struct xdp_md *ctx, struct lb_packet *pkt)
{
	__u32 queue = ctx->rx_queue_index;
	__u32 place =
		(pkt->service->first_line * LB_NICS_MAX + pkt->in_nic) * LB_APP_QUEUES + queue;
	int action = XDP_ABORTED;

	if (likely(queue < LB_APP_QUEUES))
		action = apps.redirect_map(place, XDP_ABORTED);
	return likely(action == XDP_REDIRECT) ? LB_TO_APP : lb_app_gone(pkt);
}

#endif
