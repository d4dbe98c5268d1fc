"""What a person wants captions to say of each character's traits: one readable TOML file per film, edited by hand or through `TraitChoices`."""

from __future__ import annotations

import difflib
import hashlib
import json
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import tomlkit
from tomlkit.items import Table, Whitespace

from animeset_lib.errors import InputError, SettingsError
from animeset_lib.run.store import write_text
from animeset_lib.words.cleaning import normalise
from animeset_lib.words.traits import POLICIES, TraitChoice

__all__ = ["HEADER", "TraitChoices", "changed", "load_choices", "save_choice"]

HEADER = """\
# What the captions of this film say of its characters' traits (hair, eyes, body, what is always worn). Edit it by hand, or with
# `animeset traits FILM CHARACTER`; the next run honours it. A character that is not named here is treated as the settings say.
#
# [hana]                               the character's name, in quotes where it has other letters than a-z: ["エミリア"]
# policy = "drop"                      keep: captions tell every trait
#                                      drop: the core traits are left out, so that the trigger word learns them
#                                      drop_all: every trait of hair, eyes and body is left out
# always_drop = ["hair_ribbon"]        left out whatever the policy, and so is what says the same more exactly (red_hair_ribbon)
# always_keep = ["short_hair"]         told whatever the policy
#
# Comments of your own stay when the program changes a character, except on the three lines above.
"""

_KEYS = ("policy", "always_drop", "always_keep")


@dataclass(frozen=True)
class TraitChoices:
    """What stands in one file: character → `TraitChoice`, for those that are named there."""

    of: Mapping[str, TraitChoice] = field(default_factory=dict)

    def get(self, character: str) -> TraitChoice:
        return self.of.get(character, TraitChoice())

    @property
    def digest(self) -> str:
        """SHA-256 of what the choices do, whatever the comments and the order; "" when they do nothing."""
        doing = {
            name: [choice.policy, sorted(choice.always_drop), sorted(choice.always_keep)]
            for name, choice in sorted(self.of.items())
            if choice != TraitChoice()
        }
        return hashlib.sha256(json.dumps(doing, ensure_ascii=False).encode()).hexdigest() if doing else ""

    def unknown(self, characters: Iterable[str]) -> list[str]:
        """A sentence for each named character that is none of `characters`."""
        known = list(characters)
        return [
            f"{name} is no character of this film{_nearest(name, known)}; there are {', '.join(known) or 'none'}"
            for name in self.of
            if name not in known
        ]


def load_choices(path: Path) -> TraitChoices:
    """The choices in `path`; none where there is no such file. Raises `InputError`, which names the place, for anything else than the header says."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        return TraitChoices()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"cannot read {path}: {error}; expected a UTF-8 text file, mend it or move it away") from error
    return _parsed(text, str(path))


def save_choice(path: Path, character: str, choice: TraitChoice) -> None:
    """Write what is wanted for one character; an empty `TraitChoice()` takes it out of the file. Everything else in the file stays as it is.

    Raises `InputError` when the file that is there cannot be read, and leaves it alone then.
    """
    before = load_choices(path)
    after = {name: old for name, old in before.of.items() if name != character}
    if choice != TraitChoice():
        after[character] = choice
    text = path.read_text(encoding="utf-8-sig") if path.exists() else HEADER
    edited = _edited(text, character, choice)
    if not _holds(edited, after):
        # an unusual way of writing it (dotted keys, inline tables): write the file anew
        anew = tomlkit.parse(HEADER)
        for name, one in after.items():
            anew.add(name, _section(one))
        edited = tomlkit.dumps(anew)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, edited)


def changed(
    choice: TraitChoice, *, policy: str | None = None, drop: Collection[str] = (), keep: Collection[str] = ()
) -> TraitChoice:
    """`choice` with another policy and more tags; a tag that is dropped is not kept any more, and the other way round.

    Raises `SettingsError` for an unknown policy, and for a tag that is named in both or has nothing in it that can be written.
    """
    known = next((one for one in POLICIES if one == policy), None)
    if policy is not None and known is None:
        raise SettingsError(
            f"unknown policy '{policy}'; expected one of {', '.join(POLICIES)}{_nearest(policy, POLICIES)}"
        )
    dropped, kept = [_tag(tag) for tag in drop], [_tag(tag) for tag in keep]
    if both := [tag for tag in dropped if tag in kept]:
        raise SettingsError(f"{', '.join(both)} cannot be dropped and kept at once; name it once")
    return TraitChoice(
        policy=known or choice.policy,
        always_drop=tuple(dict.fromkeys([*(tag for tag in choice.always_drop if tag not in kept), *dropped])),
        always_keep=tuple(dict.fromkeys([*(tag for tag in choice.always_keep if tag not in dropped), *kept])),
    )


def _tag(text: str) -> str:
    if not (tag := normalise(text)):
        raise SettingsError(f"'{text}' is no tag; expected e.g. hair_ribbon")
    return tag


def _parsed(text: str, where: str) -> TraitChoices:
    try:
        tables = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # also numbers of thousands of digits, and lists thousands deep
        raise InputError(f"{where} is not TOML: {error}; mend that line, or move the file away") from error
    return TraitChoices({name: _choice(table, f"{where}, [{name}]") for name, table in tables.items()})


def _choice(table: Any, where: str) -> TraitChoice:
    if not isinstance(table, dict):
        raise InputError(
            f"{where}: expected a character's section such as [hana], got a value; see the head of the file"
        )
    for key in table:
        if key not in _KEYS:
            raise InputError(f"{where}: unknown key '{key}'; expected {', '.join(_KEYS)}{_nearest(key, _KEYS)}")
    policy = table.get("policy")
    if policy is not None and policy not in POLICIES:
        raise InputError(f"{where}: unknown policy {policy!r}; expected one of {', '.join(POLICIES)}")
    lists = {key: _tags(table.get(key, []), f"{where}: {key}") for key in ("always_drop", "always_keep")}
    if both := [tag for tag in lists["always_drop"] if tag in lists["always_keep"]]:
        raise InputError(f"{where}: {', '.join(both)} is in always_drop and in always_keep; name it in one of them")
    return TraitChoice(policy, **lists)


def _tags(value: Any, where: str) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(tag, str) and normalise(tag) for tag in value):
        raise InputError(f'{where}: expected a list of tags such as ["hair_ribbon"], got {value!r}')
    return tuple(dict.fromkeys(normalise(tag) for tag in value))


def _holds(text: str, expected: Mapping[str, TraitChoice]) -> bool:
    """Whether the text says just that; sections that say nothing do not matter."""
    try:
        found = _parsed(text, "").of
    except InputError:
        return False
    said, wanted = ({name: one for name, one in of.items() if one != TraitChoice()} for of in (found, expected))
    return said == wanted


def _edited(text: str, character: str, choice: TraitChoice) -> str:
    """`text` with the character's section changed: its three keys replaced, comments left. A section that is new goes to the end."""
    document = tomlkit.parse(text)
    section = document.get(character)
    rest = [item for key, item in section.value.body if key is None] if isinstance(section, Table) else []
    if choice != TraitChoice() or any(not isinstance(item, Whitespace) for item in rest):
        document[character] = _section(choice, rest)
    elif section is not None:
        del document[character]
    return tomlkit.dumps(document).rstrip("\n") + "\n"


def _section(choice: TraitChoice, rest: Iterable[Any] = ()) -> Table:
    """A character's section: what is wanted, and the comments and blank lines that stood there."""
    table = tomlkit.table()
    if choice.policy is not None:
        table.add("policy", choice.policy)
    for key in ("always_drop", "always_keep"):
        if tags := getattr(choice, key):
            table.add(key, list(tags))
    for item in rest:
        table.add(item)
    return table


def _nearest(text: str, known: Collection[str]) -> str:
    found = difflib.get_close_matches(text, list(known), 1)
    return f" (did you mean {found[0]}?)" if found else ""
