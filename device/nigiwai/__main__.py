# SPDX-License-Identifier: Apache-2.0
"""`python -m nigiwai` is the same as `nigiwai`."""

from nigiwai.cli import main

main()
