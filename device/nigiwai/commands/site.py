# SPDX-License-Identifier: Apache-2.0
"""`nigiwai site`."""

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import click

from nigiwai.commands.options import stop_on_signals
from nigiwai.errors import EnrolmentError

if TYPE_CHECKING:
    from nigiwai.site.folder import SiteFolder

folder_option = click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("site"),
    show_default=True,
    help="The site's folder. It holds the keys: on an encrypted disk, a copy in a safe.",
)


@click.group()
def command() -> None:
    """Make a site's certificates and its devices' cards, at headquarters.

    \b
    Examples:
      nigiwai site init --name hall --broker broker.example.jp
      nigiwai site add east --wifi hall-staff
      nigiwai site desk
      nigiwai site revoke east
    """
    for module in ("cryptography", "reportlab", "segno"):
        if importlib.util.find_spec(module) is None:
            raise EnrolmentError(f"{module} is missing: pip install 'nigiwai[site]'")


def _open(folder: Path) -> "SiteFolder":
    from nigiwai.site.folder import SiteFolder

    opened = SiteFolder(folder)
    opened.site()
    return opened


@command.command()
@folder_option
@click.option("--name", required=True, help="The site's name in MQTT topics.")
@click.option("--broker", "hosts", multiple=True, required=True, help="The broker's host; more than once for more.")
@click.option("--port", default=8_883, show_default=True, type=click.IntRange(1, 65_535), help="The broker's port.")
@click.option("--desk-port", default=8_884, show_default=True, type=click.IntRange(1, 65_535), help="The desk's port.")
@click.option("--years", default=10, show_default=True, type=click.IntRange(1, 30), help="How long the CA is good.")
def init(folder: Path, name: str, hosts: tuple[str, ...], port: int, desk_port: int, years: int) -> None:
    """Make the site's CA and what its broker needs."""
    from nigiwai.site import work
    from nigiwai.site.folder import Site

    fingerprint = work.init(folder, Site(name, hosts, port, desk_port), years)
    click.echo(f"{folder}: the site {name} is made; its CA's fingerprint: {fingerprint}")
    click.echo(f"Copy {folder}/broker to the broker (provisioning/broker/README.md). Put a copy of {folder} in a safe.")


@command.command()
@click.argument("device")
@folder_option
@click.option("--camera", default="pi", show_default=True, type=click.Choice(["pi", "v4l2"]), help="Its camera.")
@click.option("--group", default="all", show_default=True, help="Its group for staged updates.")
@click.option("--wifi", help="The Wi-Fi's name.")
@click.option("--wifi-password-file", type=click.Path(path_type=Path, dir_okay=False), help="Its password, one line.")
@click.option("--ssh-key", type=click.Path(path_type=Path, dir_okay=False), help="A public key that may log in.")
@click.option("--release-key", type=click.Path(path_type=Path, dir_okay=False), help="Whose releases it takes (.pub).")
@click.option("--releases", metavar="URL", help="Where it looks for releases every night, https://...")
@click.option("--again", is_flag=True, help="A new code and card for a device that is already here.")
def add(
    device: str,
    folder: Path,
    camera: str,
    group: str,
    wifi: str | None,
    wifi_password_file: Path | None,
    ssh_key: Path | None,
    release_key: Path | None,
    releases: str | None,
    again: bool,
) -> None:
    """Make a device's card files, one-time code and label sheet."""
    from nigiwai.site import giving, work

    work.check_name(group, "group")
    wishes = work.Wishes(camera, group, wifi, _line(wifi_password_file), _line(ssh_key), _line(release_key), releases)
    for path in work.add(_open(folder), device, wishes, again=again):
        click.echo(path)
    click.echo(
        "Copy user-data, nigiwai-device.toml and the release (nigiwai-release.tar) to the card's boot partition."
    )
    click.echo(f"The code is good for {giving.CODE_DAYS} days while the desk is open: nigiwai site desk")


def _line(path: Path | None) -> str | None:
    """The first line of a file."""
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").splitlines()[0].strip()
    except (OSError, UnicodeDecodeError, IndexError) as e:
        raise EnrolmentError(f"{path}: cannot be read ({e})") from None


@command.command()
@folder_option
@click.option("--host", default="0.0.0.0", show_default=True, help="The address to listen on.")  # noqa: S104
def desk(folder: Path, host: str) -> None:
    """Keep the enrolment desk open: sign requests that show a good code or a valid certificate."""
    from nigiwai.site import desk as the_desk

    _open(folder)
    the_desk.serve(folder, host, stop_on_signals())


@command.command()
@click.argument("device")
@click.argument("request", type=click.Path(path_type=Path, dir_okay=False))
@folder_option
def sign(device: str, request: Path, folder: Path) -> None:
    """Sign a request that was carried by hand, and make the label with its fingerprint."""
    from nigiwai.site import work

    click.echo(work.sign(_open(folder), device, request))


@command.command()
@click.argument("device")
@folder_option
def label(device: str, folder: Path) -> None:
    """Make a device's label sheet again, with the fingerprint of its certificate."""
    from nigiwai.site import work

    click.echo(work.make_label(_open(folder), device))


@command.command()
@click.argument("device")
@folder_option
def revoke(device: str, folder: Path) -> None:
    """Withdraw a device that was stolen, lost or given away."""
    from nigiwai.site import work

    count, listed = work.revoke(_open(folder), device)
    click.echo(f"{device}: {count} certificates revoked. Copy {listed} to the broker and restart it:")
    click.echo("  sudo install -o mosquitto -m 0644 revoked.crl /etc/mosquitto/certs/")
    click.echo("  sudo systemctl restart mosquitto")


@command.command(name="list")
@folder_option
def list_(folder: Path) -> None:
    """Say which certificates there are and until when they are good."""
    from nigiwai.site import work

    for device, state, expires in work.overview(_open(folder)):
        click.echo(f"{device:32} {state:8} {expires}")
