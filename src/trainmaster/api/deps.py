"""What every route needs: the service, and who is asking."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from trainmaster.domain.ids import TaskId
from trainmaster.domain.task import Task
from trainmaster.service.access import Person, Role
from trainmaster.service.service import Service

COOKIE = "trainmaster"


def service_of(request: Request) -> Service:
    return cast(Service, request.app.state.service)


def token_of(request: Request) -> str | None:
    """From the Authorization header, else from the page's cookie."""
    header = request.headers.get("authorization", "")
    if header.lower().startswith("bearer "):
        return header[7:].strip()
    return request.cookies.get(COOKIE)


async def person_of(request: Request) -> Person:
    service = service_of(request)
    if not request.app.state.auth:
        return Person(request.app.state.anonymous, Role.ADMIN, "")
    return await service.access.recognise(token_of(request))


def submitter(person: Annotated[Person, Depends(person_of)]) -> Person:
    person.must_be(Role.SUBMITTER)
    return person


def operator(person: Annotated[Person, Depends(person_of)]) -> Person:
    person.must_be(Role.OPERATOR)
    return person


def admin(person: Annotated[Person, Depends(person_of)]) -> Person:
    person.must_be(Role.ADMIN)
    return person


Serving = Annotated[Service, Depends(service_of)]
Viewer = Annotated[Person, Depends(person_of)]
Submitter = Annotated[Person, Depends(submitter)]
Operator = Annotated[Person, Depends(operator)]
Admin = Annotated[Person, Depends(admin)]


async def task_in_path(task: str, service: Serving) -> TaskId:
    """Accepts an unambiguous beginning of an id."""
    return await service.resolve(task)


async def own_task(
    task: Annotated[TaskId, Depends(task_in_path)], service: Serving, person: Submitter
) -> Task:
    """The task in the path, which the person may change."""
    found = await service.task(task)
    person.must_own(found.spec.user)
    return found


TaskInPath = Annotated[TaskId, Depends(task_in_path)]
OwnTask = Annotated[Task, Depends(own_task)]
