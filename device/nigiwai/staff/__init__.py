# SPDX-License-Identifier: Apache-2.0
"""What staff with a terminal on the device can ask: how it is, what it said, what its cage forbids, and its end."""
