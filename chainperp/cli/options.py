"""Options that several commands share, defined once.

A dataclass lists them; `takes` puts them behind a command's own arguments and hands the command an
instance. On a group, `shares` lets them stand before the command's name as well, and what stands
nearer to the command wins:

    chainperp tx --from 0 --url http://127.0.0.1:3001 order BTC buy 0.01 @ 95000
    chainperp tx order BTC buy 0.01 @ 95000 --from 0
"""

import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar, get_type_hints

import typer

Options = TypeVar("Options")
P = ParamSpec("P")
CONTEXT = "context_"


def takes(
    kind: type[Options],
) -> Callable[[Callable[Concatenate[Options, P], None]], Callable[..., None]]:
    """Decorate a command whose first parameter is an instance of the options' dataclass."""

    def decorate(command: Callable[Concatenate[Options, P], None]) -> Callable[..., None]:
        return _with_options(kind, command, lambda given, _context: given)

    return decorate


def shares(
    kind: type[Options],
) -> Callable[[Callable[Concatenate[Options, P], None]], Callable[..., None]]:
    """Decorate a group's callback: its options hold for the commands below it."""

    def decorate(command: Callable[Concatenate[Options, P], None]) -> Callable[..., None]:
        def keep(given: Options, context: typer.Context) -> Options:
            context.obj = given
            return given

        return _with_options(kind, command, keep)

    return decorate


def _with_options(
    kind: type[Options],
    command: Callable[Concatenate[Options, P], None],
    keep: Callable[[Options, typer.Context], Options],
) -> Callable[..., None]:
    hints = get_type_hints(kind, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    added = [
        inspect.Parameter(one.name, keyword, default=one.default, annotation=hints[one.name])
        for one in fields(kind)  # type: ignore[arg-type]
    ]
    added.append(inspect.Parameter(CONTEXT, keyword, annotation=typer.Context))
    own = list(inspect.signature(command).parameters.values())[1:]

    @wraps(command)
    def run(**given: Any) -> None:
        context: typer.Context = given.pop(CONTEXT)
        mine = {one.name: given.pop(one.name) for one in fields(kind)}  # type: ignore[arg-type]
        inherited = context.obj
        if isinstance(inherited, kind):
            for one in fields(kind):  # type: ignore[arg-type]
                if one.default is not MISSING and mine[one.name] == one.default:
                    mine[one.name] = getattr(inherited, one.name)
        command(keep(kind(**mine), context), **given)  # type: ignore[call-arg]

    parameters = [*(one.replace(kind=keyword) for one in own), *added]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    del run.__wrapped__
    return run
