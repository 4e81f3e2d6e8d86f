# SPDX-License-Identifier: Apache-2.0
"""Eye: camera -> detections -> tracks -> crossings -> bins. It sees and never speaks: no network, no disk."""
