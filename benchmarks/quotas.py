"""Nodes of unequal speed on one machine: a control group each, with a CPU limit. Needs root."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.live import wait_until

PERIOD_US = 10_000  # shorter than most steps, which are then slowed down evenly


@contextlib.contextmanager
def limited(cores: Mapping[str, float]) -> Iterator[Path]:
    """A folder with one control group per name, each held to its number of cores.

    Who writes its process id into `FOLDER/NAME/cgroup.procs` enters one. A group uses up its part of each
    period as fast as it can and then stands still, so steps shorter than a period are uneven. All of them
    together have the greatest weight there is, so that it is the limits that decide, not what else runs on
    the machine. Raises SystemExit where this process may not make control groups.
    """
    first = Path("/sys/fs/cgroup/cpu") if Path("/sys/fs/cgroup/cpu").is_dir() else Path("/sys/fs/cgroup")
    parent = first / f"trainmaster-benchmark-{os.getpid()}"
    groups = [parent / name for name in cores]
    try:
        try:
            parent.mkdir()
            if (first / "cgroup.controllers").exists():  # version 2
                for above in (first, parent):
                    (above / "cgroup.subtree_control").write_text("+cpu")
                (parent / "cpu.weight").write_text("10000")
            else:
                (parent / "cpu.shares").write_text("262144")
            for group, number in zip(groups, cores.values(), strict=True):
                group.mkdir()
                quota = round(PERIOD_US * number)
                if (group / "cpu.max").exists():
                    (group / "cpu.max").write_text(f"{quota} {PERIOD_US}")
                else:
                    (group / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                    (group / "cpu.cfs_quota_us").write_text(str(quota))
        except OSError as error:
            raise SystemExit(f"cannot limit the CPU of a control group ({error}): run this as root") from None
        yield parent
    finally:
        for group in (*groups, parent):
            if group.is_dir():
                wait_until(lambda group=group: _removed(group), f"{group} is empty")


def _removed(group: Path) -> bool:
    try:
        group.rmdir()
    except OSError:
        return False
    return True
