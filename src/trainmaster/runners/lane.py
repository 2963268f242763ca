"""A lane: a warm process that calls Python functions one after another, in the order they were sent.

Its folder is all it shares with the agent. The agent appends calls to `inbox`, the lane appends to `journal`
a start mark before each call and the outcome after it. What is in the inbox and has no start mark never
began. So nothing needs to be asked or answered: a new agent reads both files and knows what the old one knew.

Before each start the lane takes the lock of the inbox and reads what came in. An agent that holds the lock
and finds no start mark can therefore withdraw a call for certain.

Lines of the inbox: a call `{"run", "fn", "args", "dir", "env"}`, with `"at"` and `"first"` if it is not to
start before a moment (of those due at one moment the one of higher priority `first` goes first),
`{"drop": run, "t": time}`, `{"moved": run}`, `{"stop": run}`, `{"retire": true}`. Lines of the journal:
`{"s": run, "t", "at": sizes}` and `{"d": run, "t", "code", "fault", "detail", "result", "to": sizes}`; sizes
are those of the spool files of stdout, stderr and progress, so that the output of one call is a slice of
them.
"""

from __future__ import annotations

import _signal
import bisect
import faulthandler
import fcntl
import gc
import json
import os
import select
import sys
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NoReturn

from trainmaster.runners import life

INBOX = "inbox"
JOURNAL = "journal"
PING = "ping"
MAX_RESULT = 1024 * 1024  # bytes of JSON a function may return
HINT_EVERY_S = 0.001
_LOOK_EVERY_S = 0.2
_IDLE_S = 600.0
_EARLY_S = 0.003  # to be awake before a call is due
_READ = 1 << 20
_encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":")).encode
_decode = json.JSONDecoder().decode
_quoted = json.encoder.encode_basestring_ascii


class Stopped(BaseException):
    """Raised inside a function that is asked to stop, so that its `finally` blocks run within the grace."""


class Missing(Exception):
    """There is no such function or directory; carries the fault of the outcome."""

    def __init__(self, fault: str, detail: str) -> None:
        super().__init__(detail)
        self.fault = fault


def main(plan: dict[str, Any]) -> NoReturn:
    """Be the lane of the folder in `plan`. Standard streams are its spool files already."""
    os.environ.clear()
    os.environ.update(plan["env"])
    sys.path[:] = plan["sys_path"]
    sys.argv = ["trainmaster-lane"]
    gc.enable()  # the fork-server goes without
    faulthandler.enable()
    # The streams were made when both were /dev/null; a long call's lines are to be seen at once.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    lane = Lane(plan)
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)
    _signal.signal(_signal.SIGTERM, lane.asked_to_stop)
    lane.serve()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(0)


class Lane:
    """Reads calls, makes them, writes down how they went."""

    def __init__(self, plan: dict[str, Any]) -> None:
        folder = plan["lane"]
        self._home = plan["cwd"]
        self._hint = f"lane {plan['serial']}\n".encode()
        self._inbox = os.open(f"{folder}/{INBOX}", os.O_RDONLY | os.O_CLOEXEC)
        self._journal = os.open(
            f"{folder}/{JOURNAL}", os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
        )
        # Opened for both ways: neither ends nor breaks when the other side comes and goes.
        self._ping = os.open(f"{folder}/{PING}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._hints = os.open(plan["hints"], os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        self._progress = os.open(f"{folder}/{life.PROGRESS}", os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._sizes = self._measure()
        self._pid = os.getpid()
        self._offset = 0
        self._part = b""
        self._queue: deque[dict[str, Any]] = deque()
        # Calls with a time, sorted so that the first to be made is the last. Taking from a heap of thousands
        # would cost each of them a sixth of its time.
        self._timed: list[tuple[float, float, float, int, dict[str, Any]]] = []
        self._numbers = 0
        self._activates = plan.get("activate", True)
        self._cold: list[tuple[str, str]] = []  # directory and function of calls to come, not imported yet
        self._seen: set[tuple[str, str]] = set()
        self._primed = 0.0
        self._gone: set[str] = set()  # withdrawn, possibly before we read the call itself
        self._stops: set[str] = set()
        self._retire = False
        self._outcome = b""  # of the last call, written together with the next start mark
        self._hinted = 0.0
        self._owed = False  # something is in the journal that no hint announced
        self._current = ""
        self._calling = False
        self._changed: dict[
            bytes, bytes | None
        ] = {}  # variables set for the last call: what they were before
        self._directory = ""
        self._functions: dict[tuple[str, str], Callable[..., Any]] = {}
        self._modules: dict[str, dict[str, Any]] = {}  # modules that came from a directory, by directory
        self._looked: dict[str, float] = {}  # when the modules of a directory were last compared with files
        self._stamps: dict[str, dict[str, tuple[int, int]]] = {}

    def serve(self) -> None:
        """Until retired, or alone: idle for ten minutes while no agent listens."""
        while True:
            call = self._claim()
            if call is not None:
                self._outcome, stopped = self._do(call)
                if stopped:
                    # What the function started may be alive still; our shim kills it once we are gone.
                    self._write(self._outcome)
                    return
                continue
            if self._owed:
                self._say()
            if self._retire and not self._timed:
                return
            if self._timed:
                self._activate()
            if not self._wait():
                return

    def _wait(self) -> bool:
        """Until there is news or a call is due. False if nobody has said anything for very long."""
        wait_s = _IDLE_S
        if self._timed:
            due = -self._timed[-1][0]
            wait_s = due - time.time()
            if wait_s > _EARLY_S:
                wait_s -= _EARLY_S
            elif self._primed != due:
                self._primed = due
                self._prime(self._timed[-1][-1])
                wait_s = due - time.time()
        # To the microsecond, which poll and epoll do not offer.
        if select.select([self._ping], (), (), max(min(wait_s, _IDLE_S), 0.0))[0]:
            try:
                os.read(self._ping, 65536)
            except BlockingIOError:
                pass
            return True
        return bool(self._timed)

    # --- ahead of time -------------------------------------------------------------------------------------

    def _activate(self) -> None:
        """Import what calls of a time to come will need. What goes wrong will go wrong again in the call,
        which says so."""
        while self._cold:
            directory, name = self._cold.pop()
            try:
                if directory != self._directory:
                    self._swap_modules(directory)
                self._find(directory, name)
            except (Exception, SystemExit):
                pass

    def _prime(self, call: dict[str, Any]) -> None:
        """A moment before a call is due: be there, and look whether its module has changed, so that this does
        not come between the due time and the call."""
        try:
            directory = call["dir"]
            if directory != self._directory:
                self._swap_modules(directory)
            os.chdir(directory or self._home)
            if (directory, call["fn"]) in self._functions:
                self._looked.pop(directory, None)
                self._find(directory, call["fn"])
        except (Exception, SystemExit):
            pass

    # --- inbox and journal ---------------------------------------------------------------------------------

    def _claim(self) -> dict[str, Any] | None:
        """Take the next call and mark its start, or write down that there is none."""
        fcntl.flock(self._inbox, fcntl.LOCK_EX)
        try:
            self._read_inbox()
            while (call := self._next()) is not None:
                if call["run"] in self._gone:
                    self._gone.discard(call["run"])
                    continue
                out, err, told = self._sizes
                start = f'{{"s":"{call["run"]}","t":{time.time()!r},"at":[{out},{err},{told}]}}\n'
                self._write(self._outcome + start.encode())
                return call
            if self._outcome:
                self._write(self._outcome)
            return None
        finally:
            fcntl.flock(self._inbox, fcntl.LOCK_UN)

    def _next(self) -> dict[str, Any] | None:
        """The call to make now: those that were promised a moment go first once it has come."""
        if self._timed and -self._timed[-1][0] <= time.time():
            return self._timed.pop()[-1]
        return self._queue.popleft() if self._queue else None

    def _write(self, content: bytes) -> None:
        """To the journal; a full disk is waited out, for nothing may begin unrecorded."""
        while True:
            try:
                life.write(self._journal, content)
                break
            except OSError:
                time.sleep(0.25)
                content = b"\n" + content
        self._outcome = b""
        self._owed = True
        if time.monotonic() - self._hinted > HINT_EVERY_S:
            self._say()

    def _say(self) -> None:
        try:
            os.write(self._hints, self._hint)
        except OSError:
            pass
        self._hinted = time.monotonic()
        self._owed = False

    def _read_inbox(self) -> None:
        if os.fstat(self._inbox).st_size <= self._offset:
            return
        while content := os.pread(self._inbox, _READ, self._offset):
            self._offset += len(content)
            *lines, self._part = (self._part + content).split(b"\n")
            for line in lines:
                self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            message = _decode(line.decode())
        except ValueError:
            return  # half a line of a full disk; its writer reported that run as not started
        if "run" in message:
            # In bytes: they are compared for every call, and decoding what is set takes longer than the rest.
            message["env"] = {os.fsencode(k): os.fsencode(v) for k, v in message["env"].items()}
        if "at" in message:
            self._numbers += 1
            urgency, priority = message["first"]
            bisect.insort(self._timed, (-message["at"], urgency, priority, -self._numbers, message))
            needed = (message["dir"], message["fn"])
            if self._activates and needed not in self._seen:
                self._seen.add(needed)
                self._cold.append(needed)
        elif "run" in message:
            self._queue.append(message)
        elif "stop" in message:
            self._stops.add(message["stop"])
        elif "retire" in message:
            self._retire = True
        else:
            self._gone.add(message.get("drop") or message["moved"])

    def asked_to_stop(self, number: int, frame: Any) -> None:
        """TERM: stop the call that the inbox says to stop, and no other."""
        if self._calling:
            self._read_inbox()
            if self._current in self._stops:
                self._calling = False
                raise Stopped

    # --- one call ------------------------------------------------------------------------------------------

    def _do(self, call: dict[str, Any]) -> tuple[bytes, bool]:
        """The line of the outcome, and whether the call was stopped."""
        self._current = call["run"]
        code: int | None = 0
        fault = detail = ""
        result: str | None = None
        try:
            self._enter(call)
            function = self._find(call["dir"], call["fn"])
            arguments = None if call["args"] == "null" else _decode(call["args"])
            self._calling = True
            value = _call(function, arguments)
            self._calling = False
            result = _result(value)
        except Missing as missing:
            code, fault, detail = 127, missing.fault, str(missing)
            self._print(detail)
        except Stopped:
            code, fault, detail = 143, "stopped", ""
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
            if code:
                fault, detail = "function-raised", f"SystemExit: {error.code}"
        except BaseException as error:
            code, fault, detail = 1, "function-raised", f"{type(error).__name__}: {error}"[:500]
            self._trace(error)
        self._calling = False
        if os.getpid() != self._pid:
            os._exit(code or 0)  # the function forked and its child came back: there is one lane only
        for stream in (sys.stdout, sys.stderr):
            try:
                stream.flush()
            except (OSError, ValueError):
                pass
        self._sizes = self._measure()
        out, err, told = self._sizes
        # Written by hand: the encoder takes as long as the rest of a call that does nothing.
        line = (
            f'{{"d":"{call["run"]}","t":{time.time()!r},"code":{"null" if code is None else int(code)},'
            f'"fault":"{fault}","detail":{_quoted(detail)},'
            f'"result":{"null" if result is None else _quoted(result)},"to":[{out},{err},{told}]}}\n'
        )
        return line.encode(), fault == "stopped"

    def _measure(self) -> list[int]:
        return [os.fstat(fd).st_size for fd in (1, 2, self._progress)]

    def _enter(self, call: dict[str, Any]) -> None:
        """Set the variables and the directory of a call; undo those of the last one."""
        wanted, environ = call["env"], os.environb
        if self._changed.keys() - wanted.keys():
            for name in [name for name in self._changed if name not in wanted]:
                before = self._changed.pop(name)
                if before is None:
                    environ.pop(name, None)
                else:
                    environ[name] = before
        for name, value in wanted.items():
            held = environ.get(name)
            if name not in self._changed:
                self._changed[name] = held
            if held != value:
                environ[name] = value
        directory = call["dir"]
        if directory != self._directory:
            self._swap_modules(directory)
        try:
            os.chdir(directory or self._home)
        except OSError as error:
            raise Missing("directory-missing", f"cannot enter {directory}: {error.strerror}") from None

    def _swap_modules(self, directory: str) -> None:
        """Modules of one directory must not answer for those of another that have the same name."""
        left, self._directory = self._directory, directory
        if left:
            kept = {name: sys.modules[name] for name in list(sys.modules) if _from(sys.modules[name], left)}
            for name in kept:
                del sys.modules[name]
            self._modules[left] = kept
            if left in sys.path:
                sys.path.remove(left)
        if directory:
            sys.path.insert(0, directory)
            sys.modules.update(self._modules.pop(directory, {}))

    def _drop_stale(self, directory: str) -> None:
        """Whoever edits a module expects the next call to use it: forget those whose files changed."""
        now = time.monotonic()
        if not directory or now < self._looked.get(directory, 0.0) + _LOOK_EVERY_S:
            return
        self._looked[directory] = now
        before, stamps = self._stamps.get(directory, {}), _stamps(directory)
        if any(before.get(name, stamp) != stamp for name, stamp in stamps.items()):
            for name in stamps:
                del sys.modules[name]
            for key in [key for key in self._functions if key[0] == directory]:
                del self._functions[key]
            stamps = {}
        self._stamps[directory] = stamps

    def _find(self, directory: str, name: str) -> Callable[..., Any]:
        self._drop_stale(directory)
        known = self._functions.get((directory, name))
        if known is not None:
            return known
        module_name, _, path = name.partition(":")
        try:
            __import__(module_name)
        except ModuleNotFoundError as error:
            if error.name is None or not (module_name + ".").startswith(error.name + "."):
                raise  # the module is there; something it imports is not
            raise Missing("command-not-found", f"{name}: no module named {error.name!r}") from None
        found: Any = sys.modules[module_name]
        for part in path.split("."):
            found = getattr(found, part, None)
        if not callable(found):
            raise Missing("command-not-found", f"{name}: the module has no such function")
        if directory:
            self._stamps[directory] = _stamps(directory)
        function: Callable[..., Any] = found
        self._functions[directory, name] = function
        return function

    def _print(self, text: str) -> None:
        try:
            print(text, file=sys.stderr)  # noqa: T201
        except (OSError, ValueError):
            pass

    def _trace(self, error: BaseException) -> None:
        """The traceback into the log, from the user's own frames on."""
        import traceback

        inner = error.__traceback__
        while inner is not None and inner.tb_frame.f_code.co_filename == __file__:
            inner = inner.tb_next
        self._print("".join(traceback.format_exception(type(error), error, inner)).rstrip())


def _call(function: Callable[..., Any], arguments: Any) -> Any:
    if arguments is None:
        value = function()
    elif isinstance(arguments, dict):
        value = function(**arguments)
    elif isinstance(arguments, list):
        value = function(*arguments)
    else:
        raise TypeError("arguments must be a JSON object (keywords), a list (positions) or null")
    if hasattr(value, "__await__"):
        import asyncio

        async def wait() -> Any:
            return await value

        return asyncio.run(wait())
    return value


def _result(value: Any) -> str | None:
    if value is None:
        return None
    try:
        text = _encode(value)
    except (TypeError, ValueError) as error:
        raise TypeError(f"the function returned what JSON cannot hold: {error}") from None
    if len(text) > MAX_RESULT:
        raise ValueError(
            f"the result has {len(text)} bytes of JSON, more than {MAX_RESULT}; write it to a file"
        )
    return text


def _from(module: Any, directory: str) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.startswith(directory.rstrip("/") + "/")


def _stamps(directory: str) -> dict[str, tuple[int, int]]:
    """Time and size of the files behind the loaded modules of a directory."""
    found = {}
    for name, module in list(sys.modules.items()):
        if _from(module, directory):
            try:
                file = os.stat(module.__file__ or "")
                found[name] = (file.st_mtime_ns, file.st_size)
            except OSError:
                found[name] = (0, 0)
    return found
