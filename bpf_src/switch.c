/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The switching processor: the XDP program on every NIC.
 *
 * Compiled on the machine that runs it, with only what its configuration needs: LB_WITH_IPV6,
 * LB_WITH_NAT, LB_WITH_DSR, LB_WITH_ANY_PORT, LB_WITH_SHARED, LB_WITH_RULES, LB_WITH_RESET_DOWN,
 * LB_WITH_PSEUDO, LB_WITH_APPS, each 0 or 1, and LB_WITH_FRAGS where the kernel can do that.
 * LB_WITH_TRACE and LB_WITH_CAPTURE are for whoever wants to look inside: else there is not an
 * instruction of them.
 */
#include "lb/net.h"
#include "lb/abi.h"
#include "lb/tables.h"
#include "lb/packet.h"
#include "lb/checksum.h"
#include "lb/directory.h"
#include "lb/fingerprint.h"
#include "lb/routing.h"
#include "lb/trace.h"
#include "lb/capture.h"
#include "stages/arrive.h"
#include "stages/parse.h"
#include "stages/service.h"
#include "stages/connection.h"
#include "stages/room.h"
#include "stages/rules.h"
#include "stages/select.h"
#include "stages/route.h"
#include "stages/rewrite.h"
#include "stages/app.h"
#include "stages/pseudo.h"
#include "stages/answer.h"
#include "stages/reset.h"
#include "stages/too_big.h"
#include "stages/icmp.h"
#include "stages/finish.h"
#include "stages/forget.h"

int lb_switch(struct xdp_md *ctx)
{
	struct lb_packet pkt = {
		.data = (void *)(long)ctx->data,
		.data_end = (void *)(long)ctx->data_end,
		.frame = ctx->data_end - ctx->data,
		.service_index = LB_NONE,
	};
	int verdict = lb_trace(&pkt, LB_STAGE_ARRIVE, lb_arrive(ctx, &pkt));

	if (verdict == LB_CONTINUE)
		verdict = lb_trace(&pkt, LB_STAGE_PARSE, lb_parse(ctx, &pkt));
	lb_capture_came(ctx, &pkt);
	if (verdict == LB_CONTINUE)
		verdict = lb_trace(&pkt, LB_STAGE_SERVICE, lb_service(&pkt));
	if (verdict == LB_CONTINUE)
		verdict = lb_trace(&pkt, LB_STAGE_CONNECTION, lb_connection(&pkt));
	if (verdict == LB_CONTINUE)
		verdict = lb_trace(&pkt, LB_STAGE_SELECT, lb_select(&pkt));
	if (verdict == LB_CONTINUE)
		verdict = lb_trace(&pkt, LB_STAGE_ROUTE, lb_route(&pkt));
	if (verdict == LB_CONTINUE)
		verdict = lb_trace(&pkt, LB_STAGE_REWRITE, lb_rewrite(&pkt));

	if (LB_WITH_APPS && verdict == LB_TO_APP && pkt.service)
		verdict = lb_trace(&pkt, LB_STAGE_APP, lb_app(ctx, &pkt));
	if (LB_WITH_PSEUDO && verdict == LB_TO_KERNEL)
		verdict = lb_trace(&pkt, LB_STAGE_PSEUDO, lb_pseudo(&pkt));
	if (verdict == LB_ECHO_REPLY)
		verdict = lb_trace(&pkt, LB_STAGE_ICMP, lb_icmp(&pkt));
	if (verdict == LB_CONTINUE)
		verdict = pkt.delivered;
	else if (verdict == LB_RESET || verdict == LB_RESET_DOWN)
		verdict = lb_trace(&pkt, LB_STAGE_RESET, lb_reset(ctx, &pkt, verdict));
	else if (verdict == LB_TOO_BIG_REPLY)
		verdict = lb_trace(&pkt, LB_STAGE_TOO_BIG, lb_too_big(ctx, &pkt));

	return lb_finish(ctx, &pkt, verdict);
}

int lb_forget(struct xdp_md *ctx)
{
	return lb_forget_all(ctx);
}
