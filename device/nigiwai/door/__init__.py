# SPDX-License-Identifier: Apache-2.0
"""The door: the only way between eye and link. A handful of record types, each bounded in size and rate."""
