#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Inside the virtual device, before eye and link start: loads the camera and writes the settings that its kernel's command line
# asks for.
#
#   nigiwai.camera=KIND    a camera of appliance.sh; clip unless given
#   nigiwai.broker=PORT    of the machine below; 1883 unless given
set -eu

DEMO=$(echo /opt/nigiwai/current/venv/lib/python3*/site-packages/nigiwai/data/models/demo)
word() { sed -n "s/.*\bnigiwai\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

camera() {
    case $(word camera) in
        vivid | kernel) printf 'source = "v4l2"\ndevice = "/dev/video0"\nwidth_px = 640\nheight_px = 360\n' ;;
        replay) printf 'source = "recording"\npath = "%s"\npace = "fast"\n' "$DEMO/entrance.mp4" ;;
        *) printf 'source = "recording"\npath = "%s"\nloop = true\n' "$DEMO/entrance.mp4" ;;
    esac
}

# One camera, with an output that feed.py shows the clip on: both HDMI, which is what can be connected.
case $(word camera) in
    vivid) modprobe vivid n_devs=1 node_types=0x1 num_inputs=1 input_types=0x00 ;;
    kernel) modprobe vivid n_devs=1 node_types=0x101 num_inputs=1 input_types=0x03 num_outputs=1 output_types=0x01 ;;
esac

broker=$(word broker)
{
    printf '[device]\nsite = "virtual"\nname = "appliance"\n[camera]\n'
    camera
    printf '[ledger]\ninterval_s = 5\n[page]\nhost = "0.0.0.0"\n[mqtt]\nhost = "10.0.2.2"\nport = %s\n' "${broker:-1883}"
    cat "$DEMO/entrance.gates.toml"
} >/etc/nigiwai/nigiwai.toml.new
mv /etc/nigiwai/nigiwai.toml.new /etc/nigiwai/nigiwai.toml

# The firewall lets link speak to the broker's port alone.
[ -z "$broker" ] || sed -i "s/^define broker_ports = .*/define broker_ports = { 1883, 8883, $broker }/" /etc/nigiwai/firewall.nft
[ -z "$broker" ] || systemctl reload nigiwai-firewall.service
