"""Markdown from templates: `<name>.j2` beside the module that fills it in. A name that is not given is an error; nothing is escaped."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from animeset_lib.wording import counted

__all__ = ["render"]


def render(template: Path, filters: Mapping[str, Callable[..., str]] = {}, /, **values: Any) -> str:
    """The text of `template` with `values` put in. A line of a tag alone leaves no line; `3|counted("picture")` is `3 pictures`."""
    environment = Environment(
        loader=FileSystemLoader(template.parent),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {"counted": counted, **filters}
    return environment.get_template(template.name).render(values)
