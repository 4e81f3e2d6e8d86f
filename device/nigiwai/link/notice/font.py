# SPDX-License-Identifier: Apache-2.0
"""The part of a font that a text needs, as a PDF embeds it: glyphs by CID, their widths, and back to letters."""

import io
import logging
from dataclasses import dataclass
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont, TTLibError

from nigiwai.errors import SettingsError

# It tells every step, letter by letter, at the level of what goes to the journal.
logging.getLogger("fontTools").setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Cut:
    """A cut-down font. `cid` and `width` (thousandths of the size) by letter; letters it lacks are not in them."""

    cff: bytes
    cid: dict[str, int]
    width: dict[str, int]


def cut(path: Path, text: str) -> Cut:
    """The font at `path` with the letters of `text`. Raises SettingsError where it is missing or no such font."""
    try:
        font = TTFont(path, fontNumber=0, lazy=True)
    except (OSError, TTLibError) as e:
        raise SettingsError(
            f"notice.font_file = {str(path)!r}: cannot be read ({e}); install it: sudo apt install fonts-noto-cjk"
        ) from None
    with font:
        return _cut(font, path, text)


def _cut(font: TTFont, path: Path, text: str) -> Cut:
    if "CFF " not in font:
        raise SettingsError(f"notice.font_file = {str(path)!r}: must be an OpenType font with CFF outlines")
    options = subset.Options(layout_features=[], hinting=False, desubroutinize=True, notdef_outline=True)
    options.drop_tables += ["GSUB", "GPOS", "GDEF", "BASE", "VORG", "vhea", "vmtx", "DSIG"]
    cutter = subset.Subsetter(options)
    cutter.populate(text=text)
    cutter.subset(font)
    written = io.BytesIO()
    font.save(written)
    with TTFont(io.BytesIO(written.getvalue())) as small:
        return _read(small, text)


def _read(font: TTFont, text: str) -> Cut:
    names, widths, scale = font.getBestCmap(), font["hmtx"], 1_000 / font["head"].unitsPerEm
    glyphs = {letter: names[ord(letter)] for letter in set(text) if ord(letter) in names}
    return Cut(
        font.getTableData("CFF "),
        {letter: int(name.removeprefix("cid")) for letter, name in glyphs.items()},
        {letter: round(widths[name][0] * scale) for letter, name in glyphs.items()},
    )
