"""The changes that mutation testing makes: each of one place in a tree of Python.

Left out is what decides nothing: types, docstrings, decorators, `__slots__`, words for readers.
"""

import ast
from collections import Counter
from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass
from typing import Any

_COMPARED: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
}
_COMPUTED: dict[type[ast.operator], type[ast.operator]] = {
    ast.Add: ast.Sub,
    ast.Sub: ast.Add,
    ast.Mult: ast.Add,
    ast.Mod: ast.Mult,
    ast.BitOr: ast.BitAnd,
    ast.BitAnd: ast.BitOr,
}
_NAMED = {
    "any": "all",
    "all": "any",
    "startswith": "endswith",
    "endswith": "startswith",
    "partition": "rpartition",
    "rpartition": "partition",
    "fullmatch": "match",
    "isdisjoint": "issubset",
    "popleft": "pop",
}
#: Functions of one argument that may be forgotten.
_FORGOTTEN = {"fold", "key", "sorted", "reversed"}
_UNTOUCHED = {"annotation", "returns", "decorator_list"}
#: What takes a place, and how the place is told before and after where that is not the whole.
_Change = tuple[Any, str, str]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change, as it is told: within which function, what became what."""

    line: int
    inside: str
    before: str
    after: str


def mutants_of(tree: ast.Module) -> Iterator[Mutant]:
    """Make every change in `tree` itself, one at a time; it is undone before the next one."""
    seen: Counter[tuple[str, str, str]] = Counter()
    for holder, place, inside in list(_places(tree, "")):
        node = holder[place]
        for changed, before, after in list(_changes(node)):
            holder[place] = ast.fix_missing_locations(ast.copy_location(changed, node))
            told = (inside, before or _told(node), after or _told(changed))
            seen[told] += 1
            again = f" ({seen[told]})" if seen[told] > 1 else ""
            yield Mutant(node.lineno, inside, told[1] + again, told[2])
        holder[place] = node


def _places(parent: ast.AST, inside: str) -> Iterator[tuple[Any, Any, str]]:
    for field, value in ast.iter_fields(parent):
        if field in _UNTOUCHED:
            continue
        listed = isinstance(value, list)
        holder: Any = value if listed else vars(parent)
        for place in range(len(value)) if listed else (field,):
            node = holder[place]
            if not isinstance(node, ast.AST) or _is_silent(parent, node):
                continue
            if isinstance(node, ast.expr | ast.stmt):
                yield holder, place, inside
            name = node.name if isinstance(node, ast.FunctionDef | ast.ClassDef) else ""
            yield from _places(node, f"{inside}.{name}".strip("."))


def _is_silent(parent: ast.AST, node: ast.AST) -> bool:
    if isinstance(parent, ast.Raise) or _is_for_types(parent, node):
        return True
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return len(node.value) > 1 and " " in node.value
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _is_for_types(parent: ast.AST, node: ast.AST) -> bool:
    if not isinstance(node, ast.Assign):
        return False
    alias = isinstance(parent, ast.Module) and isinstance(node.value, ast.Subscript)
    return alias or _told(node.targets[0]) == "__slots__"


def _changes(node: ast.AST) -> Iterator[_Change]:  # noqa: C901, PLR0912, PLR0915
    match node:
        case ast.Compare(ops=ops):
            for place, one in enumerate(ops):
                for other in _COMPARED[type(one)]:
                    yield _with(node, ops=[*ops[:place], other(), *ops[place + 1 :]]), "", ""
        case ast.BoolOp(op=op, values=values):
            yield _with(node, op=ast.Or() if isinstance(op, ast.And) else ast.And()), "", ""
            for place in range(len(values)):
                left = [*values[:place], *values[place + 1 :]]
                yield left[0] if len(left) == 1 else _with(node, values=left), "", ""
        case ast.UnaryOp(op=ast.Not() | ast.USub(), operand=operand):
            yield operand, "", ""
        case ast.BinOp(op=op) if type(op) in _COMPUTED:
            yield _with(node, op=_COMPUTED[type(op)]()), "", ""
        case ast.Constant(value=bool(value)):
            yield ast.Constant(not value), "", ""
        case ast.Constant(value=int(value)):
            yield ast.Constant(value + 1), "", ""
        case ast.Constant(value=str(value)):
            yield ast.Constant("" if value else "changed"), "", ""
        case ast.Name(id=name) if name in _NAMED:
            yield _with(node, id=_NAMED[name]), "", ""
        case ast.Attribute(attr=name) if name in _NAMED:
            yield _with(node, attr=_NAMED[name]), "", ""
        case ast.Call(func=func, args=args, keywords=keywords):
            if isinstance(func, ast.Name) and func.id in _FORGOTTEN and args:
                yield args[0], "", ""
            yield from _without(node, "keywords", keywords)
            if len(args) > 1 and _told(func) != "isinstance":
                yield _with(node, args=args[:-1]), _told(node), "its last argument left out"
        case ast.Tuple(elts=found) | ast.List(elts=found) | ast.Set(elts=found):
            if not isinstance(getattr(node, "ctx", None), ast.Store):
                yield from _without(node, "elts", found)
        case ast.Dict(keys=keys, values=values):
            for place, key in enumerate(keys):
                left = [*values[:place], *values[place + 1 :]]
                entry = _with(node, keys=[*keys[:place], *keys[place + 1 :]], values=left)
                yield entry, _told(key or values[place]), "no such entry"
        case ast.Slice():
            for bound in ("lower", "upper", "step"):
                if getattr(node, bound) is not None:
                    yield _with(node, **{bound: None}), "", ""
        case ast.ListComp() | ast.SetComp() | ast.GeneratorExp() | ast.DictComp():
            for place, loop in enumerate(node.generators):
                for less, before, after in _without(loop, "ifs", loop.ifs):
                    changed = [*node.generators[:place], less, *node.generators[place + 1 :]]
                    yield _with(node, generators=changed), f"if {before}", after
        case ast.Return(value=value) if not isinstance(value, ast.Constant | None):
            yield ast.Return(ast.Constant(None)), "", ""
        case ast.If(test=test) | ast.IfExp(test=test):
            yield _with(node, test=ast.Constant(True)), f"if {_told(test)}", "if True"
            yield _with(node, test=ast.Constant(False)), f"if {_told(test)}", "if False"
        case ast.While(test=test):
            yield _with(node, test=ast.Constant(False)), "", ""
        case ast.For():
            yield _with(node, iter=ast.Tuple([], ast.Load())), "", ""
        case ast.Match(cases=cases):
            yield from _without(node, "cases", cases)
        case ast.Expr() | ast.Assign() | ast.AugAssign() | ast.Raise() | ast.Continue():
            yield ast.Pass(), "", ""
        case ast.Break():
            yield ast.Continue(), "", ""
        case _:
            pass


def _without(node: Any, field: str, entries: list[Any]) -> Iterator[_Change]:
    for place, one in enumerate(entries):
        left = [*entries[:place], *entries[place + 1 :]]
        yield _with(node, **{field: left}), _told(one), "left out"


def _with(node: Any, **fields: Any) -> Any:
    changed = copy(node)
    for field, value in fields.items():
        setattr(changed, field, value)
    return changed


def _told(node: ast.AST) -> str:
    return ast.unparse(node).strip().partition("\n")[0]
