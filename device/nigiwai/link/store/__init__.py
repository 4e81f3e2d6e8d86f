# SPDX-License-Identifier: Apache-2.0
"""The ledger's file: its tables, and every statement that is run on them. One connection, one thread."""
