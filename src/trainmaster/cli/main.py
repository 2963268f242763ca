"""`trainmaster`: the table of commands, the options before them, and what becomes of errors.

Exit codes: 0 done, 1 the task failed, 2 wrong usage or a refused request, 3 the service cannot be reached or
cannot answer now, 130 interrupted.
"""

from __future__ import annotations

import io
import sys
from typing import Annotated

import typer

from trainmaster.cli.errors import report
from trainmaster.cli.lazy import Entry, LazyGroup
from trainmaster.cli.target import Target

_TASKS, _CLUSTER, _SERVICE, _TOOLS = "Tasks", "Cluster", "Service", "Tools"

COMMANDS: dict[str, Entry] = {
    "submit": Entry(
        "trainmaster.cli.submit:submit", "Submit a task: a command, a container or a function.", _TASKS
    ),
    "tasks": Entry(
        "trainmaster.cli.tasks:tasks", "List tasks: the live ones and the latest that ended.", _TASKS
    ),
    "show": Entry("trainmaster.cli.show:show", "One task: state, workers, progress.", _TASKS),
    "logs": Entry("trainmaster.cli.logs:logs", "Print a task's log, or follow it.", _TASKS),
    "explain": Entry("trainmaster.cli.explain:explain", "Why a task waits, or runs as it does.", _TASKS),
    "priority": Entry("trainmaster.cli.priority:priority", "Raise, lower or set a task's priority.", _TASKS),
    "resize": Entry("trainmaster.cli.resize:resize", "Change how many workers a task has.", _TASKS),
    "cancel": Entry("trainmaster.cli.cancel:cancel", "End tasks.", _TASKS),
    "events": Entry("trainmaster.cli.events:events", "What happened, and why.", _TASKS),
    "workflow": Entry("trainmaster.cli.workflow:app", "Define, run and look at graphs of tasks.", _TASKS),
    "top": Entry("trainmaster.cli.top:top", "Nodes and tasks, live.", _CLUSTER),
    "nodes": Entry("trainmaster.cli.nodes:nodes", "List nodes: occupancy and measurements.", _CLUSTER),
    "drain": Entry("trainmaster.cli.drain:drain", "Give a node nothing new, or let it work again.", _CLUSTER),
    "profile": Entry("trainmaster.cli.profile:app", "List the sets of policies, or switch.", _CLUSTER),
    "quota": Entry("trainmaster.cli.quota:app", "Limits by user.", _CLUSTER),
    "alarm": Entry("trainmaster.cli.alarm:app", "What is wrong, and who is told.", _CLUSTER),
    "token": Entry("trainmaster.cli.token:app", "Who has access.", _CLUSTER),
    "up": Entry("trainmaster.cli.up:up", "Start the service on this machine.", _SERVICE),
    "services": Entry("trainmaster.cli.services:services", "Who serves: roles, leader, beats.", _SERVICE),
    "down": Entry("trainmaster.cli.down:down", "Stop the service of this machine.", _SERVICE),
    "doctor": Entry("trainmaster.cli.doctor:doctor", "Check this machine and say what to mend.", _SERVICE),
    "demo": Entry("trainmaster.cli.demo:demo", "Watch small networks train, wait and yield.", _SERVICE),
    "plan": Entry("trainmaster.cli.plan:app", "Plan task graphs on processors.", _TOOLS),
    "policy": Entry("trainmaster.cli.policy:app", "Policies that are trained: train, choose.", _TOOLS),
    "trigger": Entry(
        "trainmaster.cli.trigger:app", "Tasks that start by the clock, again and again.", _TASKS
    ),
    "forecast": Entry("trainmaster.cli.forecast:forecast", "Forecast how much work comes.", _TOOLS),
    "whatif": Entry("trainmaster.cli.whatif:whatif", "Replay the history under another profile.", _TOOLS),
    "simulate": Entry("trainmaster.cli.simulate:simulate", "Run a workload in virtual time.", _TOOLS),
}

app = typer.Typer(
    name="trainmaster",
    cls=LazyGroup.of(COMMANDS),
    no_args_is_help=True,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from trainmaster import __version__

        typer.echo(f"trainmaster {__version__}")
        raise typer.Exit()


@app.callback()
def options(
    context: typer.Context,
    url: Annotated[
        str | None, typer.Option(help="Address of the service; default: TRAINMASTER_URL, or this machine's.")
    ] = None,
    token: Annotated[str | None, typer.Option(help="Token; default: TRAINMASTER_TOKEN, or your own.")] = None,
    data: Annotated[str | None, typer.Option(help="Data folder of the service on this machine.")] = None,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Schedules and runs training tasks on this machine or a cluster, and can always say why."""
    context.obj = Target(url, token, data)


def main() -> None:
    """The console script."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(
                errors="replace"
            )  # a terminal without our bars and dashes is no reason to fail
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command; answers with the exit code and never raises."""
    try:
        command = typer.main.get_command(app)
        answer = command.main(arguments, prog_name="trainmaster", standalone_mode=False)
        sys.stdout.flush()
        return answer if isinstance(answer, int) else 0
    except BaseException as error:
        return report(error)


if __name__ == "__main__":
    main()
