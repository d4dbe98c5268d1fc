"""What the standing decisions make of the machine's groups and stills."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from animeset_lib.run.decisions import Decision, about_faces, about_frames
from animeset_lib.wording import counted

__all__ = ["FrameSettlement", "Settled", "Settlement", "settle", "settle_frames"]


Source = Literal["cluster", "reference", "cast", "decision", "noise"]
Dropped = Literal["noise", "not_a_character", "by_hand"]

_NOISE = -1
_TAKES_ALONG = 0.25
"""Faces decided as a group take the undecided rest of their cluster along when they are at least this share of both together: a renamed group may
come back three times larger, from a film extracted more densely, and keep its name; a few named faces that other settings throw into a large
unnamed group do not name all of it. A judgement, not a measurement."""


@dataclass(frozen=True)
class FrameSettlement:
    """`decided` is still id → the duplicate or keep that counts, only for stills of this run; `told` are sentences about conflicts; `absent` counts
    stills that were decided about and are not in this run, where those decisions are without effect."""

    decided: Mapping[str, Decision]
    told: tuple[str, ...]
    absent: int


def settle_frames(ids: Iterable[str], decisions: Iterable[Decision]) -> FrameSettlement:
    """What a person's standing `decisions`, in order, say of the stills `ids`; later ones win over earlier ones for the same still.

    A decision changes the stills that it lists and no other: those that duplicate a still which is dropped by hand stay dropped, for they
    show the same picture.
    """
    here = set(ids)
    verdicts: dict[str, Decision] = {}
    told: list[str] = []
    for decision in about_frames(decisions):
        if decision.kind == "restore":
            _forget(verdicts, decision.frames)
        else:
            told += _beaten(decision, decision.frames, verdicts, here, "still")
            verdicts |= dict.fromkeys(decision.frames, decision)
    decided = {frame: decision for frame, decision in verdicts.items() if frame in here}
    return FrameSettlement(decided, tuple(told), len(verdicts) - len(decided))


@dataclass(frozen=True)
class Settled:
    """What one face is. `character` stays on a face that is only not to be used (`dropped` by_hand), so that it is moved with its group.

    `decision` is the assign or reject that says who it is, or else the drop; None where the machine has its way. `listed` tells whether an assign or
    reject names the face itself; else it follows its group. `why` is a sentence for a dropped face, empty for noise that nobody decided
    about: the machine knows why.
    """

    character: str | None
    source: Source
    dropped: Dropped | None
    why: str
    decision: Decision | None
    listed: bool


@dataclass(frozen=True)
class Settlement:
    """`faces` are row-aligned with what was given; `told` are sentences about conflicts and followers; `absent` counts faces that were decided
    about and are not in this run, where those decisions are without effect."""

    faces: tuple[Settled, ...]
    told: tuple[str, ...]
    absent: int


def settle(
    ids: Sequence[str],
    clusters: Sequence[int],
    names: Mapping[int, str],
    sources: Mapping[int, Literal["cluster", "reference", "cast"]],
    decisions: Sequence[Decision],
) -> Settlement:
    """The machine's groups and a person's standing `decisions`, in order → what every face is. Equal inputs, equal results; decisions about
    stills are left out.

    `ids` (region ids) and `clusters` (-1 for noise) are row-aligned; `names` and `sources` are the machine's name of every cluster and where
    that comes from. Later decisions win over earlier ones for the same face. Who someone is (assign, reject) and whether the picture is used
    (drop) are two questions: an assign does not bring a dropped picture back, a restore clears both.

    An undecided face follows its cluster's group decision: of the cluster's faces that were decided about as a group, more than half must now be
    the same, and these must be a quarter or more of themselves, the others of them and the undecided ones. Faces once decided about one by
    one count for nothing here, also when the group they were moved to is decided about later: they pull nobody along and hold nobody
    back. Group drops are followed by the same rule. A restored face follows the name of its group, but not its rejection or drop: else
    to restore one picture of a rejected group would do nothing.
    Noise is no group: nobody in it follows.
    """
    who, use = _Question(), _Question()
    restored: set[str] = set()
    here = set(ids)
    told: list[str] = []
    for decision in about_faces(decisions):
        question = use if decision.kind == "drop" else who
        if decision.kind == "restore":
            for one in (who, use):
                _forget(one.decided, decision.faces)
                one.alone.difference_update(decision.faces)
            restored.update(decision.faces)
            continue
        if decision.scope == "faces":
            question.alone.update(decision.faces)
        told += _beaten(decision, decision.faces, question.decided, here, "face")
        question.decided.update(dict.fromkeys(decision.faces, decision))

    members: dict[int, list[str]] = defaultdict(list)
    for face, cluster in zip(ids, clusters, strict=True):
        if cluster != _NOISE:
            members[cluster].append(face)
    told += [
        sentence
        for cluster in sorted(members)
        for question in (who, use)
        if (sentence := question.lead(cluster, members[cluster], restored))
    ]
    faces = tuple(
        _settled(face, cluster, None if cluster == _NOISE else (names[cluster], sources[cluster]), who, use, restored)
        for face, cluster in zip(ids, clusters, strict=True)
    )
    return Settlement(faces, tuple(told), len((who.decided.keys() | use.decided.keys()) - here))


def _settled(
    face: str,
    cluster: int,
    machine: tuple[str, Source] | None,
    who: _Question,
    use: _Question,
    restored: Collection[str],
) -> Settled:
    """What one face is; `machine` is whom the machine takes it for and why, None for noise."""
    verdict, drop = who.opinion(face, cluster, restored), use.opinion(face, cluster, restored)
    character: str | None
    source: Source
    character, source = machine or (None, "noise")
    if verdict is not None:
        character, source = verdict.character, "decision"
    dropped: Dropped | None = None if character is not None else "noise"
    why = ""
    if verdict is not None and character is None:
        dropped = "not_a_character"
        why = f"{who.said_of(face)}: not a character ({verdict.named})"
    elif drop is not None:
        dropped = "by_hand"
        why = f"{use.said_of(face)}: do not use this picture ({drop.named})"
    return Settled(character, source, dropped, why, verdict or drop, face in who.decided)


@dataclass(frozen=True)
class _Question:
    """Who faces are, or whether they are used: the decision on each, faces decided about one by one, and the decision that each cluster follows."""

    decided: dict[str, Decision] = field(default_factory=dict)
    alone: set[str] = field(default_factory=set)
    leading: dict[int, Decision] = field(default_factory=dict)

    def opinion(self, face: str, cluster: int, restored: Collection[str]) -> Decision | None:
        leader = self.leading.get(cluster)
        follows = leader is not None and (leader.character is not None or face not in restored)
        return self.decided.get(face, leader if follows else None)

    def lead(self, cluster: int, members: Sequence[str], restored: Collection[str]) -> str:
        """Find the decision that a cluster follows; a sentence, if there is one to say."""
        group = [self.decided[face] for face in members if face in self.decided and face not in self.alone]
        free = [face for face in members if face not in self.decided]
        leader, sentence = _leader(cluster, group, free, restored)
        if leader is not None:
            self.leading[cluster] = leader
        return sentence

    def said_of(self, face: str) -> str:
        return "you said" if face in self.decided else "you said of its group"


def _forget(decided: dict[str, Decision], things: Iterable[str]) -> None:
    for thing in things:
        decided.pop(thing, None)


def _beaten(
    decision: Decision, things: Iterable[str], earlier: Mapping[str, Decision], here: Collection[str], what: str
) -> list[str]:
    """Sentences about earlier decisions on things of this run of which this one says otherwise."""
    decided = [earlier[thing] for thing in set(things) if thing in earlier and thing in here]
    beaten = Counter(before.number for before in decided if before.effect != decision.effect)
    return [
        f"{counted(count, what)} of decision {number}: the later decision {decision.number} ({decision.effect}) counts"
        for number, count in sorted(beaten.items())
    ]


def _leader(
    cluster: int, group: Sequence[Decision], free: Sequence[str], restored: Collection[str]
) -> tuple[Decision | None, str]:
    """The group decision that the cluster's undecided (`free`) faces follow, and a sentence, if there is one to say. `group` are the decisions of
    its faces that were decided about as a group; of those with the same effect, the newest is followed."""
    if not group or not free:
        return None, ""
    counts = Counter(decision.effect for decision in group)
    effect, count = min(counts.items(), key=lambda entry: (-entry[1], entry[0]))
    best = max((decision for decision in group if decision.effect == effect), key=lambda decision: decision.number)
    if 2 * count <= len(group):
        many = ", ".join(f"{name} ({number})" for name, number in sorted(counts.items()))
        return None, (
            f"cluster {cluster} was decided about as different groups: {many}; the {counted(len(free), 'face')} not listed follow none"
        )
    if count < _TAKES_ALONG * (len(group) + len(free)):
        return None, (
            f"cluster {cluster} has only {counted(count, 'face')} of the group {effect} (decision {best.number}); "
            f"the {counted(len(free), 'face')} not listed "
            "stay as they are"
        )
    following = sum(1 for face in free if best.character is not None or face not in restored)
    if not following:
        return best, ""
    return best, f"cluster {cluster}: {counted(following, 'face')} not listed follow decision {best.number} ({effect})"
