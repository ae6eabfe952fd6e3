#!/usr/bin/env bash
# A client: it has curl, and the switch is its way to 203.0.113.0/24.
set -euo pipefail

"${TREE:?the synced checkout}"/vagrant/provision/tools.sh curl
