#!/usr/bin/env bash
# Write the key that load agents and switch share, readable by root alone.
set -euo pipefail
umask 077
mkdir -p /etc/lbctl
printf '%s\n' "${AGENT_KEY:?the key}" >/etc/lbctl/agent.key
