# SPDX-License-Identifier: Apache-2.0
"""The site authority: certificates, enrolments, labels and first-boot files, made at headquarters.

Never runs on a device. Needs the extra `site` (cryptography, reportlab, segno).
"""
