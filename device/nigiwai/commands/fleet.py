# SPDX-License-Identifier: Apache-2.0
"""`nigiwai fleet`."""

import click

from nigiwai.commands.options import stop_on_signals


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
    "--faults",
    default="",
    metavar="LIST",
    help="Of away, double, order, lose, replace; with commas between, or all.",
)
def command(
    host: str, port: int, devices: int, speed: float, minutes: int | None, seed: int, site: str, faults: str
) -> None:
    """Play many simulated devices with believable days against a broker.

    For headquarters to rehearse and for load tests; nobody is counted. At the end one line of JSON tells what is true,
    to compare with what headquarters has.

    \b
    Examples:
      nigiwai fleet --devices 20 --speed 60
      nigiwai fleet --devices 200 --speed 600 --minutes 1440 --faults all
    """
    from nigiwai.link import fleet

    chosen = fleet.FAULTS if faults == "all" else tuple(f for f in faults.split(",") if f)
    if unknown := [f for f in chosen if f not in fleet.FAULTS]:
        raise click.BadParameter(f"{unknown[0]!r}: known are {', '.join(fleet.FAULTS)}, or all", param_hint="--faults")
    plan = fleet.Plan(host, port, devices, speed, chosen, minutes, seed, site)
    played = fleet.Fleet(plan)
    played.play(stop_on_signals())
    click.echo(fleet.to_json(played))
