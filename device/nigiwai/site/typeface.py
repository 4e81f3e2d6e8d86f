# SPDX-License-Identifier: Apache-2.0
"""A font of this computer, cut down to some letters, as the PDF library takes it.

The library knows TrueType outlines only (quadratic curves), and Debian's Japanese fonts have CFF ones (cubic): they are
drawn anew, to a thousandth of the letter's size.
"""

import io
import logging
from collections.abc import Iterable
from pathlib import Path

from fontTools import subset
from fontTools.pens.cu2quPen import Cu2QuPen
from fontTools.pens.ttGlyphPen import TTGlyphPen
from fontTools.ttLib import TTFont, TTLibError, newTable

# It tells every step at the level of what a clerk should read.
logging.getLogger("fontTools").setLevel(logging.WARNING)

_FOREIGN = ("CFF ", "VORG", "GSUB", "GPOS", "GDEF", "BASE", "vhea", "vmtx", "DSIG")


def truetype(path: Path, letters: Iterable[str]) -> io.BytesIO | None:
    """The font at `path` with those letters; None where it is missing or is no font."""
    try:
        with path.open("rb") as file, TTFont(file, fontNumber=0, lazy=True, recalcTimestamp=False) as font:
            return _cut(font, "".join(sorted(letters)))
    except (OSError, TTLibError):
        return None


def _cut(font: TTFont, letters: str) -> io.BytesIO:
    options = subset.Options(layout_features=[], hinting=False, notdef_outline=True)
    cutter = subset.Subsetter(options)
    cutter.populate(text=letters)
    cutter.subset(font)
    if "CFF " in font:
        _draw_anew(font)
    made = io.BytesIO()
    font.save(made)
    made.seek(0)
    return made


def _draw_anew(font: TTFont) -> None:
    """Puts `glyf` in the place of `CFF `."""
    glyphs, order = font.getGlyphSet(), font.getGlyphOrder()
    drawn = {name: _draw(glyphs[name], font["head"].unitsPerEm / 1_000) for name in order}
    for tag in _FOREIGN:
        if tag in font:
            del font[tag]
    font["loca"], font["glyf"] = newTable("loca"), newTable("glyf")
    font["glyf"].glyphOrder, font["glyf"].glyphs = order, drawn
    font["hmtx"].metrics = {name: (wide, _left(drawn[name], font)) for name, (wide, _) in font["hmtx"].metrics.items()}
    _describe(font)


def _draw(glyph: object, error: float) -> object:
    pen = TTGlyphPen(None)
    glyph.draw(Cu2QuPen(pen, error, reverse_direction=True))  # type: ignore[attr-defined]
    return pen.glyph()


def _left(glyph: object, font: TTFont) -> int:
    glyph.recalcBounds(font["glyf"])  # type: ignore[attr-defined]
    return int(getattr(glyph, "xMin", 0))


def _describe(font: TTFont) -> None:
    """The table that says how much memory TrueType's programs need: none, there are none."""
    font.sfntVersion = "\x00\x01\x00\x00"
    about = font["maxp"]
    about.tableVersion = 0x00010000
    for name in ("maxZones", "maxTwilightPoints", "maxStorage", "maxFunctionDefs", "maxInstructionDefs"):
        setattr(about, name, int(name == "maxZones"))
    for name in ("maxStackElements", "maxSizeOfInstructions", "maxComponentElements"):
        setattr(about, name, 0)
    font["post"].formatType = 3.0
    font["head"].glyphDataFormat = 0
