"""JSON checked against a JSON schema, as far as ``bundle.schema.json`` needs it.

A subset of draft 2020-12 without a dependency. An unsupported keyword is an error and never passed over, so
that the published schema and the check of the workstation are one and the same; a test holds the two implementations,
this one and the ``jsonschema`` package, together.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

__all__ = ["first_error"]

Schema = Mapping[str, Any]

_TYPES: Final[dict[str, Callable[[Any], bool]]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "integer": lambda value: not isinstance(value, bool) and isinstance(value, int | float) and value == value // 1,
    "boolean": lambda value: isinstance(value, bool),
    "null": lambda value: value is None,
}

_ANNOTATIONS: Final = frozenset({"$schema", "$id", "$defs", "title", "description"})


def first_error(value: object, schema: Schema, *, where: str = "", root: Schema | None = None) -> str | None:
    """The first violation of a schema, as a phrase with its place, or None.

    Args:
        value: parsed JSON.
        schema: the JSON schema.
        where: name of the value.
        root: the schema with the ``$defs``; ``schema`` itself by default.

    Raises:
        NotImplementedError: the schema has an unsupported keyword.
    """
    return next(_errors(value, schema, where, schema if root is None else root), None)


def _errors(value: object, schema: Schema, where: str, root: Schema) -> Iterator[str]:
    for keyword, wanted in schema.items():
        if keyword == "$ref":
            yield from _errors(value, root["$defs"][wanted.removeprefix("#/$defs/")], where, root)
        elif keyword in _SCALARS:
            applies, holds, phrase = _SCALARS[keyword]
            if applies(value) and not holds(value, wanted):
                yield f"{where or 'it'} {phrase.format(wanted=wanted)}"
        elif keyword in _CHILDREN:
            for child, name, child_schema in _CHILDREN[keyword](value, wanted, schema):
                path = f"{where}.{name}" if where else str(name)
                if child_schema is False:
                    yield f"{path} is not known"
                elif isinstance(child_schema, Mapping):
                    yield from _errors(child, child_schema, path, root)
        elif keyword not in _ANNOTATIONS:
            raise NotImplementedError(f"JSON schema keyword {keyword}")


def _is_type(value: object, wanted: str | list[str]) -> bool:
    return any(_TYPES[name](value) for name in ([wanted] if isinstance(wanted, str) else wanted))


def _matches(value: str, pattern: str) -> bool:
    # Python's $ also matches before a final line break
    return re.search(pattern.replace("$", r"\Z"), value) is not None


_object, _array, _string, _number = (_TYPES[name] for name in ("object", "array", "string", "number"))

_SCALARS: Final[dict[str, tuple[Callable[[Any], bool], Callable[[Any, Any], bool], str]]] = {
    # keyword: types of the values that it constrains, the condition, the phrase for a violation
    "type": (lambda _: True, _is_type, "is no {wanted}"),
    "const": (lambda _: True, lambda v, w: v == w and isinstance(v, bool) == isinstance(w, bool), "is not {wanted!r}"),
    "pattern": (_string, _matches, "does not match {wanted}"),
    "maxLength": (_string, lambda v, w: len(v) <= w, "is longer than {wanted}"),
    "minimum": (_number, lambda v, w: v >= w, "is below {wanted}"),
    "maximum": (_number, lambda v, w: v <= w, "is above {wanted}"),
    "minItems": (_array, lambda v, w: len(v) >= w, "has fewer than {wanted} items"),
    "maxItems": (_array, lambda v, w: len(v) <= w, "has more than {wanted} items"),
    "minProperties": (_object, lambda v, w: len(v) >= w, "has fewer than {wanted} entries"),
    "maxProperties": (_object, lambda v, w: len(v) <= w, "has more than {wanted} entries"),
    "required": (_object, lambda v, w: set(w) <= set(v), "lacks one of {wanted}"),
}

Children = Iterator[tuple[object, object, Any]]


def _properties(value: object, wanted: Schema, _: Schema) -> Children:
    known = value if isinstance(value, dict) else {}
    return ((known[name], name, wanted[name]) for name in wanted if name in known)


def _additional(value: object, wanted: object, schema: Schema) -> Children:
    entries = value.items() if isinstance(value, dict) else ()
    return ((entry, name, wanted) for name, entry in entries if name not in schema.get("properties", {}))


def _names(value: object, wanted: Schema, _: Schema) -> Children:
    return ((name, name, wanted) for name in (value if isinstance(value, dict) else ()))


def _first_items(value: object, wanted: list[Schema], _: Schema) -> Children:
    items = value if isinstance(value, list) else []
    return ((item, i, wanted[i]) for i, item in enumerate(items[: len(wanted)]))


def _other_items(value: object, wanted: Schema, schema: Schema) -> Children:
    first, items = len(schema.get("prefixItems", ())), value if isinstance(value, list) else []
    return ((item, i, wanted) for i, item in enumerate(items) if i >= first)


_CHILDREN: Final[dict[str, Callable[[Any, Any, Schema], Children]]] = {
    # keyword: the values inside a value that it is about, their names, and what they have to be
    "properties": _properties,
    "additionalProperties": _additional,
    "propertyNames": _names,
    "prefixItems": _first_items,
    "items": _other_items,
}
