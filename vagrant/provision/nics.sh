#!/usr/bin/env bash
# Name the NICs of a machine and give them addresses and routes, now and at every start:
#
#     nics.sh ROLE NUMBER MAC...
#
#     switch    ext0 198.51.100.1/25    ext1 198.51.100.129/25    int0 10.0.1.1/24    int1 10.0.2.1/24
#     client N  eth1 198.51.100.(10+N)/25, odd ones; 198.51.100.(138+N)/25, even ones
#     server N  eth1 10.0.1.(10+N)/24, odd ones; 10.0.2.(10+N)/24, even ones
#
# Odd machines are in the network of ext0 or int0, even ones in that of ext1 or int1; but the
# networks of one side are one cable.  So when a NIC of the switch fails its neighbor takes over.
set -euo pipefail

role=$1 number=$2
shift 2
macs=("$@")
networkd=/etc/systemd/network

# nic MAC NAME [SETTING...]: lines of the section [Network]; `route TO SETTING...` adds one route.
nic() {
	local mac name=$2 setting
	mac=$(sed 's/../&:/g; s/:$//' <<<"$1")
	printf '[Match]\nMACAddress=%s\n\n[Link]\nName=%s\n' "$mac" "$name" >"$networkd/50-$name.link"
	{
		printf '[Match]\nName=%s\n\n[Network]\n' "$name"
		# What it does stays although a cable is out: its address is taken over then.
		printf 'LinkLocalAddressing=no\nIPv6AcceptRA=no\nConfigureWithoutCarrier=yes\nIgnoreCarrierLoss=yes\n'
		for setting in "${@:3}"; do
			# shellcheck disable=SC2086 # its words
			case $setting in
			route*) set -- $setting && printf '\n[Route]\nDestination=%s\n' "$2" && printf '%s\n' "${@:3}" ;;
			*) printf '%s\n' "$setting" ;;
			esac
		done
	} >"$networkd/50-$name.network"
	# udev has named it before the file was there.
	local now
	now=$(ip -oneline link | sed -n "s/^[0-9]*: \([^:@]*\).* $mac .*/\1/p" | head -n 1)
	[[ -n $now ]] || { echo "nics.sh: there is no NIC $mac" >&2 && exit 1; }
	[[ $now == "$name" ]] || { ip link set "$now" down && ip link set "$now" name "$name"; }
}

# The second route of a network is by the other NIC, and counts when the first is gone.  It has the
# address that the machines there know: to another they would not find the way back.
case $role in
switch)
	nic "${macs[0]}" ext0 Address=198.51.100.1/25 'route 198.51.100.128/25 Metric=1000 PreferredSource=198.51.100.129'
	nic "${macs[1]}" ext1 Address=198.51.100.129/25 'route 198.51.100.0/25 Metric=1000 PreferredSource=198.51.100.1'
	nic "${macs[2]}" int0 Address=10.0.1.1/24 'route 10.0.2.0/24 Metric=1000 PreferredSource=10.0.2.1'
	nic "${macs[3]}" int1 Address=10.0.2.1/24 'route 10.0.1.0/24 Metric=1000 PreferredSource=10.0.1.1'
	cat >/etc/sysctl.d/50-switch.conf <<-SYSCTL
		net.ipv4.ip_forward = 1
		# Of two NICs on one cable that one answers by which the asker is reached.
		net.ipv4.conf.all.arp_filter = 1
		# Packets may come by the NIC that took over.
		net.ipv4.conf.all.rp_filter = 0
		net.ipv4.conf.default.rp_filter = 0
	SYSCTL
	;;
client)
	if ((number % 2)); then
		nic "${macs[0]}" eth1 "Address=198.51.100.$((10 + number))/25" 'route 203.0.113.0/24 Gateway=198.51.100.1'
	else
		nic "${macs[0]}" eth1 "Address=198.51.100.$((138 + number))/25" 'route 203.0.113.0/24 Gateway=198.51.100.129'
	fi
	;;
server)
	net=$((2 - number % 2))
	nic "${macs[0]}" eth1 "Address=10.0.$net.$((10 + number))/24" "route 198.51.100.0/24 Gateway=10.0.$net.1"
	;;
esac
if [[ $role != switch ]]; then
	# Ask again soon when the switch does not answer: a few seconds, not half a minute.
	cat >/etc/sysctl.d/50-neighbors.conf <<-SYSCTL
		net.ipv4.neigh.default.base_reachable_time_ms = 2000
		net.ipv4.neigh.default.delay_first_probe_time = 1
	SYSCTL
fi
sysctl --quiet --system
# eth0 stays with whom it is now.
systemctl enable --quiet systemd-networkd
systemctl restart systemd-networkd
