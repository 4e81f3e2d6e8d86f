# SPDX-License-Identifier: Apache-2.0
"""The contract's machine-readable forms, generated from messages/: JSON Schema for each message, and AsyncAPI.

python -m nigiwai.link.schema docs/schema
"""

import json
import sys
from pathlib import Path
from typing import Any

from nigiwai import __version__
from nigiwai.link.messages import REQUESTS, SENT, Message

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_RETAINED = ("availability", "info", "totals", "closing", "zones", "health")


def schema_of(kind: type[Message]) -> dict[str, Any]:
    """The JSON Schema of one message."""
    return {"$schema": DIALECT, **_closed(kind.model_json_schema(by_alias=True, mode="serialization"))}


def _closed(node: Any) -> Any:
    """The same schema with every object closed: names that match no pattern are refused too."""
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    closed = {key: _closed(value) for key, value in node.items()}
    return {**closed, "additionalProperties": False} if "patternProperties" in node else closed


def name_of(kind: type[Message]) -> str:
    """The message's `type`."""
    return str(kind.model_fields["type"].default)


def asyncapi() -> dict[str, Any]:
    """The whole contract as an AsyncAPI 3.0 document; message schemas stand in their own files."""
    sent = [name_of(kind) for kind in SENT if name_of(kind) != "response"]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Nigiwai over MQTT",
            "version": __version__,
            "description": "What a counting device sends and takes. See mqtt.md for how a consumer stays right.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {
            **{name: _channel(name, name) for name in sent},
            "request": _channel("request/{command}", *REQUESTS, prefix="request."),
            "response": _channel("response/{command}", "response"),
        },
        "operations": {
            **{f"send.{name}": _operation("send", name, retain=name in _RETAINED) for name in [*sent, "response"]},
            "receive.request": _operation("receive", "request", retain=False),
        },
        "components": {"messages": {**{n: _message(n) for n in [*sent, "response"]}, **_requests()}},
    }


def _channel(leaf: str, *messages: str, prefix: str = "") -> dict[str, Any]:
    parameters = {
        "site": {"description": "The site's name."},
        "device": {"description": "The device's name, unique within the site."},
    }
    if "{command}" in leaf:
        parameters["command"] = {"description": "One of the commands below.", "enum": list(REQUESTS)}  # type: ignore[dict-item]
    return {
        "address": f"nigiwai/v1/{{site}}/{{device}}/{leaf}",
        "parameters": parameters,
        "messages": {m: {"$ref": f"#/components/messages/{prefix}{m}"} for m in messages},
    }


def _operation(action: str, channel: str, *, retain: bool) -> dict[str, Any]:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{channel}"},
        "bindings": {"mqtt": {"qos": 1, "retain": retain}},
    }


def _message(name: str) -> dict[str, Any]:
    return {"name": name, "contentType": "application/json", "payload": {"$ref": f"./{name}.json"}}


def _requests() -> dict[str, Any]:
    return {f"request.{n}": {**_message(n), "payload": {"$ref": f"./request.{n}.json"}} for n in REQUESTS}


def files() -> dict[str, str]:
    """Every generated file by its name."""
    made = {f"{name_of(kind)}.json": schema_of(kind) for kind in SENT}
    made |= {f"request.{name}.json": schema_of(kind) for name, kind in REQUESTS.items()}
    made["asyncapi.json"] = asyncapi()
    return {name: json.dumps(content, indent=2, ensure_ascii=False) + "\n" for name, content in made.items()}


def write(folder: Path) -> None:
    """Writes the files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
