"""What `trainmaster doctor` looks at. Each check answers with what it found and, if need be, a remedy."""

from __future__ import annotations

import asyncio
import os
import shutil
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from trainmaster.domain.errors import TrainmasterError
from trainmaster.domain.units import format_bytes

if TYPE_CHECKING:
    from trainmaster.bootstrap.config import Config

_LOW_SPACE = 2 * 10**9
_NO_SPACE = 200 * 10**6
_SKEW_S = 2.0
_TIME_ERROR = 5  # adjtimex: nobody steers the clock
_OLDEST = 1_760_000_000.0  # a clock before this release's year is wrong


class Verdict(StrEnum):
    OK = "ok"
    NOTE = "note"  # works without, but somebody may miss it
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    check: str
    verdict: Verdict
    text: str
    remedy: str = ""


def examine(file: Path | None, data: str | None) -> Iterator[Finding]:
    """All checks, one after the other; one that breaks does not stop the others."""
    from trainmaster.bootstrap.config import BadConfig, load_config

    yield versions()
    try:
        config = load_config(file, data=data)
    except BadConfig as error:
        yield Finding("config", Verdict.FAIL, error.message, error.remedy)
        return
    yield Finding("config", Verdict.OK, _config_source(file))
    checks: tuple[Callable[[Config], Finding], ...] = (
        folder, space, credentials, database, service, containers, gpus, memory_limits, clock, extras,
    )  # fmt: skip
    for check in checks:
        try:
            yield check(config)
        except Exception as error:
            remedy = "this check itself is broken: please report it"
            yield Finding(check.__name__, Verdict.NOTE, f"{type(error).__name__}: {error}", remedy)


def _config_source(file: Path | None) -> str:
    from trainmaster.bootstrap.config import default_data

    places = [file] if file else [Path("trainmaster.toml"), default_data() / "trainmaster.toml"]
    used = next((str(place) for place in places if place.is_file()), "no file, the defaults")
    variables = sorted(name for name in os.environ if name.startswith("TRAINMASTER_"))
    return used + (f"; {', '.join(variables)}" if variables else "")


def versions() -> Finding:
    from importlib.metadata import PackageNotFoundError, version

    from trainmaster import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    parts = [f"trainmaster {__version__}", f"Python {python}"]
    for name in ("fastapi", "SQLAlchemy", "uvicorn"):
        try:
            parts.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            return Finding(
                "versions", Verdict.FAIL, f"{name} is missing", "install trainmaster again with pip"
            )
    if not sys.platform.startswith("linux"):
        return Finding("versions", Verdict.FAIL, f"{sys.platform} is not Linux", "run the service on Linux")
    return Finding("versions", Verdict.OK, ", ".join(parts))


def folder(config: Config) -> Finding:
    """Can the service keep its things there, and nobody else read them?"""
    path = config.data
    existing = next(p for p in (path, *path.parents) if p.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(
            "data folder", Verdict.FAIL, f"{existing} cannot be written", "choose another with --data"
        )
    if existing != path:
        return Finding("data folder", Verdict.OK, f"{path} will be made by `trainmaster up`")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding(
            "data folder", Verdict.NOTE, f"{path} can be entered by other users", f"chmod 700 {path}"
        )
    return Finding("data folder", Verdict.OK, str(path))


def space(config: Config) -> Finding:
    existing = next(p for p in (config.data, *config.data.parents) if p.exists())
    free = shutil.disk_usage(existing).free
    text = f"{format_bytes(free)} free at {existing}"
    remedy = "free some: logs and the database grow there; keep_logs in trainmaster.toml shortens them"
    if free < _NO_SPACE:
        return Finding("disk space", Verdict.FAIL, text, remedy)
    return Finding("disk space", Verdict.NOTE if free < _LOW_SPACE else Verdict.OK, text, remedy)


def credentials(config: Config) -> Finding:
    path = config.data / "credentials.json"
    if not path.exists():
        return Finding("credentials", Verdict.OK, "none yet; `trainmaster up` writes them")
    if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return Finding("credentials", Verdict.FAIL, f"{path} is readable by others", f"chmod 600 {path}")
    return Finding("credentials", Verdict.OK, f"{path}, readable by its owner only")


def database(config: Config) -> Finding:
    from trainmaster.store.engine import connect

    if not config.database:
        path = config.data / "trainmaster.db"
        if not path.exists():
            return Finding("database", Verdict.OK, "SQLite; `trainmaster up` makes it")
        return _sqlite(path)

    async def ask() -> str:
        store = connect(config.database, timeout_s=5.0)
        await store.open()
        try:
            return store.dialect.name
        finally:
            await store.close()

    try:
        return Finding("database", Verdict.OK, f"{asyncio.run(ask())} answers")
    except TrainmasterError as error:
        remedy = error.remedy.partition(";")[0] if error.code == "store-unavailable" else error.remedy
        return Finding("database", Verdict.FAIL, error.message, remedy or "check its address and server")


def _sqlite(path: Path) -> Finding:
    import sqlite3

    try:
        with sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5) as connection:
            (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    except sqlite3.Error as error:
        answer = str(error)
    if answer != "ok":
        remedy = "stop the service, keep a copy of the file, restore a backup or start with another --data"
        return Finding("database", Verdict.FAIL, f"{path}: {answer}", remedy)
    size = sum(p.stat().st_size for p in path.parent.glob(path.name + "*"))
    return Finding("database", Verdict.OK, f"SQLite, sound, {format_bytes(size)}")


def service(config: Config) -> Finding:
    """Does one run, and is it well? If not, is its port free?"""
    from trainmaster.client import Client, Unreachable

    try:
        with Client(data=config.data, timeout=5, retry_s=0) as client:
            health = client.health()
            pid = client.endpoint.pid
            return Finding(
                "service", Verdict.OK, f"runs at {client.endpoint.url} (pid {pid}): {health['status']}"
            )
    except Unreachable:
        pass
    except TrainmasterError as error:
        return Finding("service", Verdict.FAIL, f"runs but is not well: {error.message}", error.remedy)
    family = socket.AF_INET6 if ":" in config.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            text = f"not running, and port {config.port} on {config.host}: {error.strerror}"
            return Finding("service", Verdict.FAIL, text, "start it with --port, or 0 for any free one")
    return Finding("service", Verdict.OK, f"not running; port {config.port} is free")


def containers(config: Config) -> Finding:
    """Ask the engine for its version, as little as a client can ask."""
    import httpx2

    url = config.docker or os.environ.get("DOCKER_HOST") or "unix:///var/run/docker.sock"
    without = "container tasks need one: install Docker, or name an engine with DOCKER_HOST"
    if url.startswith("ssh://"):
        return Finding("containers", Verdict.NOTE, f"{url} is not checked", "try `docker version`")
    if url.startswith("unix://"):
        path = url.removeprefix("unix://")
        if not Path(path).exists():
            return Finding("containers", Verdict.NOTE, f"no engine: there is no {path}", without)
        transport = httpx2.HTTPTransport(uds=path)
        base = "http://localhost"
    else:
        transport = httpx2.HTTPTransport()
        base = url.replace("tcp://", "http://", 1)
    try:
        with httpx2.Client(transport=transport, base_url=base, timeout=5) as client:
            answer = client.get("/version").json()
    except (httpx2.TransportError, ValueError) as error:
        denied = "Permission" in str(error)
        remedy = "join the group `docker`, and log in again" if denied else "start it: systemctl start docker"
        return Finding("containers", Verdict.NOTE, f"{url} does not answer: {error}", remedy)
    return Finding("containers", Verdict.OK, f"engine {answer.get('Version', '?')} at {url}")


def gpus(config: Config) -> Finding:
    import pynvml

    if not Path("/dev/nvidiactl").exists():
        return Finding("GPUs", Verdict.OK, "none")
    try:
        pynvml.nvmlInit()
        try:
            count = pynvml.nvmlDeviceGetCount()
            names = {
                str(pynvml.nvmlDeviceGetName(pynvml.nvmlDeviceGetHandleByIndex(i))) for i in range(count)
            }
            driver = pynvml.nvmlSystemGetDriverVersion()
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError as error:
        return Finding(
            "GPUs", Verdict.FAIL, f"the driver does not answer: {error}", "see what `nvidia-smi` says"
        )
    return Finding("GPUs", Verdict.OK, f"{count}: {', '.join(sorted(names))}; driver {driver}")


def memory_limits(config: Config) -> Finding:
    from trainmaster.runners import cgroup

    group = cgroup.create(f"trainmaster-doctor-{os.getpid()}", 64 * 2**20)
    if group is None:
        return Finding(
            "memory limits", Verdict.NOTE, "by address space only: no control group can be made here",
            "for exact limits run the service as root, or under systemd with Delegate=yes",
        )  # fmt: skip
    group.remove()
    return Finding("memory limits", Verdict.OK, "by control groups")


def clock(config: Config) -> Finding:
    """Is it plausible, kept in step by somebody, and the same as the service's?"""
    from trainmaster.client import Client

    if time.time() < _OLDEST:
        return Finding("clock", Verdict.FAIL, f"it says {time.ctime()}", "set it, or start a time service")
    try:
        with Client(data=config.data, timeout=5, retry_s=0) as client:
            skew = client.overview().time - time.time()
        if abs(skew) > _SKEW_S:
            text = f"differs by {skew:.1f} s from the service's"
            return Finding("clock", Verdict.FAIL, text, "keep both in step with NTP")
    except TrainmasterError:
        pass  # there is no other clock to compare with
    if _unsynchronised():
        return Finding(
            "clock", Verdict.NOTE, f"{time.strftime('%H:%M:%S %Z')}, not kept in step",
            "start a time service such as chrony; timed tasks and deadlines rely on it",
        )  # fmt: skip
    return Finding("clock", Verdict.OK, f"{time.strftime('%H:%M:%S %Z')}, kept in step")


def _unsynchronised() -> bool:
    """The kernel knows whether a time service steers it."""
    import ctypes

    state = ctypes.create_string_buffer(512)  # struct timex, all zero: only ask
    return int(ctypes.CDLL(None).adjtimex(state)) == _TIME_ERROR


def extras(config: Config) -> Finding:
    from importlib.util import find_spec

    wanted = {"torch": "train", "sklearn": "demo"}
    missing = sorted({extra for module, extra in wanted.items() if find_spec(module) is None})
    if missing:
        names = ", ".join(missing)
        return Finding(
            "extras",
            Verdict.NOTE,
            f"not installed: {names}",
            f"pip install 'trainmaster[{','.join(missing)}]'",
        )
    return Finding("extras", Verdict.OK, "train and demo are installed")
