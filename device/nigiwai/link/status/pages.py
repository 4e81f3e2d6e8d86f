# SPDX-License-Identifier: Apache-2.0
"""The day's result as text: CSV for a spreadsheet. Pure."""

import csv
import io
from typing import Any


def day_csv(day: dict[str, Any]) -> str:
    """The day in one table: a heading, sums, quarter hours, what staff noted. CRLF, as RFC 4180 says."""
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(["来場者数の計測結果 / Visitor count"])
    write(["会場 / Site", day["site"]])
    write(["機器 / Device", day["device"]])
    write(["日付 / Date", day["day"]])
    write(["出力 / Written", day["at"]])
    write(["入場 / In", day["in"]])
    write(["退場 / Out", day["out"]])
    write(["場内の人数(推定) / Inside (estimate)", day["inside"]])
    write(["場内の人数の範囲(95%) / Interval (95 %)", _range(day["inside_low"], day["inside_high"])])
    write(["精度確認 / Accuracy check", _check(day["check"])])
    write([])
    write(["開始 / Start", *(f"{g} {d}" for g in day["gates"] for d in ("入場 in", "退場 out"))])
    for quarter in day["quarters"]:
        cells = [quarter["gates"].get(g, [0, 0]) for g in day["gates"]]
        write([quarter["start"], *(n for pair in cells for n in pair)])
    write([])
    write(["時刻 / Time", "職員の記録 / Noted by staff", "内容 / Content"])
    for noted in day["noted"]:
        write([noted["at"], noted["kind"], _safe(noted["text"])])
    return out.getvalue()


def _range(low: int | None, high: int | None) -> str:
    return "未確認 / not known" if low is None or high is None else f"{low} - {high}"


def _check(check: dict[str, Any] | None) -> str:
    if check is None:
        return "未実施 / not made"
    verdict = {"pass": "合格 / pass", "fail": "不合格 / fail", "open": "判定できず / undecided"}[check["verdict"]]
    error = check["error"]
    return f"{check['at']} {verdict} {error['percent']:+.1f} % ({error['low']:+.1f} .. {error['high']:+.1f} %)"


def _safe(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
