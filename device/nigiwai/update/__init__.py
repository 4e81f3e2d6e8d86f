# SPDX-License-Identifier: Apache-2.0
"""Updates: signed releases, installed beside the one that runs, on trial until they have proved themselves."""
