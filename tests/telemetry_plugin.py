"""A plugin for the tests of a project: everything that leaves by telemetry or a log, and a search.

It records each token, proof and claim that the tests make, each credential that a test client sends
or gets, all spans, metrics and log records, and looks for one in the other. `TELEMETRY_FOUND` names
the file for what it found.
"""

import json
import logging
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from opentelemetry import _logs, metrics, trace
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

PUBLIC = ("iss", "aud", "azp", "client_id", "htu", "htm", "iat", "exp", "nbf", "auth_time", "sid")
LINK = " link for "  # in development the issuer writes its links to the log, and nowhere else
HEADERS = ("authorization", "x-api-key", "dpop", "cookie")
MEMBERS = ("password", "new_password", "token", "access_token", "refresh_token", "key", "email")
SHORTEST = 8  # characters; anything shorter is found everywhere

spans = InMemorySpanExporter()
records = InMemoryLogRecordExporter()  # type: ignore[no-untyped-call]
reader = InMemoryMetricReader()
secrets: set[str] = set()
lines: list[str] = []


class Lines(logging.Handler):
    """What the loggers of the application and of the libraries write."""

    def emit(self, record: logging.LogRecord) -> None:
        line = logging.Formatter().format(record)
        if not record.name.startswith("httpx2") and LINK not in line:  # httpx2: the test client
            lines.append(line)


def note(signed: str, payload: Any) -> None:
    """Keep a token or proof, its parts, and its claims, for the search."""
    secrets.add(signed)
    secrets.update(part for part in signed.split(".")[1:])
    for name, value in payload.items() if isinstance(payload, dict) else ():
        if name not in PUBLIC:
            secrets.update(str(item) for item in (value if isinstance(value, list) else [value]))


def note_request(request: Any, response: Any) -> None:
    """Keep what a request or its response carries of credentials."""
    for name in HEADERS:
        secrets.update(request.headers.get(name, "").split(" ")[-1:])
    for message in (request, response):
        with suppress(ValueError, RuntimeError):  # no JSON; a stream
            body = json.loads(message.content)
            for name in MEMBERS if isinstance(body, dict) else ():
                if isinstance(body.get(name), str):
                    secrets.add(body[name])


def pytest_configure() -> None:
    tracing = TracerProvider()
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(MeterProvider([reader]))
    logs = LoggerProvider()
    logs.add_log_record_processor(SimpleLogRecordProcessor(records))
    _logs.set_logger_provider(logs)
    logging.getLogger().addHandler(Lines())


def pytest_collection_finish() -> None:
    from memory_tenant import Tenant  # type: ignore[import-not-found]  # of the project

    sign, proof = Tenant.sign, Tenant.proof

    def noted_sign(self: Any, header: Any, payload: Any) -> str:
        signed: str = sign(self, header, payload)
        note(signed, payload)
        return signed

    def noted_proof(self: Any, *args: Any, **named: Any) -> str:
        signed: str = proof(self, *args, **named)
        note(signed, {})
        return signed

    Tenant.sign, Tenant.proof = noted_sign, noted_proof
    send = TestClient.send

    def noted_send(self: Any, request: Any, **named: Any) -> Any:
        response = send(self, request, **named)
        note_request(request, response)
        return response

    TestClient.send = noted_send  # type: ignore[method-assign]


def pytest_sessionfinish(session: pytest.Session) -> None:
    exported = reader.get_metrics_data()
    left = {
        "span": [span.to_json() for span in spans.get_finished_spans()],
        "metric": [exported.to_json()] if exported else [],
        "log": [record.to_json() for record in records.get_finished_logs()],
        "line": lines,
    }
    wanted = sorted(secret for secret in secrets if len(secret) >= SHORTEST)
    found = []
    for kind, texts in left.items():
        whole = "\n".join(texts)
        found += [f"{kind}: {secret[:60]}" for secret in wanted if secret in whole]
    counts = {kind: len(texts) for kind, texts in left.items()} | {"secrets": len(wanted)}
    kept = {
        metric["name"]: metric["data"]["data_points"]
        for text in left["metric"]
        for resource in json.loads(text)["resource_metrics"]
        for scope in resource["scope_metrics"]
        for metric in scope["metrics"]
    }
    reasons = [point["attributes"]["reason"] for point in kept.get("auth.refusals", [])]
    report = {"found": found, "counts": counts, "metrics": list(kept), "reasons": reasons}
    Path(os.environ["TELEMETRY_FOUND"]).write_text(json.dumps(report), encoding="utf-8")
