# SPDX-License-Identifier: Apache-2.0
"""What can go wrong between a card and a trusted device: a code for the label, and what to do in both languages."""

from enum import StrEnum


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
}
"""(Japanese, English) for each code."""
