# SPDX-License-Identifier: Apache-2.0
"""`nigiwai demo`."""

import sys
import threading

import click

from nigiwai.commands.options import stop_on_signals
from nigiwai.lab import demo
from nigiwai.lab.broker import Kind
from nigiwai.lab.subscriber import Sums


@click.command()
@click.option("--once", is_flag=True, help="Play the clip once, as fast as it goes, and print one line of JSON.")
@click.option(
    "--broker",
    type=click.Choice(["auto", "mosquitto", "amqtt"]),
    default="auto",
    show_default=True,
    help="Which broker to start; auto takes Mosquitto where it is installed.",
)
def command(once: bool, broker: Kind) -> None:
    """Count the bundled clip from camera to broker, on this machine.

    Starts a broker on a private port, then link and eye as processes of their own, and plays a rendered clip as the
    camera. Shows the counts as they arrive over MQTT and the address of the status page. Nothing is left behind.

    \b
    With --once the last line is {"counted": ..., "true": ..., "published": ...};
    the exit code is 0 only if what an MQTT subscriber received is what eye
    counted, and 10 otherwise.

    \b
    Examples:
      nigiwai demo
      nigiwai demo --once
    """
    stop = threading.Event() if once else stop_on_signals()
    result = demo.play(
        once=once,
        broker=broker,
        tell=lambda line: click.echo(line, err=once),
        show=_quiet if once else _show,
        stay=_nothing if once or not sys.stdout.isatty() else lambda: _stay(stop),
    )
    if once:
        click.echo(result.to_json())
    else:
        click.echo("\n" + table(result))
    if result.published != result.counted:
        raise demo.DemoError(f"published {result.published} is not what eye counted, {result.counted}")


def table(result: demo.Result) -> str:
    """Counted beside true, a line per gate and direction."""
    rows = [f"{'':16}{'counted':>9}{'true':>9}{'over MQTT':>11}"]
    for gate in sorted({*result.counted, *result.true}):
        for direction in ("in", "out"):
            cells = (s.get(gate, {}).get(direction, 0) for s in (result.counted, result.true, result.published))
            counted, true, published = cells
            rows.append(f"{gate + ' ' + direction:16}{counted:>9}{true:>9}{published:>11}")
    return "\n".join(rows)


def _show(sums: Sums) -> None:
    line = "   ".join(f"{gate}: in {n['in']}, out {n['out']}" for gate, n in sums.items())
    click.echo(f"\r{line:<60}" if sys.stdout.isatty() else line, nl=not sys.stdout.isatty())


def _quiet(_sums: Sums) -> None:
    return None


def _nothing() -> None:
    return None


def _stay(stop: threading.Event) -> None:
    click.echo("\nThe clip is over. The page stays until you press Ctrl-C.")
    stop.wait()
