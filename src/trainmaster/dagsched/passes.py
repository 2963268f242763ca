"""How numba compiles kernels here: its own passes, less what makes no kernel faster.

numba lets whoever calls ``njit`` choose the passes (``pipeline_class``; its documentation, "Customizing the
Compiler"). What is left out, and why nothing is missed:

* rewriting closures, comprehensions, array expressions, ``with``, ``raise`` and ``literal_unroll``: kernels
  have none, and one that had would not compile or do without the rewriting;
* machine code for parts, and LLVM's passes over their modules. Only kernels call parts; each has them linked
  in as LLVM's code and optimises that with its own;
* a pass manager for each function, and LLVM's passes over functions that are only declared;
* resolving the same call again, and comparing flags one by one;
* looking at each access whether its index counts from the end of the array. None may; a test looks.

Beyond the passes this builds on inner classes of numba, so ``jit`` imports it only with a version of numba
with which it was tested. With any other it leaves the compiling to numba: the same kernels, only later.
"""

from __future__ import annotations

from typing import Any

import numba._dynfunc as _dynfunc
from numba.core import ir, types
from numba.core import typed_passes as typed
from numba.core import untyped_passes as untyped
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, Flags
from numba.core.compiler_machinery import FunctionPass, PassManager, register_pass


class _Flags(Flags):
    """numba's flags, by which it looks up templates all the time, compared as the dictionaries they are."""

    _defaults = {name: option.default for name, option in Flags.options.items()}
    # Of the names alone, so all flags have the same.
    _hash = hash(Flags())

    def values(self) -> dict[str, Any]:
        return self._defaults | self._values

    def __hash__(self) -> int:
        return self._hash


class _Remembers:
    """A typing context that resolves a function and its arguments' types once.

    Type inference asks for each call in each round until nothing changes any more, and most calls are the
    same few operators on the same few types: of 3,700 asked for when ``auto`` is compiled, 125 are different.
    """

    _resolved: dict[Any, Any] = {}

    def __init__(self, context: Any) -> None:
        self._context = context

    def __getattr__(self, name: str) -> Any:
        return getattr(self._context, name)

    def resolve_function_type(self, function: Any, arguments: Any, named: Any) -> Any:
        # Not other kernels, which may be half known while they call themselves.
        if named or type(function) is not types.Function:
            return self._context.resolve_function_type(function, arguments, named)
        key = self._context, function, tuple(arguments)
        signature = self._resolved.get(key)
        if signature is None:
            signature = self._context.resolve_function_type(function, arguments, named)
            self._resolved[key] = signature
        return signature


@register_pass(mutates_CFG=True, analysis_only=False)
class _InferTypes(typed.NopythonTypeInference):
    _name = "infer_types"

    def run_pass(self, state: Any) -> bool:
        context = state.typingctx
        state.typingctx = _Remembers(context)
        try:
            return bool(super().run_pass(state))
        finally:
            state.typingctx = context


@register_pass(mutates_CFG=False, analysis_only=False)
class _CountFromTheFront(FunctionPass):
    """Index arrays by unsigned integers, which do not count from the end.

    A look whether they do is a comparison, a load of the length and a choice at every access: a seventh of
    the partitioner's time.
    """

    _name = "count_from_the_front"

    def __init__(self) -> None:
        pass

    def run_pass(self, state: Any) -> bool:
        calls = state.calltypes
        for block in state.func_ir.blocks.values():
            for statement in block.body:
                call = statement.value if isinstance(statement, ir.Assign) else statement
                if not isinstance(call, ir.SetItem) and getattr(call, "op", None) != "getitem":
                    continue
                # numba lets no call be typed twice, so it has to go first.
                signature = calls.pop(call)
                array, index, *value = signature.args
                if isinstance(array, types.Array):
                    signature = signature.replace(args=(array, _unsigned(index), *value))
                calls[call] = signature
        return False


def _unsigned(index: Any) -> Any:
    if isinstance(index, (types.UniTuple, types.Tuple)):
        return types.Tuple([_unsigned(one) for one in index.types])
    return types.uintp if index == types.intp else index


class _Code(JITCodeLibrary):
    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout
        passes, builder = self._codegen._function_pass_manager()
        for function in module.functions:
            if not function.is_declaration:
                passes.run(function, builder)


class _PartsCode(_Code):
    """Stays LLVM's code, to be linked into kernels."""

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._finalized = True


@register_pass(mutates_CFG=True, analysis_only=False)
class _LowerPart(typed.NativeLowering):
    """Lowering without what follows it: an address of the code."""

    _name = "lower_part"

    def run_pass(self, state: Any) -> bool:
        state.flags.no_compile = True
        super().run_pass(state)
        lowered, library = state.cr, state.library
        # What numba would call and know the part by. Only kernels call parts, and they have them linked in.
        nowhere = 0
        name = lowered.fndesc.qualname.rpartition(".")[2]
        handle = _dynfunc.make_function(
            lowered.fndesc.lookup_module(), name, "a part of kernels", nowhere, lowered.env, (library,)
        )
        state.targetctx.insert_user_function(handle, lowered.fndesc, [library])
        state.reload_init.extend(library._reload_init)
        state.cr = lowered._replace(cfunc=handle)
        return True


@register_pass(mutates_CFG=True, analysis_only=False)
class _FinishKernel(typed.NoPythonBackend):
    """What a part prints has its place in the kernel's code, which numba fills only for hits in the cache."""

    _name = "finish_kernel"

    def run_pass(self, state: Any) -> bool:
        super().run_pass(state)
        for environment in state.cr._find_referenced_environments():
            state.targetctx.codegen().set_env(environment.env_name, environment)
        return True


FRONT = (
    untyped.TranslateByteCode,
    untyped.FixupArgs,
    untyped.IRProcessing,
    untyped.DeadBranchPrune,  # what is only for arguments that are not None
    untyped.ReconstructSSA,
    _InferTypes,
    _CountFromTheFront,
    typed.PreLowerStripPhis,
    typed.IRLegalization,
    typed.AnnotateTypes,
)


class KernelCompiler(CompilerBase):
    code: type[JITCodeLibrary] = _Code
    back: tuple[type, ...] = (typed.NativeLowering, _FinishKernel)

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.state.flags = _Flags(self.state.flags)

    def define_pipelines(self) -> list[PassManager]:
        library = self.code(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
        library.enable_object_caching()
        self.state.library = library
        passes = PassManager("kernels")
        for one in FRONT + self.back:
            passes.add_pass(one, one.__name__)
        passes.finalize()
        return [passes]


class PartCompiler(KernelCompiler):
    code = _PartsCode
    back = (_LowerPart, typed.NoPythonBackend)
