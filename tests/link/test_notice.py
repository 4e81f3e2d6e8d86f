# SPDX-License-Identifier: Apache-2.0
"""The notice kit: what it says follows the settings, and its PDF holds every letter."""

import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import pytest

from nigiwai.errors import SettingsError
from nigiwai.link.notice.font import Cut
from nigiwai.link.notice.poster import lines, poster
from nigiwai.link.notice.words import assessment, japanese, others, purpose, statement
from nigiwai.settings import Settings, View, parse

NOTICE = {
    "operator": "桜区地域振興課",
    "contact": "電話 00-0000-0000",
    "period": "2026年5月3日 9:00〜17:00",
    "statement_url": "https://ward.example/camera",
}
VIEW = {"height_m": 2.6, "tilt_deg": 30.0, "fov_deg": 66.0}


def settings(**notice: Any) -> Settings:
    return parse({"notice": {**NOTICE, **notice}})


@pytest.fixture(scope="module")
def font() -> Path:
    path = Settings().notice.font_file
    if not path.is_file():
        pytest.skip(f"{path} is missing (apt install fonts-noto-cjk)")
    return path


def streams(pdf: bytes) -> list[bytes]:
    found = re.findall(rb"stream\n(.*?)\nendstream", pdf, re.DOTALL)
    return [zlib.decompress(s) for s in found]


def text_of(pdf: bytes) -> str:
    """The page's text, by the table of letters that the PDF itself carries."""
    content, _, letters = sorted(streams(pdf), key=lambda s: (b"BT" not in s[:4_000], b"bfchar" in s))
    table = dict(re.findall(r"<(\w{4})> <(\w+)>", letters.decode()))
    runs = re.findall(r"<(\w+)> Tj", content.decode())
    return "".join(bytes.fromhex(table[r[i : i + 4]]).decode("utf-16-be") for r in runs for i in range(0, len(r), 4))


@pytest.mark.parametrize(("size", "width"), [("a4", 595), ("a3", 841)])
def test_the_poster_says_everything_in_five_ways(font: Path, size: str, width: int) -> None:
    pdf = poster(settings(), size)
    assert pdf.startswith(b"%PDF-1.7")
    assert pdf.count(b"/Type /Page\n") + pdf.count(b"/Type /Page ") + pdf.count(b"/Type /Page/") == 1
    box = re.search(rb"/MediaBox \[0 0 ([\d.]+)", pdf)
    assert box is not None
    assert int(float(box[1])) == width
    text = text_of(pdf).replace(" ", "")
    for said in ("カメラで人数を数えています", "桜区地域振興課", "電話00-0000-0000", "保存も送信もしません",
                 "Thiscameracountspeople", "本摄像头统计人数", "이카메라는인원수를셉니다"):  # fmt: skip
        assert said in text, said
    assert len(pdf) < 400_000


@pytest.mark.parametrize("size", ["a4", "a3"])
@pytest.mark.parametrize("period", ["", "2026年5月3日 9:00〜17:00、2026年5月4日 9:00〜17:00、2026年5月5日 9:00〜15:00"])
def test_everything_required_stands_on_the_one_page(font: Path, size: str, period: str) -> None:
    """Operator, purpose, what is estimated, frames in memory only, contact, period, approval, in each language."""
    made = settings(
        period=period, operator="桜区 地域振興部 にぎわい創出課", purpose="避難所の混雑の把握", purpose_en="crowding"
    )
    with_view = made.model_copy(update={"view": View(**VIEW)})
    text = text_of(poster(with_view, size)).replace(" ", "")
    for said in ("カメラ作動中", "運営者", "避難所の混雑の把握", "おとな・子どもの別", "メモリー内で処理", "期間",
                 "問い合わせ先", "法務担当の承認", "10にん", "のこしません", "Purpose:crowding", "sumsof10peopleormore",
                 "inmemory", "Period:", "Operator,contact:", "10人以上", "目的:避難所", "期间:", "运营者", "10명이상",
                 "목적:避難所", "기간:", "문의처"):  # fmt: skip
        assert said in text, said
    content = max(streams(poster(with_view, size)), key=lambda s: s.count(b" Td ")).decode()
    lowest = min(float(y) for y in re.findall(r"[\d.]+ ([-\d.]+) Td", content))
    assert lowest > 20, "nothing runs off the page"


@pytest.mark.parametrize(
    ("url", "dpi"), [("https://ward.example/camera", 100), ("", 200)], ids=["an address", "the statement itself"]
)
def test_a_phone_reads_the_code_on_the_printed_sheet(font: Path, tmp_path: Path, url: str, dpi: int) -> None:
    """Drawn by poppler as a printer would, read by OpenCV as a phone would; the letters are all in the file."""
    for program in ("pdftoppm", "pdffonts"):
        if shutil.which(program) is None:
            pytest.skip(f"{program} is not installed (apt install poppler-utils)")
    cv2 = pytest.importorskip("cv2")
    made = settings(statement_url=url)
    sheet = tmp_path / "poster.pdf"
    sheet.write_bytes(poster(made, "a4"))
    draw = ["pdftoppm", "-r", str(dpi), "-png", "-singlefile", str(sheet), str(tmp_path / "poster")]
    subprocess.run(draw, check=True)

    read, _, _ = cv2.QRCodeDetector().detectAndDecode(cv2.imread(str(tmp_path / "poster.png")))
    fonts = subprocess.run(["pdffonts", str(sheet)], check=True, capture_output=True, text=True).stdout

    assert read == (url or statement(made))
    assert re.search(r"CID Type 0C +Identity-H +yes", fonts), "embedded"


def test_without_an_address_the_code_holds_the_statement_itself() -> None:
    assert statement(settings()) == "https://ward.example/camera"
    offline = statement(settings(statement_url=""))
    assert "保存も送信もしません" in offline
    assert "桜区地域振興課" in offline
    assert "No picture is kept or sent" in offline
    assert len(offline.encode()) <= 650, "a phone reads it from the poster"


def test_a_purpose_of_the_operators_own_is_not_translated_by_guessing() -> None:
    usual, own = settings().notice, settings(purpose="避難所の混雑の把握", purpose_ko="혼잡 파악").notice
    assert purpose(usual, "en").startswith("to know how many")
    assert purpose(own, "en") == "避難所の混雑の把握"
    assert purpose(own, "ko") == "혼잡 파악"


def test_it_names_what_is_estimated_only_where_it_is() -> None:
    without = settings()
    assert "子ども" not in japanese(without)[1][2][1]
    assert "children" not in " ".join(others(without)[1].lines)
    assert "推定しない" in assessment(without)


def test_the_assessment_follows_the_settings() -> None:
    text = assessment(settings(purpose="混雑の緩和"))
    assert "混雑の緩和" in text
    assert "桜区地域振興課" in text
    assert "0日" in text
    assert "法務担当" in text
    assert "掲示を始めた日: 2026-05-01" in assessment(settings(), "2026-05-01")


@pytest.mark.parametrize("missing", ["operator", "contact"])
def test_a_notice_without_a_name_is_not_made(missing: str) -> None:
    with pytest.raises(SettingsError, match="notice"):
        poster(settings(**{missing: ""}), "a4")


def test_a_missing_font_is_told_with_what_to_install() -> None:
    with pytest.raises(SettingsError, match="fonts-noto-cjk"):
        poster(settings(font_file="/nowhere.ttc"), "a4")


def test_lines_break_as_each_writing_wants() -> None:
    font = Cut(b"", {}, dict.fromkeys("あいう、。abcdef ", 1_000))
    assert lines(font, "あいうあい", 10, 30) == ["あいう", "あい"]
    assert lines(font, "あいう。あ", 10, 30) == ["あいう。", "あ"], "a full stop begins no line"
    assert lines(font, "abc def", 10, 40) == ["abc", "def"]


def test_the_process_that_makes_it_says_one_line_where_it_cannot() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "nigiwai.link.notice", "a4"],
        input=Settings().model_dump_json(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (run.returncode, len(run.stderr.splitlines()), run.stdout) == (3, 1, "")
