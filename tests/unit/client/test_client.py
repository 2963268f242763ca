"""The client against answers made up here: retries, streams that break, errors that come back as ours."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from trainmaster.client import AsyncClient, Client, Refused, Unreachable
from trainmaster.client import errors as client_errors
from trainmaster.client.build import build, to_json
from trainmaster.client.errors import from_problem
from trainmaster.client.locate import data_folder, locate
from trainmaster.client.sse import Parser
from trainmaster.client.types import LogLine, LogPage, Quota
from trainmaster.domain import errors as domain_errors
from trainmaster.domain.errors import IdempotencyConflict, TrainmasterError

Answer = Callable[[httpx2.Request], httpx2.Response]
QUOTA = {"user": "ann", "running_workers": 2, "queued_tasks": None}


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def client_for(answers: list[Answer], retry_s: float = 30.0) -> tuple[Client, list[httpx2.Request]]:
    """A client whose requests are answered by these functions in turn; the last one answers all others."""
    asked: list[httpx2.Request] = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return answers[min(len(asked), len(answers)) - 1](request)

    client = Client("http://service.test", "secret", retry_s=retry_s)
    client._connection = httpx2.Client(transport=httpx2.MockTransport(answer), base_url="http://service.test")
    return client, asked


def says(body: Any, status: int = 200) -> Answer:
    return lambda request: httpx2.Response(status, json=body)


def refuses(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ConnectError("Connection refused")


def breaks(request: httpx2.Request) -> httpx2.Response:
    raise httpx2.ReadError("connection lost")


BUSY = says({"code": "store-unavailable", "detail": "the database is away", "remedy": "wait"}, 503)


def test_never_reached_is_told_at_once() -> None:
    client, asked = client_for([refuses])
    with client, pytest.raises(Unreachable, match=r"no service answers at http://service\.test"):
        client.quotas()
    assert len(asked) == 1


def test_a_service_that_answered_once_may_restart() -> None:
    client, asked = client_for([says([QUOTA]), refuses, breaks, says([])])
    with client:
        assert client.quotas() == [Quota("ann", 2, None)]
        assert client.quotas() == []
    assert len(asked) == 4


def test_submitting_is_repeated_under_one_key_while_the_database_is_away() -> None:
    task = {"code": "invalid-task", "detail": "cpus: no", "remedy": "less", "fields": {"field": "cpus"}}
    client, asked = client_for([BUSY, BUSY, says(task, 422)])
    with client, pytest.raises(domain_errors.InvalidTask) as caught:
        client.submit(command=["true"])
    assert (caught.value.message, caught.value.remedy) == ("cpus: no", "less")
    assert caught.value.fields == {"field": "cpus"}
    keys = {request.headers["Idempotency-Key"] for request in asked}
    assert len(asked) == 3
    assert len(keys) == 1


def test_what_may_not_be_repeated_is_not() -> None:
    client, asked = client_for([says([QUOTA]), breaks])
    with client:
        client.quotas()
        with pytest.raises(Unreachable):
            client.submit_many([{"command": ["true"]}])
    assert len(asked) == 2


def test_patience_ends() -> None:
    client, asked = client_for([BUSY], retry_s=0.0)
    with client, pytest.raises(domain_errors.StoreUnavailable, match="the database is away"):
        client.nodes()
    assert len(asked) == 1


def stream(*lines: str, broken: bool = False) -> Answer:
    """Server-sent events; if `broken`, the connection is lost after them."""

    def body() -> Iterator[bytes]:
        for line in lines:
            yield f"{line}\n".encode()
        if broken:
            raise httpx2.ReadError("connection lost")

    return lambda request: httpx2.Response(200, content=body())


def _line(cursor: int, text: str) -> dict[str, Any]:
    return {"cursor": cursor, "time": 0.0, "stream": "STDOUT", "attempt": 1, "rank": 0, "text": text}


def test_following_goes_on_after_the_last_line_it_had() -> None:
    first = stream("id: 7", "event: lines", f"data: {json.dumps([_line(7, 'a')])}", "", broken=True)
    second = stream(
        ": still here", "", "id: 8", "event: lines", f"data: {json.dumps([_line(8, 'b')])}", "",
        "event: end", "data: {}", "",
    )  # fmt: skip
    client, asked = client_for([first, refuses, second])
    with client:
        assert [line.text for line in client.follow("t-1")] == ["a", "b"]
    assert "last-event-id" not in asked[0].headers
    assert asked[2].headers["last-event-id"] == "7"


def test_a_refused_stream_raises_what_was_wrong() -> None:
    unknown = says({"code": "unknown-task", "detail": "there is no task t-1", "remedy": ""}, 404)
    client, asked = client_for([unknown])
    with client, pytest.raises(domain_errors.UnknownTask):
        list(client.follow("t-1"))
    assert len(asked) == 1


def test_ids_are_one_segment_of_the_path_whatever_they_contain() -> None:
    client, asked = client_for([says({"code": "unknown-task", "detail": "no"}, 404)])
    with client, pytest.raises(domain_errors.UnknownTask):
        client.task("../tokens?x=1#")
    assert asked[0].url.raw_path == b"/v1/tasks/..%2Ftokens%3Fx%3D1%23"


@pytest.mark.parametrize(
    "cls",
    [
        cls
        for cls in vars(domain_errors).values()
        if isinstance(cls, type) and issubclass(cls, TrainmasterError) and cls is not TrainmasterError
    ],
)
def test_every_domain_error_comes_back_as_itself(cls: type[TrainmasterError]) -> None:
    body = {"code": cls.code, "detail": "what", "remedy": "do", "fields": {"task": "t-1", "remedy": "odd"}}
    error = from_problem(409, body)
    assert type(error) is cls
    assert (error.message, error.remedy, error.fields) == ("what", "do", {"task": "t-1"})


def test_other_errors_are_refusals_with_their_code() -> None:
    error = from_problem(403, {"code": "forbidden", "detail": "no", "remedy": "ask"})
    assert isinstance(error, Refused)
    assert (error.code, error.status) == ("forbidden", 403)
    assert "without saying why" in from_problem(502, "<html>").message
    assert client_errors.Refused.code == "refused"  # the class is unharmed
    assert IdempotencyConflict.status == 409


def test_fields_of_a_newer_service_are_passed_over() -> None:
    page = {"lines": [_line(1, "x") | {"new": 1}], "older": None, "newer": None, "complete": True, "more": 2}
    built = build(LogPage, page)
    assert built.lines == [LogLine(1, 0.0, "STDOUT", 1, 0, "x")]
    assert to_json(built.lines) == [_line(1, "x")]


def test_events_of_a_stream() -> None:
    parser = Parser()
    lines = [": hello", "", "id: 5", "event: a", 'data: {"x":', "data: 1}", "", 'data: "plain"', ""]
    events = [event for line in lines if (event := parser.feed(line)) is not None]
    assert [(event.kind, event.data, event.id) for event in events] == [
        ("a", {"x": 1}, 5),
        ("message", "plain", 5),
    ]


def test_both_clients_offer_the_same() -> None:
    def offered(cls: type) -> set[str]:
        return {name for name in vars(cls) if not name.startswith("_")}

    assert offered(Client) == offered(AsyncClient)


class TestWhereTheServiceIs:
    @pytest.fixture(autouse=True)
    def clear(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("URL", "TOKEN", "DATA"):
            monkeypatch.delenv(f"TRAINMASTER_{name}", raising=False)
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        monkeypatch.chdir(tmp_path)

    def keep(self, folder: Path, text: str | None = None) -> None:
        folder.mkdir(exist_ok=True)
        kept = json.dumps({"url": "http://kept:1/", "token": "k", "pid": 7})
        (folder / "credentials.json").write_text(text if text is not None else kept)

    def test_what_is_told_wins(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("TRAINMASTER_URL", "http://variable:2")
        monkeypatch.setenv("TRAINMASTER_TOKEN", "v")
        assert (locate("http://told:3", "t").url, locate("http://told:3", "t").token) == (
            "http://told:3",
            "t",
        )
        assert (locate().url, locate().token) == ("http://variable:2", "v")

    def test_the_data_folder_is_last(self, tmp_path: Path) -> None:
        self.keep(tmp_path / "trainmaster")
        found = locate()
        assert (found.url, found.token, found.pid) == ("http://kept:1", "k", 7)

    def test_a_kept_token_is_not_sent_to_another_service(self, tmp_path: Path) -> None:
        self.keep(tmp_path / "trainmaster")
        assert locate("http://elsewhere:9").token == ""
        assert locate("http://kept:1").token == "k"

    def test_the_configured_folder_counts(self, tmp_path: Path) -> None:
        (tmp_path / "trainmaster.toml").write_text(f'data = "{tmp_path}/other"')
        self.keep(tmp_path / "other")
        assert data_folder() == tmp_path / "other"
        assert locate().url == "http://kept:1"

    @pytest.mark.parametrize("text", ["", "{}", "[1]", '{"url": "x"}', "\0"])
    def test_damaged_credentials_name_the_remedy(self, tmp_path: Path, text: str) -> None:
        self.keep(tmp_path / "trainmaster", text)
        with pytest.raises(Unreachable, match="damaged") as caught:
            locate()
        assert "trainmaster up" in caught.value.remedy
