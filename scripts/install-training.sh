#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# install-training.sh PYTHON: installs the extra `train` where PyTorch is offered as its small CPU build. Elsewhere nothing
# is installed and the training tests are skipped: the CUDA build that most Linux machines would get is gigabytes.
set -euo pipefail
python=${1:?usage: install-training.sh PYTHON}
torch=2.13.0

export PYTHONDONTWRITEBYTECODE=''
pip=("$python" -m pip --disable-pip-version-check)
version=$("${pip[@]}" install --dry-run --no-deps --ignore-installed --quiet --report - "torch==$torch" 2>/dev/null |
    "$python" -c 'import json, sys; print(json.load(sys.stdin)["install"][0]["metadata"]["version"])' 2>/dev/null) || version=none
if [[ $version != *+cpu ]]; then
    echo "PyTorch's CPU build is not offered here (found: $version); the training tests will be skipped."
    exit 0
fi
echo "Installing the training recipe with PyTorch $version ..."
"${pip[@]}" install --quiet --editable '.[train]' "torch==$version"
