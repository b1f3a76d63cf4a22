import io
import threading

import pytest

from pass_helpers import chain, names, tensor
from relay.ir import IRModule
from relay.ir.expr import Function
from relay.support.errors import InternalError, RelayError
from relay.transform import (
    DeadCodeElimination,
    FoldConstant,
    FuseOps,
    InferType,
    PassContext,
    PassInstrument,
    PassPrintingInstrument,
    PassTimingInstrument,
    PrintAfterAll,
    PrintBeforeAll,
    PrintChanged,
    Sequential,
    SimplifyExpr,
    VerifyInstrument,
    build_config,
    function_pass,
    module_pass,
    pass_instrument,
)

X = tensor("x", 2, 3)


@pytest.fixture
def module() -> IRModule:
    return IRModule.from_expr(Function((X,), chain(X, "exp", "nn.relu")))


def traced(level: int, log: list[str], name: str):
    def run(mod: IRModule, ctx: PassContext) -> IRModule:
        log.append(name)
        return mod

    return module_pass(run, opt_level=level, name=name)


def test_a_sequence_runs_what_the_context_enables(module):
    log: list[str] = []
    steps = Sequential([traced(level, log, f"level{level}") for level in range(5)])
    steps(module)
    assert log == ["level0", "level1", "level2"]
    log.clear()
    with PassContext(opt_level=1, required_pass=["level4"], disabled_pass=["level0"]):
        steps(module)
    assert log == ["level1", "level4"]


def test_a_pass_called_directly_always_runs(module):
    log: list[str] = []
    with PassContext(opt_level=0, disabled_pass=["late"]):
        traced(3, log, "late")(module)
    assert log == ["late"]


def test_required_passes_run_before():
    seen: list[str] = []

    class Watch(PassInstrument):
        def run_before_pass(self, module, info):
            seen.append(info.name)

    with PassContext(instruments=[Watch()]):
        Sequential([SimplifyExpr()])(IRModule.from_expr(X))
    assert seen == ["Sequential", "InferType", "SimplifyExpr"]


def test_contexts_nest_and_belong_to_one_thread():
    found: list[int] = []
    with PassContext(opt_level=3) as outer:
        with PassContext(opt_level=0):
            assert PassContext.current().opt_level == 0
        assert PassContext.current() is outer
        thread = threading.Thread(target=lambda: found.append(PassContext.current().opt_level))
        thread.start()
        thread.join()
    assert found == [2]
    assert PassContext.current().opt_level == 2


def test_unknown_configuration_is_an_error():
    with pytest.raises(RelayError, match=r"relay\.FuseOps\.max_depth"):
        PassContext(config={"relay.FuseOps.depth": 3})
    with pytest.raises(RelayError, match="of type int"):
        PassContext(config={"relay.FuseOps.max_depth": "3"})


def test_function_pass_of_a_function(module):
    @function_pass(opt_level=1, required=["InferType"])
    def tanh_at_the_end(func, mod, ctx):
        return Function(func.params, chain(func.body, "tanh"))

    assert tanh_at_the_end.info.name == "tanh_at_the_end"
    assert tanh_at_the_end.info.required == ("InferType",)
    assert names(tanh_at_the_end(module)["main"].body) == ["exp", "nn.relu", "tanh"]


def test_function_pass_of_a_class(module):
    @function_pass(opt_level=1)
    class Append:
        """Append an operator."""

        def __init__(self, operator):
            self.operator = operator

        def transform_function(self, func, mod, ctx):
            return Function(func.params, chain(func.body, self.operator))

    step = Append("tanh")
    assert step.operator == "tanh"
    assert step.info.name == "Append"
    assert names(step(module)["main"].body) == ["exp", "nn.relu", "tanh"]


def test_module_pass_of_a_class(module):
    @module_pass(opt_level=1, name="Renamed")
    class Keep:
        def transform_module(self, mod, ctx):
            return mod

    assert Keep().info.name == "Renamed"
    assert Keep()(module) is module


def test_wrong_results_are_named(module):
    with pytest.raises(RelayError, match="the pass lose must return a Function, it returned None"):
        function_pass(lambda *_: None, name="lose")(module)
    with pytest.raises(RelayError, match="must return an IRModule"):
        module_pass(lambda *_: 3, name="lose")(module)


def test_functions_that_skip_optimization_are_left_alone():
    func = Function((X,), chain(X, "exp"), attrs={"SkipOptimization": 1})
    module = IRModule.from_expr(func)
    assert FuseOps(fuse_opt_level=1)(module) is module


def test_timing(module):
    timing = PassTimingInstrument()
    with PassContext(instruments=[timing]):
        Sequential([SimplifyExpr(), FoldConstant()])(module)
    rows = timing.render().splitlines()
    assert [row.split()[0] for row in rows[1:-1]] == [
        *("Sequential", "InferType", "SimplifyExpr", "InferType", "FoldConstant")
    ]
    assert rows[2].startswith("  InferType")


def test_printing(module):
    before, after, changed = io.StringIO(), io.StringIO(), io.StringIO()
    instruments = [
        PrintBeforeAll(["FuseOps"], before),
        PrintAfterAll(stream=after),
        PrintChanged(stream=changed),
    ]
    module = InferType()(module)
    with PassContext(instruments=instruments):
        Sequential([FoldConstant(), FuseOps()])(module)
    assert before.getvalue().startswith("// before FuseOps")
    assert "Primitive" not in before.getvalue()
    assert after.getvalue().count("// after") == 5
    assert changed.getvalue().count("// changed by") == 1
    assert "// changed by FuseOps" in changed.getvalue()


def test_an_instrument_may_veto_a_pass(module):
    @pass_instrument
    class NoFusion:
        def should_run(self, module, info):
            return info.name != "FuseOps"

    module = InferType()(module)
    with PassContext(instruments=[NoFusion()]):
        assert FuseOps(fuse_opt_level=1)(module) is module
    with PassContext(instruments=[NoFusion()], required_pass=["FuseOps"]):
        assert FuseOps(fuse_opt_level=1)(module) is not module


def test_instruments_hear_of_the_context():
    log: list[str] = []

    class Watch(PassInstrument):
        def enter_pass_ctx(self):
            log.append("enter")

        def exit_pass_ctx(self):
            log.append("exit")

    with PassContext(instruments=[Watch()]):
        log.append("inside")
    assert log == ["enter", "inside", "exit"]


def test_verify_names_the_guilty_pass(module):
    @function_pass(opt_level=0)
    def halve(func, mod, ctx):
        return Function(func.params, chain(func.body, "sum"))

    @function_pass(opt_level=0)
    def unbind(func, mod, ctx):
        return Function((), func.body)

    with PassContext(instruments=[VerifyInstrument()]):
        Sequential([FoldConstant(), DeadCodeElimination(), FuseOps()])(module)
        with pytest.raises(InternalError, match="the pass halve changed the type of @main"):
            halve(module)
        with pytest.raises(InternalError, match="the pass unbind"):
            unbind(module)


def test_printing_before_and_after_chosen_passes(module):
    stream = io.StringIO()
    instrument = PassPrintingInstrument(["InferType"], ["SimplifyExpr"], stream)
    with PassContext(instruments=[instrument]):
        Sequential([SimplifyExpr(), FoldConstant()])(module)
    headings = [line for line in stream.getvalue().splitlines() if line.startswith("//")]
    assert headings == ["// before InferType", "// after SimplifyExpr", "// before InferType"]
    assert "nn.relu" in stream.getvalue()


class Log(PassInstrument):
    """Says what it is told."""

    def __init__(self, name: str, log: list[str]) -> None:
        self.name, self.log = name, log

    def enter_pass_ctx(self) -> None:
        self.log.append(f"enter {self.name}")

    def exit_pass_ctx(self) -> None:
        self.log.append(f"exit {self.name}")

    def run_after_pass(self, module, info) -> None:
        self.log.append(f"{self.name} {info.name}")


def test_instruments_are_replaced(module):
    log: list[str] = []
    with PassContext(instruments=[Log("a", log)]) as context:
        InferType()(module)
        context.override_instruments([Log("b", log), Log("c", log)])
        InferType()(module)
        context.override_instruments(None)
        InferType()(module)
    wanted = "enter a, a InferType, exit a, enter b, enter c, b InferType, c InferType"
    assert log == [*wanted.split(", "), "exit b", "exit c"]


def test_the_default_context_belongs_to_one_thread(module):
    log: list[str] = []
    PassContext.current().override_instruments([Log("a", log)])
    try:
        thread = threading.Thread(target=InferType(), args=(module,))
        thread.start()
        thread.join()
        assert log == ["enter a"]
        InferType()(module)
        assert log == ["enter a", "a InferType"]
    finally:
        PassContext.current().override_instruments(None)


def test_build_config():
    with build_config(opt_level=3, required_pass=["A"], disabled_pass=["B"]) as context:
        assert PassContext.current() is context
        assert (context.opt_level, context.required_pass, context.disabled_pass) == (
            3,
            ("A",),
            ("B",),
        )
