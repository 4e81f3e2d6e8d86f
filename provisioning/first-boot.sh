#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The first start of a card that headquarters has prepared: `first-boot.sh BOOT_FOLDER`, called by cloud-init.
#
# Installs the release this script came with and makes the card the device that BOOT_FOLDER/nigiwai-device.toml names. How
# it went stands in BOOT_FOLDER/nigiwai-result.txt, which every PC can read. It may be called again after any failure.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
BOOT=${1:?name the folder of the boot partition}
RESULT=$BOOT/nigiwai-result.txt
DEVICE=$BOOT/nigiwai-device.toml

fail() {
    printf '%s\n%s\n' "$1" "$2" >"$RESULT" || true
    printf 'nigiwai: %s: %s\n' "$1" "$2" >&2
    exit 1
}

[ -e "$DEVICE" ] || fail E11 "$DEVICE is missing; copy it from headquarters onto the boot partition (bootfs)"
log=$(mktemp)
"$HERE/install.sh" --no-start >"$log" 2>&1 || fail E20 "$(tail -n 3 "$log")"
rm -f "$log"
# It writes the result itself; a mistake in the file leaves the file as it is, to be mended and tried again.
/usr/local/bin/nigiwai enrol --from "$DEVICE" || exit 1
# The release is in place twice now; the card's room is needed for the ledger.
rm -f "$BOOT/nigiwai-release.tar"
# What cloud-init was told holds the Wi-Fi's password, and every PC can read the boot partition. cloud-init keeps its own copy.
[ ! -e "$BOOT/user-data" ] || printf '#cloud-config\n{}\n' >"$BOOT/user-data"
if [ -d /run/systemd/system ]; then
    systemctl daemon-reload
    systemctl --no-block start nigiwai.target nigiwai-firewall.service
fi
