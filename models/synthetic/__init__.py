# SPDX-License-Identifier: Apache-2.0
"""Synthetic entrance footage with exact truth."""
