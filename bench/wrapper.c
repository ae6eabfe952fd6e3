/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The wrapper of the packet path benchmark: makes the packet anew and tail-calls the program under
 * test, for BPF_PROG_TEST_RUN hands a program its own output from the second run on.
 *
 * BENCH_IPV6 is 0 or 1, BENCH_PINS the folder of its tables.  The stores are as wide as any load of
 * a switching processor, so that no load has to wait for two of them.  The checksums of IPv4 and of
 * UDP over it are right, for live packets; nobody looks at the others.
 */
#include "lb/net.h"

struct bench_settings {
	u64 count;          /* packets so far */
	u32 flows;          /* clients */
	u32 ports;          /* services, on ports behind each other; 0: ICMP */
	u32 frame;          /* bytes */
	u8 random;          /* clients in random order; else one after the other */
	u8 reply;           /* from the fixed host to the clients; else to it */
	u16 port;           /* of the first service, or type and code; in host order */
	u32 network_sum;    /* of the IPv4 header but for the client */
	u32 udp_sum;        /* of the UDP packet but for client and ports; 0: not UDP */
	u64 host[2];        /* the fixed address */
	u64 frame_start[2]; /* the MACs */
	u64 network[2];     /* the first bytes of the IP header: IPv4 12, IPv6 8 */
	u64 transport[2];   /* behind the ports */
};

BPF_TABLE_PINNED7("array", u32, struct bench_settings, settings, 1, BENCH_PINS "/settings",
		  1 << 10);
BPF_TABLE_PINNED("prog", u32, u32, programs, 1, BENCH_PINS "/programs");

/* An unaligned store: frames begin two bytes off. */
#define PUT(type, offset, value) (*(type *)(data + (offset)) = (value))

static __always_inline u32 bench_mix(u32 value)
{
	value = (value ^ value >> 16) * 0x85ebca6b;
	value = (value ^ value >> 13) * 0xc2b2ae35;
	return value ^ value >> 16;
}

static __always_inline u16 bench_checksum(u32 sum, u32 word)
{
	sum += (word & 0xffff) + (word >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static __always_inline u32 bench_ports(struct bench_settings *s, u32 id)
{
	u32 service = ((u64)(id * 2654435761u) * s->ports) >> 32;
	u32 client = lb_htons(1024 + (id * 40503 & 0x7fff) + (id >> 22));
	u32 fixed = lb_htons(s->port + service);

	if (!s->ports)
		return lb_htons(s->port);
	return s->reply ? client << 16 | fixed : fixed << 16 | client;
}

#if BENCH_IPV6
#define BENCH_SIZE 74
static __always_inline u32 bench_addresses(void *data, struct bench_settings *s, u32 id)
{
	u64 high = 0x00000c00b80d0120, low = (u64)lb_htonl(id) << 32 | id * 0x9E3779B1;

	PUT(u64, 22, s->reply ? s->host[0] : high);
	PUT(u64, 30, s->reply ? s->host[1] : low);
	PUT(u64, 38, s->reply ? high : s->host[0]);
	PUT(u64, 46, s->reply ? low : s->host[1]);
	return 0;
}
#else
#define BENCH_SIZE 54
static __always_inline u32 bench_addresses(void *data, struct bench_settings *s, u32 id)
{
	u32 client = lb_htonl(0x0a400000 | (id * 0x9E3779B1 & 0x3fffff)), host = s->host[1] >> 32;
	u32 checksum = bench_checksum(s->network_sum, client);

	PUT(u32, 22, (u32)s->network[1] | checksum << 16);
	PUT(u64, 26, s->reply ? (u64)client << 32 | host : (u64)host << 32 | client);
	return (client & 0xffff) + (client >> 16);
}
#endif
#define BENCH_PORTS (BENCH_SIZE - 20)

int bench_wrapper(struct xdp_md *ctx)
{
	void *data;
	u32 zero = 0, sum, ports, id, length = ctx->data_end - ctx->data;
	struct bench_settings *s = settings.lookup(&zero);

	if (!s)
		return 0;
	id = s->count++;
	if (s->random)
		id = ((u64)bench_mix(id) * s->flows) >> 32;
	if (length != s->frame && bpf_xdp_adjust_tail(ctx, (int)(s->frame - length)))
		return 0;
	data = (void *)(long)ctx->data;
	if (data + BENCH_SIZE > (void *)(long)ctx->data_end)
		return 0;
	PUT(u64, 0, s->frame_start[0]);
	PUT(u32, 8, s->frame_start[1]);
	PUT(u64, 14, s->network[0]);
	sum = bench_addresses(data, s, id);
	ports = bench_ports(s, id);
	PUT(u32, BENCH_PORTS, ports);
	PUT(u64, BENCH_PORTS + 4, s->transport[0]);
	if (s->udp_sum)
		PUT(u16, BENCH_PORTS + 6, bench_checksum(s->udp_sum + sum, ports));
	PUT(u64, BENCH_PORTS + 12, s->transport[1]);
	lb_barrier();
	programs.call(ctx, 0);
	return 0;
}
