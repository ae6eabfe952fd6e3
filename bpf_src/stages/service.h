/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: service.  Is the destination a VIP, the source a back-end, or neither?
 *
 * In:  addresses, ports, protocol, fault.
 * Out: pkt->service (forward, or an application's) or pkt->server (perhaps a reply); pkt->control,
 *      pkt->buffer.
 *
 * What is neither is the kernel's.  The address of a VIP with a port that no service has is
 * answered by a reset (TCP) or dropped, unless the address is the switch's own as well.
 */
#ifndef LB_SERVICE_H
#define LB_SERVICE_H

/*
 * The packet's fault as a verdict that the verifier knows: one that it does not know it follows, before
 * Linux 6.8 or so, as if it were LB_CONTINUE.  Written so that the compiler makes no variable of it.
 */
#define LB_KNOWN(verdict)                                             \
	({                                                            \
		int known;                                            \
		asm volatile("%0 = %1" : "=r"(known) : "i"(verdict)); \
		known;                                                \
	})

static __always_inline int lb_fault(const struct lb_packet *pkt)
{
	if (pkt->fault == LB_DROP_FRAGMENT)
		return LB_KNOWN(LB_DROP_FRAGMENT);
	if (pkt->fault == LB_DROP_OPTIONS)
		return LB_KNOWN(LB_DROP_OPTIONS);
	return LB_KNOWN(LB_DROP_MALFORMED);
}

/* A packet for a VIP's address, but not for one of its services. */
static __always_inline int lb_service_none(struct lb_packet *pkt, struct lb_service *vip)
{
	if (vip->flags & LB_SERVICE_LOCAL)
		return LB_TO_KERNEL;
	if (pkt->fault)
		return lb_fault(pkt);
	if (lb_is_tcp(pkt))
		return LB_RESET;
	if (pkt->protocol == (pkt->ipv6 ? LB_IPPROTO_ICMPV6 : LB_IPPROTO_ICMP))
		return LB_ECHO_REPLY; /* or an error: icmp.h tells */
	return LB_DROP_NO_SERVICE;
}

/* The pair (address, port), or, where services with any port exist, (address, any). */
static __always_inline struct lb_service *lb_service_find(struct lb_packet *pkt,
							  const __u64 address[2], __be16 port)
{
	struct lb_service *entry = lb_directory_find(pkt->buffer, address, port, pkt->protocol);

	if (LB_WITH_ANY_PORT && !entry)
		entry = lb_directory_find(pkt->buffer, address, 0, pkt->protocol);
	return entry;
}

static __always_inline int lb_service(struct lb_packet *pkt)
{
	struct lb_service *entry = NULL;
	__u32 zero = 0;

	pkt->control = control.lookup(&zero);
	if (unlikely(!pkt->control))
		return LB_TO_KERNEL;
	pkt->buffer = *(volatile __u32 *)&pkt->control->active & 1;

	if (likely(!pkt->fault && (lb_is_tcp(pkt) || pkt->protocol == LB_IPPROTO_UDP))) {
		entry = lb_service_find(pkt, pkt->destination, pkt->destination_port);
		if (entry && entry->role == LB_ROLE_SERVICE) {
			pkt->service = entry;
			pkt->service_index = entry->index;
			return LB_CONTINUE;
		}
		if (LB_WITH_APPS && entry && entry->role == LB_ROLE_APP) {
			pkt->service = entry;
			pkt->service_index = entry->index;
			return LB_TO_APP;
		}
		if (LB_WITH_NAT)
			entry = lb_service_find(pkt, pkt->source, pkt->source_port);
		if (entry && entry->role == LB_ROLE_BACKEND) {
			pkt->server = entry;
			return LB_CONTINUE;
		}
	}
	entry = lb_directory_find(pkt->buffer, pkt->destination, 0, 0);
	if (entry)
		return lb_service_none(pkt, entry);
	return LB_TO_KERNEL;
}

#endif
