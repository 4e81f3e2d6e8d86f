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
        Confusion(Rate(0.821, 28), Rate(0.005, 207)),
        Confusion(Rate(0.536, 56, 2.18), Rate(0.106, 179, 1.5)),
    ),
    45.0: Known(
        Confusion(Rate(0.776, 49), Rate(0.019, 208)),
        Confusion(Rate(0.732, 82, 2.34), Rate(0.131, 175, 1.62)),
    ),
    60.0: Known(
        Confusion(Rate(0.768, 181), Rate(0.019, 688)),
        Confusion(Rate(0.866, 284, 2.96), Rate(0.115, 585, 1.82)),
    ),
}
BY_HEIGHT: dict[float, Known] = {
    30.0: Known(
        Confusion(Rate(0.786, 28), Rate(0.005, 207)),
        Confusion(Rate(0.696, 56, 2.18), Rate(0.168, 179, 1.5)),
    ),
    45.0: Known(
        Confusion(Rate(0.755, 49), Rate(0.014, 208)),
        Confusion(Rate(0.683, 82, 2.34), Rate(0.103, 175, 1.62)),
    ),
    60.0: Known(
        Confusion(Rate(0.707, 181), Rate(0.028, 688)),
        Confusion(Rate(0.905, 284, 2.96), Rate(0.145, 585, 1.82)),
    ),
}
"""By how far the camera looks down, in degrees: with the trait model, and where heights speak alone."""

NO_VIEW = 30.0


def known_errors(settings: Settings) -> Known:
    """Those of a device that looks at people, or does not, from such a view."""
    tilt = NO_VIEW if settings.view is None else settings.view.tilt_deg
    measured = WITH_MODEL if settings.traits.model else BY_HEIGHT
    return measured[min(measured, key=lambda t: abs(t - tilt))]
