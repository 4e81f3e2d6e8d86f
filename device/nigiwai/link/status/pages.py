# SPDX-License-Identifier: Apache-2.0
"""The day's result as text: CSV for a spreadsheet, in Japanese and English. Pure."""

import csv
import io
from typing import Any

_KINDS = {
    "incident": "出来事 / Incident",
    "set_inside": "場内の人数を設定 / People inside set to",
    "event": "イベント / Event",
    "staff_passages": "職員の通行 / Staff passages",
    "check": "精度確認 / Accuracy check",
    "notice_up": "掲示した日 / Notice put up on",
    "closing": "締めの人数照合 / Closing balance",
}
_WORDS = {
    "crowding": "混雑 / crowding",
    "equipment": "機器・設備 / equipment",
    "weather": "天候 / weather",
    "programme": "催しの進行 / programme",
    "safety": "安全 / safety",
    "other": "その他 / other",
    "start": "開始 / start",
    "end": "終了 / end",
    "pass": "合格 / pass",
    "fail": "不合格 / fail",
    "open": "判定できず / undecided",
}


def day_csv(day: dict[str, Any]) -> str:
    """The day in one table: a heading, sums, quarter hours, what staff noted. CRLF, as RFC 4180 says.

    Times are written as a spreadsheet takes them for times: 2026-05-03 10:15.
    """
    out = io.StringIO()
    write = csv.writer(out, lineterminator="\r\n").writerow
    write(["来場者数の計測結果 / Visitor count"])
    write(["会場 / Site", day["site"]])
    write(["機器 / Device", day["device"]])
    write(["日付 / Date", day["day"]])
    write(["出力 / Written", _time(day["at"])])
    write(["入場 / In", day["in"]])
    write(["退場 / Out", day["out"]])
    write(["場内の人数(推定) / Inside (estimate)", day["inside"]])
    write(["場内の人数の範囲(95%) / Interval (95 %)", _range(day["inside_low"], day["inside_high"])])
    write(["職員の通行(手入力、差し引いていません) / Staff by hand, not subtracted", _passed(day["staff"])])
    write(["計測できなかった時間(分) / Not seen (minutes)", f"{day['blind_s'] / 60:.1f}"])
    write(["精度確認 / Accuracy check", _check(day["check"])])
    write([])
    columns = [f"{g} {d}" for g in day["gates"] for d in ("入場 in", "退場 out")]
    write(["開始 / Start", *columns, "計測できなかった秒数 / Not seen (s)"])
    for quarter in day["quarters"]:
        cells = [quarter["gates"].get(g, [0, 0]) for g in day["gates"]]
        write([_time(quarter["start"]), *(n for pair in cells for n in pair), quarter["blind_s"]])
    write([])
    write(["時刻 / Time", "職員の記録 / Noted by staff", "内容 / Content"])
    for noted in day["noted"]:
        write([noted["at"], _KINDS.get(noted["kind"], noted["kind"]), _safe(_content(noted["kind"], noted["body"]))])
    return out.getvalue()


def _time(stamp: str) -> str:
    return stamp[:16].replace("T", " ")


def _passed(pair: dict[str, int]) -> str:
    return f"入場 in {pair['in']} / 退場 out {pair['out']}"


def _range(low: int | None, high: int | None) -> str:
    return "未確認 / not known" if low is None or high is None else f"{low}〜{high}"


def _check(check: dict[str, Any] | None) -> str:
    if check is None:
        return "未実施 / not made"
    error = check["error"]
    verdict = f"{_time(check['at'])} {_WORDS[check['verdict']]} {error['percent']:+.1f} %"
    return f"{verdict} ({error['low']:+.1f} .. {error['high']:+.1f} %)"


def _content(kind: str, body: dict[str, Any]) -> str:
    """What staff noted, in one cell."""
    match kind:
        case "incident":
            return f"{_WORDS[body['topic']]}: {body['text']}"
        case "set_inside":
            return str(body["inside"])
        case "event":
            return _WORDS[body["action"]]
        case "staff_passages":
            return f"{body['gate']}: {_passed({'in': body['entered'], 'out': body['left']})}"
        case "closing":
            came = f"開始時 began {body['began']} + 入場 in {body['entered']} - 退場 out {body['left']}"
            return f"{came} = 残り remaining {body['remaining']}"
        case "check":
            return f"{body['gate']}: {_WORDS[body['verdict']]} {body['error']['percent']:+.1f} %"
        case _:
            return " ".join(str(v) for v in body.values())


def _safe(text: str) -> str:
    """Text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text
