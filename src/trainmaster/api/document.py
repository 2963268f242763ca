"""The OpenAPI document, as the service really answers."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI

# Routes that do not answer with JSON, and what they answer with.
_MEDIA = {
    "/v1/events/stream": "text/event-stream",
    "/v1/tasks/{task}/logs/stream": "text/event-stream",
    "/v1/tasks/{task}/logs/download": "application/octet-stream",
    "/metrics": "text/plain",
}


def install(app: FastAPI) -> None:
    """Say problem+json where problems are answered, and the true media type of streams."""
    make = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            document = make()
            for path, operations in document["paths"].items():
                for operation in operations.values():
                    _correct(path, operation["responses"])
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}]
            app.openapi_schema = document
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]


def _correct(path: str, responses: dict[str, Any]) -> None:
    for status, response in responses.items():
        content = response.get("content", {})
        if int(status) >= 400 and "application/json" in content:
            response["content"] = {"application/problem+json": content["application/json"]}
        elif path in _MEDIA and int(status) < 300:
            response["content"] = {_MEDIA[path]: {"schema": {"type": "string"}}}
