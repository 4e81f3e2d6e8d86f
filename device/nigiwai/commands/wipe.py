# SPDX-License-Identifier: Apache-2.0
"""`nigiwai wipe`."""

from datetime import UTC, datetime
from pathlib import Path

import click

from nigiwai.commands.options import settings_option
from nigiwai.errors import LedgerError

_ASK = "計測記録と鍵をすべて消去します。機器名を入力してください\nErases all counts and keys. Type the device's name"


@click.command()
@settings_option
@click.option("--device", help="The device's name, instead of being asked for it.")
@click.option("--certificate", type=click.Path(path_type=Path, dir_okay=False), help="Also write it to this file.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
def command(settings_path: Path, device: str | None, certificate: Path | None, root: Path) -> None:
    """Erase the ledger and the keys of this device, and print a certificate of it. Run as root.

    Deliver everything first (nigiwai status tells what was not sent). Headquarters revokes the certificate: nigiwai
    site revoke. Nothing can be brought back.

    \b
    Example:
      sudo nigiwai wipe --certificate /media/stick/erased.txt
    """
    from nigiwai import settings
    from nigiwai.staff import wipe

    loaded = settings.load(settings_path)
    name = f"{loaded.device.site}/{loaded.device.name}"
    typed = device if device is not None else click.prompt(f"{_ASK} ({name})")
    if typed != name:
        raise LedgerError(f"this device is {name!r}, not {typed!r}; nothing was erased")
    if certificate is not None:
        # Before anything is gone: a certificate that cannot be written is found out in time.
        try:
            certificate.touch()
        except OSError as e:
            raise LedgerError(f"{certificate}: cannot be written ({e.strerror}); nothing was erased") from None
    if root == Path("/"):
        wipe.stop_services()
    report = wipe.wipe(loaded.ledger.path, root, name, datetime.now(UTC))
    text = wipe.certificate(report)
    if certificate is not None:
        certificate.write_text(text, encoding="utf-8")
    click.echo(text)
    if report.left:
        raise LedgerError("not everything could be erased; run this as root")
