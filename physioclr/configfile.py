"""From a YAML file and KEY=VALUE words to a typed configuration, with errors that name the nearest right key."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError

from physioclr import storage
from physioclr.errors import ConfigError

Config = TypeVar("Config", bound=BaseModel)


def load(model: type[Config], path: str | None, overrides: Sequence[str] = ()) -> Config:
    """The configuration `model` from the YAML at `path` (without it, the defaults) and `key.sub=value` overrides.

    Raises `ConfigError` with one sentence for a missing file, bad YAML, an unknown key (naming the nearest right
    one), a wrong type, or values that contradict each other.
    """
    values = _read_yaml(path) if path else {}
    for override in overrides:
        _apply(values, override)
    return validate(model, values, path or "the command line")


def validate(model: type[Config], values: dict[str, Any], where: str) -> Config:
    """`values` as a `model`; `where` is named in the error."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise ConfigError(_explain(model, error, where)) from error


def dump(config: BaseModel) -> str:
    """The whole resolved configuration as YAML, such that `load` gives it back."""
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False, width=110)


def changed(config: Config, values: Mapping[str, Any], where: str) -> Config:
    """`config` with `values` at their dotted keys; `where` is named in a `ConfigError` as of `load`."""
    nested: dict[str, Any] = config.model_dump(mode="json")
    for key, value in values.items():
        _set(nested, key, value, f"{key}={value}")
    return validate(type(config), nested, where)


def completed(model: type[BaseModel], before: Any) -> Any:
    """A configuration that was stored earlier, with the keys that came later: their defaults are what was done before.

    As it is, where it is not one of `model` any more.
    """
    try:
        return model.model_validate(before).model_dump(mode="json")
    except ValidationError:
        return before


def differing_keys(before: dict[str, Any], now: dict[str, Any], ignore: Sequence[str] = ()) -> list[str]:
    """Dotted keys whose values differ between two dumped configurations, but those in `ignore` and what is below."""
    old, new = dict(_flatten(before)), dict(_flatten(now))
    keys = sorted(old.keys() | new.keys())
    left_out = tuple(f"{key}." for key in ignore)
    return [key for key in keys if key not in ignore and not key.startswith(left_out) and old.get(key) != new.get(key)]


def _flatten(values: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(values, dict) and values:
        for key, value in values.items():
            yield from _flatten(value, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(values, list | tuple) and any(isinstance(value, dict) for value in values):
        for index, value in enumerate(values):
            yield from _flatten(value, f"{prefix}.{index}")
    else:
        yield prefix, list(values) if isinstance(values, tuple) else values


def _read_yaml(path: str) -> dict[str, Any]:
    text = storage.read_text(path)
    try:
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f" at line {mark.line + 1}" if mark else ""
        raise ConfigError(f"{path} is not valid YAML{line}; check its indentation and quotes.") from error
    if values is None:
        return {}
    if not isinstance(values, dict):
        raise ConfigError(f"{path} must hold `key: value` lines, not a {type(values).__name__}.")
    return values


def _apply(values: dict[str, Any], override: str) -> None:
    """Set one `a.b.0.c=value` in the nested `values`, the value being read as YAML."""
    key, equals, text = override.partition("=")
    if not equals or not key:
        raise ConfigError(f"{override!r} is not KEY=VALUE; write for example training.epochs=5.")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The value in {override!r} is not valid YAML.") from error
    _set(values, key, value, override)


def _set(values: dict[str, Any], key: str, value: Any, override: str) -> None:
    """Set the value at a dotted key of the nested `values`; `override` is named in errors."""
    *parents, last = key.split(".")
    node: Any = values
    for part in parents:
        node = _child(node, part, override)
    if isinstance(node, list):
        _child(node, last, override)
        node[int(last)] = value
    else:
        node[last] = value


def _child(node: dict[str, Any] | list[Any], part: str, override: str) -> Any:
    """The container at `part` of `node`: a mapping made when missing, or an existing item of a list."""
    if isinstance(node, list):
        if not part.isdigit() or int(part) > len(node):
            raise ConfigError(f"{part!r} in {override!r} is not an item of a list of {len(node)}.")
        if int(part) == len(node):
            node.append({})
        return node[int(part)]
    if node.get(part) is None:
        node[part] = [] if part == "sources" else {}
    child = node[part]
    if not isinstance(child, dict | list):
        raise ConfigError(f"{override!r} sets a key below {part!r}, which is a plain value; check the key.")
    return child


def _explain(model: type[BaseModel], error: ValidationError, where: str) -> str:
    """One sentence for the first problem of a `ValidationError`, and how many more there are."""
    first = error.errors()[0]
    path = [str(part) for part in first["loc"]]
    more = len(error.errors()) - 1
    tail = f" ({more} more)" if more else ""
    if first["type"] == "extra_forbidden":
        return f"Unknown key {'.'.join(path)!r} in {where}; {_nearest(model, path)}{tail}"
    message = str(first["msg"]).removeprefix("Value error, ")
    if not path:
        return f"{where}: {message}{tail}."
    if isinstance(first["input"], dict):  # a section whose values contradict each other
        return f"{'.'.join(path)} in {where}: {message}{tail}."
    return f"{'.'.join(path)} in {where} is {first['input']!r}: {message[0].lower()}{message[1:]}{tail}."


def _nearest(model: type[BaseModel], path: list[str]) -> str:
    """The right key for `path`: the same name elsewhere, else the most alike beside it or anywhere."""
    *prefix, last = path
    siblings = _fields_at(model, prefix)
    elsewhere = {key.split(".")[-1]: key for key in reversed(list(_all_keys(model)))}
    if last in elsewhere:
        return f"did you mean {elsewhere[last]!r}?"
    near = difflib.get_close_matches(last, siblings, n=1, cutoff=0.6)
    if near:
        return f"did you mean {'.'.join([*prefix, near[0]])!r}?"
    near = difflib.get_close_matches(last, elsewhere, n=1, cutoff=0.75)
    return f"did you mean {elsewhere[near[0]]!r}?" if near else f"the keys there are {', '.join(siblings)}"


def _fields_at(model: type[BaseModel], path: list[str]) -> list[str]:
    for part in path:
        if part.isdigit():
            continue
        inner = _section(model.model_fields[part].annotation) if part in model.model_fields else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _all_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield prefix + name
        inner = _section(field.annotation)
        if inner is not None:
            yield from _all_keys(inner, f"{prefix}{name}.")


def _section(annotation: Any) -> type[BaseModel] | None:
    """The configuration section inside an annotation such as `tuple[SourceConfig, ...]` or `X | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (tuple, list, Union, types.UnionType):
        return next((inner for inner in map(_section, get_args(annotation)) if inner is not None), None)
    return None
