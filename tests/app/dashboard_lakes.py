"""Dumps whose names attack a page, and a server that really serves a lake."""

import json
import os
import socket
import subprocess
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

from app import serve

SAMPLE = Path(__file__).resolve().parents[2] / "sample_data"
HOSTILE = (
    "<img src=x onerror=window.fired=1>",
    "![x](http://192.0.2.1/x.png)",
    "=1+1",
)


def otlp(names):
    """Return an OTLP JSON dump: a request, an agent and a failing tool for each name."""
    spans = []
    for at, name in enumerate(names):
        trace = f"{at + 1:032x}"
        start = 1_790_000_000_000_000_000 + at * 60_000_000_000
        for place, (label, kind, span_kind, failed) in enumerate(
            (
                (name, None, 2, True),
                (name, "invoke_agent", 1, True),
                (name, "execute_tool", 1, True),
            )
        ):
            attributes = {"conversation.id": "c1"}
            if kind:
                attributes |= {
                    "gen_ai.operation.name": kind,
                    "gen_ai.agent.name": label,
                    "gen_ai.tool.name": label,
                }
            spans.append(
                {
                    "traceId": trace,
                    "spanId": f"{at * 10 + place + 1:016x}",
                    **({"parentSpanId": f"{at * 10 + place:016x}"} if place else {}),
                    "name": label,
                    "kind": span_kind,
                    "startTimeUnixNano": str(start + place * 1_000_000),
                    "endTimeUnixNano": str(start + 900_000_000 - place * 1_000_000),
                    "status": {"code": 2 if failed else 0},
                    "attributes": [
                        {"key": key, "value": {"stringValue": value}}
                        for key, value in attributes.items()
                    ],
                }
            )
    service = [{"key": "service.name", "value": {"stringValue": names[0]}}]
    return json.dumps(
        {
            "resourceSpans": [
                {"resource": {"attributes": service}, "scopeSpans": [{"scope": {}, "spans": spans}]}
            ]
        }
    )


@contextmanager
def serving(lake, contracts=None):
    """Serve a lake on a free loopback port and give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command, settings = serve.command(lake, contracts, port=port)
    # From a folder that holds no configuration of ours, as an installed command would be.
    with subprocess.Popen(
        command,
        env={**os.environ, **settings},
        cwd="/",
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            address = f"http://127.0.0.1:{port}"
            for _ in range(300):
                try:
                    with urllib.request.urlopen(f"{address}/_stcore/health", timeout=1):
                        break
                except OSError:
                    time.sleep(0.1)
            yield address
        finally:
            process.terminate()
