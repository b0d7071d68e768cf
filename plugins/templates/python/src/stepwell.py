"""Nodes as functions: config, input and output are dataclasses, schemas are derived from them.

A function may take `config`, `input` and `call`, whichever it names. What it returns leaves by the port `out`; `Leave`
names another port, `Wait` parks the visit. It fails by raising `Rejected`, `Transient`, `Permanent` or `Unknown`.

A call runs in a fresh copy of the memory that stood when the plugin was built, unless an administrator grants reuse:
read module globals, and keep nothing in them.
"""

import dataclasses
import inspect
import json
import sys
import types
import typing
from dataclasses import MISSING, dataclass

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import log as host_log
from wit_world.imports import types as wit

ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24" fill="none" stroke="currentColor" '
    'stroke-width="1.75" stroke-linejoin="round"><path d="M12 3l8 4.5v9L12 21l-8-4.5v-9z"/>'
    '<path d="M4 7.5l8 4.5 8-4.5M12 12v9"/></svg>'
)
NOTHING = {"type": "object", "additionalProperties": False}
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", type(None): "null"}


# ---- failures and answers ----


class Failure(Exception):
    def as_wit(self):
        raise NotImplementedError


class Rejected(Failure):
    """A "no" of the business; never retried."""

    def __init__(self, code, message="", data=None):
        super().__init__(message)
        self.code, self.message, self.data = code, message, data

    def as_wit(self):
        data = None if self.data is None else to_json(self.data)
        return wit.Failure_Rejected(wit.Rejection(self.code, self.message, data))


class Transient(Failure):
    """Trying again may help."""

    def __init__(self, message, retry_after_ms=None):
        super().__init__(message)
        self.retry_after_ms = retry_after_ms

    def as_wit(self):
        return wit.Failure_Transient((str(self), self.retry_after_ms))


class Permanent(Failure):
    """Trying again cannot help."""

    def as_wit(self):
        return wit.Failure_Permanent(str(self))


class Unknown(Failure):
    """It may have happened."""

    def as_wit(self):
        return wit.Failure_Unknown(str(self))


@dataclass
class Leave:
    """Leaves by a port that has a name of its own."""

    port: str
    output: object = None


@dataclass
class Wait:
    """Parks the visit until the message with this key comes; then `resume` gets `memo`."""

    message: str
    key: str
    timeout_ms: int | None = None
    memo: object = None


NEVER_RAN = object()


# ---- schemas and values ----


def field(*, title=None, zh_cn=None, description=None, ui=None, default=MISSING, **schema):
    """A field of a dataclass with the words and hints that forms show, and further JSON Schema keywords."""
    words = {"title": title, "x-title-zh-CN": zh_cn, "description": description, "x-ui": ui, **schema}
    metadata = {"schema": {name: value for name, value in words.items() if value is not None}}
    return dataclasses.field(default=default, metadata=metadata)


def schema_of(kind):
    if kind is inspect.Parameter.empty or kind is typing.Any or kind is object:
        return {}
    if kind in PLAIN:
        return {"type": PLAIN[kind]}
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Literal:
        return {"enum": list(parts)}
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [schema_of(part) for part in parts]}
    if kind is list or origin is list:
        return {"type": "array", "items": schema_of(parts[0])} if parts else {"type": "array"}
    if kind is dict or origin is dict:
        return {"type": "object", "additionalProperties": schema_of(parts[1])} if parts else {"type": "object"}
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = dataclasses.fields(kind)
        needed = [one.name for one in fields if one.default is MISSING and one.default_factory is MISSING]
        properties = {one.name: {**schema_of(hints[one.name]), **one.metadata.get("schema", {})} for one in fields}
        whole = {"type": "object", "properties": properties}
        return {**whole, "required": needed} if needed else whole
    raise TypeError(f"no schema for {kind}: use a dataclass, str, int, float, bool, list, dict, Literal or a union")


def from_json(kind, value):
    """A value of this type; the engine has checked it against the schema."""
    origin, parts = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind) and isinstance(value, dict):
        hints = typing.get_type_hints(kind)
        known = [one.name for one in dataclasses.fields(kind) if one.name in value]
        return kind(**{name: from_json(hints[name], value[name]) for name in known})
    if origin is list and isinstance(value, list):
        return [from_json(parts[0], one) for one in value]
    if origin is dict and isinstance(value, dict):
        return {name: from_json(parts[1], one) for name, one in value.items()}
    if origin in (typing.Union, types.UnionType):
        fitting = [part for part in parts if dataclasses.is_dataclass(part)]
        return from_json(fitting[0], value) if isinstance(value, dict) and fitting else value
    return value


def to_json(value):
    def plain(one):
        if dataclasses.is_dataclass(one):
            return dataclasses.asdict(one)
        raise TypeError(f"{type(one).__name__} is no JSON")

    return json.dumps(value, default=plain, ensure_ascii=False, allow_nan=False)


# ---- the package and its nodes ----

_package = {}
_nodes = {}


def package(*, name, version, licence):
    """Says what the plugin is; once."""
    _package.update(name=name, version=version, licence=licence)


def example(title, *, config=None, input=None, port="out", output=None):
    """A call with its answer: run when the plugin is installed, offered as sample data."""
    return {"title": title, "config": config or {}, "input": input or {}, "port": port, "output": output}


class NodeOf:
    """A node: the function that does its work, and those that may stand beside it."""

    def __init__(self, run, about):
        self.run, self.about, self.others = run, about, {}

    def __call__(self, *args, **kwargs):
        return self.run(*args, **kwargs)

    def undo(self, function):
        """Takes a call back: may take `config`, `input`, `call` and `output`, which is None where it is not known."""
        self.others["undo"] = function
        return function

    def resume(self, function):
        """Goes on after a wait: may take `config`, `call`, `memo` and `signal` (`kind`, `payload`)."""
        self.others["resume"] = function
        return function

    def query(self, function):
        """Finds out what became of `call.key`: the output, or `NEVER_RAN`."""
        self.others["query"] = function
        return function

    def check(self, function):
        """What is wrong with a `config`: a list of (pointer, code, message)."""
        self.others["check"] = function
        return function


def node(*, examples, title=None, summary="", category="script", icon=ICON, errors=None, ports=None, name=None):
    """Makes a function a node. `ports` (name to type) where it leaves by others than `out`."""

    def made(function):
        about = dict(title=title or function.__name__, summary=summary, category=category, icon=icon)
        about.update(errors=errors or {}, ports=ports, examples=examples)
        _nodes[name or function.__name__.replace("_", "-")] = one = NodeOf(function, about)
        return one

    return made


def _words(text):
    texts = {"en": text} if isinstance(text, str) else text
    return [wit.Localized(language, said) for language, said in texts.items()]


def _types(function):
    hints = typing.get_type_hints(function)
    return {name: hints.get(name, inspect.Parameter.empty) for name in inspect.signature(function).parameters}


def _described(name, one):
    takes = _types(one.run)
    about = one.about
    returned = typing.get_type_hints(one.run).get("return", object)
    ports = about["ports"] or {"out": returned}
    config = schema_of(takes["config"]) if "config" in takes else NOTHING
    input = schema_of(takes["input"]) if "input" in takes else {"type": "object"}
    return wit.NodeType(
        name=name,
        title=_words(about["title"]),
        summary=_words(about["summary"]),
        category=about["category"],
        icon=about["icon"],
        config_schema=to_json(config),
        input_schema=to_json(input),
        ports=[wit.Port(port, _words(port), to_json(schema_of(kind))) for port, kind in ports.items()],
        errors=[wit.ErrorCode(code, _words(text)) for code, text in about["errors"].items()],
        has_undo="undo" in one.others,
        has_resume="resume" in one.others,
        has_query="query" in one.others,
        has_check="check" in one.others,
        examples=[
            wit.Example(
                title=_words(each["title"]),
                config=to_json(each["config"]),
                input=to_json(each["input"]),
                port=each["port"],
                output=to_json(each["output"]),
                http_tape=None,
            )
            for each in about["examples"]
        ],
    )


# ---- the exports of the contract ----


def _call(function, **given):
    """Calls with what the function names, read into the types that it names."""
    # Not before: while the component is built there is no host to log to.
    sys.stdout, sys.stderr = _LOGS
    takes = _types(function)
    values = {name: from_json(kind, given[name]()) for name, kind in takes.items() if name in given}
    try:
        return function(**values)
    except Failure as failure:
        raise Err(failure.as_wit()) from failure
    except Exception as error:
        raise Err(wit.Failure_Permanent(f"{type(error).__name__}: {error}{_place(error)}")) from error


def _place(error):
    last = error.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    return "" if last is None else f" ({last.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}:{last.tb_lineno})"


def _found(node_type, what):
    one = _nodes.get(node_type)
    function = one and (one.run if what == "run" else one.others.get(what))
    if function is None:
        raise Err(wit.Failure_Permanent(f"no {what} for node type {node_type}"))
    return function


def _waiting(wait):
    return wit.Waiting(wait.message, wait.key, wait.timeout_ms, to_json(wait.memo))


def _outcome(value):
    if isinstance(value, Wait):
        return wit.Outcome_Wait(_waiting(value))
    left = value if isinstance(value, Leave) else Leave("out", value)
    return wit.Outcome_Done(wit.Emission(left.port, to_json(left.output)))


def _json(text):
    return lambda: json.loads(text)


class Node(exports.Node):
    def describe(self):
        if not _package or not _nodes:
            raise RuntimeError("src/plugin.py must call package(…) and have at least one @node")
        return wit.Manifest(**_package, node_types=[_described(name, one) for name, one in _nodes.items()])

    def run(self, node_type, call, config, input):
        given = dict(call=lambda: call, config=_json(config), input=_json(input))
        return _outcome(_call(_found(node_type, "run"), **given))


class Undo(exports.Undo):
    def undo(self, node_type, call, config, input, output):
        known = _json(output) if output is not None else lambda: None
        given = dict(call=lambda: call, config=_json(config), input=_json(input), output=known)
        answer = _call(_found(node_type, "undo"), **given)
        return _waiting(answer) if isinstance(answer, Wait) else None


class Resume(exports.Resume):
    def resume(self, node_type, call, config, memo, signal):
        told = types.SimpleNamespace(kind=signal.kind.name.lower(), payload=json.loads(signal.payload))
        given = dict(call=lambda: call, config=_json(config), memo=_json(memo), signal=lambda: told)
        return _outcome(_call(_found(node_type, "resume"), **given))


class Query(exports.Query):
    def query(self, node_type, call, config, input):
        given = dict(call=lambda: call, config=_json(config), input=_json(input))
        answer = _call(_found(node_type, "query"), **given)
        return None if answer is NEVER_RAN else _outcome(answer)


class Check(exports.Check):
    def check(self, node_type, config):
        found = _call(_found(node_type, "check"), config=_json(config)) or []
        return [wit.Problem(pointer, code, message, None) for pointer, code, message in found]


class _Log:
    """What is printed goes to the log of the visit; the sandbox has no other place for it."""

    encoding = "utf-8"

    def __init__(self, level):
        self.level, self.begun = level, ""

    def write(self, text):
        *lines, self.begun = (self.begun + text).split("\n")
        for line in lines:
            host_log.log(self.level, line)
        return len(text)

    def flush(self):
        pass

    def isatty(self):
        return False


_LOGS = _Log(host_log.Level.INFO), _Log(host_log.Level.WARN)
