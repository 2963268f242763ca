"""Errors as problem+json (RFC 9457): every one has a code, a sentence, and a remedy."""

from __future__ import annotations

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

from trainmaster.api.requests import unknown_field
from trainmaster.domain.errors import TrainmasterError

log = structlog.get_logger(__name__)


class Problem(BaseModel):
    """What went wrong and what to do about it."""

    type: str = Field(examples=["urn:trainmaster:unplaceable"])
    title: str = Field(examples=["Unprocessable Content"])
    status: int = Field(examples=[422])
    code: str = Field(examples=["unplaceable"])
    detail: str = Field(examples=["no node can ever run this: 4 GPUs asked for, the largest node has 2 (g1)"])
    remedy: str = Field(examples=["ask for fewer, or spread it: --workers 4 --gpus 1"])
    fields: dict[str, Any] = {}


def problem(
    status: int, code: str, detail: str, remedy: str, fields: dict[str, Any] | None = None
) -> JSONResponse:
    body = Problem(
        type=f"urn:trainmaster:{code}",
        title=code.replace("-", " ").capitalize(),
        status=status,
        code=code,
        detail=detail,
        remedy=remedy,
        fields=fields or {},
    )
    headers = {"Retry-After": "2"} if status == 503 else {}
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse(
        body.model_dump(mode="json"), status, headers=headers, media_type="application/problem+json"
    )


RESPONSES: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": text}
    for status, text in {
        400: "The request cannot be read",
        401: "No valid token",
        403: "The token's role does not allow this",
        404: "No such thing",
        409: "It conflicts with the present state",
        422: "It can never be right",
        429: "A quota is used up",
        503: "The database does not answer; try again",
        507: "The disk is full",
    }.items()
}


def install(app: FastAPI) -> None:
    """Translate every error; nothing of the inside reaches a client."""

    @app.exception_handler(TrainmasterError)
    async def ours(request: Request, error: TrainmasterError) -> JSONResponse:
        return problem(error.status, error.code, error.message, error.remedy, error.fields)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = error.errors()
        # A name written wrongly often is why another is missing, so it is told first.
        first = next((e for e in errors if e["type"] == "extra_forbidden"), errors[0])
        path, message = [part for part in first["loc"] if part != "body"], first["msg"]
        if first["type"] == "extra_forbidden" and (body := request.scope["route"].body_field) is not None:
            message = unknown_field(body.field_info.annotation, path)
        where = ".".join(map(str, path))
        detail = f"{where}: {message}" if where else message
        return problem(422, "invalid-request", detail, "see the request's schema at /docs", {"field": where})

    @app.exception_handler(HTTPException)
    async def http(request: Request, error: HTTPException) -> JSONResponse:
        code = {404: "not-found", 405: "method-not-allowed"}.get(error.status_code, "http-error")
        response = problem(error.status_code, code, str(error.detail), "see the interface at /docs")
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(Exception)
    async def unexpected(request: Request, error: Exception) -> JSONResponse:
        log.exception("request failed", path=request.url.path, exc_info=error)
        return problem(
            500, "internal", "the service met an unexpected error", "see its log; the state is safe"
        )
