# SPDX-License-Identifier: Apache-2.0
"""Nigiwai counts people at event entrances and never lets a picture out."""

import os

__version__ = "0.1.0"

# ONNX Runtime 1.29 and later look up a host and write a device id at import unless told not to. The switch is set
# here, before anything of the package can import it; setting it after the import comes too late for the first event.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
