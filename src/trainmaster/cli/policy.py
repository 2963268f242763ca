"""`trainmaster policy`: the allotment policies that are trained, training them, and whose weights to use."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trainmaster.cli.output import AsJson, add
from trainmaster.cli.target import target

if TYPE_CHECKING:
    from trainmaster.policies.learned import TaskNetwork
    from trainmaster.rl.training import Progress

app = typer.Typer(
    help="Policies that are trained: list them, train them, choose whose weights decide.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
Name = Annotated[str, typer.Argument(help="rlpto or residual_ppo.")]
SHIPPED = "shipped"


@app.command("list")
def list_(context: typer.Context, as_json: AsJson = False) -> None:
    """List the trained policies and where their weights come from."""
    from trainmaster.bootstrap.weights import TRAINED
    from trainmaster.cli.output import cell, console, print_json, table

    found = [_described(name, *_in_use(context, name)) for name in TRAINED]
    if as_json:
        print_json(found)
        return
    made = table("policy", "weights", ">parameters", "~trained by")
    for one in found:
        add(made, cell(one["policy"]), cell(one["source"]), cell(one["parameters"]), cell(one["command"]))
    console().print(made)


@app.command()
def show(context: typer.Context, name: Name, as_json: AsJson = False) -> None:
    """One trained policy: what it sees, how it was trained and what came of it."""
    from trainmaster.cli.output import console, facts, print_json

    network, source = _in_use(context, _known(name))
    told = _described(name, network, source) | {
        "features": network.features,
        "trained": dict(network.trained),
    }
    if as_json:
        print_json(told)
        return
    rows: list[tuple[str, object]] = [
        ("policy", name), ("weights", source), ("parameters", told["parameters"]),
        ("sees of each task", ", ".join(network.features)),
    ]  # fmt: skip
    rows += [(key.replace("_", " "), value) for key, value in network.trained.items()]
    console().print(facts(*rows))


@app.command()
def train(
    name: Name,
    out: Annotated[Path | None, typer.Option(help="File for the weights; default: NAME.json here.")] = None,
    iterations: Annotated[int | None, typer.Option(min=1, help="Updates; default: as shipped.")] = None,
    episodes: Annotated[
        int | None, typer.Option(min=1, help="Simulated runs for each update; default: as shipped.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same weights.")] = 0,
    variant: Annotated[str, typer.Option(help="kl: adaptive penalty (the paper); clip: clipped.")] = "kl",
    beta: Annotated[float | None, typer.Option(help="rlpto: only this β, not the paper's six.")] = None,
    as_json: AsJson = False,
) -> None:
    """Train a policy in the simulator (minutes) and write its weights. Needs torch; using them does not."""
    import importlib.util

    from trainmaster.cli.output import console, print_json
    from trainmaster.rl.errors import NoTorch

    _known(name)
    if importlib.util.find_spec("torch") is None:
        raise NoTorch("training needs PyTorch")
    from dataclasses import replace

    from trainmaster.rl.games import GAMES, game
    from trainmaster.rl.training import Plan
    from trainmaster.rl.training import train as learn

    usual = GAMES[name]
    plan = Plan(
        iterations or usual.iterations, episodes or usual.episodes, seed=seed, replicas=usual.replicas
    )
    path = out or Path(f"{name}.json")
    words = f"trainmaster policy train {name} --iterations {plan.iterations} --episodes {plan.episodes}"
    words += f" --seed {seed} --variant {variant}" + (f" --beta {beta}" if beta is not None else "")
    shown = _Shown(plan.iterations, quiet=as_json)
    with shown:
        result = learn(game(name, variant, beta), plan, shown.take)
    about = {"command": words, "seed": seed, "score_before": result.first, "score": result.best}
    path.write_text(replace(result.network, trained=about).to_json(), encoding="utf-8")
    if as_json:
        print_json({**about, "file": str(path)})
        return
    out_ = console()
    out_.print(f"score {result.first:.4f} before, {result.best:.4f} after; weights in {path}")
    out_.print(f"let a service use them: trainmaster policy use {name} {path}")


@app.command()
def use(
    context: typer.Context,
    name: Name,
    weights: Annotated[str, typer.Argument(help=f"A file that `train` wrote, or {SHIPPED}.")],
) -> None:
    """Choose the weights for the service of this data folder; it takes them when it starts."""
    from trainmaster.bootstrap.weights import own_file, read_file
    from trainmaster.cli.output import console

    path = own_file(_data(context), _known(name))
    if weights == SHIPPED:
        path.unlink(missing_ok=True)
    else:
        network = read_file(Path(weights), name)
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        path.write_text(network.to_json(), encoding="utf-8")
    console().print(f"{name}: {weights} from the next start of the service on")


def _known(name: str) -> str:
    from trainmaster.bootstrap.weights import TRAINED
    from trainmaster.domain.errors import UnknownPolicy

    if name not in TRAINED:
        raise UnknownPolicy(
            f"there is no trained policy {name!r}", remedy=f"choose one of {', '.join(TRAINED)}", name=name
        )
    return name


def _data(context: typer.Context) -> Path:
    from trainmaster.bootstrap.config import default_data

    named = target(context).data
    return Path(named) if named else default_data()


def _in_use(context: typer.Context, name: str) -> tuple[TaskNetwork, str]:
    from trainmaster.bootstrap.weights import TRAINED, own_file, read_file
    from trainmaster.policies.learned import shipped

    path = own_file(_data(context), name)
    if path.is_file():
        return read_file(path, name), str(path)
    features, outputs = TRAINED[name]
    return shipped(name, features, outputs), SHIPPED


def _described(name: str, network: TaskNetwork, source: str) -> dict[str, Any]:
    parameters = sum(weight.size + bias.size for weight, bias in network.layers)
    return {
        "policy": name,
        "source": source,
        "parameters": parameters,
        "command": network.trained.get("command", ""),
    }


class _Shown:
    """A bar while training on a terminal; otherwise a line at every judgement."""

    def __init__(self, iterations: int, quiet: bool) -> None:
        from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

        self._bar = Progress(
            TextColumn("training"), BarColumn(), TextColumn("{task.completed}/{task.total}"),
            TimeRemainingColumn(), TextColumn("{task.description}"), disable=quiet or not sys.stdout.isatty(),
        )  # fmt: skip
        self._lines = not quiet and not sys.stdout.isatty()
        self._task = self._bar.add_task("", total=iterations)
        self._last: float | None = None

    def __enter__(self) -> None:
        self._bar.start()

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def take(self, now: Progress) -> None:
        words = f"score {now.score:.4f}, best {now.best:.4f}, KL {now.kl:.4f}, invalid {now.invalid:.0%}"
        self._bar.update(self._task, completed=now.iteration, description=words)
        if self._lines and (now.score != self._last or now.iteration == now.iterations):
            self._last = now.score
            typer.echo(f"{now.iteration}/{now.iterations}: {words}")
