"""This worker's copy of all that training changes: models, optimizers, schedulers, whatever has a state."""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import random
from collections.abc import Callable
from types import MethodType
from typing import Any

import torch
from torch import nn

from trainmaster.train.errors import ModelMismatch, StateUnfit, WrongUse
from trainmaster.train.gpu import device_of


class Replica:
    """The objects given to `prepare`, in order."""

    def __init__(self) -> None:
        self.objects: list[Any] = []

    def add(self, thing: Any, may_step: Callable[[], bool], may_advance: Callable[[], bool]) -> None:
        """Take an object in. Its `step`, if it has one, does nothing while it may not.

        `may_step` is asked for optimizers, `may_advance` for schedulers and whatever else.
        """
        if not (hasattr(thing, "state_dict") and hasattr(thing, "load_state_dict")):
            raise WrongUse(
                f"prepare takes what has state_dict and load_state_dict, not a {type(thing).__name__}"
            )
        self.objects.append(thing)
        if hasattr(thing, "step") and not isinstance(thing, nn.Module):
            _guard(thing, may_step if isinstance(thing, torch.optim.Optimizer) else may_advance)

    @property
    def scales(self) -> bool:
        """True if a GradScaler is among them: it deals with infinite gradients itself."""
        return any(isinstance(thing, torch.amp.GradScaler) for thing in self.objects)

    def parameters(self) -> list[nn.Parameter]:
        """Trainable ones, each once, in order."""
        found: dict[int, nn.Parameter] = {}
        for thing in self.objects:
            if isinstance(thing, nn.Module):
                found |= {id(one): one for one in thing.parameters() if one.requires_grad}
        return list(found.values())

    def buffers(self) -> list[torch.Tensor]:
        """Floating-point buffers of the models, each once, in order."""
        found: dict[int, torch.Tensor] = {}
        for thing in self.objects:
            if isinstance(thing, nn.Module):
                found |= {id(one): one for one in thing.buffers() if one.is_floating_point() and one.numel()}
        return list(found.values())

    def averaged(self) -> list[torch.Tensor]:
        """Floating-point parameters and buffers of the models, each once, in order."""
        found: dict[int, torch.Tensor] = {}
        for thing in self.objects:
            if isinstance(thing, nn.Module):
                tensors = (*(one.detach() for one in thing.parameters()), *thing.buffers())
                found |= {one.data_ptr(): one for one in tensors if one.is_floating_point() and one.numel()}
        return list(found.values())

    @property
    def device(self) -> torch.device:
        """Where the models are; the CPU if they are on several devices."""
        return device_of([*self.parameters(), *self.buffers()])

    # --- comparing -----------------------------------------------------------------------------------------

    def describe(self) -> list[str]:
        """One line per tensor of the models: name, shape, dtype."""
        return [
            f"{name}: {tuple(tensor.shape)} {tensor.dtype}"
            for thing in self.objects
            if isinstance(thing, nn.Module)
            for name, tensor in thing.state_dict().items()
            if isinstance(tensor, torch.Tensor)
        ]

    def signature(self) -> str:
        return hashlib.sha256("\n".join(self.describe()).encode()).hexdigest()[:16]

    def compare(self, leader: list[str]) -> None:
        """Raises ModelMismatch, naming the first parameter that differs from the leader's."""
        here = self.describe()
        for at in range(max(len(here), len(leader))):
            ours = here[at] if at < len(here) else "none"
            theirs = leader[at] if at < len(leader) else "none"
            if ours != theirs:
                name = (theirs if ours == "none" else ours).split(":")[0]
                raise ModelMismatch(
                    f"the model differs from the leader's at {name}: {ours} here, {theirs} there",
                    parameter=name, here=ours, leader=theirs,
                )  # fmt: skip

    # --- moving --------------------------------------------------------------------------------------------

    def capture(self, extra: dict[str, Any]) -> bytes:
        """Everything as bytes: objects, random generators, gradients under accumulation, and `extra`."""
        buffer = io.BytesIO()
        grads = [parameter.grad for parameter in self.parameters()] if extra.get("accumulating") else None
        state = {
            "extra": extra,
            "objects": [thing.state_dict() for thing in self.objects],
            "random": {
                "torch": torch.get_rng_state(),
                "python": random.getstate(),
                "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            },
            "grads": grads,
        }
        torch.save(state, buffer)
        return buffer.getvalue()

    def copy(self) -> list[Any]:
        """The objects' states as they are now, in memory: what `revert` takes."""
        return [_copied(thing.state_dict()) for thing in self.objects]

    def revert(self, states: list[Any]) -> None:
        """Go back to a `copy`, which is used up by it."""
        for thing, state in zip(self.objects, states, strict=True):
            thing.load_state_dict(state)

    def restore(self, content: bytes, *, random_too: bool) -> dict[str, Any]:
        """Become what was captured; returns its `extra`. Raises StateUnfit."""
        # Not weights only: a scheduler's or a user's state may hold any object. It comes from our own group.
        # On the CPU first: what is captured on one GPU may be restored on another, or on none.
        state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=False)
        if len(state["objects"]) != len(self.objects):
            problem = f"{len(state['objects'])} objects were saved, {len(self.objects)} are prepared"
            raise StateUnfit(problem, problem=problem)
        for thing, saved in zip(self.objects, state["objects"], strict=True):
            try:
                thing.load_state_dict(saved)
            except (RuntimeError, ValueError, KeyError, TypeError) as error:
                raise StateUnfit(f"{type(thing).__name__}: {error}", problem=str(error)) from None
        if random_too:
            torch.set_rng_state(state["random"]["torch"])
            random.setstate(state["random"]["python"])
            if (kept := state["random"].get("cuda")) is not None and self.device.type == "cuda":
                torch.cuda.set_rng_state(kept, self.device)
        for at, parameter in enumerate(self.parameters()):
            saved = state["grads"][at] if state["grads"] else None
            parameter.grad = None if saved is None else saved.to(parameter.device)
        extra: dict[str, Any] = state["extra"]
        return extra


def _copied(state: Any) -> Any:
    """A copy that shares no tensor with it."""
    if isinstance(state, torch.Tensor):
        return state.detach().clone()
    if isinstance(state, dict):
        made = copy.copy(state)  # with what hangs on it: a module's state has its version there
        made.update((key, _copied(value)) for key, value in state.items())
        return made
    if isinstance(state, list):
        return [_copied(value) for value in state]
    return copy.deepcopy(state)


def _guard(thing: Any, may_step: Callable[[], bool]) -> None:
    """Make `thing.step` ask first."""
    if isinstance(thing, torch.optim.Optimizer):
        # On the object, over what a learning rate scheduler has put there; bound, as it looks for that.
        original = thing.step

        @functools.wraps(original)  # a scheduler knows its optimizer by a mark on it
        def step(self: Any, *args: Any, **kwargs: Any) -> Any:
            if may_step():
                return original(*args, **kwargs)
            self._opt_called = True  # or a scheduler warns that it was forgotten
            return None

        thing.step = MethodType(step, thing)  # type: ignore[method-assign]
        return

    # By a class, as the state of a scheduler is all that its object holds.
    kind = type(thing)

    class Guarded(kind):  # type: ignore[misc, valid-type]
        def step(self, *args: Any, **kwargs: Any) -> Any:
            return super().step(*args, **kwargs) if may_step() else None

    Guarded.__name__, Guarded.__qualname__ = kind.__name__, kind.__qualname__
    thing.__class__ = Guarded
