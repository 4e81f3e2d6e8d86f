# SPDX-License-Identifier: Apache-2.0
"""A Sparkplug host that knows nothing of Nigiwai: decodes with pysparkplug, prints a line of JSON for each message.

python sparkplug_host.py PORT GROUP NODE        runs in an environment of its own; a line on stdin asks for a rebirth
"""

import json
import sys
import threading
import time

import pysparkplug as psp


def main(port: int, group: str, node: str) -> None:
    client = psp.Client()
    lock = threading.Lock()

    def ready() -> None:
        with lock:
            print(json.dumps({"kind": "ready"}), flush=True)  # noqa: T201

    def heard(_: psp.Client, message: psp.Message) -> None:
        metrics = [
            {
                "name": m.name,
                "type": m.datatype.name,
                "value": m.value,
                "historical": m.is_historical,
                "at": m.timestamp,
            }
            for m in getattr(message.payload, "metrics", None) or (message.payload.bd_seq_metric,)
        ]
        told = {
            "kind": message.topic.message_type.value,
            "group": message.topic.group_id,
            "node": message.topic.edge_node_id,
            "seq": getattr(message.payload, "seq", None),
            "retain": bool(message.retain),
            "qos": int(message.qos),
            "metrics": metrics,
        }
        with lock:
            print(json.dumps(told), flush=True)  # noqa: T201 # this is what it is for

    for kind in (psp.MessageType.NBIRTH, psp.MessageType.NDATA, psp.MessageType.NDEATH):
        client.subscribe(psp.Topic(message_type=kind, group_id=group, edge_node_id=node), psp.QoS.AT_LEAST_ONCE, heard)
    client.connect("127.0.0.1", port=port, callback=lambda _: ready())
    for _ in sys.stdin:
        now_ms = int(time.time() * 1_000)
        asked = psp.Metric(timestamp=now_ms, name="Node Control/Rebirth", datatype=psp.DataType.BOOLEAN, value=True)
        topic = psp.Topic(message_type=psp.MessageType.NCMD, group_id=group, edge_node_id=node)
        payload = psp.NCmd(timestamp=now_ms, metrics=(asked,))
        client.publish(
            psp.Message(topic=topic, payload=payload, qos=psp.QoS.AT_MOST_ONCE, retain=False), include_dtypes=True
        )
    client.disconnect()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
