"""Programs made by Hypothesis: they print, parse, type and run, and all of it agrees."""

from hypothesis import given, settings
from hypothesis import strategies as st

import relay
from relay.executor.interpreter import ConstructorValue
from relay_programs import programs


def plain(value: object) -> object:
    """A result of the interpreter that can be compared."""
    if isinstance(value, ConstructorValue):
        return (value.constructor.name_hint, *map(plain, value.fields))
    return tuple(map(plain, value)) if isinstance(value, tuple) else value.numpy().tolist()


def run(module: relay.IRModule, x: int) -> object:
    return plain(relay.create_executor("debug", mod=module).evaluate()(x))


@given(programs(), st.integers(-5, 5))
@settings(max_examples=60)
def test_programs_print_parse_type_and_run(module: relay.IRModule, x: int) -> None:
    typed = relay.infer_types(module)
    assert relay.infer_types(typed) is typed
    text = typed.astext()
    again = relay.parse(text)
    relay.assert_structural_equal(typed, again)
    assert relay.structural_hash(typed) == relay.structural_hash(again)
    assert again.astext() == text
    assert again["main"].checked_type == typed["main"].checked_type
    assert run(module, x) == run(typed, x) == run(again, x)


@given(programs())
@settings(max_examples=30)
def test_programs_parse_back_before_they_are_typed(module: relay.IRModule) -> None:
    again = relay.ir.parser.parse(module.astext())
    relay.assert_structural_equal(module["main"], again["main"])
    assert relay.analysis.well_formed(module) == relay.analysis.well_formed(again)
