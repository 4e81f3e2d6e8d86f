# SPDX-License-Identifier: Apache-2.0
"""The trait model: age band and sex of one person, from a picture of the whole body. How it is made."""
