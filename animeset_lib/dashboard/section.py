"""A part of the page: a Vue template bound to a state, a table of texts and one function that is told what the person does.

Sections know no other and may stand alone in a notebook cell; `view.py` puts them together.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import traitlets
from ipyvue import VueTemplate

__all__ = ["Act", "Section"]

_VUE = Path(__file__).with_name("vue")

Act = Callable[[dict[str, Any]], None]


class Section(VueTemplate):  # type: ignore[misc]
    """`name` is that of a file in `vue/`. Changing `state` or `t` changes the page at once.

    state  what is shown, plain JSON; how it looks for each section is said in the view-model that makes it
    t      texts by key in the language of the page
    act    called in the kernel's main thread with `{"do": ..., ...}` for everything a person does in this section
    """

    template = traitlets.Unicode().tag(sync=True)
    state = traitlets.Dict().tag(sync=True)
    t = traitlets.Dict().tag(sync=True)

    def __init__(self, name: str, state: Mapping[str, Any], t: Mapping[str, str], act: Act, **more: Any) -> None:
        self._act = act
        super().__init__(template=_template(name), state=dict(state), t=dict(t), **more)

    def vue_act(self, message: dict[str, Any]) -> None:
        self._act(message)

    def tell(self, method: str, *values: Any) -> None:
        """Call the template's method `jupyter_<method>` with plain JSON values."""
        self.send({"method": method, "args": list(values)})


@cache
def _template(name: str) -> str:
    """The template with what all share: helpers in front of its script, the style sheet behind its own."""
    text = (_VUE / f"{name}.vue").read_text(encoding="utf-8")
    shared = (_VUE / "shared.js").read_text(encoding="utf-8")
    style = (_VUE / "style.css").read_text(encoding="utf-8")
    return text.replace("//shared\n", shared) + f"<style>\n{style}</style>\n"
