"""Configuration: TOML and ``key=value`` overrides into frozen dataclasses.

A configuration is a tree of frozen dataclasses with defaults. Values come from a mapping (a TOML file, JSON)
and from overrides such as ``loss.alpha=0.5``; a key that does not exist is an error that names the nearest one.
"""

import dataclasses
import tomllib
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeVar

from ctpdeploy.errors import UnknownKeyError, UsageError

__all__ = ["load", "merge", "parse_overrides", "to_dict"]

Config = TypeVar("Config")


def load(base: Config, file: Path | None = None, overrides: Iterable[str] = ()) -> Config:
    """Apply a TOML file, then overrides, to a configuration.

    Raises:
        UsageError: the file is not TOML, a key is unknown, or a value has the wrong type.
    """
    if file is not None:
        try:
            values = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise UsageError(f"Cannot read the configuration {file}: {error}.") from error
        base = merge(base, values, where=str(file))
    return merge(base, parse_overrides(overrides), where="the overrides")


def merge(base: Config, values: Mapping[str, object], *, where: str = "the configuration") -> Config:
    """A copy of ``base`` with ``values`` put in, checked against the annotated types.

    Raises:
        UnknownKeyError: a key that is no field.
        UsageError: a value of the wrong type.
    """
    hints = typing.get_type_hints(type(base))
    changes: dict[str, object] = {}
    for key, value in values.items():
        if key not in hints:
            raise UnknownKeyError(key, hints, where)
        current = getattr(base, key)
        if dataclasses.is_dataclass(current) and isinstance(value, Mapping):
            changes[key] = merge(current, value, where=f"{where}, [{key}]")
        else:
            changes[key] = _checked(value, hints[key], f"'{key}' in {where}")
    return dataclasses.replace(base, **changes)  # type: ignore[type-var]


def parse_overrides(overrides: Iterable[str]) -> dict[str, object]:
    """Turn ``["loss.alpha=0.5", "system=cta"]`` into nested mappings; values are TOML, else plain text.

    Raises:
        UsageError: an override without ``=``.
    """
    tree: dict[str, object] = {}
    for override in overrides:
        path, equals, text = override.partition("=")
        if not equals or not path.strip():
            raise UsageError(f"'{override}' is not an override: write key=value.")
        *parents, leaf = path.strip().split(".")
        node = tree
        for parent in parents:
            node = typing.cast("dict[str, object]", node.setdefault(parent, {}))
        try:
            node[leaf] = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            node[leaf] = text.strip()
    return tree


def to_dict(config: object) -> dict[str, object]:
    """The configuration as plain mappings, lists and scalars, ready for JSON."""
    return dataclasses.asdict(config)  # type: ignore[call-overload]


def _built(kind: type[Config], values: Mapping[str, object], where: str) -> Config:
    """A dataclass of values that stand in a list, where no default is there to put them into."""
    hints = typing.get_type_hints(kind)
    for key in values:
        if key not in hints:
            raise UnknownKeyError(key, hints, where)
    for one in dataclasses.fields(kind):  # type: ignore[arg-type]
        if one.name not in values and one.default is one.default_factory is dataclasses.MISSING:
            raise UsageError(f"{where} has no '{one.name}': give one.")
    return kind(**{key: _checked(value, hints[key], f"'{key}' in {where}") for key, value in values.items()})


def _checked(value: object, annotation: object, name: str) -> object:
    """``value`` if it fits ``annotation`` (int goes for float, list for tuple), else a UsageError."""
    origin = typing.get_origin(annotation)
    arguments = typing.get_args(annotation)
    if origin is typing.Literal:
        if value in arguments:
            return value
        raise UsageError(f"{name} is {value!r}: choose one of {', '.join(map(str, arguments))}.")
    if origin in (types.UnionType, typing.Union):
        for option in arguments:
            try:
                return _checked(value, option, name)
            except UsageError:
                continue
    elif origin is tuple:
        kinds = arguments[:1] * len(value) if isinstance(value, list | tuple) and ... in arguments else arguments
        if isinstance(value, list | tuple) and len(value) == len(kinds):
            return tuple(_checked(item, kind, name) for item, kind in zip(value, kinds, strict=True))
    elif dataclasses.is_dataclass(annotation) and isinstance(annotation, type) and isinstance(value, Mapping):
        return _built(annotation, value, name)
    elif annotation is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif annotation is types.NoneType and value is None:
        return None
    elif isinstance(annotation, type) and type(value) is annotation:
        return value
    wanted = getattr(annotation, "__name__", str(annotation))
    raise UsageError(f"{name} is {value!r}, which is not {wanted}.")
