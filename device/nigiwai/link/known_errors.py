# SPDX-License-Identifier: Apache-2.0
"""How often eye says child, and family, rightly and wrongly, until an audit at the entrance has replaced it. Pure.

Of people in rendered recordings who were counted, unknown taken as not said: `python -m nigiwai.lab.rendered` over the
recordings of each view that docs/accuracy.md names. From steeply above fewer children hide behind their parents,
so the errors go by how far the camera looks down; those of the nearest view measured are taken.
"""

from dataclasses import dataclass

from nigiwai.link.correction import Confusion, Rate
from nigiwai.settings import Settings


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of somebody who says child, and family."""

    child: Confusion
    family: Confusion


WITH_MODEL: dict[float, Known] = {
    30.0: Known(
        Confusion(Rate(0.786, 28), Rate(0.005, 207)),
        Confusion(Rate(0.554, 56, 2.18), Rate(0.101, 179, 1.5)),
    ),
    45.0: Known(
        Confusion(Rate(0.694, 49), Rate(0.014, 208)),
        Confusion(Rate(0.707, 82, 2.34), Rate(0.12, 175, 1.62)),
    ),
    60.0: Known(
        Confusion(Rate(0.76, 183), Rate(0.022, 558)),
        Confusion(Rate(0.916, 321, 2.96), Rate(0.11, 420, 1.79)),
    ),
}
BY_HEIGHT: dict[float, Known] = {
    30.0: Known(
        Confusion(Rate(0.786, 28), Rate(0.005, 207)),
        Confusion(Rate(0.732, 56, 2.18), Rate(0.168, 179, 1.5)),
    ),
    45.0: Known(
        Confusion(Rate(0.735, 49), Rate(0.014, 208)),
        Confusion(Rate(0.683, 82, 2.34), Rate(0.126, 175, 1.62)),
    ),
    60.0: Known(
        Confusion(Rate(0.732, 183), Rate(0.029, 558)),
        Confusion(Rate(0.931, 321, 2.96), Rate(0.157, 420, 1.79)),
    ),
}
"""By how far the camera looks down, in degrees: with the trait model, and where heights speak alone."""

NO_VIEW = 30.0


def known_errors(settings: Settings) -> Known:
    """Those of a device that looks at people, or does not, from such a view."""
    tilt = NO_VIEW if settings.view is None else settings.view.tilt_deg
    measured = WITH_MODEL if settings.traits.model else BY_HEIGHT
    return measured[min(measured, key=lambda t: abs(t - tilt))]
