# SPDX-License-Identifier: Apache-2.0
"""The poster: one page, A4 or A3, Japanese large, four more ways to say it, a QR code to the statement."""

import io
from collections.abc import Iterable
from dataclasses import dataclass, field

import pydyf
import segno

from nigiwai.errors import SettingsError
from nigiwai.link.notice.font import Cut, cut
from nigiwai.link.notice.words import APPROVAL, Words, japanese, others, statement
from nigiwai.settings import Settings

A4_PT = (595.28, 841.89)
SCALES = {"a4": 1.0, "a3": 2**0.5}
MARGIN = 42.0
LOWEST = 58.0
GUTTER = 22.0
HEAD = 104.0
QR = 104.0
BIGNESSES = tuple(n / 100 for n in range(160, 65, -4))
"""The largest at which everything fits above LOWEST is taken."""

RUNNING = "カメラ作動中  Camera in operation"
DETAILS = "詳しい説明 Privacy statement"

NOT_FIRST = "・、。，,.)」』!?ーぁぃぅぇぉっゃゅょァィゥェォッャュョ"
"""Letters that begin no line (JIS X 4051)."""

INK, SOFT, GREEN, WHITE = "0.11 0.14 0.13 rg", "0.3 0.34 0.33 rg", "0.04 0.43 0.37 rg", "1 1 1 rg"


@dataclass
class Sheet:
    """A page that is written from its top. `y` is the baseline that comes next, in points from below."""

    font: Cut
    y: float = A4_PT[1]
    stream: pydyf.Stream = field(default_factory=pydyf.Stream)

    def box(self, x: float, y: float, width: float, height: float, colour: str) -> None:
        """A filled rectangle."""
        self.stream.stream.append(f"{colour} {x:.2f} {y:.2f} {width:.2f} {height:.2f} re f".encode())

    def text(self, words: str, x: float, size: float, width: float, colour: str = INK) -> None:
        """Words in lines of at most `width`, downwards."""
        for line in lines(self.font, words, size, width):
            self.y -= size * 1.35
            cids = "".join(f"{self.font.cid[c]:04x}" for c in line if c in self.font.cid)
            self.stream.stream.append(f"BT {colour} /F {size:.2f} Tf {x:.2f} {self.y:.2f} Td <{cids}> Tj ET".encode())


def lines(font: Cut, words: str, size: float, width: float) -> list[str]:
    """The words broken into lines: between any two letters of Japanese and Chinese, at blanks elsewhere."""
    found, line, at = [], "", 0.0
    for piece in _pieces(words):
        wide = sum(font.width.get(c, 0) for c in piece) * size / 1_000
        if line and at + wide > width and piece[0] not in NOT_FIRST:
            found.append(line.rstrip())
            line, at, piece = "", 0.0, piece.lstrip()
            wide = sum(font.width.get(c, 0) for c in piece) * size / 1_000
        line, at = line + piece, at + wide
    return [*found, line] if line else found


def _pieces(words: str) -> Iterable[str]:
    """What is not broken: a letter of Japanese or Chinese, a word of anything else with the blank after it."""
    piece = ""
    for c in words:
        alone = "\u3000" <= c <= "\u9fff" or "\uff00" <= c <= "\uffef"
        if alone and piece:
            yield piece
            piece = ""
        piece += c
        if alone or c == " ":
            yield piece
            piece = ""
    if piece:
        yield piece


def poster(settings: Settings, size: str) -> bytes:
    """The PDF. Raises SettingsError where the notice has no operator or contact, or the font is missing."""
    if not settings.notice.operator or not settings.notice.contact:
        raise SettingsError("notice.operator, notice.contact: are missing; a notice must name who is responsible")
    title, rows = japanese(settings)
    parts = others(settings)
    everything = [title, *(w for row in rows for w in row), APPROVAL]
    everything += [RUNNING, DETAILS]
    everything += [w for part in parts for w in (part.title, *part.lines)]
    font = cut(settings.notice.font_file, "".join(everything) + " ")
    for bigness in BIGNESSES:
        sheet = Sheet(font)
        _main_part(sheet, title, rows, statement(settings), bigness)
        _in_columns(sheet, parts, bigness)
        if sheet.y > LOWEST:
            break
    sheet.y = 44.0
    sheet.text(APPROVAL, MARGIN, 8, A4_PT[0] - 2 * MARGIN, SOFT)
    return _pdf(sheet, SCALES[size])


def _in_columns(sheet: Sheet, parts: list[Words], bigness: float) -> None:
    """Two by two; the lower pair begins below the longer of the upper one."""
    wide = (A4_PT[0] - 2 * MARGIN - GUTTER) / 2
    for pair in (parts[:2], parts[2:]):
        top = lowest = sheet.y - 6 * bigness
        for column, part in enumerate(pair):
            sheet.y, left = top, MARGIN + column * (wide + GUTTER)
            sheet.text(part.title, left, 12.5 * bigness, wide, GREEN)
            sheet.y -= 1.5 * bigness
            for line in part.lines:
                sheet.text(line, left, 9 * bigness, wide)
                sheet.y -= 1.2 * bigness
            lowest = min(lowest, sheet.y)
        sheet.y = lowest


def _camera(sheet: Sheet, x: float, y: float) -> None:
    """A camera as on road signs: a body, a lens hood, and what it stands on."""
    sheet.box(x, y + 14, 34, 22, WHITE)
    sheet.stream.stream.append(
        f"{WHITE} {x + 36:.2f} {y + 25:.2f} m {x + 50:.2f} {y + 35:.2f} l {x + 50:.2f} {y + 15:.2f} l f".encode()
    )
    sheet.box(x + 14, y, 6, 14, WHITE)
    sheet.box(x + 6, y, 22, 4, WHITE)


def _main_part(sheet: Sheet, title: str, rows: list[tuple[str, str]], url: str, bigness: float) -> None:
    sheet.box(0, A4_PT[1] - HEAD, A4_PT[0], HEAD, GREEN)
    _camera(sheet, MARGIN, A4_PT[1] - 76)
    sheet.y = A4_PT[1] - 16
    sheet.text(title, MARGIN + 64, 33, A4_PT[0] - 2 * MARGIN - 64, WHITE)
    sheet.text(RUNNING, MARGIN + 64, 14, A4_PT[0] - 2 * MARGIN - 64, WHITE)
    sheet.y = A4_PT[1] - HEAD - 12
    below_qr = sheet.y - QR - 24
    _qr(sheet, url, A4_PT[0] - MARGIN - QR, sheet.y - QR - 2)
    for name, words in rows:
        top = sheet.y
        sheet.text(name, MARGIN, 11.5 * min(1.2, bigness), 86, SOFT)
        below, sheet.y = sheet.y, top
        room = A4_PT[0] - 2 * MARGIN - 90 - (QR + 14 if top > below_qr else 0)
        sheet.text(words, MARGIN + 90, 12.5 * bigness, room)
        sheet.y = min(sheet.y, below) - 5 * bigness
    sheet.y = min(sheet.y - 4, below_qr)
    sheet.box(MARGIN, sheet.y, A4_PT[0] - 2 * MARGIN, 0.8, SOFT)


def _qr(sheet: Sheet, url: str, x: float, y: float) -> None:
    rows = list(segno.make(url, error="m" if url.startswith("http") else "l", micro=False, encoding="utf-8").matrix)
    step = QR / len(rows)
    for r, row in enumerate(rows):
        for c, dark in enumerate(row):
            if dark:
                sheet.box(x + c * step, y + QR - (r + 1) * step, step + 0.05, step + 0.05, INK)
    at, sheet.y = sheet.y, y - 1
    sheet.text(DETAILS, x, 7.5, QR + 6, SOFT)
    sheet.y = at


def _pdf(sheet: Sheet, scale: float) -> bytes:
    pdf = pydyf.PDF()
    sheet.stream.stream.insert(0, f"{scale:.5f} 0 0 {scale:.5f} 0 0 cm".encode())
    sheet.stream.compress = True
    pdf.add_object(sheet.stream)
    font = _font(pdf, sheet.font)
    box = pydyf.Array([0, 0, round(A4_PT[0] * scale, 2), round(A4_PT[1] * scale, 2)])
    pdf.add_page(
        pydyf.Dictionary(
            {
                "Type": "/Page",
                "Parent": pdf.pages.reference,
                "MediaBox": box,
                "Contents": sheet.stream.reference,
                "Resources": pydyf.Dictionary({"Font": pydyf.Dictionary({"F": font.reference})}),
            }
        )
    )
    written = io.BytesIO()
    pdf.write(written, version=b"1.7")
    return written.getvalue()


def _font(pdf: pydyf.PDF, font: Cut) -> pydyf.Dictionary:
    """The font's objects: its outlines, widths, and letters by CID, so that the text can be searched and read aloud."""
    outlines = pydyf.Stream([font.cff], extra={"Subtype": "/CIDFontType0C"}, compress=True)
    letters = pydyf.Stream([_letters(font)], compress=True)
    descriptor = pydyf.Dictionary(
        {
            "Type": "/FontDescriptor", "FontName": "/NoticeFont", "Flags": 4, "ItalicAngle": 0, "Ascent": 880,
            "Descent": -120, "CapHeight": 733, "StemV": 80, "FontBBox": pydyf.Array([-1000, -1000, 3000, 2000]),
        }
    )  # fmt: skip
    descendant = pydyf.Dictionary(
        {
            "Type": "/Font", "Subtype": "/CIDFontType0", "BaseFont": "/NoticeFont", "DW": 1000,
            "CIDSystemInfo": pydyf.Dictionary(
                {"Registry": pydyf.String("Adobe"), "Ordering": pydyf.String("Identity"), "Supplement": 0}
            ),
            "W": pydyf.Array([n for c, cid in font.cid.items() for n in (cid, cid, font.width[c])]),
        }
    )  # fmt: skip
    whole = pydyf.Dictionary(
        {"Type": "/Font", "Subtype": "/Type0", "BaseFont": "/NoticeFont", "Encoding": "/Identity-H"}
    )
    for made in (outlines, letters, descriptor, descendant, whole):
        pdf.add_object(made)
    descriptor["FontFile3"] = outlines.reference
    descendant["FontDescriptor"] = descriptor.reference
    whole["DescendantFonts"] = pydyf.Array([descendant.reference])
    whole["ToUnicode"] = letters.reference
    return whole


def _letters(font: Cut) -> bytes:
    pairs = [f"<{cid:04x}> <{c.encode('utf-16-be').hex()}>" for c, cid in font.cid.items()]
    blocks = [pairs[i : i + 100] for i in range(0, len(pairs), 100)]
    body = "\n".join(f"{len(b)} beginbfchar\n" + "\n".join(b) + "\nendbfchar" for b in blocks)
    return (
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /Letters def /CMapType 2 def\n"
        f"1 begincodespacerange <0000> <ffff> endcodespacerange\n{body}\nendcmap end end"
    ).encode()
