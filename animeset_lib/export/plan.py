"""What every exporter needs to know: which pictures train in which sub-set, how often, and which validate."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from typing import Literal, get_args

from animeset_lib.errors import InputError
from animeset_lib.export.prompts import SamplePrompt, sample_prompts
from animeset_lib.export.repeats import balanced_repeats, fixed_repeats
from animeset_lib.export.split import MIN_PICTURES, validation_split
from animeset_lib.published.reader import REGULARISATION, CharacterSet, ExportPicture, PublishedFilm
from animeset_lib.records import safe_name
from animeset_lib.templates import render
from animeset_lib.words.spelling import safe_slug
from animeset_lib.words.vocabulary import UNKNOWN, category_of

__all__ = [
    "By",
    "CharacterPlan",
    "ExportFiles",
    "ExportOptions",
    "ExportPlan",
    "PlannedSet",
    "joined",
    "make_plan",
    "name_of",
    "readme",
]

By = Literal["character", "outfit", "emotion"]

_STEP_PX = 64
_LONGEST = 80
"""Letters of a sub-set's folder name."""
_FILES = ("README.md", "all_characters")
"""Names beside the characters' own in an export."""


@dataclass(frozen=True)
class ExportOptions:
    """What a person may choose.

    characters   only these; empty: all
    by           one sub-set per character, or per outfit or emotion of each
    resolution   side in px of the square that is trained at; None: the one the pictures were made for, else 1024
    validation   share of each character's pictures, 0 to 0.5, kept back in whole shots
    repeats      the same number for all sub-sets; None: balanced
    per_epoch    views each character shall get in an epoch; None: as few as balance allows. Not together with `repeats`.
    keep_tokens  leading tags that shuffling leaves in place; None: the trigger, and what all captions of a sub-set say of people and outfit behind it
    prefix       written before every path in the configurations, `{format}` in it is the format's name; empty: paths are relative
    """

    characters: tuple[str, ...] = ()
    by: By = "character"
    resolution: int | None = None
    validation: float = 0.0
    repeats: int | None = None
    per_epoch: int | None = None
    keep_tokens: int | None = None
    prefix: str = ""


@dataclass(frozen=True)
class PlannedSet:
    """Pictures that are trained equally often. `name` is the outfit or emotion, empty when it is not known or not asked for.

    `folder` is a name for this sub-set inside its character, empty when it is the only one.
    """

    name: str
    folder: str
    trigger: str
    pictures: tuple[ExportPicture, ...]
    repeats: int
    keep_tokens: int

    @property
    def masked(self) -> bool:
        """Whether any picture has a mask."""
        return any(picture.mask is not None for picture in self.pictures)


@dataclass(frozen=True)
class CharacterPlan:
    """One character's sub-sets, by name, those without one first."""

    name: str
    trigger: str
    sets: tuple[PlannedSet, ...]
    validation: tuple[ExportPicture, ...]
    prompts: tuple[SamplePrompt, ...]

    @property
    def keep_tokens(self) -> int:
        """Leading tags that are fixed in all sub-sets."""
        return min(one.keep_tokens for one in self.sets)

    @property
    def views(self) -> int:
        """Pictures of this character that one epoch shows."""
        return sum(len(one.pictures) * one.repeats for one in self.sets)


@dataclass(frozen=True)
class ExportPlan:
    """Everything that is exported, independent of the trainer. `notes` are for the person who asked."""

    characters: tuple[CharacterPlan, ...]
    regularisation: tuple[ExportPicture, ...]
    film_ids: tuple[str, ...]
    resolution: int
    prefix: str
    notes: tuple[str, ...]

    @property
    def masked(self) -> bool:
        """Whether any picture that is trained has a mask."""
        return any(one.masked for character in self.characters for one in character.sets)

    @property
    def validated(self) -> bool:
        """Whether pictures are kept back for validation."""
        return any(character.validation for character in self.characters)

    def path(self, *parts: str) -> str:
        """A path for a configuration: the parts joined with `/`, behind the prefix where there is one. Empty parts are left out."""
        return f"{self.prefix.rstrip('/')}/{joined(*parts)}" if self.prefix else joined(*parts)


class ExportFiles:
    """The files of one export by path relative to its folder: pictures that are linked, and what is written fresh.

    `triggers` is folder of pictures → the trigger that their captions hold, for the linter; folders of nobody's pictures are not in it.
    """

    def __init__(self) -> None:
        self.linked: dict[str, Path] = {}
        self.written: dict[str, bytes] = {}
        self.triggers: dict[str, str] = {}

    def text(self, name: str, text: str) -> None:
        """A UTF-8 file with `\\n` line ends. `text` ends in a line break."""
        self.written[name] = text.encode("utf-8")

    def pictures(self, folder: str, pictures: Iterable[ExportPicture], trigger: str = "") -> None:
        """The pictures under their stems, each with its caption beside it. `trigger` is that of the character they show."""
        for picture in pictures:
            self.linked[f"{folder}/{name_of(picture)}"] = picture.path
            self.text(f"{folder}/{picture.stem}.txt", f"{picture.caption}\n")
            if trigger:
                self.triggers[folder] = trigger


def joined(*parts: str) -> str:
    """A path in an export; empty parts are left out."""
    return "/".join(part for part in parts if part)


def name_of(picture: ExportPicture) -> str:
    """Of a picture's file in an export."""
    return f"{picture.stem}{picture.path.suffix.lower()}"


def make_plan(film: PublishedFilm, options: ExportOptions) -> ExportPlan:
    """Decide sub-sets, repeats, validation and prompts. The same for equal pictures and options.

    Raises `InputError` for an unknown character or an option out of range.
    """
    resolution = _resolution(film, options)
    chosen = _chosen(film, options)
    names = _own_names([character.name for character in chosen])
    kept_back = [validation_split(character.pictures, options.validation) for character in chosen]
    groups = [_groups(character, held, options.by) for character, held in zip(chosen, kept_back, strict=True)]
    counts = [[len(pictures) for pictures in sets.values()] for sets in groups]
    fixed = options.repeats
    repeats = balanced_repeats(counts, options.per_epoch) if fixed is None else fixed_repeats(counts, fixed)
    notes = [*film.notes, *_doubts(chosen, names, options.by)]
    notes += [
        f"{character.name}: nothing is kept back for validation: that takes at least {MIN_PICTURES} pictures, and shots small enough "
        "to be spared"
        for character, held in zip(chosen, kept_back, strict=True)
        if options.validation and not held
    ]
    return ExportPlan(
        characters=tuple(
            CharacterPlan(
                name=name,
                trigger=character.trigger,
                sets=_sets(character.trigger, sets, times, options.keep_tokens),
                validation=tuple(picture for picture in character.pictures if picture.stem in held),
                prompts=sample_prompts(character),
            )
            for character, name, sets, times, held in zip(chosen, names, groups, repeats, kept_back, strict=True)
        ),
        regularisation=film.regularisation,
        film_ids=film.film_ids,
        resolution=resolution,
        prefix=options.prefix.replace("\\", "/"),
        notes=tuple(notes),
    )


def _resolution(film: PublishedFilm, options: ExportOptions) -> int:
    """Side in px of the square that is trained at. Raises `InputError` for an option out of range."""
    if options.by not in get_args(By):
        raise InputError(f"cannot make sub-sets by '{options.by}'; expected one of {', '.join(get_args(By))}")
    if options.repeats is not None and options.per_epoch is not None:
        raise InputError("repeats and pictures per epoch exclude each other; give one of them")
    if options.keep_tokens is not None and options.keep_tokens < 0:
        raise InputError(f"fixed leading tags must be 0 or more, got {options.keep_tokens}")
    resolution = options.resolution or film.training_px or 1024
    if resolution % _STEP_PX or not 256 <= resolution <= 4096:
        raise InputError(
            f"the resolution must be a multiple of {_STEP_PX} from 256 to 4096, got {resolution}; 512 is usual for SD 1.5, 1024 for SDXL"
        )
    return resolution


def _chosen(film: PublishedFilm, options: ExportOptions) -> list[CharacterSet]:
    """The characters that were asked for, as the film has them. Raises `InputError` for an unknown one."""
    known = {character.name: character for character in film.characters}
    unknown = [name for name in options.characters if name not in known]
    if unknown:
        raise InputError(f"no character is called {', '.join(unknown)}; expected some of {', '.join(known)}")
    return [known[name] for name in known if not options.characters or name in options.characters]


def _doubts(chosen: Sequence[CharacterSet], names: Sequence[str], by: By) -> Iterator[str]:
    """What the person who asked should know about these characters."""
    triggers: dict[str, str] = {}
    for character in chosen:
        if (other := triggers.setdefault(character.trigger, character.name)) != character.name:
            yield f"{other} and {character.name} share the trigger {character.trigger}, so one LoRA cannot tell them apart"
    for character, name in zip(chosen, names, strict=True):
        if name.casefold() != safe_name(character.name, fallback="character").casefold():
            yield f"{character.name} is called {name} here, for the folder's name is taken"
    for character in chosen if by != "character" else ():
        if all(getattr(picture, by) == UNKNOWN for picture in character.pictures):
            yield f"{character.name}: no picture's {by} is known, so all are one set"


def readme(template: Path, plan: ExportPlan, **values: str) -> str:
    """An export's README from its template, which is given the plan, its first character, the table of repeats and `values`."""
    return render(template, plan=plan, first=plan.characters[0], repeats=_repeats_table(plan), **values)


def _repeats_table(plan: ExportPlan) -> str:
    """A Markdown table of what an epoch shows."""
    lines = ["| Character | Sub-set | Pictures | Repeats | Per epoch | Validation |", "|---|---|---:|---:|---:|---:|"]
    for character in plan.characters:
        for number, one in enumerate(character.sets):
            kept_back = str(len(character.validation)) if number == 0 else ""
            lines.append(
                f"| {character.name} | {one.name or 'all' if len(character.sets) == 1 else one.name or 'not known'} | {len(one.pictures)} "
                f"| {one.repeats} | {len(one.pictures) * one.repeats} | {kept_back} |"
            )
    return "\n".join(lines) + "\n"


def _groups(character: CharacterSet, kept_back: frozenset[str], by: By) -> dict[str, list[ExportPicture]]:
    """Sub-set's name → its training pictures, never none."""
    groups: dict[str, list[ExportPicture]] = {}
    for picture in character.pictures:
        if picture.stem not in kept_back:
            value = "" if by == "character" else getattr(picture, by)
            groups.setdefault("" if value == UNKNOWN else value, []).append(picture)
    return dict(sorted(groups.items()))


def _sets(
    trigger: str, groups: Mapping[str, Sequence[ExportPicture]], repeats: Sequence[int], keep_tokens: int | None
) -> tuple[PlannedSet, ...]:
    folders = _folders(list(groups))
    return tuple(
        PlannedSet(
            name=name,
            folder=folder,
            trigger=trigger,
            pictures=tuple(pictures),
            repeats=times,
            keep_tokens=_fixed(pictures, name, trigger) if keep_tokens is None else keep_tokens,
        )
        for (name, pictures), folder, times in zip(groups.items(), folders, repeats, strict=True)
    )


def _own_names(names: Sequence[str]) -> list[str]:
    """Names for the characters' folders and files that no other has, whatever a file system makes of capitals, and no format needs itself."""
    own: list[str] = []
    for name in names:
        own.append(_free(safe_name(name, fallback="character"), {REGULARISATION, *_FILES, *own}))
    return own


def _folders(names: Sequence[str]) -> list[str]:
    """A folder name of its own for each sub-set, plain letters; empty for a single sub-set without name."""
    if list(names) == [""]:
        return [""]
    folders: list[str] = []
    for name in names:
        folders.append(_free(safe_slug(name or UNKNOWN)[:_LONGEST], folders))
    return folders


def _free(name: str, taken: Collection[str]) -> str:
    """`name`, with a number where it is taken already."""
    used = {one.casefold() for one in taken}
    numbered = (f"{name}_{number}" for number in count(2))
    return next(free for free in chain([name], numbered) if free.casefold() not in used)


def _fixed(pictures: Sequence[ExportPicture], outfit: str, trigger: str) -> int:
    """How many leading tags belong together in front: as far as all captions agree the trigger, `1girl, solo` and the sub-set's own name.

    At least one. Constant hair and eyes behind them are shuffled like anything else.
    """
    first = pictures[0].tags
    fixed = 1
    for place, tag in enumerate(first[1:], start=1):
        plain = tag.replace(" ", "_")
        belongs = category_of(plain) == "people" or plain == outfit or tag == trigger
        if not belongs or any(one.tags[: place + 1] != first[: place + 1] for one in pictures):
            break
        fixed += 1
    return fixed
