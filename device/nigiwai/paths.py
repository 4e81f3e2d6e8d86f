# SPDX-License-Identifier: Apache-2.0
"""Where the files that ship with the package lie, in a checkout and in an installed wheel."""

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent

ADDED_MODELS = Path("/var/lib/nigiwai/models")
"""Where `nigiwai models add` keeps detectors unless told otherwise."""


def models_dir() -> Path:
    """The folder of manifest.toml and the weights: `models/` of the checkout, else the copy inside the wheel."""
    checkout = _PACKAGE.parent.parent / "models"
    return checkout if (checkout / "manifest.toml").is_file() else _PACKAGE / "data" / "models"


def demo_dir() -> Path:
    """The folder of the bundled clip, its truth and its gate."""
    return models_dir() / "demo"


def model_folders(added: Path = ADDED_MODELS) -> tuple[Path, ...]:
    """Where detectors are looked for; what an operator added goes before what shipped."""
    return models_dir(), added
