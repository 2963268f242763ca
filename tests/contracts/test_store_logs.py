"""Logs of the `Store` port, over every adapter: bytes kept exactly, pages of lines, search."""

from __future__ import annotations

import asyncio
import itertools
import random
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text as sql

from tests.samples import chunk, ended_run, make_run, make_task
from trainmaster.domain.errors import InvalidQuery
from trainmaster.domain.ids import RunId, TaskId
from trainmaster.domain.lifecycle import TaskState
from trainmaster.domain.run import LogChunk, RunState, Stream
from trainmaster.domain.task import TaskKind
from trainmaster.ports import Batch, LogLine, LogQuery
from trainmaster.store import SqlStore

T = TaskId("t-log")
R = RunId(T, 1, 0)
ALL = LogQuery()


async def put(store: SqlStore, *chunks: LogChunk) -> None:
    await store.commit(Batch(logs=list(chunks)))


async def whole(store: SqlStore, run: RunId = R, stream: Stream = Stream.STDOUT) -> bytes:
    return b"".join([part async for part in store.log_bytes(run.task, stream, run.attempt, run.rank)])


async def forwards(store: SqlStore, query: LogQuery = ALL, limit: int = 7, task: TaskId = T) -> list[LogLine]:
    """Every line, a page at a time from the beginning."""
    lines: list[LogLine] = []
    after: int | None = 0
    while after is not None:
        page = await store.log_page(task, query, limit, after=after)
        assert len(page.lines) <= limit
        lines += page.lines
        after = page.newer
    return lines


async def backwards(
    store: SqlStore, query: LogQuery = ALL, limit: int = 7, task: TaskId = T
) -> list[LogLine]:
    """Every line, a page at a time from the end."""
    page = await store.log_page(task, query, limit)
    lines = page.lines
    while page.older is not None:
        page = await store.log_page(task, query, limit, before=page.older)
        lines = page.lines + lines
    return lines


def texts(lines: list[LogLine]) -> list[str]:
    return [line.text for line in lines]


# --- bytes -------------------------------------------------------------------------------------------------


async def test_a_stream_is_kept_exactly(store: SqlStore) -> None:
    data = (
        bytes(range(256)) * 3
        + "naïve 任务 🚂\r\n".encode()
        + b"\x1b[31mred\x1b[0m\n\0\0\n\xff\xfe' \\ \" %s ?"
    )
    await put(store, chunk(R, data[:100]), chunk(R, data[100:], 100))
    assert await whole(store) == data
    assert await whole(store, stream=Stream.STDERR) == b""


async def test_a_chunk_delivered_again_changes_nothing(store: SqlStore) -> None:
    await put(store, chunk(R, b"one\ntwo\nth"))
    await put(store, chunk(R, b"one\ntwo\nth"))
    await put(store, chunk(R, b"two\nthree\nfo", 4), chunk(R, b"three\n", 8))
    await put(store, chunk(R, b"four\n", 14), chunk(R, b"fo", 14))
    assert await whole(store) == b"one\ntwo\nthree\nfour\n"
    assert texts(await forwards(store)) == ["one", "two", "three", "four"]


async def test_a_chunk_after_a_gap_waits_until_it_is_sent_again(store: SqlStore) -> None:
    await put(store, chunk(R, b"later\n", 6))
    assert await whole(store) == b""
    await put(store, chunk(R, b"later\n", 6), chunk(R, b"first\n", 0))
    assert await whole(store) == b"first\nlater\n"


async def test_offsets_of_live_runs_are_loaded(store: SqlStore) -> None:
    task = make_task(1, TaskState.RUNNING, attempt=1)
    run = make_run(task.id)
    await store.commit(Batch(new_tasks=[task], runs=[run]))
    await put(
        store,
        chunk(run.id, b"abc"),
        chunk(run.id, b"x" * 70_000, stream=Stream.STDERR),
        chunk(run.id, b'{"step": 1}\n', stream=Stream.PROGRESS),
        chunk(run.id, b"", stream=Stream.RAW, last=True),
    )
    await put(store, chunk(run.id, b"abcd"))
    assert (await store.load()).log_offsets == {
        (run.id, Stream.STDOUT): 4,
        (run.id, Stream.STDERR): 70_000,
        (run.id, Stream.PROGRESS): 12,
        (run.id, Stream.RAW): 0,
    }


async def test_offsets_of_streams_that_ended_lately_are_loaded(store: SqlStore) -> None:
    """Their nodes may not know yet that everything is stored, and would send it all again."""
    task = make_task(1, TaskState.SUCCEEDED, ended_at=9.0)
    run = ended_run(task.id)
    await store.commit(Batch(new_tasks=[task], runs=[run], logs=[chunk(run.id, b"text\n", last=True)]))
    assert (await store.load()).log_offsets == {(run.id, Stream.STDOUT): 5}


async def test_progress_is_no_line_for_people(store: SqlStore) -> None:
    await put(store, chunk(R, b'{"step": 1}\n', stream=Stream.PROGRESS), chunk(R, b"hello\n"))
    assert texts(await forwards(store)) == ["hello"]
    assert await forwards(store, LogQuery(streams=(Stream.PROGRESS,))) == []
    assert await whole(store, stream=Stream.PROGRESS) == b""


async def test_a_closed_stream_takes_no_more(store: SqlStore) -> None:
    await put(store, chunk(R, b"end", last=True))
    await put(store, chunk(R, b"end\nmore\n"), chunk(R, b"more\n", 3))
    assert await whole(store) == b"end"
    assert texts(await forwards(store)) == ["end"]


async def test_a_second_process_goes_on_where_the_first_was(store: SqlStore, store_url: str) -> None:
    await put(store, chunk(R, b"be"))
    other = SqlStore(store_url)
    await other.open()
    await put(other, chunk(R, b"begin\nmid", 0))
    await other.close()
    await put(store, chunk(R, b"begin\nmiddle\n", 0))
    assert await whole(store) == b"begin\nmiddle\n"
    assert texts(await forwards(store)) == ["begin", "middle"]


async def test_content_reads_as_text_in_plain_sql(store: SqlStore) -> None:
    await put(store, chunk(R, "größer\n".encode()), chunk(R, b"bad \xff nul \0\n", stream=Stream.STDERR))
    statement = sql("SELECT time, type, content, raw FROM log ORDER BY id")
    rows = await store._database.read(lambda c: c.execute(statement).all())
    assert [tuple(row) for row in rows] == [
        (50.0, "STDOUT", "größer\n", None),
        (50.0, "STDERR", "bad \ufffd nul \ufffd\n", b"bad \xff nul \0\n"),
    ]


async def test_small_chunks_of_one_commit_share_a_row(store: SqlStore) -> None:
    parts = [chunk(R, b"%03d\n" % n, n * 4, time=50.0 + n / 1000) for n in range(200)]
    parts += [chunk(R, b"later\n", 800, time=60.0)]
    await put(store, *parts)
    count = await store._database.read(lambda c: c.exec_driver_sql("SELECT count(*) FROM log").scalar())
    assert count == 2
    times = [line.time for line in await forwards(store, limit=1000)]
    assert times == [50.0] * 200 + [60.0]


# --- lines and pages ---------------------------------------------------------------------------------------


async def test_a_line_over_many_chunks_is_one_line(store: SqlStore) -> None:
    for offset, part in ((0, b"a li"), (4, b"ne in thr"), (13, "ee pärts\r\nnext".encode()[:9])):
        await put(store, chunk(R, part, offset))
    rest = "ee pärts\r\nnext".encode()[9:]
    assert texts(await forwards(store)) == []
    await put(store, chunk(R, rest, 22), chunk(R, b"\n", 22 + len(rest)))
    assert texts(await forwards(store)) == ["a line in three pärts", "next"]


async def test_pages_forwards_and_backwards_hold_the_same_lines(store: SqlStore) -> None:
    runs = [RunId(T, 1, rank) for rank in range(3)]
    offsets = dict.fromkeys(runs, 0)
    expected = []
    chance = random.Random(5)
    for n in range(60):
        run = chance.choice(runs)
        data = b"".join(b"%d-%d\n" % (n, k) for k in range(chance.randint(1, 9)))
        await put(store, chunk(run, data, offsets[run], time=float(n)))
        offsets[run] += len(data)
        expected += data.decode().split()
    for limit in (1, 3, 50, 1000):
        found = await forwards(store, limit=limit)
        assert texts(found) == expected
        assert found == await backwards(store, limit=limit)
    assert len({line.cursor for line in found}) == len(found)
    assert [line.cursor for line in found] == sorted(line.cursor for line in found)


async def test_ends_have_no_cursor(store: SqlStore) -> None:
    await put(store, chunk(R, b"1\n2\n3\n4\n"))
    tail = await store.log_page(T, ALL, 4)
    assert (texts(tail.lines), tail.older, tail.newer) == (["1", "2", "3", "4"], None, None)
    tail = await store.log_page(T, ALL, 2)
    assert texts(tail.lines) == ["3", "4"] and tail.older is not None and tail.newer is None
    first = await store.log_page(T, ALL, 4, after=0)
    assert (texts(first.lines), first.older, first.newer) == (["1", "2", "3", "4"], None, None)
    middle = await store.log_page(T, ALL, 2, after=first.lines[0].cursor)
    assert texts(middle.lines) == ["2", "3"] and middle.newer == middle.lines[-1].cursor
    assert texts((await store.log_page(T, ALL, 9, before=middle.older)).lines) == ["1"]
    nothing = await store.log_page(TaskId("t-none"), ALL, 5)
    assert (nothing.lines, nothing.older, nothing.newer, nothing.complete) == ([], None, None, False)


async def test_following_a_growing_log(store: SqlStore) -> None:
    seen: list[str] = []
    after, offset = 0, 0
    for n in range(30):
        data = b"line %d\npar" % n if n % 3 else b"tial\n"
        await put(store, chunk(R, data, offset))
        offset += len(data)
        page = await store.log_page(T, ALL, 5, after=after)
        seen += texts(page.lines)
        after = page.newer or (page.lines[-1].cursor if page.lines else after)
    assert seen == (await whole(store)).decode().split("\n")[:-1]


async def test_readers_see_every_line_once_while_others_write(store: SqlStore) -> None:
    async def write(rank: int) -> None:
        offset = 0
        for n in range(40):
            data = b"%d:%d\n%d" % (rank, 2 * n, rank) + b":%d\n" % (2 * n + 1)
            await put(store, chunk(RunId(T, 1, rank), data, offset))
            offset += len(data)

    async def follow(limit: int) -> list[LogLine]:
        lines: list[LogLine] = []
        after = 0
        while len(lines) < 240:
            page = await store.log_page(T, ALL, limit, after=after)
            lines += page.lines
            after = page.newer or (page.lines[-1].cursor if page.lines else after)
        return lines

    *_, one, two = await asyncio.gather(*(write(rank) for rank in range(3)), follow(3), follow(100))
    assert one == two
    for rank in range(3):
        assert [line.text for line in one if line.rank == rank] == [f"{rank}:{n}" for n in range(80)]


async def test_unfinished_lines_are_shown_on_request(store: SqlStore) -> None:
    live = LogQuery(unfinished=True)
    await put(
        store, chunk(R, b"done\n 10%\r 20%"), chunk(R, b"error: \xf0\x9f", stream=Stream.STDERR, time=51.0)
    )
    page = await store.log_page(T, live, 5)
    assert [(line.text, line.unfinished) for line in page.lines] == [
        ("done", False),
        (" 20%", True),
        ("error: \ufffd", True),
    ]
    assert len({line.cursor for line in page.lines}) == 1
    assert texts((await store.log_page(T, ALL, 5)).lines) == ["done"]
    await put(store, chunk(R, b"\r 30%\n", 14))
    page = await store.log_page(T, live, 5, after=page.lines[-1].cursor)
    assert texts(page.lines) == [" 10%\r 20%\r 30%", "error: \ufffd"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (LogQuery(streams=(Stream.STDERR,)), ["e0", "e1"]),
        (LogQuery(streams=(Stream.STDERR, Stream.RAW)), ["e0", "raw", "e1"]),
        (LogQuery(rank=1), ["o1", "e1"]),
        (LogQuery(attempt=2), ["again"]),
        (LogQuery(attempt=1, rank=0), ["o0", "e0", "raw"]),
        (LogQuery(rank=7), []),
        (LogQuery(since=13.0), ["o1", "e1", "again"]),
        (LogQuery(until=11.0), ["o0", "e0"]),
        (LogQuery(since=11.0, until=13.0, streams=(Stream.STDOUT,)), ["o1"]),
        (LogQuery(text="a"), ["raw", "again"]),
        (LogQuery(text="A"), []),
        (LogQuery(text=r"^[eo]\d$", regex=True), ["o0", "e0", "o1", "e1"]),
        (LogQuery(text="1", rank=1, streams=(Stream.STDERR,)), ["e1"]),
        (LogQuery(text=".*", regex=False), []),
    ],
)
async def test_filters(store: SqlStore, query: LogQuery, expected: list[str]) -> None:
    one, again = RunId(T, 1, 1), RunId(T, 2, 0)
    await put(store, chunk(R, b"o0\n", time=10.0), chunk(R, b"e0\n", stream=Stream.STDERR, time=11.0))
    await put(store, chunk(R, b"raw\n", stream=Stream.RAW, time=12.0), chunk(one, b"o1\n", time=13.0))
    await put(
        store, chunk(one, b"e1\n", stream=Stream.STDERR, time=14.0), chunk(again, b"again\n", time=15.0)
    )
    await put(store, chunk(RunId(TaskId("t-other"), 1, 0), b"other task a1\n", time=13.0))
    for limit in (1, 2, 100):
        assert texts(await forwards(store, query, limit)) == expected
        assert texts(await backwards(store, query, limit)) == expected


async def test_more_workers_than_are_read_one_by_one(store: SqlStore) -> None:
    runs = [RunId(T, 1, rank) for rank in range(20)]
    await put(store, *(chunk(run, b"out\n") for run in runs))
    await put(store, *(chunk(run, b"err %d\n" % run.rank, stream=Stream.STDERR) for run in runs))
    query = LogQuery(streams=(Stream.STDERR,))
    assert texts(await forwards(store, query)) == [f"err {rank}" for rank in range(20)]
    assert await backwards(store, query) == await forwards(store, query)


async def test_a_wrong_pattern_is_refused(store: SqlStore) -> None:
    with pytest.raises(InvalidQuery):
        await store.log_page(T, LogQuery(text="(", regex=True), 5)


# --- trouble -----------------------------------------------------------------------------------------------


async def test_a_ten_megabyte_line_harms_nothing(store: SqlStore) -> None:
    line = b"<" + b"0123456789" * 1_000_000 + b">"
    data = b"before\n" + line + b"\nafter\n"
    for offset in range(0, len(data), 256 * 1024):
        await put(store, chunk(R, data[offset : offset + 256 * 1024], offset))
    found = await forwards(store)
    assert [line.text[:6] for line in found] == ["before", "<01234", "after"]
    assert len(found[1].text) < 70_000 and "cut" in found[1].text[-80:]
    assert found == await backwards(store, limit=1)
    assert texts((await store.log_page(T, LogQuery(text="after"), 3)).lines) == ["after"]
    assert await whole(store) == data


async def test_binary_output_is_shown_as_far_as_it_can_be(store: SqlStore) -> None:
    data = random.Random(1).randbytes(300_000)
    for offset in range(0, len(data), 70_000):
        await put(store, chunk(R, data[offset : offset + 70_000], offset))
    await put(store, chunk(R, b"", len(data), last=True))
    assert await whole(store) == data
    found = await forwards(store, limit=500)
    assert len(found) == len(data.split(b"\n"))
    assert found == await backwards(store, limit=333)
    assert not any("\0" in line.text for line in found)


async def test_a_search_goes_on_from_page_to_page_and_holds_little_in_memory(store: SqlStore) -> None:
    line = b"epoch 12 loss 0.123 accuracy 0.987 ......................................\n"
    bite = line * 3400
    offset = 0
    for n in range(100):
        data = bite + (b"NEEDLE %d\n" % n if n in (3, 97) else b"")
        await put(store, chunk(R, data, offset))
        offset += len(data)
    query = LogQuery(text="NEEDLE")
    tracemalloc.start()
    page = await store.log_page(T, query, 100, after=0)
    pages, found = 1, page.lines
    while page.newer is not None:
        page = await store.log_page(T, query, 100, after=page.newer)
        found, pages = found + page.lines, pages + 1
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert texts(found) == ["NEEDLE 3", "NEEDLE 97"]
    assert pages > 1, "25 MB are more than one page looks at"
    assert peak < 12e6
    assert texts(await backwards(store, query, 1)) == ["NEEDLE 3", "NEEDLE 97"]


_count = itertools.count()


@given(
    data=st.one_of(
        st.binary(max_size=400),
        st.text(alphabet="ab\n\r\0é🚂\x1b'\\%", max_size=200).map(lambda text: text.encode()),
        st.integers(65_530, 65_545).map(lambda n: b"x" * n + b"\ny\n"),
        st.integers(65_526, 65_540).map(
            lambda n: "é".encode() * (n // 2) + b"z" * (n % 2) + b"\n" + b"w" * 70_000
        ),
    ),
    chance=st.randoms(use_true_random=False),
)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_any_bytes_in_any_pieces_read_back_exactly(
    store: SqlStore, data: bytes, chance: random.Random
) -> None:
    # Counted, not drawn: examples share the store, and neither a run nor a batch may come twice by chance.
    run = RunId(TaskId(f"t-pieces-{next(_count)}"), 1, 0)
    stored, step = 0, max(40, len(data) // 10)
    while stored < len(data):
        # Each piece begins somewhere in what is stored already, as after a lost acknowledgement.
        pieces = []
        for _ in range(chance.randint(1, 3)):
            begin = chance.choice([stored, chance.randint(0, stored)])
            end = chance.choice([min(begin + chance.randint(0, step), len(data)), len(data)])
            pieces.append(chunk(run, data[begin:end], begin))
            stored = max(stored, end)
        chance.shuffle(pieces)
        again = Batch(id=f"pieces-{next(_count)}", logs=pieces)
        await store.commit(again)
        if chance.random() < 0.3:
            await store.commit(again)
    await put(store, chunk(run, data[-3:], max(len(data) - 3, 0), last=True))
    assert await whole(store, run) == data
    lines = data.split(b"\n")
    if not lines[-1]:
        lines.pop()
    for found in (
        await forwards(store, limit=40, task=run.task),
        await backwards(store, limit=40, task=run.task),
    ):
        assert len(found) == len(lines)
        for line, expected in zip(found, lines, strict=True):
            if len(expected) < 65_000:
                readable = expected.decode("utf-8", "replace").replace("\0", "\ufffd").removesuffix("\r")
                assert line.text == readable


# --- is it all there? --------------------------------------------------------------------------------------


async def is_complete(store: SqlStore, task: TaskId) -> bool:
    return (await store.log_page(task, ALL, 5)).complete


async def test_a_log_is_complete_once_the_task_and_all_its_streams_have_ended(store: SqlStore) -> None:
    task = make_task(1, TaskState.RUNNING, attempt=1)
    run = ended_run(task.id)
    await store.commit(Batch(new_tasks=[task], runs=[run]))
    await put(store, chunk(run.id, b"text\n", last=True), chunk(run.id, b"", stream=Stream.STDERR, last=True))
    assert not await is_complete(store, task.id), "the task goes on"
    over = replace(task, state=TaskState.SUCCEEDED, ended_at=9.0)
    await store.commit(Batch(tasks=[over]))
    assert await is_complete(store, task.id)
    first = await store.log_page(task.id, ALL, 5, after=0)
    assert first.complete and first.newer is None


async def test_a_log_waits_for_streams_that_have_not_arrived(store: SqlStore) -> None:
    task = make_task(1, TaskState.SUCCEEDED, ended_at=9.0)
    run = ended_run(task.id)
    await store.commit(Batch(new_tasks=[task], runs=[run]))
    assert not await is_complete(store, task.id), "nothing has arrived"
    await put(store, chunk(run.id, b"a", last=True))
    assert not await is_complete(store, task.id), "STDERR has not"
    await put(store, chunk(run.id, b"b", stream=Stream.STDERR))
    assert not await is_complete(store, task.id), "STDERR goes on"
    await put(store, chunk(run.id, b"b", stream=Stream.STDERR, last=True))
    assert await is_complete(store, task.id)


@pytest.mark.parametrize("how", ["never began", "lost", "function", "terminal", "cancelled before any run"])
async def test_a_log_does_not_wait_for_streams_that_will_never_come(store: SqlStore, how: str) -> None:
    kind = {"kind": TaskKind.FUNCTION, "function": "a:b", "command": ()} if how == "function" else {}
    task = make_task(1, TaskState.FAILED, ended_at=9.0, **kind)
    run = ended_run(task.id)
    if how == "never began":
        run = replace(run, started_at=None)
    elif how == "lost":
        run = replace(run, state=RunState.LOST, exit=None)
        await put(store, chunk(run.id, b"cut off"))
    elif how == "terminal":
        await put(store, chunk(run.id, b"tty\n", stream=Stream.RAW, last=True))
    runs = [] if how == "cancelled before any run" else [run]
    await store.commit(Batch(new_tasks=[task], runs=runs))
    assert await is_complete(store, task.id)


# --- retention ---------------------------------------------------------------------------------------------


async def test_expire_takes_old_log_rows_and_paging_goes_on(store: SqlStore) -> None:
    for n in range(6):
        await put(store, chunk(R, b"line %d\n" % n, n * 7, time=float(n)))
    page = await store.log_page(T, ALL, 2)
    done = await store.expire(tasks_before=0.0, records_before=0.0, logs_before=2.5, limit=2)
    assert done["logs"] == 2
    done = await store.expire(tasks_before=0.0, records_before=0.0, logs_before=2.5, limit=2)
    assert done["logs"] == 1
    assert texts(await forwards(store)) == ["line 3", "line 4", "line 5"]
    assert texts((await store.log_page(T, ALL, 2, before=page.older)).lines) == ["line 3"]
    assert await whole(store) == b"line 3\nline 4\nline 5\n"
    await put(store, chunk(R, b"line 6\n", 42))
    assert texts(await backwards(store))[-1] == "line 6"


async def test_expiring_a_task_takes_its_log(store: SqlStore) -> None:
    task = make_task(1, TaskState.SUCCEEDED, ended_at=1.0)
    run = ended_run(task.id)
    await store.commit(Batch(new_tasks=[task], runs=[run], logs=[chunk(run.id, b"a\nb")]))
    await store.expire(tasks_before=2.0, records_before=0.0, logs_before=0.0, limit=5)
    assert await whole(store, run.id) == b""
    assert (await store.load()).log_offsets == {}


async def test_expiring_a_task_with_a_long_log_goes_in_bites(store: SqlStore) -> None:
    task = make_task(1, TaskState.SUCCEEDED, ended_at=1.0)
    other = make_task(2, TaskState.SUCCEEDED, ended_at=2.0)
    run = ended_run(task.id)
    await store.commit(Batch(new_tasks=[task, other], runs=[run]))
    await put(store, *(chunk(run.id, b"line\n", n * 5, time=n * 2.0) for n in range(600)))
    done = []
    while not done or any(done[-1].values()):
        done.append(await store.expire(tasks_before=9.0, records_before=0.0, logs_before=0.0, limit=50))
    assert [d["logs"] for d in done] == [125, 125, 125, 125, 100, 0]
    assert [d["tasks"] for d in done] == [0, 0, 0, 0, 2, 0]
    assert await store.counts() == {}
