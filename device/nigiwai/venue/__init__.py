# SPDX-License-Identifier: Apache-2.0
"""A venue without a network: the device's own access point, so that a phone can see the page."""
