"""Programs over other values than tensors: the types that follow when tensors become something.

Where every tensor becomes a pair, or a cell, so do the tensors in tuples, functions, references and
data types. A data type whose fields are type parameters stays what it is, at other arguments; one
with fields that are tensors gets a twin, with other constructors.
"""

from collections.abc import Callable, Sequence

from relay.ir.adt import Constructor, TypeData
from relay.ir.expr import Expr
from relay.ir.match import Clause, Match
from relay.ir.module import IRModule
from relay.ir.patterns import Pattern, PatternConstructor, PatternTuple, fold
from relay.ir.types import (
    FuncType,
    GlobalTypeVar,
    RefType,
    TensorType,
    TupleType,
    Type,
    TypeCall,
)
from relay.transform.copies import unused_name


class LiftedTypes:
    """What the types and constructors of `module` become when a tensor becomes ``lift(tensor)``.

    `suffix` ends the names of the twins. A twin that `module` has already is used again. Linear in
    the definitions of the module.
    """

    def __init__(self, module: IRModule, lift: Callable[[TensorType], Type], suffix: str) -> None:
        self._lift = lift
        self._suffix = suffix
        self._module = module
        self._made: dict[GlobalTypeVar, TypeData] = {}
        self._constructors: dict[GlobalTypeVar, dict[str, Constructor]] = {}
        known = module.type_definitions
        changing = _with_tensors(list(known.values()))
        wanted = {h: GlobalTypeVar(h.name_hint + suffix) for h in changing}
        self._twins = wanted
        self._used: set[GlobalTypeVar] = set()
        if not all(w not in module or self._is_twin(known[h], known[w]) for h, w in wanted.items()):
            taken = {g.name_hint for g in known}
            self._twins = {h: _unused(w.name_hint, taken) for h, w in wanted.items()}
        taken = {c.name_hint for data in known.values() for c in data.constructors}
        for header, twin in self._twins.items():
            if twin not in module:
                self._made[twin] = self._definition(known[header], twin, taken)
            made = known.get(twin) or self._made[twin]
            pairs = zip(known[header].constructors, made.constructors, strict=True)
            self._constructors[header] = {old.name_hint: new for old, new in pairs}
        self._used.clear()

    @property
    def definitions(self) -> dict[GlobalTypeVar, TypeData]:
        """The new data types that the constructors and types that were asked for need."""
        waiting = [t for t in self._made if t in self._used]
        found: dict[GlobalTypeVar, TypeData] = {}
        while waiting:
            twin = waiting.pop()
            if twin in self._made and twin not in found:
                found[twin] = self._made[twin]
                for constructor in found[twin].constructors:
                    inside = _parts(constructor.inputs)
                    waiting.extend(t for t in inside if isinstance(t, GlobalTypeVar))
        return found

    def type_(self, type_: Type) -> Type:
        """`type_` with every tensor in it lifted."""
        match type_:
            case TensorType():
                return self._lift(type_)
            case TupleType(fields=fields):
                return TupleType([self.type_(f) for f in fields])
            case FuncType():
                return self.function(type_)
            case RefType(value=value):
                return RefType(self.type_(value))
            case TypeCall(func=func, args=arguments):
                return TypeCall(self.type_(func), [self.type_(a) for a in arguments])
            case GlobalTypeVar():
                twin = self._twins.get(type_, type_)
                self._used.add(twin)
                return twin
            case _:
                return type_

    def function(self, type_: FuncType) -> FuncType:
        """`type_` with every tensor in it lifted."""
        arguments = [self.type_(a) for a in type_.arg_types]
        return FuncType(arguments, self.type_(type_.ret_type), type_.type_params)

    def constructor(self, constructor: Constructor) -> Constructor:
        """What makes the lifted values of `constructor`."""
        twins = self._constructors.get(constructor.belong_to)
        if twins is None:
            return constructor
        self._used.add(self._twins[constructor.belong_to])
        return twins[constructor.name_hint]

    def match(self, match: Match, children: Sequence[Expr]) -> Match:
        """`match` over lifted `children`."""
        rebuilt = match.rebuild(children)
        assert isinstance(rebuilt, Match)
        clauses = [Clause(self._pattern(c.lhs), c.rhs) for c in rebuilt.clauses]
        if all(new.lhs is old.lhs for new, old in zip(clauses, rebuilt.clauses, strict=True)):
            return rebuilt
        return Match(rebuilt.data, clauses, rebuilt.complete, rebuilt.span)

    def _pattern(self, pattern: Pattern) -> Pattern:
        def lifted(old: Pattern, parts: Sequence[Pattern]) -> Pattern:
            same = all(a is b for a, b in zip(old.children(), parts, strict=True))
            if isinstance(old, PatternConstructor):
                new = self.constructor(old.constructor)
                return old if same and new is old.constructor else PatternConstructor(new, parts)
            return old if same else PatternTuple(parts)

        return fold(pattern, lifted)

    def _is_twin(self, data: TypeData, other: TypeData) -> bool:
        """Whether `other` is what becomes of `data`."""
        wanted = [
            (c.name_hint + self._suffix, [str(self.type_(t)) for t in c.inputs])
            for c in data.constructors
        ]
        return wanted == [(c.name_hint, [str(t) for t in c.inputs]) for c in other.constructors]

    def _definition(self, data: TypeData, twin: GlobalTypeVar, taken: set[str]) -> TypeData:
        constructors: list[Constructor] = []
        for old in data.constructors:
            name = unused_name(old.name_hint + self._suffix, taken)
            taken.add(name)
            constructors.append(Constructor(name, [self.type_(t) for t in old.inputs], twin))
        return TypeData(twin, data.type_vars, constructors)


def _unused(wanted: str, taken: set[str]) -> GlobalTypeVar:
    name = unused_name(wanted, taken)
    taken.add(name)
    return GlobalTypeVar(name)


def _with_tensors(definitions: Sequence[TypeData]) -> list[GlobalTypeVar]:
    """The data types of which a value of whatever arguments may hold a tensor."""
    holders: dict[Type, list[GlobalTypeVar]] = {}
    found: dict[GlobalTypeVar, None] = {}
    for data in definitions:
        for constructor in data.constructors:
            for inner in _parts(constructor.inputs):
                if isinstance(inner, TensorType):
                    found[data.header] = None
                elif isinstance(inner, GlobalTypeVar):
                    holders.setdefault(inner, []).append(data.header)
    waiting = list(found)
    while waiting:
        for header in holders.get(waiting.pop(), ()):
            if header not in found:
                found[header] = None
                waiting.append(header)
    return [data.header for data in definitions if data.header in found]


def _parts(types: Sequence[Type]) -> list[Type]:
    """Every type in `types`."""
    found: list[Type] = []
    stack = list(types)
    while stack:
        current = stack.pop()
        found.append(current)
        stack.extend(current.children())
    return found
