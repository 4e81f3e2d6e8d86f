# SPDX-License-Identifier: Apache-2.0
"""The list of detectors: which file, whose, what goes in, how its output is read. Another model is an entry here.

A folder of models holds `manifest.toml` and the files it names. The one that ships with the package is `models/`;
`nigiwai models add` keeps another for what an operator adds. A file is used only if its SHA-256 is the entry's.
"""

import difflib
import hashlib
import json
import math
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from nigiwai.door.traits import FROM_YEAR, Band, Sex
from nigiwai.errors import ModelError

MANIFEST = "manifest.toml"

Score = Annotated[float, Field(gt=0.0, lt=1.0)]
Side = Annotated[int, Field(ge=64, le=1_280, multiple_of=32)]
Size = Annotated[tuple[Side, Side], Field(strict=False)]
Text = Annotated[str, Field(min_length=1, max_length=500)]


class _Table(BaseModel):
    """A frozen table of the manifest that refuses unknown keys and wrong types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Input(_Table):
    """What the network is given: one picture, batch first."""

    sizes: Annotated[tuple[Size, ...], Field(min_length=1, strict=False)]
    """Width and height in pixels that the file accepts; the first is the default."""
    dtype: Literal["uint8", "float32"] = "float32"
    layout: Literal["nchw", "nhwc"] = "nchw"
    """nchw: (1, 3, height, width), a plane a colour; nhwc: (1, height, width, 3), the camera's bytes as they lie."""
    colour: Literal["bgr", "rgb"] = "bgr"
    mean: Annotated[tuple[float, float, float], Field(strict=False)] = (0.0, 0.0, 0.0)
    """Subtracted per channel, in the order of `colour`, from values 0..255."""
    std: Annotated[tuple[float, float, float], Field(strict=False)] = (1.0, 1.0, 1.0)
    """Divided by, after the mean."""
    fit: Literal["letterbox", "stretch", "exact"] = "letterbox"
    """letterbox: keep the aspect and fill up; stretch: fill the input; exact: frames must have the input's size."""
    anchor: Literal["top-left", "centre"] = "top-left"
    """Where a letterboxed picture lies."""
    pad: Annotated[int, Field(ge=0, le=255)] = 114
    """The grey that fills a letterbox up."""

    @model_validator(mode="after")
    def _uint8_is_not_normalised(self) -> "Input":
        if self.dtype == "uint8" and (any(self.mean) or self.std != (1.0, 1.0, 1.0)):
            raise ValueError('mean and std go with dtype = "float32"; a uint8 input is given as it is')
        if not all(self.std):
            raise ValueError("std must not be 0")
        return self

    @model_validator(mode="after")
    def _nhwc_is_the_camera_s(self) -> "Input":
        if self.layout == "nhwc" and (self.dtype, self.colour) != ("uint8", "bgr"):
            raise ValueError('layout = "nhwc" goes with dtype = "uint8" and colour = "bgr"')
        return self

    def shape(self, size: tuple[int, int]) -> tuple[int, int, int, int]:
        """The input's shape for a picture of that width and height."""
        width, height = size
        return (1, height, width, 3) if self.layout == "nhwc" else (1, 3, height, width)


FROM_ABOVE_DEG = 60.0
"""Below the horizon: from here on a camera sees heads and shoulders rather than people."""


def from_above(tilt_deg: float | None) -> bool:
    """Whether a camera that looks so far below the horizon (None: nobody knows how far) looks from above."""
    return tilt_deg is not None and tilt_deg >= FROM_ABOVE_DEG


class Thresholds(_Table):
    """Where detections begin. The tracker starts people at `high` and follows them down to `low`."""

    low: Score = 0.1
    high: Score = 0.5
    high_from_above: Score | None = None
    """`high` where the camera is known to look down steeply: people score less from there. Without it `high` holds."""
    nms_iou: Score = 0.6
    """Of two boxes that overlap by more than this (intersection over union) the better one stays."""

    @model_validator(mode="after")
    def _low_is_below_high(self) -> "Thresholds":
        if self.low > self.high:
            raise ValueError(f"low = {self.low} is above high = {self.high}")
        if self.high_from_above is not None and self.low > self.high_from_above:
            raise ValueError(f"low = {self.low} is above high_from_above = {self.high_from_above}")
        return self

    def high_at(self, tilt_deg: float | None) -> float:
        """`high` for a camera that looks so far below the horizon, in degrees; None where nobody has measured it."""
        return self.high if self.high_from_above is None or not from_above(tilt_deg) else self.high_from_above


class Entry(_Table):
    """One detector."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    family: str = ""
    """Entries of one family are the same weights in other number formats; `bench --choose` compares them."""
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: Text
    source: Text
    """Who made it and where it is described."""
    url: Annotated[str, Field(pattern=r"^(https://\S{1,500})?$")] = ""
    """Where `nigiwai models add` fetches this very file; empty where no such address is known."""
    note: str = ""
    input: Input
    decode: Literal["nigiwai", "yolox", "nanodet", "picodet"]
    classes: Annotated[int, Field(ge=1, le=1_000)] = 1
    person: Annotated[int, Field(ge=0, le=999)] = 0
    """The index of the person among the classes; the others are not looked at."""
    thresholds: Thresholds = Thresholds()
    measured: dict[str, float | int | str] = {}
    """Figures from measurement, named with their unit; free."""

    @model_validator(mode="after")
    def _person_is_a_class(self) -> "Entry":
        if self.person >= self.classes:
            raise ValueError(f"person = {self.person} is not among {self.classes} classes counted from 0")
        return self

    def size(self, width_px: int | None = None, height_px: int | None = None) -> tuple[int, int]:
        """The input size with that width and height: the first that agrees with what is given. Raises ModelError."""
        for width, height in self.input.sizes:
            if width_px in (None, width) and height_px in (None, height):
                return width, height
        raise ModelError(
            f"model.width_px, model.height_px = {width_px}, {height_px}: {self.name} has no such input size;"
            f" it has {sizes_text(self.input.sizes)}"
        )

    def size_for(self, aspect: float) -> tuple[int, int]:
        """The input size whose width over height is nearest to `aspect`, so that least of it is filled up or distorted.

        Of several the first of the manifest.
        """
        return min(self.input.sizes, key=lambda size: abs(math.log(size[0] / size[1] / aspect)))


class TraitOutput(_Table):
    """One output of a trait model: a logit for each of `values`, divided by `temperature` before softmax."""

    values: Annotated[tuple[str, ...], Field(strict=False)]
    temperature: Annotated[float, Field(gt=0.0, le=20.0)]
    """Above 1 where the network is surer of itself than it is right; fitted on bodies that it never saw."""


class Ages(_Table):
    """The bands in order, from which year of age each begins."""

    child: int
    teen: int
    adult: int
    senior: int


class TraitOutputs(_Table):
    """What a trait model gives, by the names of its outputs."""

    band: TraitOutput
    sex: TraitOutput

    @model_validator(mode="after")
    def _in_order(self) -> "TraitOutputs":
        for name, kind in (("band", Band), ("sex", Sex)):
            wanted = tuple(value.value for value in kind if value.value != "unknown")
            if (given := getattr(self, name).values) != wanted:
                raise ValueError(f"{name}.values = {list(given)}: must be {list(wanted)}, in this order")
        return self


class TraitEntry(_Table):
    """One trait model: age band and sex of one person, from a picture of the whole body."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}$")]
    file: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}\.onnx$")]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    licence: Text
    source: Text
    note: str = ""
    width_px: Annotated[int, Field(ge=16, le=256)]
    height_px: Annotated[int, Field(ge=32, le=512)]
    """Of the upright window around one person that it is given: uint8, BGR."""
    from_year: Ages
    outputs: TraitOutputs
    picture_weight: Annotated[float, Field(ge=0.0, le=2.0)]
    stature_weight: Annotated[float, Field(ge=0.0, le=2.0)]
    constant: Annotated[float, Field(ge=-3.0, le=3.0)] = 0.0
    """The log odds of being a child, of picture and of stature, are added up with these."""
    measured: dict[str, float | int | str] = {}

    @model_validator(mode="after")
    def _bands_are_ours(self) -> "TraitEntry":
        begins = list(self.from_year.model_dump().values())
        if begins[0] != 0 or begins != sorted(set(begins)):
            raise ValueError(
                f"from_year = {begins}: the bands overlap or leave gaps; each must begin after the last one, child at 0"
            )
        if begins != (ours := list(FROM_YEAR.values())):
            raise ValueError(f"from_year = {begins}: this model's bands are not those of the tables, which are {ours}")
        return self


class Manifest(_Table):
    """Everything in one manifest.toml."""

    version: Literal[1]
    model: Annotated[tuple[Entry, ...], Field(strict=False)] = ()
    traits: Annotated[tuple[TraitEntry, ...], Field(strict=False)] = ()

    @field_validator("model")
    @classmethod
    def _names_differ(cls, entries: tuple[Entry, ...]) -> tuple[Entry, ...]:
        names = [e.name for e in entries]
        if twice := sorted({n for n in names if names.count(n) > 1}):
            raise ValueError(f"two models are named {twice[0]!r}; give each its own name")
        return entries


class Known(NamedTuple):
    """A detector and the folder that its file belongs in."""

    entry: Entry
    folder: Path

    @property
    def path(self) -> Path:
        """Where the file is, or would be."""
        return self.folder / self.entry.file


def sizes_text(sizes: Iterable[tuple[int, int]]) -> str:
    """The sizes for a message: `416x256, 320x192`."""
    return ", ".join(f"{width}x{height}" for width, height in sizes)


def load_manifest(path: Path) -> Manifest:
    """The manifest in the TOML file at `path`. Raises ModelError that names every mistake, one a line."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return Manifest.model_validate(table)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; a folder of models holds a {MANIFEST}") from None
    except (OSError, UnicodeDecodeError) as e:
        raise ModelError(f"{path}: cannot be read ({e})") from None
    except tomllib.TOMLDecodeError as e:
        raise ModelError(f"{path}: not valid TOML: {e}") from None
    except ValidationError as e:
        raise ModelError("\n".join(f"{path}: {_explain(error, table)}" for error in e.errors())) from None


def _explain(error: object, table: object) -> str:
    """One mistake: where, the value, what is allowed. An entry is called by its name where it has one."""
    assert isinstance(error, dict)  # noqa: S101 - pydantic's ErrorDetails
    where: list[str] = []
    for part in error["loc"]:
        table = _inner(table, part)
        name = table.get("name") if isinstance(part, int) and isinstance(table, dict) else None
        where.append(f"{name!r}" if name else str(part))
    key = ".".join(where) or "(top level)"
    message = str(error["msg"]).removeprefix("Value error, ")
    if error["type"] in {"missing", "extra_forbidden"}:
        return f"{key}: {'is missing' if error['type'] == 'missing' else 'unknown key'}"
    if error["type"] == "value_error":
        return f"{key}: {message}"
    return f"{key} = {error['input']!r}: {message[0].lower()}{message[1:]}"


def _inner(table: object, part: object) -> object:
    try:
        return table[part]  # type: ignore[index]
    except (KeyError, IndexError, TypeError):
        return None


def known_models(folders: Iterable[Path]) -> dict[str, Known]:
    """Every detector of every folder that has a manifest, by name; a later folder's entry goes before an earlier's.

    Raises ModelError for a manifest with mistakes.
    """
    known: dict[str, Known] = {}
    for folder in folders:
        if (path := folder / MANIFEST).is_file():
            known |= {entry.name: Known(entry, folder) for entry in load_manifest(path).model}
    return known


def find_model(name: str, folders: Iterable[Path]) -> Known:
    """The detector of that name. Raises ModelError that tells the nearest names."""
    folders = tuple(folders)
    known = known_models(folders)
    if name in known:
        return known[name]
    if not known:
        raise ModelError(f"no models known: no {MANIFEST} in {', '.join(map(str, folders))}; install the package again")
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(sorted(known))}"
    raise ModelError(f"model = {name!r}: no such detector; {hint}")


def find_trait_model(name: str, folders: Iterable[Path]) -> tuple[TraitEntry, Path]:
    """The trait model of that name and the folder of its file. Raises ModelError that tells which there are."""
    known: dict[str, tuple[TraitEntry, Path]] = {}
    for folder in folders:
        if (path := folder / MANIFEST).is_file():
            known |= {entry.name: (entry, folder) for entry in load_manifest(path).traits}
    if name not in known:
        raise ModelError(
            f"traits.model = {name!r}: no such trait model; known are {', '.join(sorted(known)) or 'none'};"
            ' or set it to "" and ages are told from heights alone'
        )
    return known[name]


def read_weights(entry: Entry | TraitEntry, folder: Path) -> bytes:
    """The bytes of the model's file, those that were hashed. Raises ModelError where absent or not the entry's."""
    path = folder / entry.file
    try:
        weights = path.read_bytes()
    except FileNotFoundError:
        raise ModelError(
            f"{path}: {entry.name}'s file is not here; get it from {entry.source} and add it with"
            f" `nigiwai models add {entry.name} --from FILE`"
        ) from None
    except OSError as e:
        raise ModelError(f"{path}: cannot be read ({e.strerror}); {entry.name} needs it") from None
    demand_hash(weights, entry, path)
    return weights


def demand_hash(weights: bytes, entry: Entry | TraitEntry, path: Path | str) -> None:
    """Raises ModelError unless the bytes are the very ones that the entry was written for."""
    found = hashlib.sha256(weights).hexdigest()
    if found != entry.sha256:
        raise ModelError(
            f"{path}: not the file of {entry.name!r} in the manifest, or damaged, and so not used."
            f" SHA-256 found {found}, expected {entry.sha256}; copy the file again"
        )


def manifest_text(manifest: Manifest) -> str:
    """The manifest as TOML that `load_manifest` reads back the same."""
    lines = [f"version = {manifest.version}"]
    for entry in manifest.model:
        table = entry.model_dump(exclude_defaults=True)
        lines += ["", "[[model]]", *_keys(table)]
        for key in ("input", "thresholds", "measured"):
            if key in table:
                lines += [f"[model.{key}]", *_keys(table[key])]
    return "\n".join(lines) + "\n"


def _keys(table: dict[str, object]) -> list[str]:
    """The plain keys of a table; JSON writes strings, numbers and arrays as TOML does."""
    plain = {key: value for key, value in table.items() if not isinstance(value, dict)}
    return [f"{_key(k)} = {json.dumps(v, ensure_ascii=False)}" for k, v in plain.items()]


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else json.dumps(key, ensure_ascii=False)
