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
        Confusion(Rate(0.682, 22), Rate(0.022, 138)),
        Confusion(Rate(0.558, 43, 2.26), Rate(0.137, 117, 1.41)),
    ),
    45.0: Known(
        Confusion(Rate(0.744, 39), Rate(0.018, 163)),
        Confusion(Rate(0.716, 81, 2.58), Rate(0.107, 121, 2.07)),
    ),
    60.0: Known(
        Confusion(Rate(0.791, 158), Rate(0.024, 537)),
        Confusion(Rate(0.918, 244, 3.07), Rate(0.151, 451, 1.81)),
    ),
}
BY_HEIGHT: dict[float, Known] = {
    30.0: Known(
        Confusion(Rate(0.682, 22), Rate(0.022, 138)),
        Confusion(Rate(0.651, 43, 2.26), Rate(0.145, 117, 1.41)),
    ),
    45.0: Known(
        Confusion(Rate(0.641, 39), Rate(0.012, 163)),
        Confusion(Rate(0.716, 81, 2.58), Rate(0.182, 121, 2.07)),
    ),
    60.0: Known(
        Confusion(Rate(0.741, 158), Rate(0.037, 537)),
        Confusion(Rate(0.91, 244, 3.07), Rate(0.177, 451, 1.81)),
    ),
}
"""By how far the camera looks down, in degrees: with the trait model, and where heights speak alone."""

NO_VIEW = 30.0


def known_errors(settings: Settings) -> Known:
    """Those of a device that looks at people, or does not, from such a view."""
    tilt = NO_VIEW if settings.view is None else settings.view.tilt_deg
    measured = WITH_MODEL if settings.traits.model else BY_HEIGHT
    return measured[min(measured, key=lambda t: abs(t - tilt))]
