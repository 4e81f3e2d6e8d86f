# SPDX-License-Identifier: Apache-2.0
"""Lab: count a recording, compare with truth, measure. Never installed as a service."""
