"""The interface keeps its own promises: random requests by its OpenAPI document meet no server error."""

from __future__ import annotations

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance

from tests.live import Live

# Streams do not end by themselves; tests/integration/test_streams.py covers them.
STREAMS = ["/v1/events/stream", "/v1/tasks/{task}/logs/stream"]


@pytest.mark.timeout(600)
def test_no_request_breaks_the_service(shared_service: Live) -> None:
    schema = schemathesis.openapi.from_url(f"{shared_service.url}/openapi.json").exclude(path=STREAMS)
    headers = {"Authorization": f"Bearer {shared_service.token}"}
    tried = 0
    for result in schema.get_all_operations():
        operation = result.ok()

        @settings(
            max_examples=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy())
        def holds(case: schemathesis.Case) -> None:
            response = case.call(headers=headers)
            case.validate_response(
                response, checks=[not_a_server_error, content_type_conformance, response_schema_conformance]
            )

        holds()
        tried += 1
    assert tried >= 20
    with shared_service.client() as client:
        assert client.get("/v1/health").status_code == 200


def test_the_document_is_complete(shared_service: Live) -> None:
    with shared_service.client() as client:
        document = client.get("/openapi.json").json()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("summary"), (method, path)
            assert {"401", "404", "422", "503"} <= set(operation["responses"]), (method, path)
