# SPDX-License-Identifier: Apache-2.0
"""What can be wrong with training input, and the tally of what was left out.

RecipeError
+-- DataError         a shard, image or label is broken: fix or remove the file
+-- CheckpointError   a checkpoint that this recipe cannot continue: choose another
+-- ModelFileError    an ONNX file that is not what its name promises
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


class RecipeError(Exception):
    """Base of everything that the recipe refuses."""


class DataError(RecipeError):
    """A shard, an image or a label that cannot be used."""


class CheckpointError(RecipeError):
    """A checkpoint of another architecture or another format."""


class ModelFileError(RecipeError):
    """A model file whose inputs or outputs are not the expected ones."""


@dataclass
class Skipped:
    """Every item left out, by name and reason, so that a run can report it and nothing is lost silently."""

    items: list[tuple[str, str]] = field(default_factory=list)

    def add(self, name: str, reason: str) -> None:
        """Records that `name` was left out because of `reason`."""
        self.items.append((name, reason))

    def summary(self) -> str:
        """One line with the count of each reason and its first example, or 'nothing skipped'."""
        if not self.items:
            return "nothing skipped"
        counts = Counter(reason for _, reason in self.items)
        first = {reason: name for name, reason in reversed(self.items)}
        return "; ".join(f"{n} x {reason} (first: {first[reason]})" for reason, n in counts.most_common())
