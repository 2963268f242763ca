"""Decision time at 100,000 queued tasks on 1,000 nodes.

Two situations: the *burst* that fills the empty cluster, and the *steady* state: one task ends at a time and
the freed room is filled. Reported per step: p50, p99, max in milliseconds of CPU
(a step does nothing but compute, and shared machines would add their neighbours' time to a wall clock).
With `--elastic`: that many elastic groups whose speeds are measured, on all nodes, under each allotment
policy. Counted are the steps in which it decides, or thinks on towards a decision: a tenth of all report
every second, a task ends, another comes, workers join. With `--cooldown 0` groups may be resized at every
step, as no service does: a storm.
Usage: python -m benchmarks.cycle [--queued 100000] [--nodes 1000] [--elastic 100 [--gpus 8] [--cooldown 2]
       [--plays 1] [--profile NAME]]
"""

from __future__ import annotations

import argparse
import cProfile
import json
import pstats
import random
import time

from trainmaster.domain.cluster import Node
from trainmaster.domain.commands import Command, Launch, Regroup
from trainmaster.domain.events import (
    Event,
    NodeJoined,
    ProgressReported,
    RunReported,
    TaskSubmitted,
    WorkerJoined,
    WorkerReady,
)
from trainmaster.domain.ids import NodeId, RunId, TaskId, UserName
from trainmaster.domain.run import Exit, RunReport, RunState
from trainmaster.domain.task import TaskSpec, Urgency
from trainmaster.domain.units import Resources
from trainmaster.policies.registry import ALLOTMENTS, Profile, build
from trainmaster.scheduler.state import Limits, State
from trainmaster.scheduler.step import step
from trainmaster.telemetry.memory import settle_collector

GB = 10**9


def workload(count: int, seed: int) -> list[TaskSubmitted]:
    """Tasks of 20 users and 45 shapes, a tenth of them urgent."""
    rng = random.Random(seed)
    return [
        TaskSubmitted(
            TaskId(f"t-{number:07d}"),
            TaskSpec(
                "train",
                command=("python", "train.py"),
                resources=Resources(
                    cpu_m=rng.choice([1000, 2000, 4000]),
                    memory=rng.choice([4, 8, 16]) * GB,
                    gpus=rng.choice([0, 0, 1, 2, 4]),
                ),
                urgency=Urgency.URGENT if rng.random() < 0.1 else Urgency.NORMAL,
                priority=float(rng.randrange(5)),
                user=UserName(f"user-{rng.randrange(20)}"),
                estimate_s=rng.uniform(60, 36_000),
            ),
        )
        for number in range(count)
    ]


def quantiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    at = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {
        name: round(ordered[min(int(len(ordered) * q), len(ordered) - 1)] * 1e3, 2) for name, q in at.items()
    }


def measure(ordering: str, queued: int, nodes: int, seed: int = 0) -> dict[str, object]:
    state = State()
    state.policies = build(Profile("benchmark", ordering, "fair", "least_loaded", "newest_first"))
    settle_collector()  # as the service does
    # Tasks first, nodes after: so that the burst is decisions alone, without the cost of taking tasks in.
    events = workload(queued + 4 * nodes, seed)
    for begin in range(0, len(events), 1000):
        step(state, events[begin : begin + 1000], 0.0)
    capacity = Resources(cpu_m=32_000, memory=128 * GB, gpus=8)
    step_times: list[float] = []
    out = step(state, [NodeJoined(Node(NodeId(f"n{i:04d}"), capacity)) for i in range(nodes)], 1.0)
    while out.again:
        began = time.process_time()
        out = step(state, [], 1.0)
        step_times.append(time.process_time() - began)
    burst = quantiles(step_times)
    filled = len(state.runs)
    rng, now, steady = random.Random(seed), 1.0, []
    live = list(state.runs)
    for _ in range(1000):
        now += 0.1
        position = rng.randrange(len(live))
        live[position], live[-1] = live[-1], live[position]
        run = state.runs[live.pop()][0]
        report = RunReport(run.id, RunState.EXITED, now - 60, now, Exit(0))
        began = time.process_time()
        out = step(state, [RunReported(run.node, report)], now)
        steady.append(time.process_time() - began)
        live += [task for task in out.tasks if task in state.runs]
    return {
        "queued": len(state.ready),
        "nodes": nodes,
        "running": filled,
        "burst_ms": burst,
        "steady_ms": quantiles(steady),
    }


# --- elastic ------------------------------------------------------------------------------------------------


# Of one round. Three times the usual: an agent that never comes to rest would go on for ever.
MOST_STEPS = 60
APART_S = 1 / 3  # what happens, and there are three such things in a round


class Groups:
    """Nodes and training that answer at once: a launched worker is ready, a planned one joins.

    What is left to answer after MOST_STEPS waits for the next round.
    """

    def __init__(self, state: State, seed: int) -> None:
        self.state, self.rng = state, random.Random(seed)
        self.now = 1.0
        self.asked: list[float] = []  # seconds of the steps in which the policy was asked or thought on
        self.serial: dict[TaskId, float] = {}
        self.left: list[Event] = []

    def step(self, events: list[Event]) -> None:
        events, self.left = self.left + events, []
        self.now += APART_S
        steps = 0
        while steps < MOST_STEPS:
            self.now += 0.01
            thinks = self.state.deliberation is not None
            due = self.state.allot_due or bool(events)
            before = self.state.decisions
            began = time.process_time()
            out = step(self.state, events, self.now)
            seconds = time.process_time() - began
            if thinks or (due and self.state.decisions > before):
                self.asked.append(seconds)
            steps += not thinks
            events = [event for command in out.commands for event in self.answer(command)]
            if not events and not out.again:
                return
        self.left = events

    def answer(self, command: Command) -> list[Event]:
        if isinstance(command, Launch):
            run = command.run.id
            report = RunReport(run, RunState.RUNNING, started_at=self.now)
            return [RunReported(command.node, report), WorkerReady(run, f"{command.node}:{run.rank}")]
        if isinstance(command, Regroup):
            if command.run.rank in command.plan.members:
                return [WorkerJoined(command.run, command.plan.generation, 0.0)]
            return [RunReported(command.node, RunReport(command.run, RunState.EXITED, 0, self.now, Exit(0)))]
        return []

    def report(self, task: TaskId, step_: float) -> Event:
        """Speeds by Amdahl's law with the task's own serial share, and noise of 2 %."""
        serial = self.serial.setdefault(task, self.rng.uniform(0.005, 0.1))
        workers = self.state.tasks[task].workers
        rate = workers / (1 + serial * (workers - 1)) * self.rng.uniform(0.98, 1.02)
        metrics = {"samples_s": 100 * rate, "loss": 1 / (1 + step_ / 500) + 0.1}
        return ProgressReported(RunId(task, self.state.tasks[task].attempt, 0), self.now, step_, metrics)

    def end(self, task: TaskId) -> list[Event]:
        runs = self.state.runs[task].values()
        return [RunReported(r.node, RunReport(r.id, RunState.EXITED, 0, self.now, Exit(0))) for r in runs]


def measure_elastic(
    allotment: str, tasks: int, nodes: int, gpus: int, rounds: int, cooldown_s: float, plays: int = 1
) -> dict[str, object]:
    """The same run is played several times, and each of its steps counts with the fastest: decisions are the
    same each time, collections of garbage too, and what neighbours on a shared machine do only adds."""
    told = [_play(allotment, tasks, nodes, gpus, rounds, cooldown_s) for _ in range(plays)]
    (workers,) = {workers for workers, _ in told}
    asked = [min(steps) for steps in zip(*(asked for _, asked in told), strict=True)]
    return {"decisions": len(asked), "workers": workers, "ms": quantiles(asked)}


def _play(
    allotment: str, tasks: int, nodes: int, gpus: int, rounds: int, cooldown_s: float
) -> tuple[int, list[float]]:
    """Workers at the end, and the seconds of each step in which the policy was asked."""
    state = State(limits=Limits(resize_cooldown_s=cooldown_s))
    state.policies = build(Profile("benchmark", "fcfs", allotment, "least_loaded", "none"))
    settle_collector()
    capacity = Resources(cpu_m=32_000, memory=128 * GB, gpus=8)
    world = Groups(state, seed=0)
    world.step([NodeJoined(Node(NodeId(f"n{i:04d}"), capacity)) for i in range(nodes)])
    spec = TaskSpec(
        "train", command=("python", "train.py"), resources=Resources(cpu_m=1000, gpus=gpus), max_workers=128
    )
    count = tasks
    world.step([TaskSubmitted(TaskId(f"t-{i:07d}"), spec) for i in range(tasks)])
    for turn in range(1, rounds + 1):
        live = list(state.elastic)
        if turn == 6:
            world.asked.clear()  # by now every task has been seen with several counts
        world.step(
            [world.report(task, 100.0 * turn) for task in world.rng.sample(live, max(len(live) // 10, 1))]
        )
        count += 1
        world.step(world.end(world.rng.choice(live)))
        world.step([TaskSubmitted(TaskId(f"t-{count:07d}"), spec)])
    return sum(task.workers for task in state.elastic.values()), world.asked


def elastic(options: argparse.Namespace) -> None:
    """One line for each policy. Of those that think for longer than a step, each part counts."""
    for name in [options.profile] if options.profile else sorted(set(ALLOTMENTS) - {"fixed"}):
        profiler = cProfile.Profile()
        if options.profile:
            profiler.enable()
        rounds = 12 if name in ("pollux", "rlpto") else 50
        found = measure_elastic(
            name, options.elastic, options.nodes, options.gpus, rounds, options.cooldown, options.plays
        )
        if options.profile:
            profiler.disable()
            pstats.Stats(profiler).sort_stats("tottime").print_stats(30)
        told = {"benchmark": "cycle --elastic", "limit_p99_ms": 10, "allotment": name, **found}
        print(json.dumps(told), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--queued", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=1_000)
    parser.add_argument("--elastic", type=int, default=0, help="so many elastic tasks instead")
    parser.add_argument("--gpus", type=int, default=8, help="of each of their workers; a node has 8")
    parser.add_argument(
        "--cooldown",
        type=float,
        default=Limits().resize_cooldown_s,
        help="seconds between resizes of a group",
    )
    parser.add_argument(
        "--plays", type=int, default=1, help="of each elastic run; the fastest counts, by step"
    )
    parser.add_argument("--profile", help="only this allotment policy, and where its time goes")
    options = parser.parse_args()
    if options.elastic:
        elastic(options)
        return
    result = {
        ordering: measure(ordering, options.queued, options.nodes)
        for ordering in ("fcfs", "priority", "multi_queue", "sjf", "backfill")
    }
    print(json.dumps({"benchmark": "cycle", "limit_p99_ms": 50, "orderings": result}))


if __name__ == "__main__":
    main()
