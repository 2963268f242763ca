"""From a run to the words of Docker's API and back: what to create, and what its errors mean."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from trainmaster.domain.ids import NodeId, RunId
from trainmaster.domain.run import Fault, RunSpec
from trainmaster.runners import life

LABEL_RUN = "trainmaster.run"
LABEL_OWNER = "trainmaster.owner"
LABEL_TASK = "trainmaster.task"
LABEL_ATTEMPT = "trainmaster.attempt"
LABEL_RANK = "trainmaster.rank"

REPORT_INSIDE = "/run/trainmaster/progress.jsonl"
OUTPUT_INSIDE = "/run/trainmaster/output.json"
GROUP_INSIDE = "/run/trainmaster/group"
CHECKPOINTS_INSIDE = "/run/trainmaster/checkpoints"
_OURS = (REPORT_INSIDE, OUTPUT_INSIDE, GROUP_INSIDE, CHECKPOINTS_INSIDE)
NETWORKS = ("none", "bridge", "host")
DEFAULT_PIDS = 4096
_LEAST_MEMORY = 6 * 2**20  # Docker refuses less
_DEFAULT_SHM = 2**30  # PyTorch's loaders share batches through it; Docker's own 64 MB are too few


class Refused(Exception):
    """A run that cannot begin. `code` is what a shell would exit with, None if nothing was tried."""

    def __init__(self, fault: Fault, detail: str, code: int | None = None) -> None:
        super().__init__(detail)
        self.fault = fault
        self.detail = detail
        self.code = code


@dataclass(frozen=True, slots=True)
class Volume:
    """One bind mount. `source` is the real path on the engine's machine, `target` the one inside."""

    source: str
    target: str
    read_only: bool


def parse_volume(text: str, allowed_roots: Sequence[str]) -> Volume:
    """`host:container[:ro|:rw]`. Raises Refused unless the folder or file exists below an allowed root.

    The real path is checked and mounted, so no link inside a root leads out of it.
    """
    parts = text.split(":")
    mode = "rw"
    if len(parts) == 3:
        mode = parts.pop()
    if len(parts) != 2 or mode not in ("ro", "rw"):
        raise _volume(f'{text!r} is no volume: write it like "/host/folder:/data" or "/host/folder:/data:ro"')
    source, target = parts
    target = os.path.normpath(target) if target else ""
    if not os.path.isabs(source) or not os.path.isabs(target):
        raise _volume(f"{text!r}: both paths must be absolute")
    if target in ("/", "//") or any(_within(ours, target) for ours in _OURS):
        raise _volume(f"{text!r}: {target} inside the container is not free to mount over")
    real = os.path.realpath(source)
    if not any(_within(real, os.path.realpath(root)) for root in allowed_roots):
        allowed = ", ".join(allowed_roots) or "none"
        raise _volume(f"{source} is outside the folders volumes may come from ({allowed})")
    if not (os.path.isdir(real) or os.path.isfile(real)):
        raise _volume(f"{source} does not exist on this node, or is neither a folder nor a file")
    return Volume(real, target, mode == "ro")


def _volume(detail: str) -> Refused:
    return Refused(Fault.VOLUME_REFUSED, detail)


def _within(path: str, root: str) -> bool:
    return path == root or path.startswith(root.rstrip("/") + "/")


def directory_on_host(directory: str, volumes: Sequence[Volume]) -> str | None:
    """Where the working directory lies outside the container, None if the image holds it."""
    inside = os.path.normpath(directory)
    covering = [volume for volume in volumes if _within(inside, volume.target)]
    if not covering:
        return None
    nearest = max(covering, key=lambda volume: len(volume.target))
    return os.path.normpath(nearest.source + inside[len(nearest.target.rstrip("/")) :])


def group_folder(folder: str) -> str:
    """The part of a run's folder that its container sees: the plan of its group."""
    return f"{folder}/group"


def environment(run: RunSpec, node: NodeId) -> list[str]:
    """The variables of a container; what the task sets itself wins."""
    values = {
        "PYTHONUNBUFFERED": "1",  # or a live log would come in blocks of 8 KB
        "TRAINMASTER_TASK": run.id.task,
        "TRAINMASTER_ATTEMPT": str(run.id.attempt),
        "TRAINMASTER_RANK": str(run.id.rank),
        "TRAINMASTER_WORLD_SIZE": str(run.world_size),
        "TRAINMASTER_NODE": node,
        "TRAINMASTER_REPORT": REPORT_INSIDE,
        "TRAINMASTER_OUTPUT": OUTPUT_INSIDE,
        "TRAINMASTER_GROUP": GROUP_INSIDE,
        "TRAINMASTER_CHECKPOINT_DIR": CHECKPOINTS_INSIDE,
        **dict(run.environment),
    }
    return [f"{name}={value}" for name, value in values.items()]


def labels(run: RunId, owner: str) -> dict[str, str]:
    return {
        LABEL_OWNER: owner,
        LABEL_RUN: str(run),
        LABEL_TASK: run.task,
        LABEL_ATTEMPT: str(run.attempt),
        LABEL_RANK: str(run.rank),
    }


def create_body(
    run: RunSpec,
    node: NodeId,
    owner: str,
    volumes: Sequence[Volume],
    folder: str,
    checkpoints: str,
    *,
    cpus: Sequence[int] | None = None,
    pids: int = DEFAULT_PIDS,
    init: bool = True,
) -> dict[str, Any]:
    """The body of `POST /containers/create`. `folder` is the run's on the host, with its report file,
    `checkpoints` its task's, which outlives the attempt.

    Nothing is privileged: no capabilities, no way to gain any, the limits of the run and no more. Raises
    Refused for a network or an amount of memory Docker does not know.
    """
    if run.network not in NETWORKS:
        raise Refused(Fault.START_FAILED, f"network {run.network!r} is none of {', '.join(NETWORKS)}")
    memory = run.resources.memory
    if 0 < memory < _LEAST_MEMORY:
        raise Refused(Fault.START_FAILED, f"a container needs at least 6 MB of memory, not {memory} bytes")
    host: dict[str, Any] = {
        "NetworkMode": run.network,
        "Privileged": False,
        "CapDrop": ["ALL"],
        "SecurityOpt": ["no-new-privileges"],
        "AutoRemove": False,  # the exit code and the log stay until they are recorded
        "RestartPolicy": {"Name": "no"},
        "PidsLimit": pids,
        "ShmSize": max(memory // 2, 64 * 2**20) if memory else _DEFAULT_SHM,
        "Init": init,
        # Keeps every byte as it is, where json-file replaces what is not UTF-8. Never rotated: a part that
        # rotation drops before it is spooled would be lost.
        "LogConfig": {
            "Type": "local",
            "Config": {"max-size": "1000t", "max-file": "1", "compress": "false", "mode": "blocking"},
        },
        "Mounts": [
            {"Type": "bind", "Source": volume.source, "Target": volume.target, "ReadOnly": volume.read_only}
            for volume in volumes
        ]
        # The files alone and not their folder: what runs inside cannot put links to elsewhere in their place.
        + [
            {"Type": "bind", "Source": f"{folder}/{name}", "Target": inside, "ReadOnly": False}
            for name, inside in ((life.PROGRESS, REPORT_INSIDE), (life.OUTPUT, OUTPUT_INSIDE))
        ]
        + [
            {"Type": "bind", "Source": group_folder(folder), "Target": GROUP_INSIDE, "ReadOnly": True},
            {"Type": "bind", "Source": checkpoints, "Target": CHECKPOINTS_INSIDE, "ReadOnly": False},
        ],
    }
    if run.resources.cpu_m:
        host["NanoCpus"] = max(run.resources.cpu_m, 10) * 1_000_000
    if cpus:
        host["CpusetCpus"] = ",".join(map(str, cpus))
    if memory:
        host["Memory"] = memory
        host["MemorySwap"] = memory  # both together: no swap on top
    if run.devices:
        host["DeviceRequests"] = [
            {"Driver": "", "Count": 0, "DeviceIDs": [str(d) for d in run.devices], "Capabilities": [["gpu"]]}
        ]
    body: dict[str, Any] = {
        "Image": run.image,
        "Env": environment(run, node),
        "Labels": labels(run.id, owner),
        "AttachStdin": False,
        "OpenStdin": False,
        "Tty": False,
        "HostConfig": host,
    }
    if run.command:
        body["Cmd"] = list(run.command)
    if run.directory:
        body["WorkingDir"] = run.directory
    return body


def start_refused(message: str) -> Refused:
    """What an error of Docker's at create or start means for the run."""
    text = " ".join(message.split())
    lower = text.lower()
    if "no such image" in lower or "invalid reference format" in lower:
        return Refused(Fault.IMAGE_NOT_FOUND, text)
    if "exec:" in lower and ("not found" in lower or "no such file" in lower):
        return Refused(Fault.COMMAND_NOT_FOUND, text, 127)
    if "exec:" in lower and ("permission denied" in lower or "exec format error" in lower):
        return Refused(Fault.COMMAND_NOT_FOUND, text, 126)
    if "no command specified" in lower:
        return Refused(Fault.COMMAND_NOT_FOUND, f"{text}: the image has no command of its own, so give one")
    if "chdir to cwd" in lower or "cannot mkdir" in lower or "working directory" in lower:
        return Refused(Fault.DIRECTORY_MISSING, text, 126)
    if "bind source path" in lower or "invalid mount config" in lower or "error mounting" in lower:
        return Refused(Fault.VOLUME_REFUSED, text)
    if "could not select device driver" in lower:
        return Refused(
            Fault.START_FAILED, f"{text}: the engine has no GPU support; install nvidia-container-toolkit"
        )
    return Refused(Fault.START_FAILED, text)


_INIT_FAILED = re.compile(rb"\[FATAL tini \(\d+\)\] exec (.*) failed: (.*)\n?\Z")


def init_refused(code: int | None, stderr_tail: bytes) -> Refused | None:
    """Docker's init starts although the command does not exist, and says so on stderr as its last words."""
    if code not in (126, 127):
        return None
    match = _INIT_FAILED.search(stderr_tail)
    if match is None:
        return None
    name, problem = (group.decode(errors="replace") for group in match.groups())
    if "no such file" in problem.lower():
        return Refused(Fault.COMMAND_NOT_FOUND, f"{name}: command not found in the image", 127)
    return Refused(Fault.COMMAND_NOT_FOUND, f"{name}: {problem}", code)


def epoch(moment: str) -> float | None:
    """Docker's times, such as 2026-11-21T10:11:04.165217571Z; None for the one that means never."""
    match = re.fullmatch(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-]\d\d:\d\d)", moment)
    if match is None or moment.startswith("0001-"):
        return None
    zone = "+00:00" if match[3] == "Z" else match[3]
    return datetime.fromisoformat(match[1] + zone).timestamp() + float(match[2] or 0)


def owned_run(container_labels: Mapping[str, str]) -> RunId | None:
    """The run a labelled container was made for."""
    try:
        return RunId.parse(container_labels[LABEL_RUN])
    except (KeyError, ValueError):
        return None
