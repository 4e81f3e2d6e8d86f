# SPDX-License-Identifier: Apache-2.0
"""The label sheet of a device, one A5 page: name, PIN, QR code to the page, fingerprint, how to hang it, trouble codes.

Japanese type comes from the PDF reader (HeiseiKakuGo, one of the fonts that Adobe's standard names), so that no font is
shipped. The picture shows docs/mounting.svg's scene.
"""

import io
import itertools
from dataclasses import dataclass

import segno
from reportlab.lib.colors import Color, HexColor, black, white
from reportlab.lib.pagesizes import A5
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfgen.canvas import Canvas

from nigiwai.enrol.trouble import REMEDIES

_FONT = "HeiseiKakuGo-W5"
_RED, _GREEN, _GREY = HexColor(0xC02020), HexColor(0x22AA77), HexColor(0x555555)

_ACCEPT = (
    (5.8, "初めて開くと警告が出ます。警告の画面で証明書の照合値(SHA-256)を下の値と比べ、"),
    (5.8, "同じなら「詳細設定」から進んでください。違うときは開かず、本部に連絡してください。"),
    (4.8, "At first the phone warns. Compare the certificate's SHA-256 with the value below:"),
    (4.8, "if it begins like that, go on under “Advanced”; if not, stop and tell headquarters."),
)
"""How a phone comes to accept the certificate, which no authority that it knows has signed."""


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


def label_pdf(label: Label) -> bytes:
    """The sheet as PDF."""
    pdfmetrics.registerFont(UnicodeCIDFont(_FONT))
    out = io.BytesIO()
    # invariant: the same label gives the same bytes, and no date of making.
    canvas = Canvas(out, pagesize=A5, invariant=1)
    canvas.setTitle(f"Nigiwai {label.site}/{label.device}")
    _head(canvas, label)
    _qr(canvas, label.url)
    _mounting(canvas)
    _troubles(canvas)
    canvas.showPage()
    canvas.save()
    return out.getvalue()


def _text(canvas: Canvas, x_mm: float, y_mm: float, size: float, words: str, colour: Color = black) -> None:
    canvas.setFont(_FONT, size)
    canvas.setFillColor(colour)
    canvas.drawString(x_mm * mm, y_mm * mm, words)


def _head(canvas: Canvas, label: Label) -> None:
    _text(canvas, 10, 195, 20, f"{label.site} / {label.device}")
    _text(canvas, 10, 188, 9, "Nigiwai 人数計測(画像は保存も送信もしません) No picture leaves this device", _GREY)
    _text(canvas, 10, 176, 9, "暗証番号 PIN")
    _text(canvas, 10, 167, 22, f"{label.pin[:4]} {label.pin[4:]}")
    _text(canvas, 10, 156, 9, "画面 Page")
    _text(canvas, 10, 150, 9, label.url)
    _text(canvas, 98, 138, 7, "ネットワークがない会場 No network: Wi-Fi", _GREY)
    _text(canvas, 98, 134, 8, f"nigiwai-{label.device}")
    _text(canvas, 98, 130, 8, label.access_point_password)
    whose = "この機器の証明書 This device" if label.of_device else "本部の証明書 Headquarters"
    for row, (size, words) in enumerate(_ACCEPT):
        _text(canvas, 10, 146.4 - 2.7 * row, size, words, _GREY)
    _text(canvas, 10, 134.5, 9, f"照合値 Fingerprint({whose})")
    first, second = label.fingerprint[:19], label.fingerprint[20:]
    _text(canvas, 10, 130, 10, first)
    _text(canvas, 10, 126, 10, second)


def _qr(canvas: Canvas, url: str) -> None:
    """The code with its quiet zone of four modules (ISO/IEC 18004), about 40 mm wide."""
    rows = list(segno.make(url, error="m", micro=False).matrix_iter(border=4))
    module = 40 * mm / len(rows)
    left, top = 98 * mm, 181 * mm
    canvas.setFillColor(white)
    canvas.rect(left, top - 40 * mm, 40 * mm, 40 * mm, stroke=0, fill=1)
    canvas.setFillColor(black)
    for y, row in enumerate(rows):
        for x, dark in enumerate(row):
            if dark:
                canvas.rect(left + x * module, top - (y + 1) * module, module, module, stroke=0, fill=1)


def _mounting(canvas: Canvas) -> None:
    """Camera on a wall, looking down at the gate line, in the coordinates of docs/mounting.svg (640 x 330)."""
    canvas.saveState()
    canvas.translate(10 * mm, 124 * mm)
    canvas.scale(128 * mm / 640, -128 * mm / 640)
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
    canvas.restoreState()
    _text(canvas, 24, 92, 8, "高さ 2.5 – 3.5 m")
    _text(canvas, 52, 116, 8, "下向き 30 – 40°")
    _text(canvas, 40, 59, 8, "2 – 4 m")
    _text(canvas, 84, 60, 8, "計測線 gate line", _RED)
    _text(canvas, 102, 86, 8, "映る範囲 what it sees", _GREEN)


def _polygon(canvas: Canvas, colour: Color, points: list[tuple[int, int]]) -> None:
    path = canvas.beginPath()
    path.moveTo(*points[0])
    for point in points[1:]:
        path.lineTo(*point)
    path.close()
    canvas.setFillColor(colour)
    canvas.drawPath(path, stroke=0, fill=1)


def _troubles(canvas: Canvas) -> None:
    _text(canvas, 10, 52, 8, "こまったときの番号 Trouble codes", _GREY)
    for row, (trouble, (japanese, english)) in enumerate(REMEDIES.items()):
        y_mm = 48 - row * 4.6
        _text(canvas, 10, y_mm, 5.5, trouble.value, _RED)
        _text(canvas, 17, y_mm, 5.5, japanese)
        _text(canvas, 17, y_mm - 2.2, 4.5, english, _GREY)
