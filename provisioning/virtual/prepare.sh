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
# ARCH=arm64 on a PC makes base-trixie-arm64 and so on, for the virtual device: emulated, ten minutes or more.
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/../.." && pwd)
# shellcheck source=provisioning/virtual/foreign.sh
. "$ROOT/provisioning/virtual/foreign.sh"
PACKAGES=systemd,systemd-sysv,dbus,udev,kmod,python3,python3-venv,iproute2,procps,ca-certificates,tzdata,nftables,openssl,openssh-client,strace
PYTHON=$(realpath -s "$(command -v "${PYTHON:-python3}")")
export PYTHON

[ "$(id -u)" = 0 ] || { echo "prepare: run this as root" >&2 && exit 1; }
for tool in mmdebstrap systemd-nspawn; do
    command -v "$tool" >/dev/null || { echo "prepare: $tool is missing: apt install mmdebstrap systemd-container" >&2 && exit 1; }
done
mkdir -p "$MACHINES"
trap end_foreign EXIT
base=$MACHINES/base-$SUITE$OF bundle=$MACHINES/bundle$OF installed=$MACHINES/$SUITE$OF

if [ "$(cat "$base.packages" 2>/dev/null)" != "$PACKAGES" ] || [ ! -d "$base" ]; then
    echo "prepare: Debian $SUITE${OF:+ for $ARCH} ..."
    rm -rf "$base" "$base.part" "$installed"
    begin_foreign
    # mmdebstrap looks for Debian's own entry of an emulator, and cannot know of ours.
    mmdebstrap --quiet --variant=minbase --arch="$ARCH" --skip=check/qemu --include="$PACKAGES" "$SUITE" "$base.part"
    mv "$base.part" "$base"
    echo "$PACKAGES" >"$base.packages"
fi
# What they are made from, told by the content of the files. What is here in virtual/ stands around them, not in them.
made_from() {
    (cd "$ROOT" && find device systemd provisioning models/manifest.toml models/demo models/*.onnx pyproject.toml -type f \
        ! -name '*.pyc' ! -path 'provisioning/virtual/*' -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64)
}

if [ "$(cat "$bundle.made-from" 2>/dev/null)" != "$(made_from)" ]; then
    rm -f "$bundle.made-from"
    case $SUITE in bookworm) python=3.11 ;; *) python=3.13 ;; esac
    "$ROOT/provisioning/bundle.sh" "$bundle" "$python:$MACHINE"
    rm -rf "$installed"
    made_from >"$bundle.made-from"
fi
if [ ! -d "$installed" ]; then
    echo "prepare: installing into $SUITE${OF:+ for $ARCH} ..."
    rm -rf "$installed.part"
    cp -a --reflink=auto "$base" "$installed.part"
    begin_foreign
    within "$installed.part" --bind-ro="$bundle:/mnt" /mnt/provisioning/install.sh
    mv "$installed.part" "$installed"
fi
echo "prepare: $installed is ready"
