# SPDX-License-Identifier: Apache-2.0
"""Accuracy of the detector and of the reference models, on the same images by the same code."""
