"""The agent's end of a fork-server: finds the living one or starts one, and asks it for shims."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path

from trainmaster.domain.errors import TrainmasterError

_PACKAGE = Path(__file__).resolve().parent
_ROOT = str(_PACKAGE.parent.parent)
# Everything a fork-server has in memory. Another version of it needs another fork-server.
_SOURCES = ("forkserver.py", "shim.py", "refusal.py", "life.py", "cgroup.py", "descendants.py", "lane.py")
_WARM_SOURCES = ("preload.py", "script.py")
_BOOT = (
    "import sys; sys.path.insert(0, sys.argv.pop(1)); "
    "from trainmaster.runners.forkserver import main; sys.exit(main(*sys.argv[1:]))"
)
# In the task's own interpreter our folder must not lie on the path when it imports torch.
_WARM_BOOT = (
    "import sys; sys.flags.safe_path or sys.path.pop(0); sys.path.insert(0, sys.argv.pop(1)); "
    "from trainmaster.runners import forkserver, preload; sys.path.pop(0); "
    "sys.exit(forkserver.main(*sys.argv[1:], preload.load))"
)
_RETRY_S = 1.0
_START_S, _WARM_START_S = 30.0, 120.0  # at most; importing torch takes long on a busy machine
_PATIENCE_S = 2.0  # for a server that another agent starts


class ForkServerFailed(TrainmasterError):
    """The fork-server cannot be started or reached: no process or function can be run on this node."""

    code = "fork-server-failed"
    status = 503
    remedy = "look into the file forkserver.log in the data folder; `trainmaster doctor` checks the folder"


class ForkServer:
    """One connection to a fork-server of a data folder. It comes back by itself when the server dies.

    With `interpreter` it is a warm one (see `interpreters`): started by that Python, with the variables
    `environment`, and left alone once it is gone. `name` names one that is there already.
    """

    def __init__(
        self,
        folder: str,
        template: str = "plain",
        interpreter: str = "",
        environment: Mapping[str, str] | None = None,
        name: str = "",
    ) -> None:
        self._folder = folder
        self._interpreter = interpreter
        self._environment = dict(environment or {})
        self.name = name or f"forkserver-{template}-{_version(warm=bool(interpreter))}"
        self._socket: socket.socket | None = None
        self._starter: subprocess.Popen[bytes] | None = None
        self._waiting: deque[bytes] = deque()
        self._writing = False
        self._closed = False
        self._reconnecting: asyncio.Task[None] | None = None
        self.on_failed: list[Callable[[str, int], None]] = []  # (run folder, errno): no process could be made
        self.on_reconnect: list[
            Callable[[], None]
        ] = []  # requests may be lost: ask again for what is missing

    @property
    def connected(self) -> bool:
        return self._socket is not None

    def attach(self) -> bool:
        """Connect if the server lives. True if we are connected."""
        if self._socket is None:
            sock = self._try_connect()
            if sock is not None:
                self._use(sock)
        return self._socket is not None

    def detach(self) -> None:
        """Disconnect at once; what was asked for may be lost."""
        self._drop()
        self._waiting.clear()

    def abandon(self) -> None:
        """End a start under way: `connect` fails unless it was about to succeed."""
        self._closed = True
        if self._starter is not None:
            self._starter.kill()

    async def connect(self) -> None:
        """Connect, starting the server if none lives. Raises ForkServerFailed."""
        sock = self._try_connect()
        if sock is None:
            problem = await asyncio.to_thread(self._start)
            # Another agent's start may be the one that won; one that loads torch takes its time.
            give_up = time.monotonic() + (_WARM_START_S if self._interpreter else _PATIENCE_S)
            sock = self._try_connect()
            while sock is None and not problem and not self._closed and time.monotonic() < give_up:
                await asyncio.sleep(0.01)
                sock = self._try_connect()
            if sock is None:
                raise ForkServerFailed(f"the fork-server did not start: {problem}", folder=self._folder)
        self._use(sock)

    def run(self, folder: str) -> None:
        """Ask for a shim for the run in `folder`. Answered by what appears in the folder."""
        self._send(b"run " + os.fsencode(folder))

    def lane(self, folder: str) -> None:
        """Ask for a shim for the lane in `folder`: always a new one, and it ends with its lane."""
        self._send(b"lane " + os.fsencode(folder))

    def pid(self) -> int | None:
        """The server's pid, None when it is not running."""
        try:
            return int(Path(self._folder, f"{self.name}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    async def close(self, quit_when_idle: bool) -> None:
        """Disconnect. With `quit_when_idle` the server ends once no client and no shim is left."""
        self._closed = True
        if self._reconnecting is not None:
            self._reconnecting.cancel()
        if self._socket is not None:
            if quit_when_idle:
                self._send(b"quit")
            for _ in range(100):
                if not self._waiting:
                    break
                await asyncio.sleep(0.01)
            self._drop()

    # --- inside --------------------------------------------------------------------------------------------

    def _use(self, sock: socket.socket) -> None:
        if self._socket is not None:
            sock.close()  # `attach` was faster
            return
        self._socket = sock
        asyncio.get_running_loop().add_reader(sock.fileno(), self._readable)

    def _try_connect(self) -> socket.socket | None:
        home = os.open(self._folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            sock.connect(f"/proc/self/fd/{home}/{self.name}.sock")
        except OSError:
            sock.close()
            return None
        finally:
            os.close(home)
        sock.setblocking(False)
        return sock

    def _start(self) -> str:
        """Start the server; why it failed, empty once it or another one lives or is about to."""
        log = Path(self._folder, "forkserver.log")
        if self._interpreter:
            command = [self._interpreter, "-c", _WARM_BOOT, _ROOT, self._folder, self.name]
            environment = self._environment
        else:
            command = [sys.executable, "-I", "-S", "-X", "utf8", "-c", _BOOT, _ROOT, self._folder, self.name]
            environment = {"PATH": os.environ.get("PATH", os.defpath)}
        with log.open("ab") as file:
            self._starter = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
                env=environment,
            )
        if self._closed:
            self._starter.kill()  # abandoned before there was anything to end
        try:
            code = self._starter.wait(_WARM_START_S if self._interpreter else _START_S)
        except subprocess.TimeoutExpired:
            self._starter.kill()
            code = self._starter.wait()
        return f"exit status {code}, see {log}" if code else ""

    def _send(self, message: bytes) -> None:
        if self._waiting or self._socket is None:
            self._waiting.append(message)
            return
        try:
            self._socket.send(message)
        except BlockingIOError:
            self._waiting.append(message)
            self._writing = True
            asyncio.get_running_loop().add_writer(self._socket.fileno(), self._writable)
        except OSError:
            self._lost()

    def _writable(self) -> None:
        assert self._socket is not None
        while self._waiting:
            try:
                self._socket.send(self._waiting[0])
            except BlockingIOError:
                return
            except OSError:
                self._lost()
                return
            self._waiting.popleft()
        self._writing = False
        asyncio.get_running_loop().remove_writer(self._socket.fileno())

    def _readable(self) -> None:
        assert self._socket is not None
        try:
            message = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            message = b""
        if not message:
            self._lost()
            return
        _, number, folder = message.split(b" ", 2)
        for listener in self.on_failed:
            listener(os.fsdecode(folder), int(number))

    def _drop(self) -> None:
        if self._socket is not None:
            loop = asyncio.get_running_loop()
            loop.remove_reader(self._socket.fileno())
            if self._writing:
                loop.remove_writer(self._socket.fileno())
                self._writing = False
            self._socket.close()
            self._socket = None

    def _lost(self) -> None:
        """The server died. Shims live on; what it had not read yet is asked for again."""
        self.detach()
        if self._interpreter:
            for listener in self.on_reconnect:
                listener()
        elif not self._closed and self._reconnecting is None:
            self._reconnecting = asyncio.get_running_loop().create_task(self._reconnect())

    async def _reconnect(self) -> None:
        while not self._closed:
            try:
                await self.connect()
                break
            except (ForkServerFailed, OSError, subprocess.TimeoutExpired):
                await asyncio.sleep(_RETRY_S)
        self._reconnecting = None
        self._waiting.clear()
        for listener in self.on_reconnect:
            listener()


def _version(warm: bool) -> str:
    """Changes whenever the code a fork-server runs, or our interpreter, does."""
    digest = hashlib.sha256(sys.version.encode())
    for name in _SOURCES + (_WARM_SOURCES if warm else ()):
        path = _PACKAGE / name
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
