/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The end of the pipeline: count, and turn the verdict into what XDP does.
 *
 * The only place that counts and the only place that knows XDP's actions, so that no packet goes
 * anywhere without a name.
 */
#ifndef LB_FINISH_H
#define LB_FINISH_H

/* Kinds of verdicts: a bit for each, for a comparison with one after the other takes longer. */
#define LB_BIT(verdict) (1U << (verdict))
enum lb_kind {
	LB_KIND_USUAL = LB_BIT(LB_TO_BACKEND) | LB_BIT(LB_TO_BACKEND_NEW) | LB_BIT(LB_TO_CLIENT) |
		LB_BIT(LB_TO_KERNEL) | LB_BIT(LB_TO_KERNEL_OTHER_MAC) | LB_BIT(LB_TO_PSEUDO) |
		LB_BIT(LB_FROM_PSEUDO),
	LB_KIND_IN = LB_BIT(LB_TO_BACKEND) | LB_BIT(LB_TO_BACKEND_NEW) |
		LB_BIT(LB_TO_BACKEND_UNTRACKED) | LB_BIT(LB_TO_BACKEND_ICMP),
	LB_KIND_SENT = LB_KIND_IN | LB_BIT(LB_TO_CLIENT) | LB_BIT(LB_TO_PSEUDO) |
		LB_BIT(LB_FROM_PSEUDO),
	LB_KIND_PASSED = LB_BIT(LB_TO_KERNEL) | LB_BIT(LB_TO_KERNEL_OTHER_MAC),
	LB_KIND_ANSWERED = LB_BIT(LB_ECHO_REPLY) | LB_BIT(LB_RESET) | LB_BIT(LB_RESET_DOWN) |
		LB_BIT(LB_TOO_BIG_REPLY),
};

static __always_inline int lb_is(int verdict, __u32 kind)
{
	return !!(LB_BIT(verdict) & kind);
}

static __always_inline void lb_count_verdict(const struct lb_packet *pkt, __u32 cpu, int verdict)
{
	__u32 index = (cpu * LB_NICS_MAX + pkt->in_nic) * LB_VERDICTS + verdict;
	struct lb_counter *counter = verdicts.lookup(&index);

	if (likely(counter)) {
		counter->packets++;
		counter->bytes += pkt->frame;
	}
}

static __always_inline struct lb_backend_counter *lb_traffic_of(__u32 cpu, __u32 backend)
{
	__u32 index = cpu * LB_BACKENDS + backend;

	return traffic.lookup(&index);
}

static __always_inline void lb_count_backend(const struct lb_packet *pkt, __u32 cpu, int verdict)
{
	struct lb_backend_counter *counter, *silent;

	if (!pkt->backend)
		return;
	counter = lb_traffic_of(cpu, pkt->backend_index);
	if (unlikely(!counter))
		return;
	if (pkt->server) {
		if (likely(verdict == LB_TO_CLIENT)) {
			counter->packets_out++;
			counter->bytes_out += pkt->length;
		}
		if (unlikely(pkt->news == LB_NEWS_ANSWERED))
			counter->answers++;
		else if (unlikely(pkt->news == LB_NEWS_REFUSED))
			counter->resets++;
		return;
	}
	if (likely(lb_is(verdict, LB_KIND_IN))) {
		counter->packets_in++;
		counter->bytes_in += pkt->length;
	}
	if (verdict == LB_TO_BACKEND_NEW)
		counter->connections++;
	if (unlikely(pkt->news == LB_NEWS_SILENT)) {
		silent = lb_traffic_of(cpu, pkt->previous - 1);
		if (silent)
			silent->retries++;
	}
}

static __always_inline void lb_count_reason_of(__u32 cpu, __u32 subject, __u32 verdict)
{
	__u32 index = cpu * (LB_SERVICES + LB_BACKENDS) + subject;
	struct lb_reasons *row = reasons.lookup(&index);

	if (likely(row))
		row->packets[verdict % LB_VERDICTS]++;
}

/* Whose packet had an unusual end?  The usual ones are counted with the back-end's traffic. */
static __always_inline void lb_count_reason(const struct lb_packet *pkt, __u32 cpu, int verdict)
{
	if (likely(lb_is(verdict, LB_KIND_USUAL)))
		return;
	if (pkt->backend)
		lb_count_reason_of(cpu, LB_SERVICES + pkt->backend_index, verdict);
	if (pkt->service_index != LB_NONE)
		lb_count_reason_of(cpu, pkt->service_index, verdict);
}

/*
 * Out by pkt->out_nic: back by the one that the packet came by, or by another.  The far end of a pseudo
 * interface has no program, so it would not see what XDP_TX sends there.
 */
static __always_inline int lb_leave(const struct lb_packet *pkt)
{
	if (pkt->out_nic == pkt->in_nic && !lb_is_pseudo(pkt->in_nic))
		return XDP_TX;
	return exits.redirect_map(pkt->out_nic, 0);
}

static __always_inline int lb_finish(struct xdp_md *ctx, struct lb_packet *pkt, int verdict)
{
	__u32 cpu = bpf_get_smp_processor_id();
	int action = XDP_DROP;

	if (likely(lb_is(verdict, LB_KIND_SENT | LB_KIND_ANSWERED))) {
		action = lb_leave(pkt);
		if (unlikely(action != XDP_TX && action != XDP_REDIRECT)) {
			action = XDP_DROP;
			verdict = LB_DROP_NOT_ATTACHED;
		}
	} else if (lb_is(verdict, LB_KIND_PASSED)) {
		action = XDP_PASS;
	} else if (LB_WITH_APPS && verdict == LB_TO_APP) {
		action = XDP_REDIRECT;
	}
	lb_trace(pkt, LB_STAGE_FINISH, verdict);
	lb_capture(ctx, pkt, verdict, action);
	lb_count_backend(pkt, cpu, verdict);
	lb_count_reason(pkt, cpu, verdict);
	lb_count_verdict(pkt, cpu, verdict);
	return action;
}

#endif
