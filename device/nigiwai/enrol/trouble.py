# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a card and a trusted device: a code for the label, and what to do in both languages.

The same code and words stand on the label, on the page and in the journal. How the last attempt of enrolment and of
updates went lies in a small file each, which link reads for the page: the code, words, no secret.
"""

import contextlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

ENROLMENT_TOLD, UPDATE_TOLD = Path("/run/nigiwai-enrolment.json"), Path("/run/nigiwai-update.json")
_LARGEST_BYTES = 16_384


class Trouble(StrEnum):
    """The codes. They stand on printed labels and never change their meaning."""

    FILE = "E11"
    CLOCK = "E12"
    CODE_OVER = "E13"
    CODE_WRONG = "E14"
    DESK_AWAY = "E15"
    DESK_STRANGE = "E16"
    CERTIFICATE = "E17"
    CARD = "E18"
    REVOKED = "E19"
    INSTALL = "E20"
    SIGNATURE = "E21"
    OLDER = "E22"
    UNPROVEN = "E23"
    PIN = "E24"
    CERTIFICATE_OVER = "E25"
    CERTIFICATE_ENDS = "E26"
    SITE_OVER = "E27"


REMEDIES: dict[Trouble, tuple[str, str]] = {
    Trouble.FILE: (
        "カードの設定ファイルに誤りがあります。本部からファイルをもう一度コピーしてください。",
        "The file on the card has a mistake. Copy it from headquarters again.",
    ),
    Trouble.CLOCK: (
        "時計が合っていません。ネットワークにつなぎ、数分待ってください。",
        "The clock is wrong. Connect a network and wait some minutes.",
    ),
    Trouble.CODE_OVER: (
        "登録コードの期限が切れています。本部に新しいコードを頼んでください。",
        "The one-time code is over or used. Ask headquarters for a new one.",
    ),
    Trouble.CODE_WRONG: (
        "登録コードが違います。本部に確認してください。",
        "The one-time code is wrong. Ask headquarters.",
    ),
    Trouble.DESK_AWAY: (
        "本部の登録窓口につながりません。ネットワークを確認してください。自動で再試行します。",
        "The enrolment desk cannot be reached. Check the network; it is tried again by itself.",
    ),
    Trouble.DESK_STRANGE: (
        "登録窓口の証明書が本部のものではありません。接続先を本部に確認してください。",
        "Whoever answers is not headquarters. Ask headquarters which network to use.",
    ),
    Trouble.CERTIFICATE: (
        "証明書が使えません。本部で発行し直してください。",
        "The certificate cannot be used. Headquarters makes it again.",
    ),
    Trouble.CARD: (
        "カードに書き込めません。カードを交換してください。計測は続いています。",
        "The card cannot be written. Change it. Counting goes on.",
    ),
    Trouble.REVOKED: (
        "この機器の登録は取り消されています。本部に連絡してください。",
        "This device was withdrawn. Tell headquarters.",
    ),
    Trouble.INSTALL: (
        "プログラムを組み込めません。ネットワークにつなぎ、電源を入れ直してください。",
        "The program cannot be installed. Connect a network, then power off and on.",
    ),
    Trouble.SIGNATURE: (
        "更新版の署名が正しくないため使いません。本部から受け取り直してください。",
        "The update's signature is wrong, so it is not used. Get it from headquarters again.",
    ),
    Trouble.OLDER: (
        "今より古い更新版のため使いません。新しい更新版を本部に頼んでください。",
        "The update is older than what runs, so it is not used. Ask headquarters for a newer one.",
    ),
    Trouble.UNPROVEN: (
        "更新版が正常に動かず、元の版に戻しました。本部に連絡してください。",
        "The update did not work; the version before is in use again. Tell headquarters.",
    ),
    Trouble.PIN: (
        "暗証番号が違います。この機器のラベルの番号か確かめてください。",
        "The PIN is wrong. Is it the one on this device's label?",
    ),
    Trouble.CERTIFICATE_OVER: (
        "この機器の証明書の期限が切れています。本部に更新を頼んでください。",
        "This device's certificate has expired. Ask headquarters to renew it.",
    ),
    Trouble.CERTIFICATE_ENDS: (
        "この機器の証明書の期限が近づいています。早めに本部に更新を頼んでください。",
        "This device's certificate expires soon. Ask headquarters to renew it in time.",
    ),
    Trouble.SITE_OVER: (
        "本部側の証明書の期限が切れたか、近づいています。本部で作り直してください。",
        "Headquarters' own certificate has expired or soon will. Headquarters makes it again.",
    ),
}
"""(Japanese, English) for each code."""


def tell(path: Path, trouble: str, text: str) -> None:
    """Writes down how an attempt went; `trouble` is empty where it went well. Raises OSError."""
    japanese, english = REMEDIES[Trouble(trouble)] if trouble else ("", "")
    told = {"trouble": trouble, "text": text, "ja": japanese, "en": english, "at": datetime.now(UTC).isoformat()}
    beside = path.with_name(f".{path.name}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    beside.write_text(json.dumps(told, ensure_ascii=False), encoding="utf-8")
    beside.chmod(0o644)
    beside.rename(path)


def named(words: str) -> tuple[Trouble, ...]:
    """The trouble with whose code the words begin, as they stand in the journal."""
    return tuple(trouble for trouble in Trouble if words.startswith(f"{trouble}: "))


def told(paths: Iterable[Path] = (ENROLMENT_TOLD, UPDATE_TOLD)) -> tuple[Trouble, ...]:
    """The troubles that stand in those files; what is missing or damaged tells of none."""
    found = []
    for path in paths:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError), path.open(encoding="utf-8") as file:
            found.append(Trouble(json.loads(file.read(_LARGEST_BYTES))["trouble"]))
    return tuple(found)
