"""Real servers for tests: each starts from its binary, on a free port, with a folder of its own.

A component is named as in `pytest.mark.needs(...)`. Adding one is a subclass of `Server` and a line in
`COMPONENTS`.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

# Places Debian keeps server binaries in that are not on everybody's PATH.
_PLACES = ("/usr/sbin", "/usr/local/sbin", "/sbin")


def find_binary(*names: str) -> Path | None:
    """The first of these programs there is."""
    for name in names:
        found = shutil.which(name) or shutil.which(name, path=os.pathsep.join(_PLACES))
        if found:
            return Path(found)
    return None


def find_postgresql(name: str) -> Path | None:
    """A PostgreSQL program; Debian keeps them by version, the newest is taken."""
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: float(p.parts[4]))
    return versions[-1] if versions else find_binary(name)


def free_port() -> int:
    """A TCP port of the loopback interface nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def mounted(folder: Path, size: str) -> Iterator[None]:
    """A small file system in memory at `folder`, to be filled up. Raises OSError where not allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    done = subprocess.run(command, capture_output=True)
    if done.returncode:
        raise OSError(done.stderr.decode(errors="replace"))
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def cannot_mount() -> bool:
    """True if tests may not make a file system here (that takes root)."""
    if os.geteuid() != 0 or find_binary("mount") is None:
        return True
    with tempfile.TemporaryDirectory() as folder:
        try:
            with mounted(Path(folder), "1m"):
                return False
        except OSError:
            return True


class Server:
    """A server process. `start` returns once it answers; `stop` and `kill` once it is gone."""

    account = "nobody"  # whom to run as when we are root

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tm-", dir="/tmp"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None
        self.folder.chmod(0o755)
        self.data = self.folder / "data"
        self.data.mkdir()
        if os.geteuid() == 0:
            user = self._user()
            os.chown(self.folder, user.pw_uid, user.pw_gid)
            os.chown(self.data, user.pw_uid, user.pw_gid)

    @staticmethod
    def missing() -> bool:
        """True if this machine lacks the programs."""
        raise NotImplementedError

    def prepare(self) -> None:
        """Once, before the first start."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        """Does it answer?"""
        try:
            with socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
        except OSError:
            return False

    def start(self, timeout_s: float = 60.0) -> None:
        if self.process is not None:
            return
        if not any(self.data.iterdir()):
            self.prepare()
        with open(self.folder / "server.log", "ab") as log:
            self.process = subprocess.Popen(
                self._as_user(self.command()),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                start_new_session=True,
            )
        give_up = time.monotonic() + timeout_s
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > give_up:
                self.kill()
                said = (self.folder / "server.log").read_text(errors="replace")[-2000:]
                raise RuntimeError(f"{type(self).__name__} does not start: {said}")
            time.sleep(0.05)

    def signal(self, number: int) -> None:
        """To the server and all its children (SIGSTOP freezes it, SIGCONT lets it go on)."""
        if self.process is not None:
            for process in self._family(self.process.pid):
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        self._end(signal.SIGKILL)

    def remove(self) -> None:
        """Stop it and delete everything it kept."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, number: int) -> None:
        process, self.process = self.process, None
        if process is None:
            return
        family = self._family(process.pid)
        process.send_signal(number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
        # Children of a killed server go on for a moment, and hold its folder and port.
        for member in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                member.kill()
        process.wait(20)
        psutil.wait_procs(family, timeout=10)

    @staticmethod
    def _family(pid: int) -> list[psutil.Process]:
        with contextlib.suppress(psutil.NoSuchProcess):
            head = psutil.Process(pid)
            return [head, *head.children(recursive=True)]
        return []

    def _user(self) -> pwd.struct_passwd:
        try:
            return pwd.getpwnam(self.account)
        except KeyError:
            return pwd.getpwnam("nobody")

    def _as_user(self, command: list[str]) -> list[str]:
        if os.geteuid() != 0:
            return command
        user = self._user()
        groups = ["--reuid", str(user.pw_uid), "--regid", str(user.pw_gid), "--clear-groups"]
        return ["setpriv", *groups, *command]

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            self._as_user(command),
            cwd=self.folder,
            capture_output=True,
            stdin=subprocess.DEVNULL,
            timeout=120,
        )
        if done.returncode:
            raise RuntimeError(
                f"{command[0]}: {(done.stdout + done.stderr).decode(errors='replace')[-2000:]}"
            )


class Postgresql(Server):
    account = "postgres"

    @staticmethod
    def missing() -> bool:
        return find_postgresql("initdb") is None or find_postgresql("postgres") is None

    @property
    def url(self) -> str:
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "--no-sync"]
        # Sorts by the rules of a language, as most installations do.
        options += ["--locale-provider=icu", "--icu-locale=en-US"]
        self._run([str(find_postgresql("initdb")), "-D", str(self.data), *options])

    def command(self) -> list[str]:
        # Tests need no durability of the machine, only of the server.
        settings = {
            "port": self.port,
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": self.folder,
            "fsync": "off",
            "shared_buffers": "32MB",
            "max_connections": 40,
        }
        command = [str(find_postgresql("postgres")), "-D", str(self.data)]
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        return command

    def ready(self) -> bool:
        asked = [str(find_postgresql("pg_isready")), "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return subprocess.run(asked, stdin=subprocess.DEVNULL).returncode == 0

    def stop(self) -> None:
        self._end(signal.SIGINT)  # "fast": does not wait for its clients


class Mariadb(Server):
    account = "mysql"

    @staticmethod
    def missing() -> bool:
        return find_binary("mariadbd") is None or find_binary("mariadb-install-db") is None

    @property
    def url(self) -> str:
        return f"mysql://root@127.0.0.1:{self.port}/trainmaster"

    def prepare(self) -> None:
        self._run(
            [
                str(find_binary("mariadb-install-db")),
                "--no-defaults",
                f"--datadir={self.data}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ]
        )
        (self.data / "trainmaster").mkdir()
        if os.geteuid() == 0:
            user = self._user()
            os.chown(self.data / "trainmaster", user.pw_uid, user.pw_gid)

    def command(self) -> list[str]:
        return [
            str(find_binary("mariadbd")),
            "--no-defaults",
            f"--datadir={self.data}",
            f"--socket={self.folder}/s",
            f"--pid-file={self.folder}/pid",
            "--bind-address=127.0.0.1",
            f"--port={self.port}",
            "--innodb-flush-log-at-trx-commit=2",
            "--innodb-buffer-pool-size=64M",
            "--innodb-log-file-size=32M",
            "--skip-log-bin",
        ]

    def ready(self) -> bool:
        admin = find_binary("mariadb-admin", "mysqladmin")
        if admin is None:
            return super().ready()
        asked = [str(admin), "--no-defaults", "-uroot", "-h127.0.0.1", f"-P{self.port}", "ping"]
        return subprocess.run(asked, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0


COMPONENTS: dict[str, type[Server]] = {"postgresql": Postgresql, "mariadb": Mariadb}
