/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The capture: frames as they came and as they leave, with their verdict, for `lbctl capture`.
 *
 * Compiled in only while somebody captures.  A frame that the filter may want is copied as it comes,
 * for nobody knows yet what will become of it; once that is known user space gets it, or does not.
 */
#ifndef LB_CAPTURE_H
#define LB_CAPTURE_H

#if LB_WITH_CAPTURE

/* Where a processor puts a captured packet together. */
struct lb_capture_room {
	struct lb_captured head;
	__u8 bytes[2 * LB_SNAP];
};

#define LB_CAPTURE_TABLE(value, name, size) \
	BPF_TABLE_PINNED7("array", u32, value, name, size, LB_CAPTURE_PINS "/" #name, LB_MMAPABLE)

LB_CAPTURE_TABLE(struct lb_filter, filter, 1);
/* enum lb_liked: what this service has, or LB_SERVICES further on this back-end. */
LB_CAPTURE_TABLE(u64, marked, LB_SERVICES + LB_BACKENDS);
LB_CAPTURE_TABLE(struct lb_capture_room, rooms, LB_CPUS);
struct lb_captures {
	int key;
	u32 leaf;
	int (*ringbuf_output)(void *, u64, u64);
	u32 max_entries;
};
__attribute__((
	section("maps/ringbuf:" LB_CAPTURE_PINS "/captures"))) struct lb_captures captures = {
	.max_entries = LB_CAPTURE_BYTES,
};

/* Linux 5.18 */
static long (*lb_load_bytes)(struct xdp_md *ctx, __u32 offset, void *to,
			     __u32 length) = (void *)189;

static __always_inline struct lb_capture_room *lb_capture_room(void)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return rooms.lookup(&cpu);
}

/* Copy a frame to @to, where there is room for LB_SNAP; the number of bytes that were. */
static __always_inline __u32 lb_capture_take(struct xdp_md *ctx, void *to)
{
	__u32 zero = 0;
	__u64 length = lb_frame_length(ctx);
	struct lb_filter *wanted = filter.lookup(&zero);

	if (!wanted)
		return 0;
	if (length > wanted->snap)
		length = wanted->snap;
	asm volatile("" : "+r"(length));             /* or the mask would seem needless */
	length = ((length - 1) & (LB_SNAP - 1)) + 1; /* so that the verifier sees it */
	if (lb_load_bytes(ctx, 0, to, length))
		return 0;
	return length;
}

static __always_inline int lb_capture_is(const __be32 host[4], const __u64 address[2])
{
	const __u64 *words = (const __u64 *)host;

	return words[0] == address[0] && words[1] == address[1];
}

/* What the frame alone tells the filter. */
static __always_inline __u32 lb_capture_likes(const struct lb_packet *pkt,
					      const struct lb_filter *wanted)
{
	__u32 liked = LB_LIKED_FRAME | (LB_LIKED_ALL & ~wanted->asks);
	__u8 protocol = pkt->protocol == LB_IPPROTO_ICMPV6 ? LB_IPPROTO_ICMP : pkt->protocol;

	if (!(wanted->nics >> (pkt->in_nic % LB_NICS_MAX) & 1))
		return 0;
	if (wanted->protocol && wanted->protocol != protocol)
		return 0;
	if (wanted->port == pkt->source_port || wanted->port == pkt->destination_port)
		liked |= LB_LIKED_PORT;
	if (lb_capture_is(wanted->host, pkt->source) ||
	    lb_capture_is(wanted->host, pkt->destination))
		liked |= LB_LIKED_HOST;
	return liked;
}

static __always_inline void lb_capture_came(struct xdp_md *ctx, const struct lb_packet *pkt)
{
	struct lb_capture_room *room = lb_capture_room();
	__u32 zero = 0;
	struct lb_filter *wanted = filter.lookup(&zero);

	if (!room || !wanted)
		return;
	room->head.liked = lb_capture_likes(pkt, wanted);
	if (room->head.liked)
		room->head.came_taken = lb_capture_take(ctx, room->bytes);
}

static __always_inline __u32 lb_capture_marks(__u32 subject)
{
	__u64 *marks = marked.lookup(&subject);

	return marks ? *marks : 0;
}

static __always_inline int lb_capture_wants(const struct lb_packet *pkt,
					    const struct lb_filter *wanted, __u32 liked,
					    __u32 verdict)
{
	if (!liked || !(wanted->verdicts >> (verdict % LB_VERDICTS) & 1))
		return 0;
	if (pkt->backend)
		liked |= lb_capture_marks(LB_SERVICES + pkt->backend_index);
	if (pkt->service_index != LB_NONE)
		liked |= lb_capture_marks(pkt->service_index);
	return (liked & LB_LIKED_ALL) == LB_LIKED_ALL;
}

static __always_inline void lb_capture(struct xdp_md *ctx, const struct lb_packet *pkt,
				       __u32 verdict, __u32 action)
{
	struct lb_capture_room *room = lb_capture_room();
	__u32 zero = 0, came, leaves = 0;
	struct lb_filter *wanted = filter.lookup(&zero);

	if (!room || !wanted || !lb_capture_wants(pkt, wanted, room->head.liked, verdict))
		return;
	came = room->head.came_taken;
	if (came > LB_SNAP)
		return;
	room->head.leaves = 0;
	if (verdict != LB_TO_APP && (action == XDP_TX || action == XDP_REDIRECT)) {
		room->head.leaves = lb_frame_length(ctx);
		leaves = lb_capture_take(ctx, room->bytes + came);
	}
	room->head.time = bpf_ktime_get_ns();
	room->head.came = pkt->frame;
	room->head.leaves_taken = leaves;
	room->head.service = pkt->service_index;
	room->head.backend = pkt->backend ? pkt->backend_index : LB_NONE;
	room->head.verdict = verdict;
	room->head.in_nic = pkt->in_nic;
	room->head.out_nic = pkt->out_nic;
	room->head.action = action;
	if (captures.ringbuf_output(room, sizeof(room->head) + came + leaves, 0))
		__sync_fetch_and_add(&wanted->missed, 1);
}

#else

#define lb_capture_came(ctx, pkt)
#define lb_capture(ctx, pkt, verdict, action)

#endif

#endif
