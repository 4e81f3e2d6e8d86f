# SPDX-License-Identifier: Apache-2.0
"""The trait model: windows around people in, calibrated probabilities of age band and sex out.

Like the detector's, its file is checked before the first frame: hash, input, and by a trial run the outputs.
"""

from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from nigiwai.errors import ModelError
from nigiwai.eye.detector import ORT_ERRORS, first_line, load_session
from nigiwai.eye.manifest import TraitEntry, TraitOutput, read_weights

Floats = NDArray[np.float64]
Bytes = NDArray[np.uint8]


class TraitModel:
    """A network loaded for `most` people at a time. Not for use by two threads at a time."""

    def __init__(self, entry: TraitEntry, session: ort.InferenceSession, most: int) -> None:
        """For `open`, which checks what is handed in here."""
        self.entry, self.most = entry, most
        self._session = session
        self._input = session.get_inputs()[0].name
        self._windows: Bytes = np.zeros((most, 3, entry.height_px, entry.width_px), np.uint8)

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the windows."""
        return self.entry.width_px, self.entry.height_px

    @classmethod
    def open(cls, entry: TraitEntry, folder: Path, most: int = 2) -> "TraitModel":
        """The trait model of `entry` from its file in `folder`.

        Raises ModelError where the file is absent, is not the entry's, or does not do what the entry says.
        """
        path = folder / entry.file
        model = cls(entry, load_session(read_weights(entry, folder), path, 1), most)
        model._demand_contract(path)
        return model

    def _demand_contract(self, path: Path) -> None:
        """Raises ModelError unless the file takes and gives what the entry says."""
        wanted = {"band": len(self.entry.outputs.band.values), "sex": len(self.entry.outputs.sex.values)}
        given = {o.name for o in self._session.get_outputs()}
        if given != set(wanted):
            raise ModelError(
                f"{path}: gives {', '.join(sorted(given))}, but the manifest's {self.entry.name!r} says"
                f" {', '.join(sorted(wanted))}; get the file from {self.entry.source}"
            )
        try:
            found = {name: tuple(self._run(self.most, name).shape) for name in wanted}
        except ORT_ERRORS as e:
            raise ModelError(
                f"{path}: cannot be run on {self.most} pictures of {self.size[0]}x{self.size[1]}: {first_line(e)}"
            ) from None
        for name, values in wanted.items():
            if found[name] != (self.most, values):
                raise ModelError(
                    f"{path}: output {name} is {found[name]}, but the manifest's {self.entry.name!r} names"
                    f" {values} values; correct outputs.{name} there, or get the file from {self.entry.source}"
                )

    def _run(self, people: int, output: str) -> NDArray[np.float32]:
        return np.asarray(self._session.run([output], {self._input: self._windows[:people]})[0], np.float32)

    def look(self, windows: list[Bytes]) -> tuple[Floats, Floats]:
        """Log probabilities (N, 4) of the bands and (N, 2) of the sexes for N windows (height, width, 3), BGR.

        N is at most `most`. The pictures are blacked out again before this returns.
        """
        for i, window in enumerate(windows):
            self._windows[i] = window.transpose(2, 0, 1)
        feed = {self._input: self._windows[: len(windows)]}
        band, sex = self._session.run(["band", "sex"], feed)
        self._windows[:] = 0
        outputs = self.entry.outputs
        return _log_softmax(band, outputs.band), _log_softmax(sex, outputs.sex)


def _log_softmax(logits: NDArray[np.float32], output: TraitOutput) -> Floats:
    scaled = logits.astype(np.float64) / output.temperature
    scaled -= scaled.max(axis=1, keepdims=True)
    logs: Floats = scaled - np.log(np.exp(scaled).sum(axis=1, keepdims=True))
    return logs
