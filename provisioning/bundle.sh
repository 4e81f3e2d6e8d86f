#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Puts everything that a device needs into one folder, for a USB stick: no network is needed on the device.
#
#   provisioning/bundle.sh DIR [PYTHON:MACHINE ...]     for example: bundle.sh /media/stick/nigiwai 3.13:aarch64
#
# On the device: sudo DIR/provisioning/install.sh
set -euo pipefail

ROOT=$(cd "$(dirname "$(readlink -f "$0")")/.." && pwd)
OUT=${1:?name the folder to write to; see the head of $0}
PYTHON=${PYTHON:-python3}
shift

mkdir -p "$OUT/dist" "$OUT/wheels"
for part in provisioning systemd docs; do
    rm -rf "${OUT:?}/$part"
    cp -R "$ROOT/$part" "$OUT/$part"
done
rm -f "$OUT"/dist/nigiwai-*.whl
PYTHONDONTWRITEBYTECODE='' "$PYTHON" -m pip --disable-pip-version-check --quiet wheel --no-deps --wheel-dir "$OUT/dist" "$ROOT"
"$PYTHON" "$ROOT/provisioning/wheels.py" "$OUT/wheels" "$@"
echo "bundle: $OUT ($(du -sh "$OUT" | cut -f1))"
