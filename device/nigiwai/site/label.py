# SPDX-License-Identifier: Apache-2.0
"""The label sheet of a device, one A4 page: name, PIN, QR code to the page, how a phone accepts its certificate, how to
hang it, trouble codes.

The type is cut from a font of this computer and lies in the file, so that it looks the same in every reader and on any
printer. Where there is no such font, the reader has to bring one (HeiseiKakuGo, which Adobe's standard names): most do.
The picture shows docs/mounting.svg's scene.
"""

import io
import itertools
from dataclasses import dataclass, fields
from pathlib import Path

import segno
from reportlab.lib.colors import Color, HexColor, black, white
from reportlab.lib.pagesizes import A4
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from nigiwai.enrol.trouble import REMEDIES
from nigiwai.site.typeface import truetype

FONT_FILE = Path("/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc")
_STANDARD = "HeiseiKakuGo-W5"
_RED, _GREEN, _GREY = HexColor(0xC02020), HexColor(0x118855), HexColor(0x444444)
_LEFT, _RIGHT = 15.0, 195.0

_ACCEPT = (
    "スマートフォンで初めて開くと「安全ではありません」などの警告が出ます。機器が自分で証明書を持つためで、故障ではありません。",
    "iPhone:「詳細を表示」→「このWebサイトを閲覧」→ もう一度「Webサイトを閲覧」",
    "Android:「詳細設定」→「(この機器の名前)にアクセスする」",
)
_COMPARE = {
    True: "進む前に証明書の詳細を開き、「SHA-256」の始めが下と同じか確かめます。違えば進まず、本部に連絡してください。",
    False: "下の値は本部の証明書のものです。機器の証明書の値は、登録の後に本部が印刷し直すラベルに載ります。",
}
_COMPARE_EN = {
    True: "Before, compare the start of the certificate's SHA-256 with the value below; if it differs, stop.",
    False: "This value is headquarters' own; the device's stands on the label that is printed once it is enrolled.",
}
"""By whether the fingerprint is the device's own."""
_ACCEPT_EN = (
    "At first the phone warns: no authority that it knows has signed. iPhone: “Show Details”, “visit this website”.",
    "Android: “Advanced”, “Proceed”. ",
)


@dataclass(frozen=True)
class Label:
    """What stands on it. `fingerprint`: of the device's certificate, or of the site's CA before there is one."""

    site: str
    device: str
    pin: str
    url: str
    fingerprint: str
    of_device: bool
    access_point_password: str


def label_pdf(label: Label, font_file: Path = FONT_FILE) -> bytes:
    """The sheet as PDF."""
    out = io.BytesIO()
    # invariant: the same label gives the same bytes, and no date of making.
    sheet = _Sheet(Canvas(out, pagesize=A4, invariant=1), _typeface(label, font_file))
    sheet.canvas.setTitle(f"Nigiwai {label.site}/{label.device}")
    _head(sheet, label)
    _accept(sheet, label)
    _mounting(sheet)
    _troubles(sheet)
    sheet.canvas.showPage()
    sheet.canvas.save()
    return out.getvalue()


def letters_of(label: Label) -> frozenset[str]:
    """Every letter that stands on the sheet, and all of ASCII."""
    words = [*_ACCEPT, *_COMPARE.values(), *_ACCEPT_EN, *_COMPARE_EN.values(), *_WORDS.values(), "…"]
    words += [str(getattr(label, f.name)) for f in fields(label)]
    words += [w for remedies in REMEDIES.values() for w in remedies]
    return frozenset("".join(words)) | frozenset(map(chr, range(0x20, 0x7F)))


def _typeface(label: Label, font_file: Path) -> str:
    """The name of the font that was given to the PDF library."""
    cut = truetype(font_file, letters_of(label))
    if cut is None:
        pdfmetrics.registerFont(UnicodeCIDFont(_STANDARD))
        return _STANDARD
    name = "NigiwaiLabel"
    pdfmetrics.registerFont(TTFont(name, cut))
    return name


_WORDS = {
    "promise": "人数計測の機器です。画像は保存も送信もしません。 Counts people; no picture leaves this device.",
    "pin": "暗証番号 PIN",
    "page": "画面のアドレス Page",
    "code": "画面を開くQRコード",
    "wifi": "ネットワークのない会場:機器のWi-Fiにつなぐ No network: join the device's Wi-Fi",
    "wifi-name": "名前 Name",
    "wifi-password": "パスワード Password",
    "wifi-page": "つないだら https://10.42.0.1:8080/ を開く",
    "accept": "スマートフォンで画面を開くには Opening the page on a phone",
    "fingerprint": "照合値 SHA-256",
    "mounting": "取り付け方 Mounting",
    "height": "高さ Height 2.5–3.5 m",
    "tilt": "下向き Tilt 30–40°",
    "distance": "2–4 m",
    "line": "計測線 Gate line",
    "sees": "映る範囲 What it sees",
    "troubles": "画面や nigiwai-result.txt に出る番号 Trouble codes",
    "troubles-note": "E11・E20のほかは、この間も計測を続けています。 It counts all the same, but for E11 and E20.",
}


@dataclass(frozen=True)
class _Sheet:
    """The page and its type. Places are in millimetres from the lower left corner."""

    canvas: Canvas
    font: str

    def text(self, x: float, y: float, size: float, words: str, colour: Color = black, right: float = _RIGHT) -> None:
        """One line, made smaller where it would pass `right`."""
        wide = pdfmetrics.stringWidth(words, self.font, size) / mm
        self.canvas.setFont(self.font, size * min(1.0, (right - x) / wide) if wide else size)
        self.canvas.setFillColor(colour)
        self.canvas.drawString(x * mm, y * mm, words)

    def rule(self, y: float) -> None:
        """A thin line across the page."""
        self.canvas.setStrokeColor(HexColor(0xBBBBBB))
        self.canvas.setLineWidth(0.5)
        self.canvas.line(_LEFT * mm, y * mm, _RIGHT * mm, y * mm)


def _head(sheet: _Sheet, label: Label) -> None:
    sheet.text(_LEFT, 276, 24, f"{label.site} / {label.device}")
    sheet.text(_LEFT, 269, 9, _WORDS["promise"], _GREY)
    sheet.rule(265.5)
    sheet.text(_LEFT, 258, 10, _WORDS["pin"], _GREY)
    sheet.text(_LEFT, 246, 30, f"{label.pin[:4]} {label.pin[4:]}")
    sheet.text(_LEFT, 236, 10, _WORDS["page"], _GREY)
    sheet.text(_LEFT, 229.5, 13, label.url, right=146)
    sheet.text(_LEFT, 221, 9, _WORDS["wifi"], _GREY, right=146)
    for row, (name, value) in enumerate(
        ((_WORDS["wifi-name"], f"nigiwai-{label.device}"), (_WORDS["wifi-password"], label.access_point_password))
    ):
        sheet.text(_LEFT, 215 - 6 * row, 9, name, _GREY)
        sheet.text(_LEFT + 35, 215 - 6 * row, 12, value, right=146)
    sheet.text(_LEFT, 203, 9, _WORDS["wifi-page"])
    _qr(sheet, label.url)
    sheet.text(159, 214.5, 8, _WORDS["code"], _GREY)


def _accept(sheet: _Sheet, label: Label) -> None:
    sheet.rule(199.5)
    sheet.text(_LEFT, 193.5, 11, _WORDS["accept"])
    for row, words in enumerate((*_ACCEPT, _COMPARE[label.of_device])):
        sheet.text(_LEFT, 187.5 - 5 * row, 9, words)
    for row, words in enumerate((_ACCEPT_EN[0], _ACCEPT_EN[1] + _COMPARE_EN[label.of_device])):
        sheet.text(_LEFT, 167 - 3.8 * row, 7.5, words, _GREY)
    sheet.text(_LEFT, 156, 9, _WORDS["fingerprint"], _GREY)
    sheet.text(_LEFT + 35, 156, 13, as_phones_show_it(label.fingerprint))


def as_phones_show_it(fingerprint: str) -> str:
    """`40c2 7e69` as `40:C2:7E:69`, followed by three dots: the value goes on."""
    digits = fingerprint.replace(" ", "").upper()
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)) + " …"


def _qr(sheet: _Sheet, url: str) -> None:
    """The code with its quiet zone of four modules (ISO/IEC 18004), 45 mm wide."""
    rows = list(segno.make(url, error="m", micro=False).matrix_iter(border=4))
    canvas, module = sheet.canvas, 45 * mm / len(rows)
    left, top = 150 * mm, 263 * mm
    canvas.setFillColor(white)
    canvas.rect(left, top - 45 * mm, 45 * mm, 45 * mm, stroke=0, fill=1)
    canvas.setFillColor(black)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                canvas.rect(left + x * module, top - (y + 1) * module, module, module, stroke=0, fill=1)


def _mounting(sheet: _Sheet) -> None:
    """Camera on a wall, looking down at the gate line, in the coordinates of docs/mounting.svg (640 x 330)."""
    canvas = sheet.canvas
    sheet.rule(151)
    sheet.text(_LEFT, 145, 11, _WORDS["mounting"])
    canvas.saveState()
    canvas.translate(28 * mm, 149 * mm)
    canvas.scale(140 * mm / 640, -140 * mm / 640)
    _polygon(canvas, HexColor(0xDDF2E9), [(118, 50), (214, 290), (620, 290), (620, 116)])
    canvas.setStrokeColor(black)
    canvas.setLineWidth(3)
    for points in ([(20, 290), (620, 290)], [(60, 290), (60, 40), (110, 40)]):
        canvas.lines([(*a, *b) for a, b in itertools.pairwise(points)])
    canvas.setFillColor(_GREY)
    canvas.circle(352, 156, 13, stroke=0, fill=1)
    canvas.roundRect(338, 172, 28, 66, 10, stroke=0, fill=1)
    canvas.rect(340, 236, 10, 52, stroke=0, fill=1)
    canvas.rect(354, 236, 10, 52, stroke=0, fill=1)
    canvas.setFillColor(black)
    canvas.roundRect(100, 38, 34, 22, 3, stroke=0, fill=1)
    canvas.setStrokeColor(_RED)
    canvas.setLineWidth(6)
    canvas.line(352, 282, 352, 302)
    canvas.setStrokeColor(_GREY)
    canvas.setLineWidth(1.5)
    canvas.line(62, 314, 350, 314)
    for x in (62, 350):
        canvas.line(x, 308, x, 320)
    canvas.restoreState()
    sheet.text(43, 112, 9, _WORDS["height"], right=74)
    sheet.text(66, 141, 9, _WORDS["tilt"])
    sheet.text(66, 76, 9, _WORDS["distance"])
    sheet.text(108, 81, 9, _WORDS["line"], _RED)
    sheet.text(122, 108, 9, _WORDS["sees"], _GREEN)


def _polygon(canvas: Canvas, colour: Color, points: list[tuple[int, int]]) -> None:
    path = canvas.beginPath()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    path.close()
    canvas.setFillColor(colour)
    canvas.drawPath(path, stroke=0, fill=1)


def _troubles(sheet: _Sheet) -> None:
    """Two columns, in the order of the codes."""
    sheet.rule(73)
    sheet.text(_LEFT, 68, 10, _WORDS["troubles"])
    sheet.text(_LEFT + 92, 68, 7, _WORDS["troubles-note"], _GREY)
    rows = (len(REMEDIES) + 1) // 2
    for index, (trouble, (japanese, english)) in enumerate(REMEDIES.items()):
        left = _LEFT + 92 * (index // rows)
        y = 63 - 6.6 * (index % rows)
        sheet.text(left, y, 8, trouble.value, _RED)
        sheet.text(left + 9, y, 7, japanese, right=left + 89)
        sheet.text(left + 9, y - 2.6, 5.5, english, _GREY, right=left + 89)
