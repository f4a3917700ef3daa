#!/usr/bin/env bash
# Installs those of system-packages.txt, or of another list, that are missing; if none is, it asks
# nobody anything.
set -euo pipefail
list=${1:-$(dirname "$0")/system-packages.txt}

mapfile -t wanted < <(grep -vE '^(#|$)' "$list")
# A package is there, too, if another provides it, as Docker's containerd.io does for runc.
installed=$(dpkg-query -W -f='${db:Status-Abbrev} ${Package}, ${Provides}\n' | sed -n 's/^ii *//p' |
  tr ',' '\n' | awk '{print $1}')
missing=()
for package in "${wanted[@]}"; do
  grep -qxF "$package" <<<"$installed" || missing+=("$package")
done
[ "${#missing[@]}" -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "These packages are missing. Install them as root, then run this again:" >&2
  echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}"
