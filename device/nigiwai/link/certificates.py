# SPDX-License-Identifier: Apache-2.0
"""What is wrong with this device's certificate or the site's CA at a time: over, soon over, or not begun. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from nigiwai.enrol.trouble import Trouble
from nigiwai.link.messages import Cause

DEVICE_NOTICE = timedelta(days=30)
"""A device asks for the next certificate 130 days before the end; where it is this near, nobody answered for months."""

SITE_NOTICE = timedelta(days=90)
"""A new CA means a new card for every device."""

_SHARE = 5
"""Certificates that last a week or less are no trouble for most of it: notice is given in their last fifth at most."""


@dataclass(frozen=True, slots=True)
class Flaw:
    """What is wrong: the label's code, what the light says, and whether nobody gets through to the broker with it."""

    trouble: Trouble
    cause: Cause
    shuts_out: bool


@dataclass(frozen=True, slots=True)
class Span:
    """From when until when a certificate is good."""

    begins: datetime
    ends: datetime

    def near_end(self, now: datetime, notice: timedelta) -> bool:
        """Whether it is over, or soon will be."""
        return now >= self.ends - min(notice, (self.ends - self.begins) / _SHARE)


@dataclass(frozen=True, slots=True)
class Spans:
    """Those of the device's certificate and of the site's CA; None where there is none or it cannot be read."""

    device: Span | None = None
    site: Span | None = None


def flaws(spans: Spans, now: datetime) -> tuple[Flaw, ...]:
    """What is wrong with them at that time by this device's clock, the worst first."""
    device, site = spans.device, spans.site
    found = []
    if site is not None and site.near_end(now, SITE_NOTICE):
        found.append(Flaw(Trouble.SITE_OVER, Cause.SITE_CERTIFICATE, now >= site.ends))
    if device is not None and now >= device.ends:
        found.append(Flaw(Trouble.CERTIFICATE_OVER, Cause.CERTIFICATE_OVER, True))
    if any(span is not None and now < span.begins for span in (device, site)):
        found.append(Flaw(Trouble.CLOCK, Cause.CERTIFICATE_EARLY, True))
    if device is not None and device.near_end(now, DEVICE_NOTICE) and now < device.ends:
        found.append(Flaw(Trouble.CERTIFICATE_ENDS, Cause.CERTIFICATE_ENDS, False))
    return tuple(sorted(found, key=lambda flaw: not flaw.shuts_out))


def dated(spans: Spans) -> str:
    """From when until when they are good, for the journal."""
    named = (("this device's", spans.device), ("the site's", spans.site))
    told = [f"{whose} certificate: {span.begins:%Y-%m-%d} to {span.ends:%Y-%m-%d}" for whose, span in named if span]
    return "; ".join(told)
