"""The fork-server: one small, single-threaded process per data folder that forks a shim per run.

It listens on a Unix socket (sequenced packets), lives in its own session and survives the service. A request
is `run <folder>` or `lane <folder>`; nothing is answered unless the fork fails. `quit` ends it once no client
and no shim is left; without either it ends by itself after ten minutes. Whoever claims a run's folder begins
the run, so a request that is sent twice, or read after its sender died, does no harm.

Started with a bare interpreter (no site packages): what it imports, every shim pays for when forked. Others
run in the interpreters of tasks, with torch loaded (`preload`, `interpreters`): their shims fork the run too.
"""

from __future__ import annotations

import _signal
import _socket
import fcntl
import gc
import os
import select
import sys
from collections.abc import Callable

from trainmaster.runners import life, shim

IDLE_S = 600.0  # alone for so long, we end
IDLE_SHIM_S = 30.0  # without a request for so long, idle shims end
IDLE_SHIMS = 8
_MAX_REQUEST = 65536


def main(folder: str, name: str, load: Callable[[], bool] | None = None) -> int:
    """Serve the socket `<folder>/<name>.sock`. Returns at once if another fork-server does so already.

    `load` makes it a warm one; if that returns False there is nothing to serve.
    """
    lock = os.open(f"{folder}/{name}.lock", os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return 0
    if load is not None and not load():
        return 1
    # A socket's path may have 108 bytes, a data folder more: go through the descriptor of the folder.
    home = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    address = f"/proc/self/fd/{home}/{name}.sock"
    try:
        os.unlink(address)
    except FileNotFoundError:
        pass
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
    listener.bind(address)
    os.chmod(address, 0o600)
    listener.listen(64)
    if pid := os.fork():
        life.put(f"{folder}/{name}.pid", str(pid).encode())
        os._exit(0)  # the starter waits for this: from here on connecting works
    os.setsid()
    os.chdir("/")
    shim._libc.prctl(15, b"tm-forkserver", 0, 0, 0)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # the kernel reaps the shims
    gc.collect()
    gc.freeze()
    gc.disable()
    ForkServer(listener, warm=load is not None).serve()
    os.close(lock)
    for left in (address, f"{folder}/{name}.pid"):
        try:
            os.unlink(left)
        except FileNotFoundError:
            pass
    return 0


class ForkServer:
    """Hands requests to idle shims or forks new ones. The end of a shim's channel tells of its death."""

    def __init__(self, listener: _socket.socket, warm: bool) -> None:
        self._listener = listener
        self._warm = warm
        self._poller = select.poll()
        self._poller.register(listener.fileno(), select.POLLIN)
        self._clients: dict[int, _socket.socket] = {}
        self._shims: dict[int, _socket.socket] = {}
        self._idle: list[int] = []
        self._boot = life.boot_id()
        self._quit = False

    def serve(self) -> None:
        """Until told to quit, or alone for long, and in both cases without a run."""
        while True:
            if self._quit and not self._clients:
                self._dismiss()
                if not self._shims:
                    return
            wait_s = IDLE_SHIM_S if self._idle else IDLE_S
            ready = self._poller.poll(wait_s * 1000)
            if not ready:
                self._dismiss()
                if not self._clients and not self._shims:
                    return
            for fd, _ in ready:
                if fd == self._listener.fileno():
                    accepted, _ = self._listener._accept()  # type: ignore[attr-defined]
                    client = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, accepted)
                    self._clients[client.fileno()] = client
                    self._poller.register(client.fileno(), select.POLLIN)
                elif fd in self._shims:
                    self._hear(fd)
                elif fd in self._clients and not self._serve(self._clients[fd]):
                    self._poller.unregister(fd)
                    self._clients.pop(fd).close()

    def _serve(self, client: _socket.socket) -> bool:
        """Handle one request; False once the client is gone."""
        try:
            request = client.recv(_MAX_REQUEST)
        except OSError:
            return False
        if not request:
            return False
        verb, _, folder = request.partition(b" ")
        if verb == b"quit":
            self._quit = True
        elif verb in (b"run", b"lane"):
            self._quit = False
            if verb == b"lane" or not self._hand_over(folder):
                self._fork(os.fsdecode(folder), client)
        return True

    def _hear(self, fd: int) -> None:
        """A shim is idle, or dead."""
        try:
            word = self._shims[fd].recv(64, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return  # heard already
        except OSError:
            word = b""
        if not word:
            self._poller.unregister(fd)
            self._shims.pop(fd).close()
            if fd in self._idle:
                self._idle.remove(fd)
        elif len(self._idle) < IDLE_SHIMS:
            self._idle.append(fd)
        else:
            self._shims[fd].shutdown(_socket.SHUT_WR)

    def _dismiss(self) -> None:
        """Let the idle shims end; we hear of it."""
        for fd in self._idle:
            self._shims[fd].shutdown(_socket.SHUT_WR)
        self._idle.clear()

    def _hand_over(self, folder: bytes) -> bool:
        """Give the run to an idle shim, the one that was busy last: its memory is warm."""
        if not self._idle:
            # One may have said so in this very moment: a fork is the dearest way to go on.
            for fd, _ in self._poller.poll(0):
                if fd in self._shims:
                    self._hear(fd)
        while self._idle:
            try:
                self._shims[self._idle.pop()].send(folder)
                return True
            except OSError:
                continue  # it was killed; its channel says so next
        return False

    def _fork(self, folder: str, client: _socket.socket) -> None:
        try:
            ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC)
            pid = os.fork()
        except OSError as error:
            try:
                client.send(f"failed {error.errno or 0} {folder}".encode(), _socket.MSG_DONTWAIT)
            except OSError:
                pass
            return
        if pid == 0:
            # Nothing of ours may stay open in the shim: others would miss that we or a sibling died.
            keep = theirs.fileno()
            os.closerange(3, keep)
            os.closerange(keep + 1, max(ours.fileno(), *self._clients, *self._shims, 64) + 64)
            shim.serve(folder, keep, self._boot, self._warm)
        theirs.close()
        self._shims[ours.fileno()] = ours
        self._poller.register(ours.fileno(), select.POLLIN)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2]))
