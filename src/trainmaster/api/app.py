"""The application: routes, errors, and what needs no token."""

from __future__ import annotations

from fastapi import FastAPI, Response

from trainmaster import __version__
from trainmaster.alarms.desk import Desk
from trainmaster.api import (
    alarms,
    cluster,
    document,
    forecast,
    foresight,
    logs,
    problems,
    services,
    tasks,
    triggers,
    whatif,
    workflows,
)
from trainmaster.api.deps import Serving
from trainmaster.api.metrics import exposition
from trainmaster.domain.ids import UserName
from trainmaster.domain.task import LOCAL_USER
from trainmaster.service.service import Service


def make_app(
    service: Service,
    desk: Desk,
    registry: services.Registry,
    *,
    auth: bool = True,
    anonymous: UserName = LOCAL_USER,
) -> FastAPI:
    """`auth=False` lets everybody do everything as `anonymous`: only for tests and closed machines.

    `app.state.service` may be replaced at any time: every request asks for it anew.
    """
    app = FastAPI(
        title="Trainmaster",
        version=__version__,
        summary="Schedules and runs training tasks, and can always say why.",
        responses=problems.RESPONSES,
        docs_url="/docs",
        redoc_url=None,
    )
    app.state.service = service
    app.state.desk = desk
    app.state.registry = registry
    app.state.auth = auth
    app.state.anonymous = anonymous
    problems.install(app)
    document.install(app)
    app.include_router(tasks.router)
    app.include_router(logs.router)
    app.include_router(cluster.router)
    app.include_router(forecast.router)
    app.include_router(triggers.router)
    app.include_router(alarms.router)
    app.include_router(services.router)
    app.include_router(workflows.router)
    app.include_router(whatif.router)
    app.state.replays = whatif.Replays()
    app.include_router(foresight.router)
    app.state.foresights = foresight.Foresights()

    @app.get("/v1/health", tags=["cluster"], summary="Is the service well? Needs no token")
    async def health(service: Serving, response: Response) -> dict[str, str]:
        trouble = service.loop.trouble or service.failed
        if trouble is not None:
            response.status_code = 503
        return {"status": "ok" if trouble is None else str(trouble), "version": __version__}

    @app.get("/metrics", tags=["cluster"], summary="For Prometheus. Needs no token", response_class=Response)
    async def metrics(service: Serving) -> Response:
        body, kind = exposition(service)
        return Response(body, media_type=kind)

    return app
