# SPDX-License-Identifier: Apache-2.0
"""The MQTT side of link: one connection at a time, an outbox that lives in the ledger, few and audited requests."""
