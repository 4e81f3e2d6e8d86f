# SPDX-License-Identifier: Apache-2.0
"""`python -m nigiwai.update.begin RELEASE`: what install.sh calls to put a release into use, on trial."""

import sys
from pathlib import Path

from nigiwai.commands.options import DEFAULT_SETTINGS
from nigiwai.update import health, trial
from nigiwai.update.releases import BASE, Releases

if __name__ == "__main__":
    base = Path(sys.argv[2]) if len(sys.argv) > 2 else BASE
    Releases(base).begin(sys.argv[1], trial.needs_of(health.look(DEFAULT_SETTINGS)))
