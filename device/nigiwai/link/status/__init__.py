# SPDX-License-Identifier: Apache-2.0
"""The page that field staff look at: numbers, lights and what to do. No picture, no track, no coordinate."""
