/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The relay: carry frames between a TAP device and a NIC, one at a time, as a user-level driver of a
 * pseudo interface would have to.
 */
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <arpa/inet.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static int tap(const char *name)
{
	struct ifreq wanted = { .ifr_flags = IFF_TAP | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);

	strncpy(wanted.ifr_name, name, IFNAMSIZ - 1);
	return ioctl(fd, TUNSETIFF, &wanted) ? -1 : fd;
}

static int nic(int index)
{
	struct sockaddr_ll place = { .sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL), .sll_ifindex = index };
	struct packet_mreq all = { .mr_ifindex = index, .mr_type = PACKET_MR_PROMISC };
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETH_P_ALL)), yes = 1;

	setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes, sizeof(yes));
	setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &all, sizeof(all));
	return bind(fd, (void *)&place, sizeof(place)) ? -1 : fd;
}

static void carry(int from, int to)
{
	char frame[1 << 16];
	ssize_t size;

	while ((size = read(from, frame, sizeof(frame))) > 0)
		if (write(to, frame, size) < 0)
			continue; /* full: as on any wire, the frame is lost */
}

int relay(const char *name, int index)
{
	struct pollfd ends[2] = { { tap(name), POLLIN, 0 }, { nic(index), POLLIN, 0 } };

	while (ends[0].fd >= 0 && ends[1].fd >= 0 && poll(ends, 2, -1) > 0) {
		carry(ends[0].fd, ends[1].fd);
		carry(ends[1].fd, ends[0].fd);
	}
	return 1;
}
