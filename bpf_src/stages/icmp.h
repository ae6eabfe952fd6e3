/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stage: icmp.  What a VIP says to ICMP.
 *
 * In:  an ICMP or ICMPv6 packet for the address of a VIP.
 * Out: an echo request becomes its reply (RFC 792, RFC 4443), so that people can see the VIP is
 *      there.  An error about a packet that a back-end sent as the VIP goes on to that back-end,
 *      or path MTU discovery would fail.  Anything else (neighbour discovery above all) is the
 *      kernel's.
 */
#ifndef LB_ICMP_H
#define LB_ICMP_H

/*
 * The connection that an error is about.  It quotes a packet from the VIP to the client: turned
 * round, that is a packet forward.
 */
static __always_inline int lb_icmp_connection(struct lb_packet *pkt, const __be32 *client,
					      const struct lb_quoted_ports *ports, __u8 protocol)
{
	if (protocol != LB_IPPROTO_TCP && protocol != LB_IPPROTO_UDP)
		return LB_TO_KERNEL;
	if (LB_WITH_IPV6 && pkt->ipv6) {
		__builtin_memcpy(pkt->source, client, 16);
	} else {
		pkt->source[0] = 0;
		pkt->source[1] = lb_mapped(*client);
	}
	pkt->protocol = protocol;
	pkt->source_port = ports->destination;
	pkt->destination_port = ports->source;
	pkt->service = lb_service_find(pkt, pkt->destination, pkt->destination_port);
	if (!pkt->service || pkt->service->role != LB_ROLE_SERVICE)
		return LB_DROP_NO_SERVICE;
	pkt->now = lb_jiffies() >> LB_TICK_SHIFT;
	pkt->key = lb_fingerprint(pkt);
	if (!lb_find_in(pkt, pkt->key, lb_first_set(pkt->key)) &&
	    !lb_find_in(pkt, pkt->key, lb_second_set(pkt->key)))
		return LB_DROP_NO_CONNECTION;
	return LB_CONTINUE;
}

/* What the checksum over the message changes by, for a port that is rewritten in it. */
static __always_inline __u32 lb_icmp_port_change(const struct lb_backend *backend)
{
	return (__u32)backend->sum_transport + lb_sum_negate(backend->sum_address);
}

static __always_inline int lb_icmp_error_ipv4(struct lb_packet *pkt, struct lb_ipv4 *ip,
					      struct lb_icmp *icmp)
{
	struct lb_ipv4 *quoted = (void *)(icmp + 1);
	struct lb_quoted_ports *ports = (void *)(quoted + 1);
	struct lb_backend *backend;
	int verdict;

	if ((void *)(ports + 1) > pkt->data_end || quoted->version_ihl != 0x45 ||
	    pkt->length < sizeof(*ip) + sizeof(*icmp) + sizeof(*quoted) + sizeof(*ports) ||
	    quoted->source != ip->destination)
		return LB_DROP_MALFORMED;
	verdict = lb_icmp_connection(pkt, &quoted->destination, ports, quoted->protocol);
	if (verdict == LB_CONTINUE)
		verdict = lb_route(pkt);
	if (verdict != LB_CONTINUE)
		return verdict;
	backend = pkt->backend;
	if (!(backend->flags & LB_SERVICE_DSR)) {
		/* the quoted header's own checksum balances the change of its address */
		icmp->checksum = lb_sum_update(icmp->checksum, lb_icmp_port_change(backend));
		quoted->source = backend->address[3];
		quoted->checksum = lb_sum_update(quoted->checksum, backend->sum_address);
		lb_rewrite_port(&ports->source, backend->port);
	}
	verdict = lb_rewrite_ipv4(pkt, !(backend->flags & LB_SERVICE_DSR), 1);
	return verdict == LB_CONTINUE ? LB_TO_BACKEND_ICMP : verdict;
}

static __always_inline int lb_icmp_error_ipv6(struct lb_packet *pkt, struct lb_ipv6 *ip,
					      struct lb_icmp *icmp)
{
	struct lb_ipv6 *quoted = (void *)(icmp + 1);
	struct lb_quoted_ports *ports = (void *)(quoted + 1);
	struct lb_backend *backend;
	int verdict;

	if ((void *)(ports + 1) > pkt->data_end ||
	    pkt->length < sizeof(*ip) + sizeof(*icmp) + sizeof(*quoted) + sizeof(*ports) ||
	    !lb_same(quoted->source, pkt->destination))
		return LB_DROP_MALFORMED;
	verdict = lb_icmp_connection(pkt, quoted->destination, ports, quoted->next_header);
	if (verdict == LB_CONTINUE)
		verdict = lb_route(pkt);
	if (verdict != LB_CONTINUE)
		return verdict;
	backend = pkt->backend;
	if (!(backend->flags & LB_SERVICE_DSR)) {
		/* the address counts twice: in the pseudo header, and in the quoted one */
		icmp->checksum =
			lb_sum_update(icmp->checksum, lb_icmp_port_change(backend) +
							      2 * (__u32)backend->sum_address);
		lb_copy_address(quoted->source, backend->address);
		lb_rewrite_port(&ports->source, backend->port);
	}
	verdict = lb_rewrite_ipv6(pkt, !(backend->flags & LB_SERVICE_DSR), 1);
	return verdict == LB_CONTINUE ? LB_TO_BACKEND_ICMP : verdict;
}

static __always_inline int lb_icmp_ipv4(struct lb_packet *pkt)
{
	struct lb_ipv4 *ip = pkt->data + sizeof(struct lb_ethernet);
	struct lb_icmp *icmp = (void *)(ip + 1);

	if ((void *)(icmp + 1) > pkt->data_end || pkt->length < sizeof(*ip) + sizeof(*icmp))
		return LB_DROP_MALFORMED;
	if (icmp->type == LB_ICMP_UNREACHABLE || icmp->type == LB_ICMP_TIME_EXCEEDED ||
	    icmp->type == LB_ICMP_PARAMETER_PROBLEM)
		return lb_icmp_error_ipv4(pkt, ip, icmp);
	if (icmp->type != LB_ICMP_ECHO_REQUEST || icmp->code)
		return LB_TO_KERNEL;
	icmp->type = LB_ICMP_ECHO_REPLY;
	icmp->checksum = lb_sum_update(icmp->checksum, lb_htons(0xf7ff));
	if (!icmp->checksum) /* of a message of zeros it is minus zero; for others that is the same */
		icmp->checksum = 0xffff;
	lb_turn_ipv4(ip, pkt->length);
	return LB_ECHO_REPLY;
}

static __always_inline int lb_icmp_ipv6(struct lb_packet *pkt)
{
	struct lb_ipv6 *ip = pkt->data + sizeof(struct lb_ethernet);
	struct lb_icmp *icmp = (void *)(ip + 1);

	if ((void *)(icmp + 1) > pkt->data_end || pkt->length < sizeof(*ip) + sizeof(*icmp))
		return LB_DROP_MALFORMED;
	if (icmp->type <= LB_ICMPV6_LAST_ERROR)
		return lb_icmp_error_ipv6(pkt, ip, icmp);
	if (icmp->type != LB_ICMPV6_ECHO_REQUEST || icmp->code)
		return LB_TO_KERNEL;
	icmp->type = LB_ICMPV6_ECHO_REPLY;
	icmp->checksum = lb_sum_update(icmp->checksum, lb_htons(0x0100));
	lb_turn_ipv6(ip, pkt->length - sizeof(*ip));
	return LB_ECHO_REPLY;
}

static __always_inline int lb_icmp(struct lb_packet *pkt)
{
	int verdict;

	if (LB_WITH_IPV6 && pkt->ipv6)
		verdict = lb_icmp_ipv6(pkt);
	else
		verdict = lb_icmp_ipv4(pkt);
	if (verdict == LB_TOO_BIG_REPLY) /* errors about errors would never end */
		return LB_DROP_TOO_BIG;
	if (verdict == LB_ECHO_REPLY)
		lb_swap_macs(pkt->data);
	return verdict;
}

#endif
