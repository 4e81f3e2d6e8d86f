# SPDX-License-Identifier: Apache-2.0
"""Weights, the recipe that trained them, and their evaluation. Never imported on the device."""
