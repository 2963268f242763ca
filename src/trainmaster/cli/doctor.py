"""`trainmaster doctor`: what is right here, what is missing, and what to do about it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from trainmaster.cli.output import AsJson
from trainmaster.cli.target import target


def doctor(
    context: typer.Context,
    config: Annotated[Path | None, typer.Option(help="Settings to check.")] = None,
    as_json: AsJson = False,
) -> None:
    """Check configuration, data folder, database, container engine, GPUs, port, disk, clock and versions.

    Exits with 1 if something must be mended.
    """
    from trainmaster.cli.checks import Verdict, examine
    from trainmaster.cli.errors import TASK_FAILED
    from trainmaster.cli.output import cell, console, counted, print_json

    styles = {Verdict.OK: "green", Verdict.NOTE: "yellow", Verdict.FAIL: "bold red"}
    out = console()
    findings = []
    for finding in examine(config, target(context).data):
        findings.append(finding)
        if as_json:
            continue
        line = cell(f"{finding.verdict:<4}", styles[finding.verdict])
        line.append_text(cell(f"  {finding.check:<13}  {finding.text}"))
        out.print(line, soft_wrap=True)
        if finding.remedy and finding.verdict is not Verdict.OK:
            out.print(cell(f"{'':21}{finding.remedy}", "dim"), soft_wrap=True)
    failed = sum(finding.verdict is Verdict.FAIL for finding in findings)
    if as_json:
        print_json(findings)
    else:
        out.print()
        out.print(cell(f"{counted(failed, 'thing')} to mend" if failed else "nothing to mend"))
    if failed:
        raise typer.Exit(TASK_FAILED)
