# SPDX-License-Identifier: Apache-2.0
"""What the notice says, from the settings in force. Pure."""
# ruff: noqa: E501 # a sentence stays in one piece, and its letters count double here

from dataclasses import dataclass

from nigiwai.settings import Settings


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
        ("期間", notice.period),
        ("問い合わせ先", notice.contact),
    ]


def others(settings: Settings) -> list[Words]:
    """The short parts: easy Japanese, English, Chinese, Korean."""
    notice, traits = settings.notice, traits_on(settings)
    who = f"{notice.operator}  {notice.contact}"
    return [
        Words(
            "やさしい にほんご",
            (
                "カメラで ひとの かずを かぞえています。",
                "しゃしんや ビデオは のこしません。だれかは わかりません。",
                f"しつもんは ここへ: {notice.contact}",
            ),
        ),
        Words(
            "This camera counts people",
            (
                "It counts who goes in and out" + (", and estimates children and groups as totals." if traits else "."),
                "Video is processed in memory and overwritten at once. No picture is kept or sent, nobody is recognised.",
                f"Operator and contact: {who}",
            ),
        ),
        Words(
            "本摄像头统计人数",
            (
                "统计进出人数" + (",并以合计方式估算儿童与同行人群。" if traits else "。"),
                "影像仅在设备内存中处理并立即覆盖,不保存、不发送任何图像,也不识别个人。",
                f"运营者及联系方式: {who}",
            ),
        ),
        Words(
            "이 카메라는 인원수를 셉니다",
            (
                "출입 인원을 셉니다" + (". 어린이와 동행 그룹은 합계로만 추정합니다." if traits else "."),
                "영상은 기기의 메모리에서 처리되고 즉시 덮어쓰입니다. 이미지를 저장하거나 보내지 않으며 개인을 식별하지 않습니다.",
                f"운영자 및 문의처: {who}",
            ),
        ),
    ]


APPROVAL = (
    "この掲示は、運営者の法務担当の承認を受けてから使用してください。 承認日:      年   月   日  承認者:              "
)


def assessment(settings: Settings) -> str:
    """The draft of the privacy impact assessment, as text that the legal section completes."""
    notice, page = settings.notice, settings.page
    traits = (
        f"おとな・子どもの別とグループの種類を推定する。{settings.traits.k}人未満の区分は機器の外に出さない。"
        if traits_on(settings)
        else "推定しない。"
    )
    sent = f"{settings.mqtt.host} へ送信する(MQTT)。" if settings.mqtt.enabled else "送信しない(機器の画面だけで見る)。"
    rows = [
        ("1 運営者と責任者", f"{notice.operator}\n責任者:(記入してください)\n問い合わせ先: {notice.contact}"),
        ("2 目的", f"{notice.purpose}\n目的外の利用をしないための定め:(記入してください)"),
        ("3 期間と場所", f"期間: {notice.period}\n場所: {settings.device.site} / {settings.device.name}\nゲート: "
         + "、".join(g.name for g in settings.gate)),
        ("4 取得する情報", "カメラの映像。機器のメモリー内で処理し、次の映像で上書きする。顔の特徴量は作らない。"),
        ("5 作られる情報", f"ゲート・方向・{settings.ledger.interval_s}秒ごとの通過人数、場内の推定人数、機器の状態。\n属性: {traits}"),
        ("6 保存", f"映像: 保存しない(0日)。人数: 機器内に最長{settings.ledger.keep_days}日、本部では(記入してください)。"),
        ("7 提供・送信", sent),
        ("8 安全管理", "映像を扱うプログラムはネットワークとディスクを使えない(OSが強制)。\n職員の操作: "
         + ("PINが必要で、すべて記録される。" if page.pin_file else "設定されていない(表示のみ)。")),
        ("9 本人への通知", "ポスターの掲示(この機器で作成)。掲示を始めた日:(「掲示した日を記録する」で記録してください)"),
        ("10 残るリスクと対応", "少人数の時間帯の人数、機器の盗難、設定の誤り:(評価と対応を記入してください)"),
        ("11 関係法令の確認", "個人情報保護法(行政機関等は第61条〜第66条、第75条ほか)、カメラ画像利活用ガイドブックver3.0:(確認結果を記入)"),
        ("12 承認", "法務担当:        日付:        個人情報保護担当:        日付:        "),
    ]  # fmt: skip
    head = "個人情報保護評価書(下書き)\n現在の設定から自動で作成しました。法務担当が確認し、空欄を埋めて完成させてください。\n"
    digest = f"設定の照合番号: {settings.sha256[:16]}\n"
    return head + digest + "".join(f"\n■ {title}\n{text}\n" for title, text in rows)
