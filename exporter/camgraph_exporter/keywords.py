"""Functions whose keywords are the fields of a dataclass: an option is declared once, and type checkers know it."""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, cast, get_type_hints

from camgraph_core.settings import declared, nested

P = ParamSpec("P")
First = TypeVar("First")
Options = TypeVar("Options")
Result = TypeVar("Result")
First_contra = TypeVar("First_contra", contravariant=True)
Result_co = TypeVar("Result_co", covariant=True)


class WithTarget(Protocol[First_contra, P, Result_co]):
    """A function of a source and, if it is to be written, of a target, with further keywords."""

    def __call__(
        self, source: First_contra, target: str | Path | None = None, *args: P.args, **options: P.kwargs
    ) -> Result_co:
        """Call the function."""


def keywords_of(
    options: Callable[P, Options],
) -> Callable[[Callable[[Options, First], Result]], Callable[Concatenate[First, P], Result]]:
    """Let callers give the fields of `options`, a dataclass of keywords alone, in place of the first parameter."""

    def decorate(function: Callable[[Options, First], Result]) -> Callable[Concatenate[First, P], Result]:
        return cast("Callable[Concatenate[First, P], Result]", _spread(function, options))

    return decorate


def keywords_after_target(
    options: Callable[P, Options],
) -> Callable[[Callable[[Options, First, str | Path | None], Result]], WithTarget[First, P, Result]]:
    """As `keywords_of`, for a function that has a target as well."""

    def decorate(
        function: Callable[[Options, First, str | Path | None], Result],
    ) -> WithTarget[First, P, Result]:
        return cast("WithTarget[First, P, Result]", _spread(function, options))

    return decorate


def _spread(function: Callable[..., Any], options: Any) -> Callable[..., Any]:
    whole, kinds = inspect.signature(function), get_type_hints(options)
    own = list(whole.parameters.values())[1:]
    keywords = {
        name: parameter.replace(annotation=kinds[name])
        for name, parameter in inspect.signature(options).parameters.items()
    }
    signature = whole.replace(parameters=[*own, *keywords.values()])

    @functools.wraps(function)
    def called(*args: Any, **given: Any) -> Any:
        bound = signature.bind(*args, **given).arguments
        made = options(**{name: value for name, value in bound.items() if name in keywords})
        return function(made, **{name: value for name, value in bound.items() if name not in keywords})

    # What help() and inspect show.
    called.__signature__ = signature  # type: ignore[attr-defined]  # of any function
    called.__doc__ = f"{inspect.getdoc(function)}\n\nKeywords:\n{_described(options)}"
    return called


def _described(options: type) -> str:
    """Return a paragraph for each keyword."""
    described = [(item.field, item.setting.help) for item in declared(options)]
    described += [(field, str(inspect.getdoc(kind)).partition("\n")[0]) for field, kind in nested(options)]
    wrap = functools.partial(textwrap.fill, width=120, initial_indent="    ", subsequent_indent="        ")
    return "\n".join(wrap(f"{field}: {text}") for field, text in described)
