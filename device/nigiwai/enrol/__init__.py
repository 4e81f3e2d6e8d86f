# SPDX-License-Identifier: Apache-2.0
"""The device's side of enrolment: its key is made here and never leaves; headquarters signs a certificate for it."""
