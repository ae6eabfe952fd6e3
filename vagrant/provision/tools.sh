#!/usr/bin/env bash
# Install packages of Debian that are missing; asks no network when none is.
#
#     tools.sh PACKAGE...
set -euo pipefail
export DEBIAN_FRONTEND=noninteractive

missing=()
for package in "$@"; do
	[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0
apt-get -qq update
apt-get -qq install --no-install-recommends "${missing[@]}" >/dev/null
