#!/usr/bin/env bash
# Install our packages in a machine: those of dist/ that are for its release, or else made here.
#
#     install.sh PACKAGE...    # lbctl, lbctl-agent
set -euo pipefail
cd "${TREE:?the synced checkout}"
export DEBIAN_FRONTEND=noninteractive

# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${ID/debian/deb}$VERSION_ID")
if ! compgen -G "dist/lbctl_*+${release}_*.deb" >/dev/null; then
	echo "no packages for $release in dist/; making them"
	tools/setup
	packaging/deb/build
fi

files=()
for package in "$@"; do
	# The newest, where there are several.
	mapfile -t found < <(compgen -G "dist/${package}_*.deb" | grep -E "\+${release}_|_all" | sort -V)
	files+=("$PWD/${found[-1]}")
done
# The lists of a fresh box may be empty, and a box may have everything already.
apt-get -qq install --no-install-recommends "${files[@]}" >/dev/null 2>&1 || {
	apt-get -qq update
	apt-get -qq install --no-install-recommends "${files[@]}" >/dev/null
}
dpkg-query --show "$@"
