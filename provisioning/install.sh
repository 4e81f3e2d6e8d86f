#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs Nigiwai on Raspberry Pi OS or Debian, 12 or 13, arm64 or amd64; run again, it repairs or updates.
#
#   sudo provisioning/install.sh [--wheel FILE] [--wheels DIR] [--no-host] [--no-start] [--read-only | --writable]
#
#   --wheel FILE   Nigiwai's own wheel; the one in dist/ or beside this script unless given
#   --wheels DIR   take every library from this folder and use no network (wheels/ of the bundle is found by itself)
#   --no-host      leave the host alone: no firewall, SSH, swap, journal, watchdog or boot settings
#   --no-start     install, but do not start
#   --read-only    from the next start on nothing but settings, releases and ledger can be written; --writable ends that
#
# Nothing that runs is touched before the new release is whole and has answered. A release is a folder of its own,
# /opt/nigiwai/releases/X; /opt/nigiwai/current names the one in use and is changed in one step. If the new one does
# not start, or has not shown within five minutes that everything works that worked before, the one before is used again
# (nigiwai-trial.service). Settings and the ledger are never overwritten.
set -euo pipefail

HERE=$(cd "$(dirname "$(readlink -f "$0")")" && pwd)
UNITS=$HERE/../systemd
LOCK=$HERE/requirements.lock
BASE=/opt/nigiwai
RELEASES=$BASE/releases
NEED_MIB=900
KEEP=3

WHEEL='' WHEELS='' HOST=yes START=yes READ_ONLY='' RELEASE='' BEFORE='' CHANGED=''

say() { printf 'nigiwai: %s\n' "$*"; }
warn() { printf 'nigiwai: NOTE: %s\n' "$*" >&2; }
die() {
    printf 'nigiwai: STOPPED: %s\n' "$*" >&2
    exit 1
}

read_arguments() {
    while [ $# -gt 0 ]; do
        case $1 in
            --wheel) WHEEL=${2:?--wheel needs a file} && shift ;;
            --wheels) WHEELS=${2:?--wheels needs a folder} && shift ;;
            --no-host) HOST=no ;;
            --no-start) START=no ;;
            --read-only) READ_ONLY=yes ;;
            --writable) READ_ONLY=no ;;
            -h | --help) sed -n '3,18s/^# \{0,1\}//p' "$0" && exit 0 ;;
            *) die "unknown option $1; see $0 --help" ;;
        esac
        shift
    done
}

running() { [ -d /run/systemd/system ]; }

# --- What must be true before anything is changed -----------------------------------------------------------------

of_system() { sed -n "s/^$1=//p" /etc/os-release | tr -d '"'; }

check_system() {
    [ "$(id -u)" = 0 ] || die "run this as root: sudo $0"
    [ -r /etc/os-release ] || die "/etc/os-release is missing; Raspberry Pi OS or Debian, 12 or 13, is needed"
    local id like version machine
    id=$(of_system ID)
    like=$(of_system ID_LIKE)
    version=$(of_system VERSION_ID)
    case "$id $like" in *debian* | *raspbian*) ;; *) die "this is $id; Raspberry Pi OS or Debian is needed" ;; esac
    case $version in 12 | 13) ;; *) die "this is Debian ${version:-of no version}; 12 or 13 is needed" ;; esac
    machine=$(dpkg --print-architecture)
    case $machine in
        arm64 | amd64) ;;
        armhf) die "this system is 32-bit; install the 64-bit Raspberry Pi OS (the board itself can do it)" ;;
        *) die "this system is $machine; arm64 or amd64 is needed" ;;
    esac
}

check_files() {
    [ -r "$LOCK" ] || die "$LOCK is missing; unpack the release again"
    [ -r "$UNITS/nigiwai-eye.service" ] || die "$UNITS is missing; unpack the release again"
    if [ -z "$WHEEL" ]; then
        WHEEL=$(find "$HERE" "$HERE/../dist" -maxdepth 1 -name 'nigiwai-*.whl' 2>/dev/null | sort -V | tail -n 1)
    fi
    [ -n "$WHEEL" ] || die "no nigiwai-*.whl found; name it with --wheel FILE"
    [ -r "$WHEEL" ] || die "--wheel $WHEEL cannot be read"
    [ -n "$WHEELS" ] || [ ! -d "$HERE/../wheels" ] || WHEELS=$HERE/../wheels
    [ -z "$WHEELS" ] || [ -d "$WHEELS" ] || die "--wheels $WHEELS is not a folder"
    local version
    version=$(basename "$WHEEL" | cut -d- -f2)
    # The units too: they are the programs' cages.
    RELEASE=$version-$({ cat "$WHEEL" "$LOCK" && find "$UNITS" -type f -print0 | sort -z | xargs -0 cat; } | sha256sum | cut -c1-10)
}

check_room() {
    mkdir -p "$RELEASES" 2>/dev/null || die "$RELEASES cannot be made: is the disk full or read-only? Nothing was changed"
    [ ! -e "$RELEASES/$RELEASE/.complete" ] || return 0
    local free
    free=$(df --output=avail -m "$RELEASES" | tail -n 1 | tr -d ' ')
    [ "$free" -ge "$NEED_MIB" ] ||
        die "$RELEASES has $free MiB free, $NEED_MIB are needed; make room (sudo apt clean) or use a larger card. Nothing was changed"
}

# --- A system that is read-only -----------------------------------------------------------------------------------

open_system() {
    trap close_system EXIT
    ! closed || systemctl stop nigiwai-read-only.service
}

# Left as the owner wants it, whatever happens meanwhile.
close_system() {
    [ -e /etc/nigiwai/read-only ] && running && systemctl --quiet is-enabled nigiwai-read-only.service 2>/dev/null || return 0
    [ "$READ_ONLY" = yes ] || systemctl start nigiwai-read-only.service || true
}

closed() { running && systemctl --quiet is-active nigiwai-read-only.service; }

choose_read_only() {
    put "$HERE/host/read-only.sh" /usr/lib/nigiwai/read-only.sh 755
    case $READ_ONLY in
        yes)
            [ -e /etc/nigiwai/read-only ] || : >/etc/nigiwai/read-only
            say "the system is read-only from the next start on; to change it by hand: sudo systemctl stop nigiwai-read-only"
            ;;
        no) rm -f /etc/nigiwai/read-only ;;
    esac
}

# --- Debian packages ----------------------------------------------------------------------------------------------

missing_packages() {
    local package
    for package in python3-venv nftables ca-certificates tzdata openssl openssh-client; do
        dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
    done
}

install_packages() {
    local missing
    missing=$(missing_packages | tr '\n' ' ')
    if [ -n "$missing" ]; then
        say "installing Debian packages: $missing"
        export DEBIAN_FRONTEND=noninteractive
        # shellcheck disable=SC2086  # a list of words
        { apt-get update -qq && apt-get install -y -qq --no-install-recommends $missing >/dev/null; } ||
            die "could not install $missing: connect this device to the network once, then run this again. Nothing of Nigiwai was changed"
    fi
    install_pi_camera
}

# picamera2 exists in the archive of Raspberry Pi OS only; elsewhere a USB camera or a recording is used.
install_pi_camera() {
    [ -e /etc/rpi-issue ] || return 0
    ! dpkg-query -W -f='${Status}' python3-picamera2 2>/dev/null | grep -q 'ok installed' || return 0
    say "installing python3-picamera2"
    apt-get install -y -qq --no-install-recommends python3-picamera2 >/dev/null ||
        warn "python3-picamera2 could not be installed: the camera on the flat cable will not work until it is (sudo apt install python3-picamera2, then run this again)"
}

# --- The release --------------------------------------------------------------------------------------------------

build_release() {
    local folder=$RELEASES/$RELEASE
    if [ -e "$folder/.complete" ]; then
        say "release $RELEASE is already here"
        return
    fi
    say "installing release $RELEASE (some minutes on a small board)"
    rm -rf "$folder"
    # An unfinished release is no use to anybody and takes room from the one that runs.
    trap 'rm -rf "$RELEASES/$RELEASE"; close_system; printf "nigiwai: STOPPED: the release could not be installed: disk full, a damaged file or no network (see above). What ran before runs on\n" >&2' EXIT
    make_environment "$folder"
    prove_release "$folder"
    sync -f "$folder"
    touch "$folder/.complete"
    trap close_system EXIT
}

make_environment() {
    local folder=$1 system=() source=() pip
    # The Pi's camera library comes from the system; without it the release stands entirely on its own.
    ! python3 -c 'import picamera2' 2>/dev/null || system=(--system-site-packages)
    [ -z "$WHEELS" ] || source=(--no-index --find-links "$WHEELS")
    python3 -m venv "${system[@]}" "$folder/venv"
    pip=("$folder/venv/bin/python" -m pip --disable-pip-version-check --no-input --no-cache-dir --quiet install)
    "${pip[@]}" "${source[@]}" --require-hashes --only-binary :all: --no-deps --requirement "$LOCK"
    "${pip[@]}" --no-index --no-deps "$WHEEL"
    install -m 644 "$LOCK" "$folder/requirements.lock"
    cp -R --no-preserve=mode,ownership "$UNITS" "$folder/systemd"
    # The number under which a signed release was given out; nigiwai update sets it.
    printf '{"serial": %d}\n' "${NIGIWAI_SERIAL:-0}" >"$folder/release.json"
}

# A release that cannot even load its libraries on this board must not be switched to.
prove_release() {
    local python=$1/venv/bin/python
    ORT_DISABLE_TELEMETRY=1 "$python" -c 'import cv2, numpy, onnxruntime, paho.mqtt.client, pydantic, starlette, uvicorn'
    "$1/venv/bin/nigiwai" --version >/dev/null
}

switch_to() {
    link "releases/$1" "$BASE/current"
    sync -f "$BASE"
}

# On trial, where another release was in use before: nigiwai-trial.service judges it.
put_in_use() {
    PYTHONDONTWRITEBYTECODE=1 "$RELEASES/$1/venv/bin/python" -m nigiwai.update.begin "$1" ||
        die "release $1 could not be put into use; what ran before runs on"
}

# The newest $KEEP, and always the one in use and the one before it.
remove_old_releases() {
    local name kept=0
    while read -r name; do
        kept=$((kept + 1))
        [ "$kept" -gt "$KEEP" ] || continue
        case $name in "$RELEASE" | "$BEFORE") continue ;; esac
        say "removing old release $name"
        rm -rf "${RELEASES:?}/$name"
    done < <(find "$RELEASES" -mindepth 1 -maxdepth 1 -type d -printf '%T@ %f\n' | sort -rn | cut -d' ' -f2)
}

# --- Files of the system ------------------------------------------------------------------------------------------

# Puts FILE at TARGET if it differs, whole or not at all.
put() {
    local file=$1 target=$2 mode=${3:-644}
    [ -L "$target" ] || ! cmp -s "$file" "$target" || return 0
    install -D -m "$mode" "$file" "$target.nigiwai-new" || die "$target could not be written: is the disk full or read-only?"
    mv "$target.nigiwai-new" "$target"
    CHANGED="$CHANGED $target"
}

# Makes a link in one step, as `put` does with a file.
link() {
    local to=$1 target=$2
    [ "$(readlink "$target" 2>/dev/null)" != "$to" ] || return 0
    mkdir -p "$(dirname "$target")"
    ln -sfn "$to" "$target.nigiwai-new" || die "$target could not be written: is the disk full or read-only?"
    mv -T "$target.nigiwai-new" "$target"
    CHANGED="$CHANGED $target"
}

# The users, folders, rules and units belong to a release. The system has links that lead through `current`, so that
# one rename changes the programs and their cages together, and back.
install_units() {
    local from=$1/systemd through=$BASE/current/systemd unit
    link "$through/sysusers.d/nigiwai.conf" /usr/lib/sysusers.d/nigiwai.conf
    link "$through/tmpfiles.d/nigiwai.conf" /usr/lib/tmpfiles.d/nigiwai.conf
    link "$through/udev/60-nigiwai-camera.rules" /etc/udev/rules.d/60-nigiwai-camera.rules
    for unit in "$from"/*.service "$from"/*.path "$from"/*.timer "$from"/*.target; do
        case $unit in *nigiwai-trial.service | *nigiwai-firewall.service | *nigiwai-read-only.service | *'*'*) continue ;; esac
        link "$through/$(basename "$unit")" "/etc/systemd/system/$(basename "$unit")"
    done
    # These must be there whatever `current` names: the judge of a release, the firewall, and what closes the system.
    for unit in nigiwai-trial.service nigiwai-firewall.service nigiwai-read-only.service; do
        put "$from/$unit" "/etc/systemd/system/$unit"
    done
    systemd-sysusers "$from/sysusers.d/nigiwai.conf"
    systemd-tmpfiles --create "$from/tmpfiles.d/nigiwai.conf"
}

install_rest() {
    [ -e /etc/nigiwai/nigiwai.toml ] || put "$HERE/nigiwai.toml" /etc/nigiwai/nigiwai.toml
    ln -sfn "$BASE/current/venv/bin/nigiwai" /usr/local/bin/nigiwai
    local page
    for page in "$HERE"/../docs/*.md "$HERE"/../docs/*.svg; do
        [ ! -e "$page" ] || put "$page" "/usr/share/doc/nigiwai/$(basename "$page")"
    done
}

# --- The host -----------------------------------------------------------------------------------------------------

harden_host() {
    [ "$HOST" = yes ] || return 0
    put "$UNITS/sysctl.d/60-nigiwai.conf" /etc/sysctl.d/60-nigiwai.conf
    put "$UNITS/system.conf.d/60-nigiwai-watchdog.conf" /etc/systemd/system.conf.d/60-nigiwai-watchdog.conf
    put "$UNITS/journald.conf.d/60-nigiwai.conf" /etc/systemd/journald.conf.d/60-nigiwai.conf
    write_firewall
    close_ssh_passwords
    end_swap
    enable_memory_limits
}

# The firewall with the ports of the settings; the settings are read with the release that is about to run.
write_firewall() {
    local ports made
    ports=$("$RELEASES/$RELEASE/venv/bin/python" - <<'PYTHON'
from pathlib import Path
from nigiwai.settings import load
s = load(Path("/etc/nigiwai/nigiwai.toml"))
brokers = sorted({1883, 8883, s.mqtt.port, *(b.port for b in s.mqtt.fallback)})
print(s.page.port, ",".join(map(str, brokers)))
PYTHON
    ) 2>/dev/null || {
        warn "/etc/nigiwai/nigiwai.toml has mistakes (nigiwai check tells them); the firewall uses the usual ports 8080, 1883, 8883"
        ports="8080 1883,8883"
    }
    made=$(mktemp)
    local inward=${ports% *}
    # A device that is also the broker of its venue is spoken to by the others.
    [ ! -e /etc/mosquitto/conf.d/nigiwai.conf ] || inward="$inward, 8883"
    sed -e "s/@PAGE_PORTS@/$inward/" -e "s/@BROKER_PORTS@/${ports#* }/" "$HERE/host/firewall.nft" >"$made"
    put "$made" /etc/nigiwai/firewall.nft
    rm -f "$made"
}

# Only where a key lies ready: a device that nobody can enter any more helps nobody.
close_ssh_passwords() {
    [ -d /etc/ssh/sshd_config.d ] || return 0
    if ! compgen -G '/home/*/.ssh/authorized_keys' >/dev/null && [ ! -s /root/.ssh/authorized_keys ]; then
        warn "SSH still takes passwords, because no user has a key here; add one (ssh-copy-id) and run this again"
        return 0
    fi
    put "$HERE/host/sshd.conf" /etc/ssh/sshd_config.d/60-nigiwai.conf
}

# Swap on a card could keep a picture; compressed memory (zram) is gone with the power.
end_swap() {
    if [ -e /etc/dphys-swapfile ] && running; then
        systemctl --quiet disable --now dphys-swapfile.service 2>/dev/null || true
        rm -f /var/swap
    fi
    [ ! -d /etc/rpi ] || put "$HERE/host/rpi-swap.conf" /etc/rpi/swap.conf.d/60-nigiwai.conf
    if grep -qsE '^[^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]]' /etc/fstab; then
        local made
        made=$(mktemp)
        sed -E 's/^([^#[:space:]]+[[:space:]]+[^[:space:]]+[[:space:]]+swap[[:space:]].*)$/# nigiwai: \1/' /etc/fstab >"$made"
        put "$made" /etc/fstab
        rm -f "$made"
    fi
    local device
    while read -r device _; do
        case $device in Filename | /dev/zram*) ;; *) swapoff "$device" 2>/dev/null || warn "$device is still used as swap; restart the device" ;; esac
    done </proc/swaps
}

# Raspberry Pi OS starts its kernel without memory limits; the units' limits need them.
enable_memory_limits() {
    local file=/boot/firmware/cmdline.txt made
    [ -e "$file" ] || return 0
    ! grep -q 'cgroup_enable=memory' "$file" || return 0
    made=$(mktemp)
    sed '1s/$/ cgroup_enable=memory/' "$file" >"$made"
    put "$made" "$file"
    rm -f "$made"
    warn "memory limits hold after the next restart of the device"
}

# --- Start --------------------------------------------------------------------------------------------------------

apply_host() {
    [ "$HOST" = yes ] || return 0
    systemctl --quiet enable nigiwai-firewall.service
    running || return 0
    sysctl --quiet --load=/etc/sysctl.d/60-nigiwai.conf 2>/dev/null || true
    case $CHANGED in *journald*) systemctl --quiet restart systemd-journald.service || true ;; esac
    case $CHANGED in *sshd_config*) systemctl --quiet reload ssh.service 2>/dev/null || true ;; esac
    systemctl --quiet restart nigiwai-firewall.service || warn "the firewall could not be loaded: journalctl -u nigiwai-firewall"
}

enable_and_start() {
    ! running || systemctl daemon-reload
    local units
    units=$(grep -l '^\[Install\]' "$UNITS"/nigiwai*.* | xargs -n 1 basename | grep -v firewall)
    # shellcheck disable=SC2086  # a list of words
    systemctl --quiet enable $units
    apply_host
    if [ "$START" = no ] || ! running; then
        say "release $RELEASE is installed; it starts with the device"
        return
    fi
    udevadm control --reload 2>/dev/null || true
    udevadm trigger --subsystem-match=video4linux --subsystem-match=media --subsystem-match=dma_heap 2>/dev/null || true
    if [ "$BEFORE" = "$RELEASE" ] && [ -z "$CHANGED" ] && systemctl --quiet is-active nigiwai.target; then
        say "release $RELEASE runs already; nothing to do"
        return
    fi
    systemctl reset-failed 'nigiwai-*' 2>/dev/null || true
    systemctl --no-block start nigiwai.target
    systemctl --no-block restart nigiwai-link.service nigiwai-eye.service
    await_start || go_back
    systemctl --no-block restart nigiwai-trial.service
}

# link must come up with any settings that are valid. eye may have no camera yet, which is no reason to go back.
await_start() {
    local left
    for ((left = 60; left > 0; left--)); do
        ! systemctl --quiet is-active nigiwai-link.service || return 0
        # It was just reset to none: so many starts in vain are enough to judge by.
        [ "$(systemctl show -P NRestarts nigiwai-link.service)" -lt 4 ] || return 1
        sleep 1
    done
    return 1
}

go_back() {
    journalctl --quiet --no-pager --lines=5 --unit=nigiwai-link.service >&2 || true
    if [ -z "$BEFORE" ] || [ "$BEFORE" = "$RELEASE" ] || [ ! -e "$RELEASES/$BEFORE/.complete" ]; then
        die "link does not start; the reason is above (journalctl -u nigiwai-link tells more)"
    fi
    switch_to "$BEFORE"
    rm -f "$BASE/trial.json"
    systemctl daemon-reload
    systemctl reset-failed 'nigiwai-*' 2>/dev/null || true
    systemctl --no-block restart nigiwai-link.service nigiwai-eye.service
    die "release $RELEASE does not start (the reason is above); $BEFORE is used again"
}

tell_result() {
    say "done: release $RELEASE is in use"
    ! running || [ "$START" = no ] || systemctl --quiet is-active nigiwai-eye.service ||
        warn "eye does not count yet (no camera, or no model?): nigiwai check, or journalctl -u nigiwai-eye"
    say "settings: /etc/nigiwai/nigiwai.toml    health: nigiwai check    documents: /usr/share/doc/nigiwai"
}

main() {
    read_arguments "$@"
    check_system
    check_files
    exec 9>/run/nigiwai-install.lock
    flock --nonblock 9 || die "another installation is under way"
    open_system
    check_room
    [ ! -L "$BASE/current" ] || BEFORE=$(basename "$(readlink "$BASE/current")")
    install_packages
    build_release
    install_units "$RELEASES/$RELEASE"
    install_rest
    harden_host
    choose_read_only
    put_in_use "$RELEASE"
    enable_and_start
    remove_old_releases
    tell_result
}

# One call at the end: a script that is replaced or cut off while it runs does nothing by halves.
main "$@"
