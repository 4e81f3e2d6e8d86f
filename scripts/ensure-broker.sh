#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes sure that there is an MQTT broker to try things with. Usage: ensure-broker.sh PYTHON
#
# Mosquitto is taken where it is installed. Root gets it from Debian, without its system service being started: the demo
# runs its own on a private port. Everybody else gets a broker in Python in the environment, which speaks MQTT 3.1.1.
set -eu
python=$1

if command -v mosquitto >/dev/null || [ -x /usr/sbin/mosquitto ]; then
    exit 0
fi
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    echo "Installing Mosquitto ..."
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod +x "$policy"
        trap 'rm -f "$policy"' EXIT
    fi
    if { apt-get update -qq && apt-get install -y -qq --no-install-recommends mosquitto; } >/dev/null 2>&1; then
        exit 0
    fi
fi
if ! "$python" -c 'import amqtt' 2>/dev/null; then
    echo "Mosquitto is not installed (sudo apt install mosquitto); installing a small broker in Python instead ..."
    "$python" -m pip --disable-pip-version-check install --quiet 'amqtt>=0.11'
fi
