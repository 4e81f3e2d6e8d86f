# SPDX-License-Identifier: Apache-2.0
"""`nigiwai logs`."""

import click


@click.command()
@click.option("-n", "--lines", default=100, show_default=True, type=click.IntRange(1, 100_000), help="How many.")
@click.option("--since", help='From when on, as journalctl understands it: "10 min ago", "today".')
@click.option("-f", "--follow", is_flag=True, help="Go on until Ctrl-C.")
def command(lines: int, since: str | None, follow: bool) -> None:
    """Show what the services said since power-on, without secrets.

    Passwords, codes, keys and hardware addresses are blacked out, so that it can be mailed. The journal lies in memory
    and is gone with the power. Run as root, or as a member of the group systemd-journal.

    \b
    Examples:
      sudo nigiwai logs --since "10 min ago"
      sudo nigiwai logs -f
    """
    from nigiwai.staff import logs

    for line in logs.read(lines, since, follow=follow):
        click.echo(line)
