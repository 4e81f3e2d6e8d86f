# SPDX-License-Identifier: Apache-2.0
"""The training recipe of the person detector: data, labels, network, schedule, export, INT8.

Needs the extra `train` (PyTorch, OpenCV, onnx, onnxruntime); nothing here runs on the device.
"""
