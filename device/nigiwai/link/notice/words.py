# SPDX-License-Identifier: Apache-2.0
"""What the notice says, from the settings in force. Pure."""
# ruff: noqa: E501 # a sentence stays in one piece, and its letters count double here

from dataclasses import dataclass

from nigiwai.settings import Notice, Settings

BY_HAND = "    年   月   日  〜      年   月   日"
"""The period where the settings name none: to be filled in with a pen."""

FILL = "(記入してください)"

PURPOSES = {
    "en": "to know how many people come, and to run the event safely",
    "zh": "掌握来场人数，保障活动安全、舒适地进行",
    "ko": "방문 인원 파악과 안전하고 쾌적한 행사 운영",
}
"""The purpose that the settings have unless it is changed, in the other languages."""


@dataclass(frozen=True, slots=True)
class Words:
    """One language's part of the poster."""

    title: str
    lines: tuple[str, ...]


def traits_on(settings: Settings) -> bool:
    """Whether anything beyond passages is estimated."""
    return settings.traits.enabled and settings.view is not None


def japanese(settings: Settings) -> tuple[str, list[tuple[str, str]]]:
    """The title and the rows of the main part."""
    notice = settings.notice
    estimated = "入口を通った人数(入場・退場)"
    if settings.zone:
        estimated += "、区域にいる人数"
    if traits_on(settings):
        estimated += f"、おとな・子どもの別、グループの種類(いずれも{settings.traits.k}人以上をまとめた集計のみ)"
    return "カメラで人数を数えています", [
        ("運営者", notice.operator),
        ("目的", notice.purpose),
        ("数えるもの", estimated + "。個人を見分けることはしません。"),
        (
            "映像の扱い",
            "映像は機器のメモリー内で処理し、すぐに上書きします。画像・顔・動きの記録は、保存も送信もしません。",
        ),
        ("期間", notice.period or BY_HAND),
        ("問い合わせ先", notice.contact),
    ]


def others(settings: Settings) -> list[Words]:
    """The short parts: easy Japanese, English, Chinese, Korean. Each says all that the main part says."""
    notice, traits, k = settings.notice, traits_on(settings), settings.traits.k
    who, period = f"{notice.operator} / {notice.contact}", notice.period or BY_HAND
    return [
        Words(
            "やさしい にほんご",
            (
                "カメラで、とおる ひとの かずを かぞえています。",
                *((f"おとなと こどもの かずも、{k}にん いじょうを まとめて かぞえます。",) if traits else ()),
                "イベントを あんぜんに するためです。" if usual(notice) else f"なんのため: {notice.purpose}",
                "しゃしんや ビデオは のこしません。どこにも おくりません。あなたが だれかは わかりません。",
                f"いつ: {period}",
                f"きく ところ: {who}",
            ),
        ),
        Words(
            "This camera counts people",
            (
                "It counts who goes in and out"
                + (f", and estimates adults, children and groups in sums of {k} people or more." if traits else "."),
                f"Purpose: {purpose(notice, 'en')}.",
                "Video is processed in memory and overwritten at once. No picture, face or movement is kept or sent; nobody is recognised.",
                f"Period: {period}",
                f"Operator, contact: {who}",
            ),
        ),
        Words(
            "本摄像头统计人数",
            (
                "统计进出人数" + (f"，并以{k}人以上的合计方式估算成人、儿童与同行人群。" if traits else "。"),
                f"目的: {purpose(notice, 'zh')}。",
                "影像仅在设备内存中处理并立即覆盖。不保存、不发送任何图像、面部或行动记录，也不识别个人。",
                f"期间: {period}",
                f"运营者、联系方式: {who}",
            ),
        ),
        Words(
            "이 카메라는 인원수를 셉니다",
            (
                "출입 인원을 셉니다"
                + (f". 성인·어린이와 동행 그룹은 {k}명 이상의 합계로만 추정합니다." if traits else "."),
                f"목적: {purpose(notice, 'ko')}.",
                "영상은 기기의 메모리에서 처리되고 즉시 덮어쓰입니다. 이미지·얼굴·이동 기록을 저장하거나 보내지 않으며 개인을 식별하지 않습니다.",
                f"기간: {period}",
                f"운영자, 문의처: {who}",
            ),
        ),
    ]


def purpose(notice: Notice, language: str) -> str:
    """The purpose in another language: as the settings say, else translated where it is the usual one, else as it is."""
    told: dict[str, str] = {"en": notice.purpose_en, "zh": notice.purpose_zh, "ko": notice.purpose_ko}
    if told[language]:
        return told[language]
    return PURPOSES[language] if usual(notice) else notice.purpose


def usual(notice: Notice) -> bool:
    """Whether the purpose is the one that was translated."""
    return notice.purpose == Notice().purpose


def statement(settings: Settings) -> str:
    """What the QR code leads to: an address, or where there is none the statement itself, which needs no network."""
    notice = settings.notice
    return notice.statement_url or (
        "人数だけを数えます。映像はメモリー内で処理してすぐに上書きし、画像・顔・動きの記録は保存も送信もしません。"
        f"運営者: {notice.operator} 問い合わせ先: {notice.contact}\n"
        "It counts people only. No picture is kept or sent."
    )


APPROVAL = "この掲示は、運営者の法務担当の承認を受けてから使用してください。  承認日:        年    月    日   承認者:"


def assessment(settings: Settings, since: str = "") -> str:
    """The draft of the privacy impact assessment, as text that the legal section completes.

    settings: those in force, with what was drawn on the page; since: the day on which the notice was put up.
    """
    head = "個人情報保護評価書(下書き)\n現在の設定から自動で作成しました。法務担当が確認し、(  )の部分を埋めて完成させてください。\n"
    digest = f"設定の照合番号: {settings.sha256[:16]}(機器が本部に送る info の settings_sha256 と同じもの)\n"
    rows = [*_about(settings), *_handling(settings), *_people(settings, since)]
    return head + digest + "".join(f"\n■ {n} {title}\n{text}\n" for n, (title, text) in enumerate(rows, 1))


Rows = list[tuple[str, str]]


def _about(settings: Settings) -> Rows:
    notice = settings.notice
    gates, zones = ("、".join(s.name for s in shapes) for shapes in (settings.gate, settings.zone))
    return [
        ("運営者と責任者", f"運営者: {notice.operator or FILL}\n責任者: {FILL}\n問い合わせ先: {notice.contact or FILL}"),
        ("目的", f"{notice.purpose}\n目的外の利用をしないための定め: {FILL}\nカメラによらない方法では足りない理由: {FILL}"),
        ("期間と場所", f"期間: {notice.period or FILL}\n場所: {settings.device.site} / {settings.device.name}\n"
         f"ゲート(数える線): {gates}\n区域: {zones or 'なし'}\nカメラに写る範囲: {FILL}"),
    ]  # fmt: skip


def _handling(settings: Settings) -> Rows:
    page, k = settings.page, settings.traits.k
    traits = (
        f"おとな・子どもの別とグループの種類を、身長と歩き方から推定する。{k}人未満の集計は機器の外に出さない。性別・年齢は推定しない。"
        if traits_on(settings)
        else "推定しない。"
    )
    sent = (
        f"本部のサーバー {settings.mqtt.host} へ送信する(MQTT)。"
        if settings.mqtt.enabled
        else "送信しない(機器の画面だけで見る)。"
    )
    way = "HTTPS" if page.cert_file else "機器自身のWi-Fiだけで使う" if page.access_point else "機器自身からだけ使う"
    staff = f"PINが必要で、すべて記録される({way})。" if page.pin_file else "設定されていない(表示のみ)。"
    return [
        ("取得する情報", "カメラの映像。機器のメモリー内で処理し、次の映像で上書きする。顔の特徴量や、個人を追跡できる情報は作らない。"),
        ("作られる情報", f"ゲート・方向・{settings.ledger.interval_s}秒ごとの通過人数、場内の推定人数、機器の状態。\n属性: {traits}"),
        ("保存", f"映像: 保存しない(0日)。人数: 機器内に最長{settings.ledger.keep_days}日、本部では {FILL}。"),
        ("提供・送信", f"{sent}\n送信した内容は、機器の画面「送信内容」で、だれでもそのまま確認できる。\n第三者への提供: {FILL}"),
        ("安全管理", f"映像を扱うプログラムはネットワークとディスクを使えない(OSが強制)。\n職員の操作: {staff}\n"
         f"設置調整: 映像は表示せず、人の位置を四角で示す。1回10分、1日30分まで。\n委託先の監督: {FILL}"),
    ]  # fmt: skip


def _people(settings: Settings, since: str) -> Rows:
    waits = "\n子どもの割合などの推定は、掲示した日が記録されるまで始まらない。" if traits_on(settings) else ""
    return [
        ("本人への通知", f"ポスターの掲示(この機器で作成)。掲示を始めた日: {since or FILL}{waits}"),
        ("本人の権利", f"個人を特定する情報を持たないため、個人ごとの開示・削除の対象はない。苦情の受付: {FILL}"),
        ("残るリスクと対応", f"人が少ない時間帯の人数から個人の通過が推測されること: {FILL}\n機器の盗難: {FILL}\n設定の誤り: {FILL}"),
        ("関係法令の確認", f"個人情報保護法(行政機関等は第61条〜第66条、第75条ほか): {FILL}\nカメラ画像利活用ガイドブックver3.0: {FILL}\n条例・審査会: {FILL}"),
        ("承認", "法務担当:              日付:\n個人情報保護担当:      日付:"),
    ]  # fmt: skip
