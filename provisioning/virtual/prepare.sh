#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Makes the Debian systems that tests/system boots, once: some minutes and 1.5 GB. Needs root, mmdebstrap and systemd-nspawn.
#
#   provisioning/virtual/prepare.sh
#
#   $NIGIWAI_MACHINES/base-trixie   Debian 13 as it comes
#   $NIGIWAI_MACHINES/bundle        a release, as bundle.sh makes it
#   $NIGIWAI_MACHINES/trixie        the same Debian with that release installed
#
# The bundle and the installed system are made anew when this checkout has changed; the plain Debian is kept.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
MACHINES=${NIGIWAI_MACHINES:-/var/cache/nigiwai/machines}
SUITE=${SUITE:-trixie}
PACKAGES=systemd,systemd-sysv,dbus,udev,kmod,python3,python3-venv,iproute2,procps,ca-certificates,tzdata,nftables,openssl,openssh-client,strace
PYTHON=$(realpath -s "$(command -v "${PYTHON:-python3}")")
export PYTHON

[ "$(id -u)" = 0 ] || { echo "prepare: run this as root" >&2 && exit 1; }
for tool in mmdebstrap systemd-nspawn; do
    command -v "$tool" >/dev/null || { echo "prepare: $tool is missing: apt install mmdebstrap systemd-container" >&2 && exit 1; }
done
mkdir -p "$MACHINES"

if [ "$(cat "$MACHINES/base-$SUITE.packages" 2>/dev/null)" != "$PACKAGES" ] || [ ! -d "$MACHINES/base-$SUITE" ]; then
    echo "prepare: Debian $SUITE ..."
    rm -rf "${MACHINES:?}/base-$SUITE" "${MACHINES:?}/$SUITE"
    mmdebstrap --quiet --variant=minbase --include="$PACKAGES" "$SUITE" "$MACHINES/base-$SUITE.part"
    mv "$MACHINES/base-$SUITE.part" "$MACHINES/base-$SUITE"
    echo "$PACKAGES" >"$MACHINES/base-$SUITE.packages"
fi
# What they are made from, told by the content of the files.
made_from() {
    (cd "$ROOT" && find device systemd provisioning models/manifest.toml models/demo models/*.onnx pyproject.toml -type f \
        ! -name '*.pyc' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64)
}

if [ "$(cat "$MACHINES/bundle.made-from" 2>/dev/null)" != "$(made_from)" ]; then
    rm -f "$MACHINES/bundle.made-from"
    case $SUITE in bookworm) python=3.11 ;; *) python=3.13 ;; esac
    "$ROOT/provisioning/bundle.sh" "$MACHINES/bundle" "$python:$(uname -m)"
    rm -rf "${MACHINES:?}/$SUITE"
    made_from >"$MACHINES/bundle.made-from"
fi
if [ ! -d "$MACHINES/$SUITE" ]; then
    echo "prepare: installing into $SUITE ..."
    rm -rf "$MACHINES/$SUITE.part"
    cp -a --reflink=auto "$MACHINES/base-$SUITE" "$MACHINES/$SUITE.part"
    systemd-nspawn --quiet --register=no --keep-unit --console=pipe --directory="$MACHINES/$SUITE.part" \
        --bind-ro="$MACHINES/bundle:/mnt" /mnt/provisioning/install.sh </dev/null
    mv "$MACHINES/$SUITE.part" "$MACHINES/$SUITE"
fi
echo "prepare: $MACHINES/$SUITE is ready"
