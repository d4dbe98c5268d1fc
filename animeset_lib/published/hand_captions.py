"""Captions that a person wrote, kept over runs: remembered from a published folder, put over what the next run publishes.

They lie in `output/<film>-<id>.captions.jsonl`, one JSON object a line, by crop id, which is the same in every run of a film whatever number, name
or character the picture has. So a caption follows its picture when another selection renumbers it, waits while the picture is not selected, and
comes back with it. The stages know nothing of this: their captions and keys stay what they were, and a film that is up to date stays so.

`harvest` takes what was changed since the folder was published, by whatever editor; `overlay` puts it over a new tree. The file's bytes are kept:
only what would break a trainer (several lines, a byte order mark) is mended. Where the character was renamed meanwhile, or has another trigger
word, that word takes the place of the old one, for two trigger words in one set would be two characters.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from pydantic import ValidationError

from animeset_lib.errors import AnimesetError, BusyError
from animeset_lib.published.captions import (
    CaptionSet,
    caption_path,
    json_line,
    json_object,
    machine_hashes,
    machine_text,
    shown,
    tag_key,
    tags_of,
    tidy_caption,
    with_caption,
)
from animeset_lib.published.publish import EDITS, put_text, read_manifest
from animeset_lib.run.store import full_disk_as, write_text
from animeset_lib.settings import CaptionSettings
from animeset_lib.words.line import trigger_of, with_trigger

__all__ = [
    "CaptionStore",
    "HandCaption",
    "Harvest",
    "KeptCaptions",
    "Overlay",
    "carry_history",
    "harvest",
    "names_in_words",
    "overlay",
]

_METADATA = "metadata.jsonl"
_PLAIN_NAME = re.compile(r"dataset/images/(?!\.)[^/\\:]+")
_PATIENCE_S = 30.0
_NAMED = 3
"""Files named in a sentence; the rest is counted."""


@dataclass(frozen=True)
class HandCaption:
    """The last word about one picture's caption."""

    crop: str
    kind: Literal["set", "machine"]
    """set: a person wrote `text`; machine: it is the program's again, and whatever was written before does not count."""
    text: str = ""
    """The whole text of the file."""
    trigger: str = ""
    """The word that the training tied to the character when this was written."""
    recaption: bool = False
    """Whether `Recaption` wrote it, with settings a person chose: kept like any other, until a run writes the same by itself."""


class CaptionStore:
    """The captions of one film that a person wrote. Nothing is created before the first; a missing file holds none.

    Lines are only added, under a lock that lies hidden beside the file; the last one about a crop counts. A line that is torn or that this
    class did not write is passed over, and the next one begins after it. One object is for one thread.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, HandCaption]:
        """Crop id → the last word about it. Raises `AnimesetError` when the file cannot be read."""
        try:
            content = self.path.read_bytes()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise AnimesetError(
                f"cannot read the captions kept in {self.path} ({error.strerror or error}); make it readable, or move it away to do without them"
            ) from error
        found = {}
        for line in content.split(b"\n"):
            if (caption := _caption(json_object(line))) is not None:
                found[caption.crop] = caption
        return found

    def add(self, captions: Sequence[HandCaption]) -> None:
        """Append what is not the last word about its crop yet, all or nothing, on the disk when this returns.

        Raises `BusyError` when another process keeps the lock, `SpaceError` or `AnimesetError` when the file cannot be written.
        """
        if not captions:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (
                full_disk_as(
                    lambda: (
                        f"the disk of {self.path} is full, so no caption was kept; free some space, then run the same command again"
                    )
                ),
                FileLock(self.path.with_name(f".{self.path.name}.lock"), timeout=_PATIENCE_S),
            ):
                known = self.read()
                new = [caption for caption in captions if known.get(caption.crop) != caption]
                if new:
                    self._append(new)
        except Timeout:
            raise BusyError(
                f"another process has kept {self.path} locked for {_PATIENCE_S:.0f} s; no caption was kept, try again"
            ) from None
        except OSError as error:
            raise AnimesetError(
                f"cannot write {self.path} ({error.strerror or error}), so no caption was kept; mend its permissions and run the same command again"
            ) from error

    def _append(self, captions: Sequence[HandCaption]) -> None:
        time = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            {**{key: value for key, value in caption.__dict__.items() if value}, "time": time} for caption in captions
        ]
        content = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
        with self.path.open("ab+", buffering=0) as file:
            end = file.seek(0, os.SEEK_END)
            if end > 0:
                file.seek(end - 1)
                content = content if file.read(1) == b"\n" else b"\n" + content
            try:
                if file.write(content) != len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(file.fileno())
            except OSError:
                file.truncate(end)
                raise


def _caption(row: Mapping[str, Any]) -> HandCaption | None:
    crop, kind, text, trigger = (row.get(key, "") for key in ("crop", "kind", "text", "trigger"))
    if not (isinstance(crop, str) and isinstance(text, str) and isinstance(trigger, str)):
        return None
    if kind == "machine" and crop:
        return HandCaption(crop, "machine")
    if kind != "set" or not crop or not tags_of(text):
        return None
    return HandCaption(crop, "set", text, trigger, row.get("recaption") is True)


@dataclass(frozen=True)
class Harvest:
    """What `harvest` found in a published folder."""

    by_hand: int
    """Pictures whose caption is a person's now."""
    remembered: frozenset[str]
    """Files, relative to the folder, that could go without a loss: captions and metadata of which the store knows all that is not the program's."""
    told: tuple[str, ...]
    """Sentences about what was mended, and what could not be taken over."""


def harvest(folder: Path, store: CaptionStore) -> Harvest:
    """Remember every caption of a published folder that a person changed, and forget those that are the program's again.

    A second call adds nothing. Files that are not as expected are said in `told` and left out of `remembered`; nothing in the folder is changed.
    Raises as `CaptionStore.add`, and `InputError` when the folder is no published film.
    """
    opened = CaptionSet(folder, complete=False)
    manifest = read_manifest(folder)
    hashes = machine_hashes(manifest)
    known, recaptioned, history = store.read(), opened.recaptioned(), opened.journal_texts()
    found: list[HandCaption] = []
    remembered: set[str] = set()
    by_hand = 0
    not_taken: dict[str, list[str]] = {}
    mended: list[str] = []
    for character in _characters(folder):
        trigger = trigger_of(character, _caption_settings(manifest))
        metadata = f"{character}/{_METADATA}"
        lines = _lines(folder / metadata)
        ours = _as_made(lines) == hashes.get(metadata)
        for row in map(json_object, lines):
            image = _image_of(character, row)
            if image is None or caption_path(image) not in hashes:
                continue  # no line of ours, or one that somebody added: then `ours` says so
            file = caption_path(image)
            text, fault = _text(folder / file)
            ours = ours and _explained(row, text, manifest["files"].get(file), history.get(image, ()))
            crop = row.get("crop")
            last = known.get(crop) if isinstance(crop, str) else None
            if text is not None and (_sha256(text) == hashes[file] or shown(text) == machine_text(row, hashes[file])):
                remembered.add(file)
                # What a person wrote and the program has come to write, too, stays the person's.
                if last is not None and last.kind == "set" and (last.recaption or shown(last.text) != shown(text)):
                    found.append(HandCaption(last.crop, "machine"))
            elif text is None or not isinstance(crop, str) or not crop:
                not_taken.setdefault(fault or "its row in metadata.jsonl has no crop id", []).append(file)
            else:
                remembered.add(file)
                by_hand += 1
                line = _one_line(text)
                same = last is not None and last.recaption and with_trigger(last.text, last.trigger, trigger) == line
                found.append(HandCaption(crop, "set", line, trigger, same or (file, text) in recaptioned))
                mended += [file] if line != text else []
        remembered |= {metadata} if ours else set()
    store.add(found)
    told = [f"{names_in_words(files)} could not be taken over: {fault}" for fault, files in not_taken.items()]
    if mended:
        told.append(
            f"{names_in_words(mended)} had several lines or a byte order mark; made one plain line of it, as trainers need"
        )
    return Harvest(by_hand, frozenset(remembered), tuple(told))


@dataclass(frozen=True)
class Overlay:
    """What `overlay` did to a new tree."""

    changed: frozenset[str]
    """Files, relative to the tree."""
    kept: int
    """Pictures that have the caption a person wrote for them."""
    renamed: int
    """Those of them in which the trigger word became another one."""
    waiting: int
    """Captions of the store whose picture is not in the tree."""
    told: tuple[str, ...]
    """A sentence about each character that has two trigger words now: the one of the run, and whatever a person put in its place."""


def overlay(tree: Path, store: CaptionStore, settings: CaptionSettings) -> Overlay:
    """Give each picture of a new tree the caption that a person wrote for it: its `.txt`, and `text` in metadata.jsonl beside `machine_text`, what
    the program wrote. Every row says in `caption_by` who wrote its caption: `hand`, or `machine`, also where both wrote the same.

    `settings` are those of the run that made the tree. A second call changes nothing. Raises as `CaptionStore.read`.
    """
    waiting = {crop: caption for crop, caption in store.read().items() if caption.kind == "set"}
    total = len(waiting)
    changed: set[str] = set()
    told: list[str] = []
    renamed = 0
    for character in _characters(tree):
        trigger = trigger_of(character, settings)
        lines = _lines(tree / character / _METADATA)
        new = list(lines)
        texts = []
        for index, row in enumerate(map(json_object, lines)):
            image = _image_of(character, row)
            if image is None or not isinstance(row.get("text"), str):
                continue
            text = row["text"] + "\n"
            if (caption := waiting.pop(str(row.get("crop")), None)) is not None:
                text = with_trigger(caption.text, caption.trigger, trigger)
                renamed += text != caption.text
                put_text(tree / caption_path(image), text)
                changed.add(caption_path(image))
            texts.append(text)
            new[index] = json_line(with_caption(_saying_who(row), shown(text)))
        without = sum(tag_key(trigger) not in map(tag_key, tags_of(text)) for text in texts)
        if 0 < without < len(texts):
            told.append(
                f"{character}: {_captions(without)} by hand without the trigger word {trigger} that the other {len(texts) - without} have; "
                "give them all one: the setting caption.trigger, or `animeset captions FILM replace`"
            )
        if new != lines:
            write_text(tree / character / _METADATA, "\n".join(new))
            changed.add(f"{character}/{_METADATA}")
    return Overlay(frozenset(changed), total - len(waiting), renamed, len(waiting), tuple(told))


def carry_history(earlier: Path, tree: Path) -> str:
    """Copy the history of caption edits into the tree that replaces `earlier`, if undoing there gives what it gave before; else why not, in words.

    That is so when every picture it names is the same crop under the same name, with the same caption now and the same one from the program.
    The folder's lock is held, and no edit is pending.
    """
    images = CaptionSet(earlier, complete=False).journal_images()
    if not images:
        return ""
    before, after = _states(earlier, read_manifest(earlier)), _states(tree, {})
    other = sorted(image for image in images if image not in before or before[image] != after.get(image))
    if other:
        return (
            f"the history of caption edits begins anew, for {names_in_words(other)} became another picture or has another caption from the program; "
            "the captions are kept, `animeset captions FILM restore` gives the program's own"
        )
    shutil.copyfile(earlier / EDITS, tree / EDITS)
    return ""


class KeptCaptions:
    """Captions by hand for `published.publish.publish`: a `HandWork` that says what it did."""

    def __init__(self, store: Path, settings: CaptionSettings) -> None:
        """`settings` are those of the run whose result is published."""
        self._store = CaptionStore(store)
        self._settings = settings
        self.kept = ""
        """A sentence about the captions that were kept; empty when there are none."""
        self.told: tuple[str, ...] = ()
        """Sentences about what could not be kept as it was."""

    def harvest(self, folder: Path) -> Collection[str]:
        CaptionSet(folder, complete=False).complete_held()
        found = harvest(folder, self._store)
        self.told = found.told
        return found.remembered

    def overlay(self, tree: Path, earlier: Path | None) -> Collection[str]:
        done = overlay(tree, self._store, self._settings)
        history = carry_history(earlier, tree) if earlier is not None else ""
        self.told += (*done.told, *([history] if history else []))
        self.kept = _in_words(done, self._store.path)
        return done.changed


def _in_words(done: Overlay, store: Path) -> str:
    words = []
    if done.kept:
        words.append(f"{_captions(done.kept)} edited by hand {'was' if done.kept == 1 else 'were'} kept")
    if done.renamed:
        words.append(f"{done.renamed} of them with the character's new trigger word")
    if done.waiting:
        one = done.waiting == 1
        what = f"{_captions(done.waiting)} edited by hand" if not done.kept else str(done.waiting)
        words.append(
            f"{what} belong{'s' if one else ''} to {'a picture that is' if one else 'pictures that are'} not in the new set "
            f"and {'is' if one else 'are'} remembered in {store}"
        )
    return "; ".join(words)


def _captions(count: int) -> str:
    return f"{count} caption{'' if count == 1 else 's'}"


# Rows and files


def _characters(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob(f"*/{_METADATA}") if not path.parent.name.startswith("."))


def _lines(path: Path) -> list[str]:
    """Lines of a text file, the last one empty where it ends as it should; none where it cannot be read."""
    try:
        return path.read_bytes().decode("utf-8").split("\n")
    except (OSError, UnicodeDecodeError):
        return []


def _image_of(character: str, row: Mapping[str, Any]) -> str | None:
    """The picture of a row, relative to the film folder. The folder may come from somebody else: no path leads out of it."""
    name = row.get("file_name")
    return f"{character}/{name}" if isinstance(name, str) and _PLAIN_NAME.fullmatch(name) else None


def _text(path: Path) -> tuple[str | None, str]:
    """What a caption file says, and else why it cannot be a caption."""
    try:
        text = path.read_bytes().decode("utf-8")
    except FileNotFoundError:
        return None, "it is not there any more"
    except UnicodeDecodeError:
        return None, "it is not UTF-8"
    except OSError as error:
        return None, f"it cannot be read ({error.strerror or error})"
    return (text, "") if tags_of(text) else (None, "there is no tag in it")


def _one_line(text: str) -> str:
    """The text of a caption file that a trainer reads well: as it is, if it is one line and perhaps its end."""
    line = shown(text)
    plain = len(line.splitlines()) == 1 and text in (line, f"{line}\n", f"{line}\r\n")
    return text if plain else tidy_caption(text.removeprefix("\ufeff")) + "\n"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _saying_who(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row of the program with `caption_by` behind its caption; one that says it already as it is."""
    new: dict[str, Any] = {}
    for key, value in row.items():
        new[key] = value
        if key == "text" and "caption_by" not in row:
            new["caption_by"] = "machine"
    return new


def _as_made(lines: Sequence[str]) -> str:
    """SHA-256 of metadata.jsonl as it was before `overlay` and all edits of captions, if nothing else was changed in it."""
    made = []
    for line in lines:
        row = json_object(line)
        if "caption_by" in row:
            text = row.get("machine_text") if row["caption_by"] == "hand" else row.get("text")
            row = {key: value for key, value in row.items() if key not in ("caption_by", "machine_text")}
            line = json_line({**row, "text": text})
        made.append(line)
    return _sha256("\n".join(made))


def _explained(row: Mapping[str, Any], text: str | None, published: object, history: Collection[str]) -> bool:
    """Whether `text` of a row by hand is the caption that is there, that was published or that the history knows, so that nothing is lost with it."""
    said = row.get("text")
    if row.get("caption_by") != "hand" or not isinstance(said, str):
        return True
    ends = ("\n", "", "\r\n")
    return (
        said in history or (text is not None and said == shown(text)) or published in [_sha256(said + e) for e in ends]
    )


def _states(folder: Path, manifest: Mapping[str, Any]) -> dict[str, tuple[object, ...]]:
    """Picture → crop, caption now, and the program's caption; by the rows, for a new tree (without a manifest) and a published folder alike."""
    hashes = machine_hashes(manifest)
    found: dict[str, tuple[object, ...]] = {}
    for character in _characters(folder):
        for row in map(json_object, _lines(folder / character / _METADATA)):
            if (image := _image_of(character, row)) is not None:
                by_hand = row.get("caption_by") == "hand"
                machine = row.get("machine_text") if by_hand else row.get("text")
                made = machine_text(row, hashes.get(caption_path(image))) if manifest else machine
                found[image] = row.get("crop"), _text(folder / caption_path(image)), made
    return found


def _caption_settings(manifest: Mapping[str, Any]) -> CaptionSettings:
    """Those of the run that published the folder; the default ones where another version wrote them."""
    settings = manifest.get("settings")
    try:
        return CaptionSettings.model_validate(settings.get("caption", {}) if isinstance(settings, dict) else {})
    except ValidationError:
        return CaptionSettings()


def names_in_words(names: Sequence[str]) -> str:
    """The first few of these files, and how many more."""
    named = ", ".join(names[:_NAMED])
    return named if len(names) <= _NAMED else f"{named} and {len(names) - _NAMED} more"
