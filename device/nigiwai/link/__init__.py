# SPDX-License-Identifier: Apache-2.0
"""Link: the ledger, the MQTT publisher and the status page. It speaks and never sees: no camera, no image library."""
