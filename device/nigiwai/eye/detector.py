# SPDX-License-Identifier: Apache-2.0
"""The detector: a frame in, people out. Everything about a network comes from its manifest entry.

The file is checked three times before the first frame: its hash, its input, and, by a run on an empty picture, the
shapes of its outputs. So a wrong file is refused when eye starts and not when the first visitor comes.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors

from nigiwai.errors import ModelError
from nigiwai.eye.decode import DECODERS, decode
from nigiwai.eye.manifest import Entry, read_weights, sizes_text
from nigiwai.eye.prepare import Preparer, to_frame
from nigiwai.eye.stopwatch import NoStopwatch, Stopwatch
from nigiwai.eye.types import Detections, Frame

ORT_ERRORS = (
    ort_errors.Fail,
    ort_errors.InvalidArgument,
    ort_errors.InvalidGraph,
    ort_errors.InvalidProtobuf,
    ort_errors.NoSuchFile,
    ort_errors.NotImplemented,
    ort_errors.RuntimeException,
    RuntimeError,
)
_DTYPES = {"uint8": "tensor(uint8)", "float32": "tensor(float)"}


class Detector:
    """A network loaded for one input size. Not for use by two threads at a time."""

    def __init__(
        self, entry: Entry, session: ort.InferenceSession, size: tuple[int, int], watch: Stopwatch, *, fixed: bool
    ) -> None:
        """For `open`, which checks what is handed in here."""
        self.entry, self.size = entry, size
        self._session, self._watch, self._fixed = session, watch, fixed
        self._input = session.get_inputs()[0].name
        self._preparer = Preparer(entry.input, size)
        self._aspect = 0.0

    @classmethod
    def open(
        cls,
        entry: Entry,
        folder: Path,
        size: tuple[int, int] | None = None,
        threads: int = 2,
        watch: Stopwatch | None = None,
    ) -> "Detector":
        """The detector of `entry` from its file in `folder`, for an input of width and height `size`.

        size: one of the entry's; unless given, the one that suits the frames, which is known with the first of them.
        threads: of the network. watch: is marked after each stage.

        Raises ModelError where the file is absent, is not the entry's, or does not do what the entry says.
        """
        chosen = entry.size(*size) if size else entry.input.sizes[0]
        session = load_session(read_weights(entry, folder), folder / entry.file, threads)
        detector = cls(entry, session, chosen, watch or NoStopwatch(), fixed=size is not None)
        detector._demand_contract(folder / entry.file)
        return detector

    def detect(self, frame: Frame) -> Detections:
        """The people in `frame`, boxes in its pixels, scores down to the entry's `low`, highest first."""
        self._suit(frame.width / frame.height)
        tensor, where = self._preparer.prepare(frame.image)
        self._watch.mark("prepare")
        outputs = self._session.run(None, {self._input: tensor})
        self._watch.mark("infer")
        found = decode(outputs, self.size, self.entry)
        detections = Detections(to_frame(found.xyxy, where), found.score, found.kind)
        self._watch.mark("decode")
        return detections

    def _suit(self, aspect: float) -> None:
        """Takes the input size that a picture of this width over height fills best."""
        if self._fixed or aspect == self._aspect:
            return
        self._aspect = aspect
        if (size := self.entry.size_for(aspect)) != self.size:
            self.size = size
            self._preparer = Preparer(self.entry.input, size)

    def _demand_contract(self, path: Path) -> None:
        """Raises ModelError unless the file takes and gives what the entry says."""
        wanted = self.entry.input.shape(self.size)
        given = self._session.get_inputs()[0]
        dtype = self.entry.input.dtype
        if len(self._session.get_inputs()) != 1 or not _agree(given.shape, wanted) or given.type != _DTYPES[dtype]:
            raise ModelError(
                f"{path}: takes {given.type} {given.shape}, but the manifest's {self.entry.name!r} says {dtype}"
                f" {list(wanted)}; correct input.sizes ({sizes_text(self.entry.input.sizes)}) and input.dtype there"
            )
        outputs = self._trial(np.zeros(wanted, dtype), path)
        found = [tuple(output.shape) for output in outputs]
        expected = DECODERS[self.entry.decode].shapes(self.size, self.entry.classes)
        if found != expected:
            raise ModelError(
                f"{path}: gives outputs {_shapes_text(found)}, but decode = {self.entry.decode!r} with"
                f" classes = {self.entry.classes} needs {_shapes_text(expected)}; correct the manifest, or get the file"
                f" from {self.entry.source}"
            )

    def _trial(self, tensor: Any, path: Path) -> Sequence[Any]:
        """The outputs for one input; also takes the memory that every later run uses."""
        try:
            return list(self._session.run(None, {self._input: tensor}))
        except ORT_ERRORS as e:
            raise ModelError(f"{path}: cannot be run at {sizes_text([self.size])}: {first_line(e)}") from None


def load_session(weights: bytes, path: Path, threads: int) -> ort.InferenceSession:
    """A session for the weights. Raises ModelError where they are no network."""
    try:
        return ort.InferenceSession(weights, session_options(threads), providers=["CPUExecutionProvider"])
    except ORT_ERRORS as e:
        raise ModelError(f"{path}: ONNX Runtime {ort.__version__} cannot run this file: {first_line(e)}") from None


def session_options(threads: int) -> ort.SessionOptions:
    """How networks are run: `threads` threads that sleep between frames, nothing logged."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = 4
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


def _agree(shape: Sequence[object], wanted: Sequence[int]) -> bool:
    """Whether a declared shape admits the wanted one: equal, or free, in every dimension."""
    fits = (not isinstance(given, int) or given == size for given, size in zip(shape, wanted, strict=False))
    return len(shape) == len(wanted) and all(fits)


def _shapes_text(shapes: Iterable[tuple[int, ...]]) -> str:
    return ", ".join("x".join(map(str, shape)) for shape in shapes)


def first_line(error: Exception) -> str:
    """What ONNX Runtime said, without its codes and the place in its own source."""
    said = re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ", "", str(error).partition("\n")[0])
    said = re.sub(r"^\S+\.(cc|h):\d+ .*?\) (?=[A-Z])", "", said)
    return said[:200].strip() or type(error).__name__
