# SPDX-License-Identifier: Apache-2.0
"""One module a command: its options and help text. The work itself is done in the rooms."""
