# SPDX-License-Identifier: Apache-2.0
"""INT8 schemes side by side: `python -m models.evaluation.candidates CKPT --cache CACHE` prints their table.

For each: accuracy on the validation images at 320x320, size of the file, and time of one run at the device's input
sizes. Times are the least of many runs on this machine with two threads; run it on an idle machine.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from models.evaluation.metrics import Picture, average_precision, judge
from models.evaluation.ours import Ours
from models.evaluation.reference import Reference, open_session
from models.evaluation.report import Row, markdown
from models.training.cache import ImageSet, load_set
from models.training.checkpoint import load_average
from models.training.export import float_model
from models.training.net import Net
from models.training.quantise import Scheme, quantised

SIZES = ((320, 192), (416, 256))
SCHEMES = {
    "min-max": Scheme("minmax"),
    "percentile 99.99": Scheme("percentile", 99.99),
    "percentile 99.9": Scheme("percentile", 99.9),
    "entropy": Scheme("entropy"),
    "min-max, outputs in INT8 too": Scheme("minmax", float_nodes=()),
    "min-max, weights of 8 bits": Scheme("minmax", narrow=False),
    "min-max, signed activations": Scheme("minmax", signed=True),
}


def accuracy(path: Path, data: ImageSet) -> Row:
    """AP50 and AP75 of a model file at the images' own size."""
    height, width = data.images.shape[1:3]
    model, rows = Ours(path, width, height, threads=2), []
    for k, image in enumerate(data.images):
        found = model.detect(np.asarray(image))
        rows.append(Picture(found.xyxy, found.score, data.xyxy[k], data.ignore[k]))
    return {"AP50": average_precision(judge(rows, 0.5)), "AP75": average_precision(judge(rows, 0.75))}


def least_ms(path: Path, width: int, height: int, runs: int = 150) -> float:
    """The least time of one run in milliseconds, two threads, after ten runs to warm up."""
    session = open_session(path, 2)
    (entry,) = session.get_inputs()
    kind = np.uint8 if "uint8" in entry.type else np.float32
    image = np.random.default_rng(0).integers(0, 255, (1, 3, height, width)).astype(kind)
    times = []
    for _ in range(runs + 10):
        began = time.perf_counter()
        session.run(None, {entry.name: image})
        times.append(time.perf_counter() - began)
    return min(times[10:]) * 1000


def measured(name: str, model: onnx.ModelProto, data: ImageSet) -> Row:
    """One row of the table."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "candidate.onnx"
        onnx.save(model, str(path))
        row: Row = {"scheme": name, "bytes": path.stat().st_size}
        row |= accuracy(path, data)
        row |= {f"ms {w}x{h}": least_ms(path, w, h) for w, h in SIZES}
    return row


def compare(net: Net, calibration: ImageSet, data: ImageSet, images: int) -> list[Row]:
    """FP32 first, then every scheme."""
    rows = [measured("FP32", float_model(net), data)]
    for name, scheme in SCHEMES.items():
        rows.append(measured(name, quantised(net, calibration, replace(scheme, images=images)), data))
        print(markdown(rows[-1:]).splitlines()[-1], flush=True)
    return rows


def main() -> None:
    """Command line of the module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--images", type=int, default=128, help="calibration images")
    parser.add_argument("--reference", type=Path, help="a reference model to time beside")
    args = parser.parse_args()
    train, valid = load_set(args.cache, "train"), load_set(args.cache, "valid")
    rows = compare(load_average(args.checkpoint), train, valid, args.images)
    if args.reference:
        Reference(args.reference)
        rows.append({"scheme": args.reference.stem, "ms 416x416": least_ms(args.reference, 416, 416)})
    print(markdown(rows))


if __name__ == "__main__":
    main()
