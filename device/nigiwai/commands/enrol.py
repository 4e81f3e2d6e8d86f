# SPDX-License-Identifier: Apache-2.0
"""`nigiwai enrol`."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nigiwai.errors import EnrolmentError

if TYPE_CHECKING:
    from nigiwai.enrol.station import Places


@click.command()
@click.option("--from", "source", type=click.Path(path_type=Path), metavar="FILE", help="Become the device in FILE.")
@click.option("--request", type=click.Path(path_type=Path), metavar="FILE", help="Write the signing request to FILE.")
@click.option("--certificate", type=click.Path(path_type=Path), metavar="FILE", help="Take the signed certificate.")
@click.option("--renew", is_flag=True, help="Get the next certificate if it is time.")
@click.option("--root", type=click.Path(path_type=Path), default=Path("/"), hidden=True)
def command(source: Path | None, request: Path | None, certificate: Path | None, renew: bool, root: Path) -> None:
    """Make this device known to headquarters. Run as root.

    Without an option it asks the enrolment desk for a certificate, with the one-time code of its file. The device's
    key is made here and never leaves it.

    \b
    Examples:
      sudo nigiwai enrol --from /boot/firmware/nigiwai-device.toml
      sudo nigiwai enrol
      sudo nigiwai enrol --request /media/stick/east.csr
      sudo nigiwai enrol --certificate /media/stick/device.crt
    """
    from nigiwai.enrol import station

    places = station.Places(root)
    try:
        done = _do(places, source, request, certificate, renew)
    except EnrolmentError as e:
        _tell(places, e.trouble, str(e))
        if e.trouble:
            click.echo(f"nigiwai: {e.trouble}", err=True)
        raise
    _tell(places, "", done)
    click.echo(done)
    sys.exit(0)


def _do(
    places: "Places",
    source: Path | None,
    request: Path | None,
    certificate: Path | None,
    renew: bool,
) -> str:
    from nigiwai.enrol import keys, station
    from nigiwai.enrol.first_start import begin

    now = datetime.now(UTC)
    station.finish_renewal(places)
    if source is not None:
        return begin(places, source)
    if certificate is not None:
        try:
            station.accept(places, certificate.read_bytes())
        except OSError as e:
            raise EnrolmentError(f"{certificate}: cannot be read ({e.strerror})") from None
        return f"{certificate}: taken; restart link: systemctl restart nigiwai-link"
    if request is not None:
        known, asked = station.request(places)
        keys.put(request, asked)
        return f"{request}: sign it at headquarters: nigiwai site sign {known.device} {request.name}"
    if renew and station.read_known(places).enrolled:
        return station.renew(places, now)
    return station.enrol(places, now)


def _tell(places: "Places", trouble: str, text: str) -> None:
    from nigiwai.enrol import station

    try:
        station.tell(places, trouble, text)
    except EnrolmentError as e:
        click.echo(f"nigiwai: {e}", err=True)
