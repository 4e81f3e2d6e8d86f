#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks every shell script of the repository, where shellcheck is installed.
set -eu
cd "$(dirname "$0")/.."
command -v shellcheck >/dev/null || { echo "shellcheck is not installed: shell scripts not checked"; exit 0; }
git ls-files | while read -r file; do
    if head -c 64 "$file" | head -n 1 | grep -aqE '^#!.*\b(ba)?sh\b'; then echo "$file"; fi
done | xargs -r shellcheck
