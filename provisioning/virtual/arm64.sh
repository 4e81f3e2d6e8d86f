#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lays out what tests/system/test_arm64.py runs: an emulator, Debian's arm64 Python and the aarch64 wheels of the lock.
#
#   provisioning/virtual/arm64.sh [DIR]     $NIGIWAI_MACHINES/arm64 unless given; a minute and 600 MB. Nothing is booted.
#
# Packages are only unpacked, so nothing of arm64 runs while this is made. The emulator is Debian 13's: that of Debian 12
# (7.2) crashes when ONNX Runtime is loaded.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
OUT=${1:-${NIGIWAI_MACHINES:-/var/cache/nigiwai/machines}/arm64}
PYTHON=${PYTHON:-python3}
SUITE=trixie

command -v mmdebstrap >/dev/null || { echo "arm64: mmdebstrap is missing: apt install mmdebstrap" >&2 && exit 1; }
rm -rf "$OUT.part"
mkdir -p "$OUT.part/wheels" "$OUT.part/site"
mmdebstrap --quiet --variant=extract --include=qemu-user "$SUITE" "$OUT.part/qemu"
mmdebstrap --quiet --variant=extract --arch=arm64 --include=python3,libstdc++6,libgcc-s1,libgomp1 "$SUITE" "$OUT.part/root"
[ -e "$OUT.part/root/lib" ] || ln -s usr/lib "$OUT.part/root/lib"
"$PYTHON" "$HERE/../wheels.py" "$OUT.part/wheels" 3.13:aarch64
# A wheel is an archive; those of the lock need no script to be run.
for wheel in "$OUT.part"/wheels/*.whl; do "$PYTHON" -m zipfile -e "$wheel" "$OUT.part/site"; done
rm -rf "$OUT.part/wheels" "$OUT"
mv "$OUT.part" "$OUT"
echo "arm64: $OUT is ready"
