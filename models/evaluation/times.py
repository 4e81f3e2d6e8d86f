# SPDX-License-Identifier: Apache-2.0
"""Size, work and time of model files side by side: in one run, by turns, so that a busy moment meets all of them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray

from models.evaluation.reference import SIDE_PX, laid_out, open_session
from models.evaluation.report import Row

OWN_SIZES = ((320, 192), (416, 256))
BASE = "yolox-nano-416"
WARM_RUNS = 10


@dataclass(frozen=True)
class Candidate:
    """A model file at an input size (width, height)."""

    path: Path
    size: tuple[int, int]

    @property
    def label(self) -> str:
        """The file's name without its ending."""
        return self.path.stem


@dataclass(frozen=True)
class Runner:
    """An open session with the input that it is timed with."""

    session: ort.InferenceSession
    feed: dict[str, NDArray[np.generic]]

    @staticmethod
    def open(candidate: Candidate, threads: int) -> Runner:
        """The candidate ready to run, warmed up."""
        session = open_session(candidate.path, threads)
        (entry,) = session.get_inputs()
        kind = np.uint8 if "uint8" in entry.type else np.float32
        width, height = candidate.size
        picture = np.random.default_rng(0).integers(0, 255, (1, height, width, 3)).astype(kind)
        runner = Runner(session, {entry.name: laid_out(session, picture)})
        for _ in range(WARM_RUNS):
            runner.ms()
        return runner

    def ms(self) -> float:
        """The time of one run in milliseconds."""
        began = time.perf_counter()
        self.session.run(None, self.feed)
        return (time.perf_counter() - began) * 1000


def candidates(paths: list[Path]) -> list[Candidate]:
    """Our own files at both sizes of the device, references at theirs."""
    made = []
    for path in paths:
        sizes = ((SIDE_PX, SIDE_PX),) if path.stem.endswith(str(SIDE_PX)) else OWN_SIZES
        made += [Candidate(path, size) for size in sizes]
    return made


def least_ms(chosen: list[Candidate], threads: int, rounds: int) -> list[float]:
    """For each the least time of `rounds` runs taken by turns; the least is what the machine does when left alone."""
    runners = [Runner.open(candidate, threads) for candidate in chosen]
    best = [float("inf")] * len(runners)
    for _ in range(rounds):
        for k, runner in enumerate(runners):
            best[k] = min(best[k], runner.ms(), runner.ms())
    return best


def multiply_adds(path: Path, size: tuple[int, int]) -> int:
    """Multiply-adds of all convolutions of a model at an input size."""
    model = onnx.load(str(path))
    width, height = size
    dims = model.graph.input[0].type.tensor_type.shape.dim
    for dim, value in zip(
        dims, (1, height, width, 3) if dims[-1].dim_value == 3 else (1, 3, height, width), strict=True
    ):
        dim.dim_value = value
    del model.graph.value_info[:]
    for output in model.graph.output:
        output.type.tensor_type.ClearField("shape")
    graph = onnx.shape_inference.infer_shapes(model, data_prop=True).graph
    shapes = {i.name: tuple(i.dims) for i in graph.initializer}
    for value in (*graph.value_info, *graph.output):
        shapes[value.name] = tuple(d.dim_value for d in value.type.tensor_type.shape.dim)
    return sum(prod(shapes[n.output[0]]) * prod(shapes[n.input[1]][1:]) for n in graph.node if n.op_type == "Conv")


def times(paths: list[Path], threads: int = 2, rounds: int = 150) -> list[Row]:
    """A row a file and size: bytes, work, least time, and that time as a share of YOLOX-Nano's and of the own FP32."""
    chosen = candidates(paths)
    best = least_ms(chosen, threads, rounds)
    ms = {(c.label, c.size): t for c, t in zip(chosen, best, strict=True)}
    base = ms.get((BASE, (SIDE_PX, SIDE_PX)), float("nan"))
    rows: list[Row] = []
    for candidate, t in zip(chosen, best, strict=True):
        full = ms.get((candidate.label.replace(".int8", ".fp32"), candidate.size), float("nan"))
        row: Row = {"model": candidate.label, "input": f"{candidate.size[0]}x{candidate.size[1]}"}
        row |= {"bytes": candidate.path.stat().st_size}
        row |= {"million multiply-adds": round(multiply_adds(candidate.path, candidate.size) / 1e6)}
        row |= {"ms": t, f"of {BASE}": t / base, "of own FP32": t / full}
        rows.append(row)
    return rows
