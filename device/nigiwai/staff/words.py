# SPDX-License-Identifier: Apache-2.0
"""The words of the staff's commands, (Japanese, English). Pure."""

import os
from enum import StrEnum

from nigiwai.link.messages import Cause, Light, Subject


class Language(StrEnum):
    """A language that staff read."""

    JA = "ja"
    EN = "en"


def language_of(environment: dict[str, str]) -> Language:
    """The terminal's own language: Japanese where its locale says so."""
    locale = environment.get("LC_ALL") or environment.get("LC_MESSAGES") or environment.get("LANG") or ""
    return Language.JA if locale.startswith("ja") else Language.EN


def say(pair: tuple[str, str], language: Language) -> str:
    """The half of the pair that is in that language."""
    return pair[0] if language is Language.JA else pair[1]


def here() -> Language:
    """The language of this terminal."""
    return language_of(dict(os.environ))


LIGHTS: dict[Light, tuple[str, str]] = {
    Light.OK: ("正常", "well"),
    Light.WARN: ("注意", "look"),
    Light.BAD: ("異常", "BAD"),
    Light.UNKNOWN: ("不明", "unknown"),
}

SUBJECTS: dict[Subject, tuple[str, str]] = {
    Subject.CAMERA: ("カメラ", "camera"),
    Subject.BROKER: ("通信", "network"),
    Subject.CLOCK: ("時計", "clock"),
    Subject.STORAGE: ("保存領域", "storage"),
    Subject.POWER: ("電源・温度", "power"),
}

CAUSES: dict[Cause, tuple[str, str]] = {
    Cause.NONE: ("", ""),
    Cause.EYE_AWAY: ("計測プログラムが動いていません", "the counting program is not running"),
    Cause.CAMERA_LOST: ("カメラの映像が届いていません", "no picture from the camera"),
    Cause.COVERED: ("カメラが覆われています", "the camera is covered"),
    Cause.DARK: ("暗すぎます", "too dark"),
    Cause.BLOWN_OUT: ("明るすぎます", "too bright"),
    Cause.BLURRED: ("ぼやけています", "blurred"),
    Cause.MOVED: ("カメラの向きが変わりました", "the camera was moved"),
    Cause.FROZEN: ("映像が止まっています", "the picture stands still"),
    Cause.SLOW: ("処理が追いついていません", "cannot keep up"),
    Cause.GATE_AT_EDGE: ("ゲートの線が映像の端にあります", "a gate lies at the picture's edge"),
    Cause.BROKER_AWAY: (
        "本部と通信できません(後で自動送信します)",
        "headquarters cannot be reached; sent later by itself",
    ),
    Cause.BROKER_REFUSES: ("本部に拒否されました(証明書を確認)", "headquarters refuses; look at the certificate"),
    Cause.CERTIFICATE_OVER: ("この機器の証明書の期限が切れています", "this device's certificate has expired"),
    Cause.CERTIFICATE_ENDS: ("この機器の証明書の期限が近づいています", "this device's certificate expires soon"),
    Cause.CERTIFICATE_EARLY: (
        "証明書がまだ有効になっていません(時計を確認)",
        "the certificate is not valid yet; look at the clock",
    ),
    Cause.SITE_CERTIFICATE: (
        "本部側の証明書の期限が切れたか、近づいています",
        "headquarters' own certificate has expired or soon will",
    ),
    Cause.BROKER_OFF: ("本部への送信は無効です", "sending to headquarters is switched off"),
    Cause.CLOCK_UNSET: ("時刻がまだ合っていません", "the time is not known yet"),
    Cause.CLOCK_UNCHECKED: ("時刻が確認されていません", "the time is not confirmed"),
    Cause.STORAGE_FULL: ("カードがいっぱいです", "the card is full"),
    Cause.STORAGE_FAILED: ("カードに記録できません", "the card cannot be written"),
    Cause.STORAGE_LOW: ("カードの残りが少なくなっています", "the card is almost full"),
    Cause.STORAGE_SALVAGED: ("記録を修復しました", "the ledger was repaired"),
    Cause.HOT: ("高温です", "hot"),
    Cause.UNDERVOLTAGE: ("電圧が不足しています", "the voltage is too low"),
    Cause.THROTTLED: ("速度が落ちています", "slowed down"),
}

ROOMS = {
    "nigiwai-eye.service": ("計測(eye)", "eye"),
    "nigiwai-link.service": ("送信・記録(link)", "link"),
}
ACTIVE = ("動作中", "running")
NOT_ACTIVE = ("停止", "NOT RUNNING")
RESTARTS = ("再起動 {} 回", "restarted {} times")
RELEASE = ("版", "release")
ON_TRIAL = ("試用中(5分以内に確定または元に戻ります)", "on trial: within five minutes it stays or goes back")
TODAY = ("本日", "today")
COUNTS = ("入 {} 出 {}", "in {} out {}")
WAITING = ("未送信 {} 件", "{} not sent yet")
CERTIFICATE = ("証明書", "certificate")
UNTIL = ("{} まで", "until {}")
NO_PAGE = ("画面プログラムが応答しません", "link's page does not answer")
ENROLMENT = ("登録", "enrolment")
UPDATE = ("更新", "update")
