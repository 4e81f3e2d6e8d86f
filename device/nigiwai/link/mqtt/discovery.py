# SPDX-License-Identifier: Apache-2.0
"""Home Assistant's MQTT discovery, device form: one retained message, and every number appears by itself.

An empty retained message removes the device again. Keys as in Home Assistant's documentation of MQTT discovery.
"""

import json
from typing import Any

from nigiwai import __version__
from nigiwai.link.messages import Subject
from nigiwai.link.topics import Topics

PREFIX = "homeassistant"


def discovery_topic(topics: Topics) -> str:
    """Where Home Assistant looks for this device."""
    return f"{PREFIX}/device/{_id(topics)}/config"


def discovery(topics: Topics, gates: tuple[str, ...], gone: tuple[str, ...] = ()) -> bytes:
    """The message that announces the device with its gates, occupancy and health.

    A component with nothing but its platform is removed: so go the gates that are no more.
    """
    components = {"inside": _inside(topics), **_lights(topics), **_health(topics)}
    for gate in gates:
        components[f"{gate}_in"] = _passed(topics, gate, "in")
        components[f"{gate}_out"] = _passed(topics, gate, "out")
    for gate in gone:
        components |= {f"{gate}_{way}": {"platform": "sensor"} for way in ("in", "out")}
    announced = {
        "device": {
            "identifiers": [_id(topics)],
            "name": f"{topics.site} {topics.device}",
            "manufacturer": "Nigiwai",
            "model": "People counter",
            "sw_version": __version__,
        },
        "origin": {"name": "nigiwai", "sw_version": __version__},
        "availability": [
            {
                "topic": topics.of("availability"),
                "value_template": "{{ 'online' if value_json.state == 'online' else 'offline' }}",
            }
        ],
        "qos": 1,
        "components": components,
    }
    return json.dumps(announced, separators=(",", ":")).encode()


def _id(topics: Topics) -> str:
    return f"nigiwai_{topics.site}_{topics.device}"


def _sensor(topics: Topics, key: str, name: str, leaf: str, template: str, **more: str) -> dict[str, Any]:
    return {
        "platform": "sensor",
        "unique_id": f"{_id(topics)}_{key}",
        "name": name,
        "state_topic": topics.of(leaf),
        "value_template": f"{{{{ {template} }}}}",
        **more,
    }


def _inside(topics: Topics) -> dict[str, Any]:
    template = "value_json.occupancy.now"
    return _sensor(topics, "inside", "Inside", "totals", template, state_class="measurement", icon="mdi:account-group")


def _passed(topics: Topics, gate: str, way: str) -> dict[str, Any]:
    template = f"value_json.total['{gate}']['{way}']"
    return _sensor(
        topics, f"{gate}_{way}", f"{gate} {way}", "totals", template, state_class="total_increasing", icon="mdi:door"
    )


def _lights(topics: Topics) -> dict[str, Any]:
    return {
        subject.value: {
            "platform": "binary_sensor",
            "unique_id": f"{_id(topics)}_{subject}",
            "name": subject.value.capitalize(),
            "device_class": "problem",
            "entity_category": "diagnostic",
            "state_topic": topics.of("health"),
            "value_template": f"{{{{ 'ON' if value_json.{subject} in ['bad', 'warn'] else 'OFF' }}}}",
        }
        for subject in Subject
    }


def _health(topics: Topics) -> dict[str, Any]:
    diagnostic = {"entity_category": "diagnostic", "state_class": "measurement"}
    return {
        "temperature": _sensor(
            topics,
            "temperature",
            "Temperature",
            "health",
            "value_json.temperature_c",
            device_class="temperature",
            unit_of_measurement="°C",
            **diagnostic,
        ),
        "fps": _sensor(
            topics, "fps", "Frame rate", "health", "value_json.fps", unit_of_measurement="fps", **diagnostic
        ),
        "queue": _sensor(topics, "queue", "Unsent records", "health", "value_json.queue", **diagnostic),
    }
