"""`lint(path)`: a data set loaded as its trainer would, and what is wrong with what comes out.

The loaders say what a trainer stops at, leaves out or silently replaces. Here are the questions that are the same for all: can every picture be
decoded and is it large enough, is any there twice, does each caption say whose picture it is, is one character seen far more often than another.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Set
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from animeset_lib.dataset.selection import THUMB_PX, thumb_difference
from animeset_lib.errors import InputError
from animeset_lib.export.loaded import (
    Finding,
    Loaded,
    LoadedPicture,
    LoadedSet,
    Notes,
    is_hidden,
    merged,
    tag_key,
    tags_of,
    trigger_of_export,
)
from animeset_lib.export.recognise import load, recognise
from animeset_lib.frames.hashing import neighbours, perceptual_hash
from animeset_lib.media import read_image
from animeset_lib.wording import counted
from animeset_lib.words.vocabulary import category_of

__all__ = ["LintedSet", "Report", "estimated_tokens", "lint"]

TINY_PX = 256
"""Side of a square as large as the smallest picture worth training: at the smallest usual size, 512, it would be enlarged twofold."""
DEFAULT_TRAINING_PX = 512
"""Where no config says the size: the smallest usual one (SD 1.5)."""
_TOLERANCE = 1.25
"""A picture smaller than the training size by less than this is not worth a word; the pipeline itself enlarges from 1.2 on."""
FEW_PICTURES = 10
MOST_TOKENS = 225
"""Three times 75, the most that trainers read of a caption."""

_HASH_RADIUS = 12
"""Bits of 64 in which the perceptual hashes of two pictures may differ to be compared more closely."""
_FAR_APART = 0.15
_NEAR, _SAME = 0.04, 0.02
"""Largest difference of any part of two aligned thumbnails. 0.04 is the default of the setting dataset.same_picture, by the same measure, so pictures
that the selection let stand beside each other pass; slight lip movement begins at 0.02, nothing a person sees is below."""

_CHARACTERS_APART, _SETS_APART = 2.0, 3.0
"""Times as often that one character, or one sub-set of a character, may be seen as another."""
_TRIGGER_SHARE = 0.2
"""Share of a set's captions that begin with a word for it to be taken for a trigger."""

_WINDOWS = re.compile(r'[<>:"|?*\\]|[ .]$|^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)', re.IGNORECASE)
_FORMATS: Mapping[str, tuple[str, ...]] = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "MPO": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
    "AVIF": (".avif", ".avifs"),
}
"""What Pillow calls a format → the suffixes it may have."""


@dataclass(frozen=True)
class LintedSet:
    """One data set as its trainer loads it. `path` is relative to what was linted; `summary` is one line."""

    format: str
    path: str
    summary: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    """What was found in `path`. A finding that several data sets share stands with the first of them only."""

    path: Path
    linted: tuple[LintedSet, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        return tuple(finding for one in self.linted for finding in one.findings)

    @property
    def errors(self) -> int:
        return sum(finding.level == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        return len(self.findings) - self.errors

    def as_json(self) -> dict[str, Any]:
        return {
            "path": self.path.name,
            "errors": self.errors,
            "warnings": self.warnings,
            "linted": [
                {
                    "format": one.format,
                    "path": one.path,
                    "summary": one.summary,
                    "findings": [
                        {"level": f.level, "code": f.code, "path": f.path, "set": f.set, "words": f.words}
                        for f in one.findings
                    ],
                }
                for one in self.linted
            ],
        }


def lint(
    path: Path, only: str | None = None, progress: Callable[[int, int], None] = lambda done, total: None
) -> Report:
    """Everything that is wrong with the data sets in `path` (folder or config file), each loaded as its trainer would.

    `only`: the format, where it shall not be recognised. `progress(done, total)` counts pictures. Nothing is changed. The same files give the same
    report. Raises `InputError` when there is nothing to lint.
    """
    path = Path(path)
    root = path if path.is_dir() else path.parent
    sources = recognise(path, only)
    loads = [load(source, root) for source in sources]
    measured = _measure_all(loads, progress)
    triggers = [_Triggers(one) for one in loads]
    known = {word for one in triggers for word in one.words}
    for one in triggers:
        one.learn(known)
    everyone = {word: _Triggers.spelled(triggers, word) for one in triggers for word in one.words}
    linted = []
    told: set[tuple[str, Hashable, str]] = set()
    for loaded, trigger in zip(loads, triggers, strict=True):
        notes = Notes(root)
        _check(notes, loaded, trigger, everyone, measured)
        everything = list(merged((*loaded.findings, *notes.findings)))
        keys = [(f.code, _file(root, f.path), f.words) for f in everything]
        found = [f for f, key in zip(everything, keys, strict=True) if key not in told]
        told.update(keys)
        found.sort(key=lambda f: (f.set, f.level, f.path, f.code, f.words))
        place = notes.shown(loaded.path)
        linted.append(
            LintedSet(
                loaded.format,
                place,
                _summary(loaded, trigger, place, everything, len(everything) - len(found)),
                tuple(found),
            )
        )
    return Report(path, tuple(linted))


def _file(root: Path, shown: str) -> Hashable:
    """The file behind a path: one picture that is linked into several exports is one file, of which one finding is enough."""
    try:
        status = (root / shown).stat()
    except OSError:
        return shown
    return (status.st_dev, status.st_ino) if status.st_nlink > 1 else shown


def _check(
    notes: Notes, loaded: Loaded, triggers: _Triggers, everyone: Mapping[str, str], measured: Mapping[Path, _Measured]
) -> None:
    training_px = loaded.training_px or DEFAULT_TRAINING_PX
    for one in loaded.sets:
        for picture in one.pictures:
            _check_name(notes, picture, one.name)
            _check_picture(notes, picture, measured, training_px, one)
            _check_caption(notes, picture, one.name)
        _check_collisions(notes, one)
        triggers.check(notes, one, everyone)
        _check_duplicates(notes, one, measured)
    _check_across(notes, loaded, triggers, measured)
    _check_numbers(notes, loaded, triggers)


def _summary(loaded: Loaded, triggers: _Triggers, place: str, findings: Sequence[Finding], told: int) -> str:
    """`kohya-folders kohya/hana: 1 character (hana), 29 pictures (10 x 29), loads (with --caption_extension .txt)`. Of `findings`
    `told` stand with an earlier data set.
    """
    trained = [one for one in loaded.sets if one.kind == "train"]
    names = list(dict.fromkeys(triggers.group(one) for one in trained))
    parts = (
        [f"{counted(len(names), 'character')} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"]
        if names
        else []
    )
    parts.append(counted(sum(len(one.pictures) for one in trained), "picture"))
    if loaded.has_repeats and trained:
        terms = [f"{one.repeats:g} x {len(one.pictures)}" for one in trained]
        parts[-1] += f" ({' + '.join(terms[:6])}{' + ...' if len(terms) > 6 else ''} = {_views(trained):g} views)"
    for kind, word in (("regularisation", "for regularisation"), ("validation", "for validation")):
        if count := sum(len(one.pictures) for one in loaded.sets if one.kind == kind):
            parts.append(f"{count} {word}")
    errors = sum(finding.level == "error" for finding in findings)
    warnings = len(findings) - errors
    verdict = [counted(errors, "error")] if errors else ["loads"]
    if warnings:
        verdict.append(counted(warnings, "warning"))
    if told:
        verdict.append("said above" if told == len(findings) else f"{told} of them said above")
    note = f" ({loaded.note})" if loaded.note else ""
    return f"{loaded.format} {place}: {', '.join(parts + verdict)}{note}"


def _views(sets: Iterable[LoadedSet]) -> float:
    return sum(one.repeats * len(one.pictures) for one in sets)


# ----------------------------------------------------------------------------------------------------------- pictures


@dataclass(frozen=True)
class _Measured:
    """What is in a picture file. `thumb` is `(THUMB_PX, THUMB_PX, 3)` uint8, squeezed; `why_not` says why it cannot be decoded."""

    digest: str = ""
    why_not: str = ""
    format: str = ""
    width: int = 0
    height: int = 0
    phash: int = 0
    thumb: npt.NDArray[np.uint8] | None = None

    @property
    def side(self) -> float:
        """Of a square as large as the picture: trainers sort pictures into buckets of equal area."""
        return float((self.width * self.height) ** 0.5)


def _measure_all(loads: Sequence[Loaded], progress: Callable[[int, int], None]) -> dict[Path, _Measured]:
    """Every picture decoded once, however many data sets have it (exports are hard links of the published pictures)."""
    paths = sorted({picture.path for loaded in loads for one in loaded.sets for picture in one.pictures})
    first: dict[tuple[int, int, str], Path] = {}
    identity = {}
    for path in paths:
        state = path.stat()
        identity[path] = (state.st_dev, state.st_ino, path.suffix.lower())
        first.setdefault(identity[path], path)
    found = {}
    with ThreadPoolExecutor() as pool:
        for done, (key, value) in enumerate(zip(first, pool.map(_measure, first.values()), strict=True), start=1):
            found[key] = value
            progress(done, len(first))
    return {path: found[identity[path]] for path in paths}


def _measure(path: Path) -> _Measured:
    try:
        data = path.read_bytes()
        digest = hashlib.sha256(data).hexdigest()
    except OSError as problem:
        return _Measured(why_not=f"cannot be read ({problem.strerror})")
    try:
        pixels = read_image(path)
        with Image.open(io.BytesIO(data)) as image:
            kind = image.format or ""
    except (InputError, OSError) as problem:
        why = str(problem).removeprefix(f"{path}: ")
        return _Measured(digest, why)
    small = cv2.resize(pixels, (THUMB_PX, THUMB_PX), interpolation=cv2.INTER_AREA)
    return _Measured(
        digest, "", kind, pixels.shape[1], pixels.shape[0], perceptual_hash(pixels), np.asarray(small, np.uint8)
    )


def _check_picture(
    notes: Notes, picture: LoadedPicture, measured: Mapping[Path, _Measured], training_px: float, one: LoadedSet
) -> None:
    got = measured[picture.path]
    if got.why_not:
        notes.error("unreadable_picture", picture.path, got.why_not, one.name)
        return
    allowed = _FORMATS.get(got.format)
    if allowed and picture.path.suffix.lower() not in allowed:
        notes.error(
            "wrong_suffix",
            picture.path,
            f"is a {got.format}, not what its name says; expected {allowed[0]}: rename it (its caption and mask too) or save it anew",
            one.name,
        )
    if got.side < TINY_PX:
        notes.error(
            "tiny_picture",
            picture.path,
            f"{got.width} x {got.height} is too small; expected at least as much as {TINY_PX} x {TINY_PX}: enlarge it or take it out",
            one.name,
        )
    elif got.side * _TOLERANCE < training_px:
        notes.warning(
            "small_picture",
            picture.path,
            f"{got.width} x {got.height} is smaller than the training size {training_px:g} x {training_px:g}, so it is enlarged and blurred",
            one.name,
        )
    if picture.size is not None and picture.size != (got.width, got.height):
        notes.error(
            "wrong_size",
            picture.path,
            f"is {got.width} x {got.height}, its metadata say {picture.size[0]} x {picture.size[1]}; kohya cuts by those: export again",
            one.name,
        )
    if picture.mask is not None:
        _check_mask(notes, picture.mask, got, one.name)


def _check_mask(notes: Notes, mask: Path, picture: _Measured, name: str) -> None:
    try:
        white = read_image(mask)
    except InputError as problem:
        notes.error("unreadable_picture", mask, str(problem).removeprefix(f"{mask}: "), name)
        return
    if white.shape[:2] != (picture.height, picture.width):
        got = f"{white.shape[1]} x {white.shape[0]}"
        notes.error(
            "mask_size", mask, f"is {got}, its picture {picture.width} x {picture.height}; make them equal", name
        )
    if not white.any():
        notes.error(
            "empty_mask", mask, "is black all over, so nothing of the picture is learned; white means: learn this", name
        )


def _check_name(notes: Notes, picture: LoadedPicture, name: str) -> None:
    for part in Path(os.path.relpath(picture.path, notes.root)).parts:
        if part == "..":
            continue
        if any(unicodedata.category(char)[0] == "C" for char in part):
            notes.error("bad_name", picture.path, f"has control characters in its name ({part!r}); rename it", name)
        elif _WINDOWS.search(part):
            notes.warning("bad_name", picture.path, f"{part!r} is no file name on Windows; rename it", name)
    if is_hidden(picture.path):
        notes.warning(
            "hidden_picture", picture.path, "begins with a dot, so most trainers do not see it; rename it", name
        )


def _check_collisions(notes: Notes, one: LoadedSet) -> None:
    """Names that are one on Windows and macOS, and pictures that share a caption because only their suffixes differ."""
    by_name: dict[tuple[Path, str], list[Path]] = defaultdict(list)
    for picture in one.pictures:
        by_name[picture.path.parent, picture.path.stem.casefold()].append(picture.path)
    for group in by_name.values():
        for path in group[1:]:
            notes.error(
                "same_name",
                path,
                f"has the same name as {group[0].name} but for suffix or capitals, so they share a caption; rename one",
                one.name,
            )


# ----------------------------------------------------------------------------------------------------------- captions


def estimated_tokens(caption: str) -> int:
    """About how many tokens CLIP makes of `caption`, without its dictionary: one per sign and digit, one per six letters begun of a word,
    two per letter that is not ASCII. An estimate: it was not compared with CLIP itself.
    """
    tokens = 0
    for word in re.findall(r"[A-Za-z]+|[^\sA-Za-z]", caption):
        tokens += -(-len(word) // 6) if word[0].isascii() and word[0].isalpha() else 1 if word.isascii() else 2
    return tokens


def _check_caption(notes: Notes, picture: LoadedPicture, name: str) -> None:
    for caption in dict.fromkeys(picture.captions):
        if not caption.strip():
            continue  # told by the loader
        where = (
            picture.caption_file
            if picture.caption_file is not None and picture.caption_file.suffix in (".txt", ".caption")
            else picture.path
        )
        tags = tags_of(caption)
        if "" in tags:
            notes.warning("empty_tag", where, "has commas with nothing between them; take the spare ones out", name)
        twice = sorted(tag for tag, count in Counter(tag_key(tag) for tag in tags if tag).items() if count > 1)
        if twice:
            notes.warning("double_tag", where, f"says {', '.join(twice)} more than once; once is enough", name)
        if any(unicodedata.category(char)[0] == "C" for char in caption.replace("\n", " ").replace("\r", " ")):
            notes.warning("control_characters", where, "holds control characters; take them out", name)
        tokens = estimated_tokens(caption)
        if tokens > MOST_TOKENS:
            notes.warning(
                "long_caption",
                where,
                f"is about {tokens} tokens long; trainers read at most {MOST_TOKENS}, the rest is cut off: shorten it",
                name,
            )


class _Triggers:
    """Which words the sets of one load tie to their characters, found in config, folder names and captions."""

    def __init__(self, loaded: Loaded) -> None:
        self._loaded = loaded
        self._sets = {id(one): self._of(one) for one in loaded.sets}
        spellings: dict[str, Counter[str]] = defaultdict(Counter)
        for one in loaded.sets:
            for picture in one.pictures:
                for caption in picture.captions:
                    for tag in tags_of(caption):
                        spellings[tag_key(tag)][tag] += 1
        self._spelling = {key: ways.most_common(1)[0][0] for key, ways in spellings.items()}

    def learn(self, known: Set[str]) -> None:
        """A set that does not say its own trigger has the word of `known` (keys of triggers of other sets) that most of its captions hold as a tag,
        wherever it stands there: a template may put other words first."""
        for one in self._loaded.sets:
            if not self._sets[id(one)] and one.kind != "regularisation":
                captions = [picture.captions[0] for picture in one.pictures]
                held = Counter(
                    key for caption in captions for key in known & {tag_key(tag) for tag in tags_of(caption)}
                )
                best = min(held, key=lambda key: (-held[key], key), default="")
                if held[best] * 2 > len(captions):
                    self._sets[id(one)] = (best,)

    @property
    def words(self) -> set[str]:
        """Keys of all triggers of the load."""
        return {word for words in self._sets.values() for word in words}

    @staticmethod
    def spelled(all_of_them: Iterable[_Triggers], word: str) -> str:
        """The trigger `word` as captions write it."""
        return next((one._spelling[word] for one in all_of_them if word in one._spelling), word)

    def group(self, one: LoadedSet) -> str:
        """What the set is counted under: its trigger, else its name."""
        words = self._sets[id(one)]
        return self._spelling.get(words[0], words[0]) if words else one.trigger or one.name

    def _of(self, one: LoadedSet) -> tuple[str, ...]:
        """Keys of the set's triggers, the most frequent first; none where there is nothing to go by.

        What our export, config or folder name, if most captions hold it; else the words that captions begin with, unless they are plain tags. What is
        sure stands all the same, unless most captions begin with one other word: they were written anew with that.
        """
        if one.kind == "regularisation":
            return ()
        captions = [caption for picture in one.pictures for caption in picture.captions[:1] if caption.strip()]
        exported = tag_key(trigger_of_export(one.pictures[0].path)) if one.pictures else ""
        declared = tag_key(one.trigger or "")
        for word in filter(None, (exported, declared)):
            if sum(_holds(caption, word) for caption in captions) * 2 > len(captions):
                return (word,)
        first = Counter(tag_key(tags_of(caption)[0]) for caption in captions)
        most = max(2, _TRIGGER_SHARE * len(captions))
        begin = tuple(word for word, count in first.most_common() if count >= most and _is_a_name(word))
        anew = bool(begin) and first[begin[0]] * 2 > len(captions)
        return (declared,) if declared and one.trigger_is_sure and not anew else begin

    def check(self, notes: Notes, one: LoadedSet, everyone: Mapping[str, str]) -> None:
        """Says whose captions lack the trigger, have it in another place than the rest, or name somebody else. `everyone`: key → spelling."""
        own = self._sets[id(one)]
        fronts = Counter(
            tag_key(tags_of(caption)[0]) in own
            for picture in one.pictures
            for caption in picture.captions
            if caption.strip()
        )
        for picture in one.pictures:
            for caption in picture.captions:
                if caption.strip():
                    self._check_one(notes, one, picture, caption, own, everyone, first=fronts[True] > fronts[False])

    def _check_one(
        self,
        notes: Notes,
        one: LoadedSet,
        picture: LoadedPicture,
        caption: str,
        own: Sequence[str],
        everyone: Mapping[str, str],
        first: bool,
    ) -> None:
        where = (
            picture.caption_file
            if picture.caption_file is not None and picture.caption_file.suffix in (".txt", ".caption")
            else picture.path
        )
        keys = [tag_key(tag) for tag in tags_of(caption)]
        present = next((key for key in keys if key in own), None) or next(
            (key for key in own if _holds(caption, key)), None
        )
        # ai-toolkit puts a missing trigger before the first tag without a comma
        named = [key.removeprefix(f"{present} ") for key in keys]
        others = [
            key for key in named if key in everyone and key != present and (key not in own or present is not None)
        ]
        if others:
            words = (
                f"shows nobody, but names {everyone[others[0]]}"
                if one.kind == "regularisation"
                else f"names {everyone[others[0]]}, the trigger of another character; expected {self.group(one)} alone"
            )
            notes.error(
                "other_trigger", where, f"{words}: is the picture in the wrong set, or the caption wrong?", one.name
            )
        elif own and present is None:
            notes.error(
                "missing_trigger",
                where,
                f"does not hold the trigger {self.group(one)}, so the picture teaches it nothing; got {caption[:60]!r}: put it first",
                one.name,
            )
        elif own and (spelled := self._other_spelling(caption, own)) is not None:
            notes.warning(
                "trigger_spelling",
                where,
                f"spells the trigger {spelled!r}, most others {self._spelling[tag_key(spelled)]!r}; to a trainer these are two words",
                one.name,
            )
        elif own and first and keys and keys[0] not in own and not keys[0].startswith(f"{present} "):
            notes.warning(
                "trigger_not_first",
                where,
                f"begins with {tags_of(caption)[0]!r}, not with {self.group(one)} as the others do; where tags are shuffled it may be dropped",
                one.name,
            )

    def _other_spelling(self, caption: str, own: Sequence[str]) -> str | None:
        """The trigger as `caption` writes it, where most captions write it otherwise."""
        return next(
            (tag for tag in tags_of(caption) if tag_key(tag) in own and tag != self._spelling[tag_key(tag)]), None
        )


def _holds(caption: str, key: str) -> bool:
    """Whether the trigger stands in `caption`, as a tag or as words in a sentence."""
    return re.search(rf"(?<!\w){re.escape(key)}(?!\w)", tag_key(caption)) is not None


def _is_a_name(word: str) -> bool:
    """Whether a tag that captions begin with can be a trigger: no plain tag, no sentence."""
    return bool(word) and category_of(word.replace(" ", "_")) == "other" and len(word.split()) <= 4


# ------------------------------------------------------------------------------------------------ sets as a whole


def _check_duplicates(notes: Notes, one: LoadedSet, measured: Mapping[Path, _Measured]) -> None:
    """Pictures that are there twice: the same bytes, or the same to the eye."""
    readable = [picture.path for picture in one.pictures if not measured[picture.path].why_not]
    first: dict[str, Path] = {}
    for path in readable:
        twin = first.setdefault(measured[path].digest, path)
        if twin != path:
            notes.error(
                "duplicate_picture", path, f"is the same file as {notes.shown(twin)}; keep one of them", one.name
            )
    for path, other, apart in _alike(list(first.values()), measured):
        words = f"looks like {notes.shown(other)} (no part differs by more than {apart:.3f} of 1); keep the better one"
        if apart < _SAME and one.kind != "regularisation":
            notes.error("near_duplicate", path, words, one.name)
        else:
            notes.warning("near_duplicate", path, words, one.name)


def _alike(paths: Sequence[Path], measured: Mapping[Path, _Measured]) -> Iterator[tuple[Path, Path, float]]:
    """Each path that is nearly the same picture as an earlier one, with the nearest such and their difference.

    Perceptual hashes propose, the measure that the selection uses decides.
    """
    hashes = np.array([measured[path].phash for path in paths], np.uint64)
    near = neighbours(hashes, _HASH_RADIUS, limit=32)
    for index, path in enumerate(paths):
        best = None
        for other, _ in near.of(index):
            if other < index:
                apart = _difference(measured[path], measured[paths[other]])
                if apart < _NEAR and (best is None or apart < best[1]):
                    best = paths[other], apart
        if best is not None:
            yield path, best[0], best[1]


def _difference(one: _Measured, other: _Measured) -> float:
    """As the selection compares two thumbnails, 0..1; 1 for what is far apart from the start."""
    a, b = (np.asarray(m.thumb, np.float32) / np.float32(255) for m in (one, other))
    small = [cv2.resize(thumb, (16, 16), interpolation=cv2.INTER_AREA) for thumb in (a, b)]
    if float(np.sqrt(((small[0] - small[1]) ** 2).mean())) >= _FAR_APART:
        return 1.0
    return thumb_difference(a, b)


def _check_across(notes: Notes, loaded: Loaded, triggers: _Triggers, measured: Mapping[Path, _Measured]) -> None:
    """Pictures that are in more than one set."""
    places: dict[str, list[tuple[LoadedSet, Path]]] = defaultdict(list)
    for one in loaded.sets:
        for picture in one.pictures:
            if not measured[picture.path].why_not:
                places[measured[picture.path].digest].append((one, picture.path))
    for found in places.values():
        for (one, path), (other, twin) in combinations(found, 2):
            if one is other:
                continue
            kinds = {one.kind, other.kind}
            if "validation" in kinds and len(kinds) > 1:
                held, trained = (path, twin) if one.kind == "validation" else (twin, path)
                notes.error(
                    "trained_and_validated",
                    held,
                    f"is trained too ({notes.shown(trained)}), so validation says nothing about it; take one out",
                    one.name if one.kind == "validation" else other.name,
                )
            elif path != twin or triggers.group(one) != triggers.group(other):
                notes.warning(
                    "in_two_sets",
                    twin,
                    f"is also in {one.name} ({notes.shown(path)}), so it is seen more often than the others",
                    other.name,
                )


def _check_numbers(notes: Notes, loaded: Loaded, triggers: _Triggers) -> None:
    """Too few pictures of a character, or one seen far more often than another."""
    groups: dict[str, list[LoadedSet]] = defaultdict(list)
    for one in loaded.sets:
        if one.kind == "train":
            groups[triggers.group(one)].append(one)
    for name, sets in groups.items():
        count = len({picture.path for one in sets for picture in one.pictures})
        if 0 < count < FEW_PICTURES:
            notes.warning(
                "few_pictures",
                loaded.path,
                f"{counted(count, 'picture')} of {name}; at least {FEW_PICTURES} make a set that does not learn single pictures by heart",
                sets[0].name,
            )
    if not loaded.has_repeats:
        return
    _check_balance(notes, loaded.path, {name: _views(sets) for name, sets in groups.items()}, _CHARACTERS_APART, "")
    for name, sets in groups.items():
        _check_balance(notes, loaded.path, {one.name: _views([one]) for one in sets}, _SETS_APART, f" of {name}")


def _check_balance(notes: Notes, path: Path, views: Mapping[str, float], most: float, whose: str) -> None:
    views = {name: value for name, value in views.items() if value > 0}
    if len(views) < 2:
        return
    often, rare = max(views, key=lambda n: views[n]), min(views, key=lambda n: views[n])
    if views[often] > most * views[rare]:
        notes.warning(
            "unbalanced",
            path,
            f"per epoch {often}{whose} is seen {views[often]:g} times, {rare} {views[rare]:g} times; expected at most {most:g} times as often: "
            "give the smaller more repeats",
        )
