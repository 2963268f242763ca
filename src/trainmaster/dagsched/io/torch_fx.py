"""The joint training graph of a PyTorch model, with roofline costs; nothing is computed to get it.

``make_fx`` traces forward pass, loss and gradients under fake tensors, so the model needs no real weights.
A node takes max(operations / peak, bytes moved / memory bandwidth) + a fixed overhead; an edge costs the
bytes of the producer's result over the link bandwidth.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from trainmaster.dagsched.errors import MissingExtraError
from trainmaster.dagsched.graph import TaskGraph

NAME = "torch_fx"


@dataclass(frozen=True, slots=True)
class Roofline:
    """A device: operations per second, bytes per second of memory and of links, seconds per kernel launch."""

    flops: float = 1.0e14
    memory: float = 2.0e12
    link: float = 5.0e10
    overhead: float = 5.0e-6


def trace_training_graph(model: Any, inputs: tuple[Any, ...], loss: Callable[[Any], Any]) -> Any:
    """The ``torch.fx.GraphModule`` of one training step: loss and the gradient of every trainable parameter.

    ``inputs``: example tensors, of which only shapes and types matter. ``loss``: from the model's output to
    a scalar. Raises ``MissingExtraError`` without torch.
    """
    try:
        import torch
        from torch._subclasses.fake_tensor import FakeTensorMode
        from torch.func import functional_call
        from torch.fx.experimental.proxy_tensor import make_fx
    except ImportError:
        raise MissingExtraError("trace_training_graph", "torch") from None

    trained = {name: value for name, value in model.named_parameters() if value.requires_grad}
    fixed = {
        **{name: value for name, value in model.named_parameters() if not value.requires_grad},
        **dict(model.named_buffers()),
    }

    def step(parameters: dict[str, Any], rest: dict[str, Any], *given: Any) -> Any:
        value = loss(functional_call(model, {**parameters, **rest}, given))
        gradients = torch.autograd.grad(value, list(parameters.values()), allow_unused=True)
        return value, gradients

    mode = FakeTensorMode(allow_non_fake_inputs=True)

    def fake(tensor: Any, *, grad: bool = False) -> Any:
        copy = mode.from_tensor(tensor.detach())
        return copy.requires_grad_() if grad else copy

    with mode:
        parameters = {name: fake(value, grad=True) for name, value in trained.items()}
        rest = {name: fake(value) for name, value in fixed.items()}
        given = tuple(fake(value) if isinstance(value, torch.Tensor) else value for value in inputs)
        return make_fx(step)(parameters, rest, *given)


def from_fx(module: Any, device: Roofline | None = None) -> TaskGraph:
    """A task graph of the calls in an fx graph whose nodes carry ``meta["val"]``.

    Inputs are no tasks: they are where they are needed. Views take no time. Times in seconds.
    """
    device = device or Roofline()
    nodes = [node for node in module.graph.nodes if node.op.startswith("call_")]
    index = {node: i for i, node in enumerate(nodes)}
    work = [_time(node, device) for node in nodes]
    edges = [
        (index[parent], index[node], _bytes(_sent(parent, node).meta.get("val")) / device.link)
        for node in nodes
        for parent in node.all_input_nodes
        if parent in index
    ]
    return TaskGraph(work, edges, [node.name for node in nodes])


def from_model(
    model: Any, inputs: tuple[Any, ...], loss: Callable[[Any], Any], device: Roofline | None = None
) -> TaskGraph:
    """``from_fx`` of ``trace_training_graph``."""
    return from_fx(trace_training_graph(model, inputs, loss), device)


def _sent(parent: Any, node: Any) -> Any:
    """Whose value crosses the edge: picking one of several results sends that one only."""
    return node if getattr(node.target, "__name__", "") == "getitem" else parent


def _bytes(value: Any) -> float:
    """Bytes of a tensor, or of the tensors in a tuple or list."""
    if isinstance(value, (tuple, list)):
        return sum(_bytes(item) for item in value)
    if hasattr(value, "element_size"):
        return float(value.numel() * value.element_size())
    return 0.0


def _flops(node: Any) -> float:
    """Operations of a node by PyTorch's own counter registry; one per element where it has no entry."""
    from torch.utils.flop_counter import flop_registry

    packet = getattr(node.target, "overloadpacket", None)
    count = flop_registry.get(packet) if packet is not None else None
    value = node.meta.get("val")
    if count is not None:
        import torch.fx

        arguments = torch.fx.node.map_arg(node.args, lambda n: n.meta.get("val"))
        keywords = torch.fx.node.map_arg(node.kwargs, lambda n: n.meta.get("val"))
        return float(count(*arguments, **keywords, out_val=value))
    first = value[0] if isinstance(value, (tuple, list)) and value else value
    return float(first.numel()) if hasattr(first, "numel") else 0.0


def _time(node: Any, device: Roofline) -> float:
    schema = getattr(node.target, "_schema", None)
    is_view = schema is not None and any(
        r.alias_info is not None and not r.alias_info.is_write for r in schema.returns
    )
    if is_view or not hasattr(node.target, "_schema"):
        return 0.0
    moved = _bytes(node.meta.get("val")) + sum(_bytes(n.meta.get("val")) for n in node.all_input_nodes)
    return max(_flops(node) / device.flops, moved / device.memory) + device.overhead
