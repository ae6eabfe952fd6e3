#!/usr/bin/env bash
# The switch: lbctl as a package, its daemon started, no NIC attached yet.  What a package leaves
# when it is purged can be seen only by comparing, so the files are listed before it is installed.
set -euo pipefail
provision=${TREE:?the synced checkout}/vagrant/provision

"$provision/tools.sh" curl tcpdump
"$provision/key.sh"
# An emulated machine (KVM's are called kvm) takes minutes where others take seconds.
if [[ $(systemd-detect-virt) == qemu ]]; then
	mkdir -p /etc/systemd/system/lbctld.service.d
	printf '[Service]\nTimeoutStartSec=900\nWatchdogSec=0\n' >/etc/systemd/system/lbctld.service.d/slow.conf
	systemctl daemon-reload
fi
if [[ ! -e /var/tmp/files-before ]]; then
	read -ra needs < <(sed -n 's/^Depends: //p' "$TREE/packaging/deb/lbctl/control" | sed 's/ ([^)]*)//g; s/,//g')
	"$provision/tools.sh" "${needs[@]}"
	install -m 755 "$provision/files" /usr/local/sbin/files
	/usr/local/sbin/files >/var/tmp/files-before
fi
"$provision/install.sh" lbctl
systemctl is-active lbctld
lbctl status
