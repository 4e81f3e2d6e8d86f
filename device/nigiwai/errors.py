# SPDX-License-Identifier: Apache-2.0
"""Every error that Nigiwai tells its users about, one class per thing the operator would do differently.

    NigiwaiError             exit code 1   anything of ours; a defect when raised bare
    ├── SettingsError                  3   the settings file: a key, a value, a missing file
    ├── CameraError                    4   the camera: missing, busy, unplugged, its software absent
    │   ├── CameraSoftwareError        4   what the camera needs on this computer is missing or of another version
    │   └── RecordingError             4   the recorded file: missing, not a video, cut off
    ├── ModelError                     5   the model file: hash, shape, missing, unknown name
    ├── BrokerError                    6   the MQTT broker: down, refuses, wrong certificate
    ├── PageError                      7   the status page: port taken, address not ours
    ├── LedgerError                    8   the ledger: disk full, read-only, damaged
    ├── DoorError                      9   the socket between eye and link: cannot listen, malformed record
    ├── EnrolmentError                11   certificates and enrolment: expired, refused, a file of the boot partition
    └── UpdateError                   12   a release: wrong signature, older than what runs, not whole, during an event

A message names the thing (key, path, address), its value, what is allowed and what to do. `waiting_helps` says whether
the same call may succeed later without anybody doing anything; the services retry those and end on the others.
"""

from typing import ClassVar


class NigiwaiError(Exception):
    """Something the operator should read; its text stands on its own."""

    exit_code: ClassVar[int] = 1
    waiting_helps: ClassVar[bool] = False


class SettingsError(NigiwaiError):
    """The settings cannot be used; the text holds one line per mistake."""

    exit_code = 3


class CameraError(NigiwaiError):
    """The camera gives no pictures."""

    exit_code = 4
    waiting_helps = True


class CameraSoftwareError(CameraError):
    """The camera's own software cannot be used on this computer."""

    waiting_helps = False


class RecordingError(CameraError):
    """The recorded file gives no pictures, or fewer than it promises."""

    waiting_helps = False


class ModelError(NigiwaiError):
    """The detector's file or its manifest entry cannot be used."""

    exit_code = 5


class BrokerError(NigiwaiError):
    """The MQTT broker cannot be reached or refuses us."""

    exit_code = 6
    waiting_helps = True


class PageError(NigiwaiError):
    """The status page cannot be served."""

    exit_code = 7


class LedgerError(NigiwaiError):
    """The ledger cannot be opened or written."""

    exit_code = 8


class DoorError(NigiwaiError):
    """The door between eye and link is broken, or something malformed came through it."""

    exit_code = 9
    waiting_helps = True


class EnrolmentError(NigiwaiError):
    """A certificate, an enrolment or the site's folder cannot be used. `trouble`: the label's code for it, or empty."""

    exit_code = 11

    def __init__(self, text: str, trouble: str = "") -> None:
        super().__init__(text)
        self.trouble = trouble


class UpdateError(NigiwaiError):
    """A release is not taken; what runs goes on running. `trouble`: the label's code for it, or empty."""

    exit_code = 12

    def __init__(self, text: str, trouble: str = "") -> None:
        super().__init__(text)
        self.trouble = trouble
