# SPDX-License-Identifier: Apache-2.0
"""Options that several commands share."""

import signal
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])

DEFAULT_SETTINGS = Path("/etc/nigiwai/nigiwai.toml")


def settings_option(command: F) -> F:
    """--settings FILE, the operator's file unless given."""
    return click.option(
        "--settings",
        "settings_path",
        type=click.Path(path_type=Path, dir_okay=False),
        default=DEFAULT_SETTINGS,
        show_default=True,
        metavar="FILE",
        help="The settings file (TOML).",
    )(command)


def language_option(command: F) -> F:
    """--language ja|en, the terminal's unless given."""
    return click.option(
        "--language", type=click.Choice(["ja", "en"]), default=None, help="The language; the terminal's if not given."
    )(command)


def stop_on_signals() -> threading.Event:
    """An event that SIGTERM and SIGINT set, so that a service can end in order."""
    stop = threading.Event()

    def asked(_signal: int, _frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, asked)
    signal.signal(signal.SIGINT, asked)
    return stop
