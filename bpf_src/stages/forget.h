/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forget connections: not a stage, but a program of its own that the control processor runs.
 *
 * Python can't compare and swap in mapped memory: an entry that it has judged may be another
 * connection's a microsecond later.  So it sends a list of struct lb_forgotten as a "packet", and
 * each entry is freed only if it still holds that connection, and where asked only if its time is over.
 */
#ifndef LB_FORGET_H
#define LB_FORGET_H

static __always_inline int lb_forget_one(struct lb_packet *pkt,
					 const struct lb_forgotten *forgotten)
{
	__u32 index = forgotten->index / LB_WAYS;
	struct lb_connection_set *set = connections.lookup(&index);
	struct lb_connection *entry;
	__u64 key = forgotten->key;

	if (!set || key < LB_KEY_FIRST)
		return 0;
	entry = &set->way[forgotten->index % LB_WAYS];
	if (__sync_val_compare_and_swap(&entry->key, key, LB_KEY_LOCKED) != key)
		return 0;
	if (forgotten->if_expired && !lb_expired(pkt, entry)) {
		__sync_lock_test_and_set(&entry->key, key);
		return 0;
	}
	__sync_lock_test_and_set(&entry->key, LB_KEY_FREE);
	return 1;
}

/* The number of entries that were freed. */
static __always_inline int lb_forget_all(struct xdp_md *ctx)
{
	struct lb_forgotten *forgotten = (void *)(long)ctx->data;
	struct lb_packet pkt = {};
	__u32 zero = 0;
	int i, count = 0;

	pkt.control = control.lookup(&zero);
	pkt.now = lb_jiffies() >> LB_TICK_SHIFT;
	if (!pkt.control)
		return 0;
	for (i = 0; i < LB_FORGET_MAX; i++, forgotten++) {
		if ((void *)(forgotten + 1) > (void *)(long)ctx->data_end)
			break;
		count += lb_forget_one(&pkt, forgotten);
	}
	return count;
}

#endif
