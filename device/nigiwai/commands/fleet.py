# SPDX-License-Identifier: Apache-2.0
"""`nigiwai fleet`."""

from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import click

from nigiwai.commands.options import stop_on_signals

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.command()
@click.option("--host", default="localhost", show_default=True, help="The broker.")
@click.option("--port", default=1883, show_default=True, type=click.IntRange(1, 65_535), help="Its port.")
@click.option("--devices", default=10, show_default=True, type=click.IntRange(1, 9_999), help="How many devices.")
@click.option("--speed", default=1.0, show_default=True, type=click.FloatRange(0.1, 100_000), help="Times faster.")
@click.option(
    "--minutes", default=None, type=click.IntRange(1), help="Simulated minutes; until interrupted if not given."
)
@click.option("--seed", default=1, show_default=True, help="The same seed plays the same days.")
@click.option("--site", default="rehearsal", show_default=True, help="The site's name in topics.")
@click.option(
    "--start",
    default=None,
    type=click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M"]),
    help="When the first simulated minute begins, in Japan; now if not given.",
)
@click.option("--username", default=None, help="User name, if the broker wants one.")
@click.option("--password-file", default=None, type=_FILE, help="File whose first line is the password.")
@click.option("--ca-file", default=None, type=_FILE, help="The site's CA certificate; turns TLS on.")
@click.option("--cert-file", default=None, type=_FILE, help="The fleet's certificate, if the broker wants one.")
@click.option("--key-file", default=None, type=_FILE, help="Its key.")
@click.option(
    "--faults",
    default="",
    metavar="LIST",
    help="Of away, double, order, lose, replace, covered; with commas between, or all.",
)
def command(
    host: str,
    port: int,
    devices: int,
    speed: float,
    minutes: int | None,
    seed: int,
    site: str,
    start: datetime | None,
    username: str | None,
    password_file: Path | None,
    ca_file: Path | None,
    cert_file: Path | None,
    key_file: Path | None,
    faults: str,
) -> None:
    """Play many simulated devices with believable days against a broker.

    For headquarters to rehearse and for load tests; nobody is counted. At the end one line of JSON tells what is true,
    to compare with what headquarters has.

    \b
    Examples:
      nigiwai fleet --devices 20 --speed 60
      nigiwai fleet --devices 200 --speed 600 --start 2026-11-23 --minutes 1440 --faults all
      nigiwai fleet --host broker.example.jp --port 8883 --ca-file ca.crt \\
        --cert-file rehearsal.crt --key-file rehearsal.key
    """
    from nigiwai.link import fleet

    chosen = fleet.FAULTS if faults == "all" else tuple(f for f in faults.split(",") if f)
    if unknown := [f for f in chosen if f not in fleet.FAULTS]:
        raise click.BadParameter(f"{unknown[0]!r}: known are {', '.join(fleet.FAULTS)}, or all", param_hint="--faults")
    if (cert_file is None) != (key_file is None) or (cert_file is not None and ca_file is None):
        raise click.UsageError("--cert-file, --key-file and --ca-file go together")
    plan = fleet.Plan(
        host,
        port,
        devices,
        speed,
        chosen,
        minutes,
        seed,
        site,
        None if start is None else int(start.replace(tzinfo=ZoneInfo("Asia/Tokyo")).timestamp()) * 1_000_000_000,
        username,
        password_file,
        ca_file,
        cert_file,
        key_file,
    )
    played = fleet.Fleet(plan)
    played.play(stop_on_signals())
    click.echo(fleet.to_json(played))
