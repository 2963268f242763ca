"""The shim: the parent of one run. It outlives the service and writes down how the run ended.

Forked from the fork-server, in its own session, for one run at a time: a shim whose run is over takes
another, as a fork costs more than all else it does. It claims the run, starts the command in a process group
of its own with the output going straight to the spool files, and waits. As a child subreaper it inherits
every descendant that is orphaned, so "stopped" means that nothing of the run is alive any more.

Order of what it writes: `claim`, `started`, `exit`, each once. `exit` comes after the last descendant is
gone.
"""

from __future__ import annotations

import _signal
import ctypes
import errno
import json
import os
import time
from collections.abc import Callable
from typing import Any, NoReturn

from trainmaster.runners import cgroup, descendants, life
from trainmaster.runners.refusal import Refused, candidates, refusal

_libc = ctypes.CDLL(None, use_errno=True)
_PR_SET_PDEATHSIG, _PR_SET_NAME, _PR_SET_CHILD_SUBREAPER = 1, 15, 36
_WAITED = (_signal.SIGCHLD, _signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP)
# What Python, we ourselves or a shell that started us in the background changed: a command expects the usual.
_USUAL = (*_WAITED, _signal.SIGQUIT, _signal.SIGPIPE, _signal.SIGXFSZ)
_DESCRIPTORS = 256  # a shim opens fewer
_RUNS = 1000  # one after the other in one shim; a bound on whatever might leak
_SWEEP_S, _MAX_SWEEP_S = 0.002, 0.25  # between two rounds of killing what is left


def serve(folder: str, channel: int, boot: str, warm: bool) -> NoReturn:
    """Be the shim of the run in `folder`, then of others. Called in a process forked for it; never returns.

    `channel` leads to the fork-server: we say that we are idle, it names the next folder or hangs up.
    `warm`: we are in an interpreter with torch loaded, for commands that name it.
    """
    try:
        _serve(folder, channel, boot, warm)
    except (
        BaseException
    ) as error:  # the last line of defence: a shim must not fall back into its parent's loop
        try:
            with open(f"{folder}/shim.error", "a", encoding="utf-8") as file:
                file.write(f"{type(error).__name__}: {error}\n")
        except OSError:
            pass
    finally:
        os._exit(1)


def _serve(folder: str, channel: int, boot: str, warm: bool) -> None:
    os.setsid()
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _WAITED)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_NAME, b"tm-shim", 0, 0, 0)
    pid, cores = os.getpid(), os.sched_getaffinity(0)
    mark = {"pid": pid, "start": life.start_time(pid), "boot": boot}
    for left in reversed(range(_RUNS)):
        if not _run(folder, channel if left else None, mark, cores, warm):
            return
        folder = os.fsdecode(os.read(channel, 65536))
        if not folder:
            os._exit(0)


def _run(folder: str, channel: int | None, mark: dict[str, Any], cores: set[int], warm: bool) -> bool:
    """One run. True if we are to serve another, which `channel` was told."""
    fd = None
    try:
        fd = life.claim(folder, life.line("claim", mark))
    except FileNotFoundError:
        pass  # the run was withdrawn and deleted
    if fd is None:  # so it was, or somebody else was first
        return _idle(channel)
    try:
        with open(f"{folder}/{life.SPEC}", "rb") as file:
            plan = json.load(file)["plan"]
        if plan.get("lane"):
            channel = None
        # Idle is said before the agent hears of the end, so that its next request finds us.
        served = Shim(folder, fd, plan, mark, lambda: _idle(channel), warm).live()
    except ValueError as error:
        ended = {"code": None, "fault": "start-failed", "detail": f"unreadable spec: {error}"}
        life.write(fd, life.line("exit", {**ended, "time": time.time()}))
        return _idle(channel)
    finally:
        os.close(fd)
    if plan["cpus"]:
        os.sched_setaffinity(0, cores)
    os.chdir("/")
    return served


def _idle(channel: int | None) -> bool:
    """Tell the fork-server that we can have another run. False if we cannot."""
    if channel is None:
        return False
    try:
        os.write(channel, b"idle")
    except OSError:
        return False  # the fork-server is gone
    return True


class Shim:
    """One run from its start to its recorded end."""

    def __init__(
        self,
        folder: str,
        fd: int,
        plan: dict[str, Any],
        mark: dict[str, Any],
        recorded: Callable[[], bool],
        warm: bool,
    ) -> None:
        self._warm = warm
        self._recorded = recorded  # called once the exit is written down
        self._served = False
        self._folder = folder
        self._fd = fd
        self._plan = plan
        self._mark = mark
        self._child = 0
        self._status: int | None = None  # of the main process, as waitpid gives it
        self._reason = ""  # why we are stopping it
        self._deadline = 0.0  # monotonic: KILL from here on
        self._told_rest = False
        self._sweep_s = _SWEEP_S
        self._lease_seen = -1.0
        self._lease_until = 0.0

    def live(self) -> bool:
        """From start to end. Returns what `recorded` did."""
        plan = self._plan
        group = cgroup.create(plan["group"], plan["memory"]) if plan["memory"] else None
        try:
            if group is not None:
                group.join()
            try:
                self._child = self._start(limit=plan["memory"] or None if group is None else None)
            finally:
                if group is not None:
                    group.leave()
        except Refused as refused:
            self._finish(refused.code, refused.fault, refused.detail)
        else:
            self._say(
                "started", self._mark | {"child": self._child, "child_start": life.start_time(self._child)}
            )
            self._watch()
            code, fault, detail = self._outcome()
            if group is not None and code != 0 and group.killed():
                fault = "out-of-memory"
                detail = f"used more than its limit of {plan['memory']} bytes of memory"
            self._finish(code, fault, detail)
        if group is not None:
            group.remove()
        return self._served

    # --- start ---------------------------------------------------------------------------------------------

    def _start(self, limit: int | None) -> int:
        plan, folder = self._plan, self._folder
        if plan["cwd"]:
            try:
                os.chdir(plan["cwd"])
            except OSError as error:
                raise Refused(
                    126, "directory-missing", f"cannot enter {plan['cwd']}: {os.strerror(error.errno or 0)}"
                ) from None
        if plan.get("cpus"):
            try:
                os.sched_setaffinity(0, plan["cpus"])
            except OSError as error:
                raise Refused(126, "start-failed", f"cannot run on cores {plan['cpus']}: {error}") from None
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        try:
            null = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
            out = os.open(f"{folder}/{life.STDOUT}", flags, 0o600)
            err = os.open(f"{folder}/{life.STDERR}", flags, 0o600)
        except OSError as error:
            raise Refused(126, "start-failed", f"cannot open the log files: {error}") from None
        try:
            if plan.get("lane"):
                return self._fork_lane(null, out, err)
            if self._warm and plan.get("python"):
                return self._fork_python(null, out, err, limit)
            return self._spawn(null, out, err, limit)
        finally:
            for fd in (null, out, err):
                os.close(fd)

    def _spawn(self, null: int, out: int, err: int, limit: int | None) -> int:
        argv, env = self._plan["argv"], self._plan["env"]
        before = None
        if limit is not None:
            import resource

            before = resource.getrlimit(resource.RLIMIT_AS)
            # Only the soft limit, and only across the spawn: the shim itself must go on.
            resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
        dup = os.POSIX_SPAWN_DUP2
        actions = ((dup, null, 0), (dup, out, 1), (dup, err, 2))
        problem: OSError | None = None
        try:
            for path in candidates(argv[0], env.get("PATH", os.defpath)):
                try:
                    child = os.posix_spawn(
                        path, argv, env, file_actions=actions, setpgroup=0, setsigmask=(), setsigdef=_USUAL
                    )
                except OSError as error:
                    if problem is None or error.errno != errno.ENOENT:
                        problem = error
                    continue
                if before is not None:
                    try:
                        resource.prlimit(child, resource.RLIMIT_AS, (limit or 0, limit or 0))
                    except ProcessLookupError:
                        pass
                return child
        finally:
            if before is not None:
                resource.setrlimit(resource.RLIMIT_AS, before)
        raise refusal(argv[0], problem)

    def _fork_python(self, null: int, out: int, err: int, limit: int | None) -> int:
        """`_spawn` without the start of Python and the import of torch."""
        try:
            child = os.fork()
        except OSError as error:
            detail = f"the node cannot make another process: {os.strerror(error.errno or 0)}"
            raise Refused(126, "start-failed", detail) from None
        if child:
            try:
                os.setpgid(child, child)  # a stop may come before the child has done so
            except OSError:
                pass
            return child
        try:
            self._enter_child(null, out, err)
            os.closerange(3, _DESCRIPTORS)
            _libc.prctl(_PR_SET_NAME, os.path.basename(self._plan["python"]).encode(), 0, 0, 0)
            if limit is not None:
                import resource

                resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            from trainmaster.runners import script

            script.main(self._plan["python"], self._plan["argv"], self._plan["env"])
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(70)

    def _enter_child(self, null: int, out: int, err: int) -> None:
        os.setpgid(0, 0)
        for fd, target in ((null, 0), (out, 1), (err, 2)):
            os.dup2(fd, target)
            os.close(fd)
        os.close(self._fd)  # else the child would seem to be its own living shim
        for number in _USUAL:
            _signal.signal(number, _signal.SIG_DFL)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())

    def _fork_lane(self, null: int, out: int, err: int) -> int:
        child = os.fork()
        if child:
            return child
        try:
            self._enter_child(null, out, err)
            _libc.prctl(_PR_SET_NAME, b"tm-lane", 0, 0, 0)
            _libc.prctl(_PR_SET_PDEATHSIG, _signal.SIGKILL, 0, 0, 0)  # nobody else would end a lane
            from trainmaster.runners import lane

            lane.main(self._plan)
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            os._exit(70)

    # --- watch ---------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Wait until the main process and all its descendants are gone, stopping them when it is time."""
        while not self._reap():
            now = time.monotonic()
            self._check_lease(now)
            wait_s = 3600.0
            if self._reason:
                wait_s = min(wait_s, self._deadline - now)
                if wait_s <= 0:
                    wait_s = self._kill()
                elif self._status is not None and not self._told_rest:
                    # The main process obeyed; others may be in sessions that its group's TERM did not reach.
                    self._told_rest = True
                    self._tell_rest()
            elif self._status is not None:
                wait_s = self._kill()
            if self._plan.get("lease_s") and not self._reason:
                wait_s = min(wait_s, self._lease_until - now)
            got = _signal.sigtimedwait(_WAITED, max(wait_s, 0.0))
            if got is not None and got.si_signo != _signal.SIGCHLD:
                self._stop_requested()

    def _reap(self) -> bool:
        """Collect what has ended. True once no child, own or inherited, is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return True
            if pid == 0:
                return False
            if pid == self._child:
                self._status = status

    def _stop_requested(self) -> None:
        try:
            with open(f"{self._folder}/{life.STOP}", encoding="ascii") as file:
                grace_s = float(file.read())
        except (OSError, ValueError):
            return  # it was for the run before this one
        self._stop("stopped", grace_s)

    def _stop(self, reason: str, grace_s: float) -> None:
        deadline = time.monotonic() + grace_s
        if self._reason:
            self._deadline = min(self._deadline, deadline)
            return
        self._reason, self._deadline = reason, deadline
        if self._status is None and grace_s > 0:
            # A stopped process could not act on TERM, so it is woken too.
            for number in (_signal.SIGTERM, _signal.SIGCONT):
                try:
                    os.killpg(self._child, number)
                except (ProcessLookupError, PermissionError):
                    pass

    def _tell_rest(self) -> None:
        left = []
        for pid in descendants.below(os.getpid()):
            try:
                if os.getpgid(pid) != self._child:
                    left.append(pid)
            except ProcessLookupError:
                pass
        descendants.signal_all(left, _signal.SIGTERM)

    def _kill(self) -> float:
        """Kill all that is left; returns the seconds after which to look again."""
        descendants.kill_below(os.getpid())
        wait_s, self._sweep_s = self._sweep_s, min(self._sweep_s * 2, _MAX_SWEEP_S)
        return wait_s

    def _check_lease(self, now: float) -> None:
        lease_s = self._plan.get("lease_s")
        if not lease_s or self._reason or now < self._lease_until:
            return
        try:
            touched = os.stat(self._plan["lease"]).st_mtime
        except OSError:
            touched = 0.0
        if touched != self._lease_seen:
            self._lease_seen = touched
            age = min(max(time.time() - touched, 0.0), lease_s) if touched else 0.0
            self._lease_until = now + lease_s - age
        if now >= self._lease_until:
            self._stop("lease-expired", self._plan["grace_s"])

    # --- end -----------------------------------------------------------------------------------------------

    def _outcome(self) -> tuple[int | None, str, str]:
        status = self._status
        if status is None:
            return None, "vanished", "the process was reaped by somebody else"
        code = os.waitstatus_to_exitcode(status)
        if code < 0:
            code = 128 - code
        if self._reason == "lease-expired":
            return code, self._reason, f"nobody renewed its lease for {self._plan['lease_s']:g} s"
        return code, self._reason, ""

    def _finish(self, code: int | None, fault: str, detail: str) -> None:
        self._say("exit", {"code": code, "fault": fault, "detail": detail[:500]})

    def _say(self, kind: str, value: dict[str, Any]) -> None:
        """Record, then hint. On a full disk the hint goes first, and the record follows once it can."""
        value["time"] = time.time()
        text = life.line(kind, value)
        message = f"{self._plan['word']} ".encode() + text
        try:
            life.write(self._fd, text)
        except OSError:
            life.hint(self._plan["hints"], message)
            while os.path.isdir(self._folder):
                time.sleep(0.25)
                try:
                    life.write(self._fd, b"\n" + text)
                    break
                except OSError:
                    continue
        if kind == "exit":
            self._served = self._recorded()
        life.hint(self._plan["hints"], message)
