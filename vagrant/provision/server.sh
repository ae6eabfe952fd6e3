#!/usr/bin/env bash
# A back-end server: a small HTTP and UDP server on port 8080 that says its name, and a load agent.
set -euo pipefail
provision=${TREE:?the synced checkout}/vagrant/provision

cat >/etc/systemd/system/hello.service <<-UNIT
	[Unit]
	Description=A server that says its name

	[Service]
	ExecStart=/usr/bin/python3 $TREE/lbctl/testbed/server.py --name $(hostname) --port 8080
	DynamicUser=yes

	[Install]
	WantedBy=multi-user.target
UNIT
systemctl daemon-reload
systemctl enable --quiet --now hello

"$provision/install.sh" lbctl-agent
"$provision/key.sh"
printf 'ports = [8080]\n' >/etc/lbctl/agent.toml
systemctl enable --quiet --now lbctl-agent
