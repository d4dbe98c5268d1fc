"""What a person tagged in FiftyOne, appended to the log of decisions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from animeset_lib.cast.names import character_name
from animeset_lib.cast.sorting import NOISE, REJECTED, Face, Sorting, group_of
from animeset_lib.errors import InputError
from animeset_lib.notebook.lens_datasets import LABELS, Kind, decided_words, label_of
from animeset_lib.pipeline.cast_pack import open_pack
from animeset_lib.run.decisions import DecisionLog, FrameKind
from animeset_lib.run.settling import settle_frames
from animeset_lib.wording import counted

__all__ = ["Saved", "Tags", "dataset_name"]

_FACE_TAGS = ("not_a_character", "drop", "restore")
_FRAME_WORDS: Mapping[FrameKind, str] = {
    "duplicate": "to be dropped as duplicate",
    "keep": "no duplicate",
    "restore": "as the program chose",
}


@dataclass(frozen=True)
class Saved:
    """What became of the tags: `saved` are the words of the decisions that were appended, `refused` sentences about tags that cannot be followed;
    these stay where they are."""

    saved: tuple[str, ...]
    refused: tuple[str, ...]


@dataclass(frozen=True)
class _Wish:
    """One tag or edited label. `where` is the dataset, `sample` and `label` FiftyOne's ids; `target` is ours, of a face or a still."""

    what: str
    about: Literal["face", "frame"]
    target: str
    where: Kind
    sample: str
    label: str | None
    edited: bool = False


@dataclass
class _Outcome:
    saved: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    done: list[_Wish] = field(default_factory=list)


def dataset_name(film: str, kind: Kind) -> str:
    """Name of the dataset in FiftyOne; it holds the film's id, so two films never meet."""
    return f"animeset-{film}-{kind}"


class Tags:
    """The tags in the datasets of one film. `film` is the name of its folder, `pack` where its cast pack lies."""

    def __init__(self, fo: Any, film: str, pack: Path, log: DecisionLog) -> None:
        self._fo = fo
        self._film = film
        self._place = pack
        self._log = log

    def save(self, kinds: Iterable[Kind]) -> Saved:
        """See `Lens.save_decisions`."""
        wishes: list[_Wish] = []
        outcome = _Outcome()
        pack = open_pack(self._place)
        sorting = None if pack is None else Sorting(pack.outputs, self._log)
        characters = set() if sorting is None else sorting.groups.keys() - LABELS
        for kind in kinds:
            if (dataset := self._open(kind)) is not None and len(dataset):
                wishes += _sample_wishes(kind, dataset, characters, outcome)
                wishes += _label_wishes(dataset, characters, outcome) if kind == "faces" else []
        self._save_frames([wish for wish in wishes if wish.about == "frame"], outcome)
        self._save_faces([wish for wish in wishes if wish.about == "face"], sorting, outcome)
        self._take_off(outcome.done)
        if outcome.done:
            self._show_decisions(sorting)
        return Saved(tuple(outcome.saved), tuple(outcome.refused))

    def _open(self, kind: Kind) -> Any:
        name = dataset_name(self._film, kind)
        return self._fo.load_dataset(name) if self._fo.dataset_exists(name) else None

    def _save_frames(self, wishes: Sequence[_Wish], outcome: _Outcome) -> None:
        of_frame = _by_target(wishes)
        decided = settle_frames(of_frame, self._log.standing).decided
        new: dict[FrameKind, list[str]] = {what: [] for what in _FRAME_WORDS}
        for frame, own in of_frame.items():
            if len(said := sorted({wish.what for wish in own})) > 1:
                outcome.refused.append(f"{frame} is tagged {' and '.join(said)}; leave one of them")
                continue
            outcome.done += own
            for what, frames in new.items():
                if said == [what] and what != (decided[frame].kind if frame in decided else "restore"):
                    frames.append(frame)
        for what, frames in new.items():
            if frames:
                words = f"{counted(len(frames), 'still')}: {_FRAME_WORDS[what]}"
                self._log.add_frames(what, sorted(frames), words=words)
                outcome.saved.append(words)

    def _save_faces(self, wishes: Sequence[_Wish], sorting: Sorting | None, outcome: _Outcome) -> None:
        if not wishes:
            return
        if sorting is None:
            outcome.refused.append(
                f"{len(wishes)} tags of faces cannot be saved, for this film was not sorted; run it, --until cast is enough"
            )
            return
        wanted: dict[str, list[str]] = defaultdict(list)
        target: dict[str, str] = {}
        before = {face: group_of(one.now) for face, one in sorting.faces.items()}
        known = set(before.values()) - LABELS.keys()
        for face, own in _by_target(wishes).items():
            try:
                meant = _one_meaning(face, [wish.what for wish in own], face in sorting.faces, known)
            except InputError as error:
                outcome.refused.append(str(error))
                continue
            outcome.done += own
            for what, name in meant:
                wanted[what].append(face)
                if name:
                    target[face] = name
        self._merge(wanted["merge"], target, before, sorting, outcome)
        new = [face for face in wanted["not_a_character"] if group_of(sorting.faces[face].now) != REJECTED]
        for group, members in _whole_groups(new, sorting):
            sorting.reject(members, group)
            outcome.saved.append(self._log.can_undo)
        self._name(wanted["name"], target, sorting, outcome)
        for what, decide in (("drop", sorting.drop), ("restore", sorting.restore)):
            if faces := [face for face in wanted[what] if not _is_so(what, sorting.faces[face])]:
                decide(faces)
                outcome.saved.append(self._log.can_undo)

    def _merge(
        self,
        faces: Sequence[str],
        target: Mapping[str, str],
        before: Mapping[str, str],
        sorting: Sorting,
        outcome: _Outcome,
    ) -> None:
        into: dict[str, set[str]] = defaultdict(set)
        for face in faces:
            into[before[face]].add(target[face])
        for group, names in sorted(into.items()):
            if group in LABELS:
                refused = f"{LABELS[group]} is no group that could be merged; tag its faces name:... one by one"
            elif len(names) > 1:
                refused = f"{group} is to be merged with {' and with '.join(sorted(names))}; leave one of them"
            else:
                if group not in names:
                    sorting.merge([group], *names)
                    outcome.saved.append(self._log.can_undo)
                continue
            outcome.refused.append(refused)
            outcome.done = [
                wish for wish in outcome.done if not (wish.what.startswith("merge:") and before[wish.target] == group)
            ]

    def _name(self, faces: Sequence[str], target: Mapping[str, str], sorting: Sorting, outcome: _Outcome) -> None:
        for name in sorted({target[face] for face in faces}):
            new = [face for face in faces if target[face] == name and group_of(sorting.faces[face].now) != name]
            for group, members in _whole_groups(new, sorting):
                if group is not None:
                    sorting.rename(group, name)
                else:
                    sorting.move(members, name)
                outcome.saved.append(self._log.can_undo)

    def _take_off(self, done: Sequence[_Wish]) -> None:
        """Removes the tags that were followed. Edited labels are shown as they are now by `_show_decisions`."""
        for where in {wish.where for wish in done}:
            of_sample: dict[str, list[_Wish]] = defaultdict(list)
            for wish in done:
                if wish.where == where and not wish.edited:
                    of_sample[wish.sample].append(wish)
            for sample in self._open(where).select(list(of_sample)):
                own = of_sample[sample.id]
                sample.tags = _without(sample.tags, [wish.what for wish in own if wish.label is None])
                for face in sample.faces.detections if where == "faces" else ():
                    face.tags = _without(face.tags, [wish.what for wish in own if wish.label == face.id])
                sample.save()

    def _show_decisions(self, sorting: Sorting | None) -> None:
        """Brings the fields that tell of decisions up to date in the datasets that are open."""
        if (dataset := self._open("stills")) is not None:
            frames = dataset.values("frame_id")
            decided = settle_frames(frames, self._log.standing).decided
            dataset.set_values("decided", [decided[frame].effect if frame in decided else None for frame in frames])
        if sorting is not None and (dataset := self._open("faces")) is not None:
            regions = dataset.values("faces.detections.region_id")
            for name, show in (("label", label_of), ("shown", label_of), ("decided", decided_words)):
                values = [[show(sorting.faces[face]) for face in faces if face in sorting.faces] for faces in regions]
                if [len(row) for row in values] == [len(row) for row in regions]:
                    dataset.set_values(f"faces.detections.{name}", values)


def _sample_wishes(kind: Kind, dataset: Any, characters: Set[str], outcome: _Outcome) -> list[_Wish]:
    """What is tagged on whole pictures."""
    wishes: list[_Wish] = []
    ids, tags, frames = dataset.values(["id", "tags", "frame_id"])
    # whose face a tag on the whole picture means
    if kind in ("crops", "dataset"):
        alone: list[str | None] = dataset.values("region_id")
    elif kind == "faces":
        alone = [faces[0] if len(faces) == 1 else None for faces in dataset.values("faces.detections.region_id")]
    else:
        alone = [None] * len(ids)
    for id, own_tags, frame, face in zip(ids, tags, frames, alone, strict=True):
        for what in own_tags or ():
            if kind in ("stills", "faces") and what in _FRAME_WORDS and (what != "restore" or kind == "stills"):
                wishes.append(_Wish(what, "frame", frame, kind, id, None))
            elif (meant := _face_wish(what, characters)) is not None:
                if face is None:
                    outcome.refused.append(
                        f"'{what}' on {frame} does not tell which face is meant; tag the face in the dataset of faces"
                    )
                else:
                    wishes.append(_Wish(meant, "face", face, kind, id, None))
            elif what in _FRAME_WORDS:
                outcome.refused.append(
                    f"'{what}' is said of stills, not of pictures cut from them; tag {frame} in the dataset of stills"
                )
    return wishes


def _label_wishes(dataset: Any, characters: Set[str], outcome: _Outcome) -> list[_Wish]:
    """What is tagged on single faces, and their labels that were edited."""
    wishes: list[_Wish] = []
    names = ("id", "region_id", "tags", "label", "shown")
    for sample, *faces in zip(*dataset.values(["id", *(f"faces.detections.{name}" for name in names)]), strict=True):
        for label_id, region, own_tags, label, shown in zip(*faces, strict=True):
            if region is None:  # drawn by hand in the App; no face of ours
                continue
            for what in own_tags or ():
                if (meant := _face_wish(what, characters)) is not None:
                    wishes.append(_Wish(meant, "face", region, "faces", sample, label_id))
                elif what in _FRAME_WORDS:
                    outcome.refused.append(f"'{what}' is said of stills, not of faces; tag the still of {region}")
            if label != shown:
                meant = {LABELS[NOISE]: "restore", LABELS[REJECTED]: "not_a_character"}.get(label, f"name:{label}")
                wishes.append(_Wish(meant, "face", region, "faces", sample, label_id, edited=True))
    return wishes


def _by_target(wishes: Iterable[_Wish]) -> dict[str, list[_Wish]]:
    """By the face or still that is meant."""
    found: dict[str, list[_Wish]] = defaultdict(list)
    for wish in wishes:
        found[wish.target].append(wish)
    return found


def _face_wish(tag: str, characters: Set[str]) -> str | None:
    """What a tag says of a face, None when it says nothing."""
    text = tag.strip()
    if text in _FACE_TAGS or text.startswith(("name:", "merge:")):
        return text
    return f"name:{text}" if text in characters else None


def _without(tags: Sequence[str], wishes: Sequence[str]) -> list[str]:
    """`tags` without those that became `wishes`; a character's name alone became `name:...`."""
    return [tag for tag in tags if tag.strip() not in wishes and f"name:{tag.strip()}" not in wishes]


def _one_meaning(face: str, tags: Sequence[str], here: bool, known: Set[str]) -> list[tuple[str, str]]:
    """`(what, name)` pairs that go together. Raises `InputError` with a sentence where `tags` contradict each other or name nobody."""
    if not here:
        raise InputError(f"{face} is not among the faces of this film any more; open the faces again")
    meant: list[tuple[str, str]] = []
    for tag in dict.fromkeys(tags):
        what, _, name = tag.partition(":")
        chosen = character_name(name) if what in ("name", "merge") else ""
        if what == "merge" and chosen not in known:
            raise InputError(f"'{tag}' on {face}: there is no {chosen}; there are {', '.join(sorted(known))}")
        meant.append((what, chosen))
    who = {pair for pair in meant if pair[0] != "drop"}
    if len(who) > 1 or (("restore", "") in who and len(meant) > 1):
        raise InputError(f"{face} is tagged {' and '.join(sorted(set(tags)))}; leave one of them")
    return meant


def _is_so(what: str, face: Face) -> bool:
    if what == "drop":
        return face.now.dropped in ("by_hand", "not_a_character")
    return face.now.decision is None


def _whole_groups(faces: Sequence[str], sorting: Sorting) -> list[tuple[str | None, list[str]]]:
    """`faces` in parts: `(group, its faces)` for groups of which all are there, for then the group is meant; the others with None."""
    chosen = set(faces)
    parts: list[tuple[str | None, list[str]]] = []
    for group, members in sorting.groups.items():
        if group not in LABELS and chosen.issuperset(members):
            parts.append((group, members))
            chosen -= set(members)
    rest = [face for face in faces if face in chosen]
    return [*parts, *([(None, rest)] if rest else [])]
