"""The pictures of one figure in one shot agree on what cannot change there.

Hair, eyes, body and clothes are voted on; what a moment changes (emotion, pose, view, framing, background, an open jacket) never is. Each still has
one vote for each trait, shared by the pictures cut from it, as heavy as the tagger was certain and as their framing shows the trait. Three
things come of it:

- Where two traits exclude each other (`blue_eyes`, `green_eyes`) and one has two thirds of the votes and three stills behind it, the other goes; it
  is replaced where the framing shows such a trait.
- A trait that one single still has, of at least five that could show it, goes when it has less than a seventh of the possible votes.
- A trait on two thirds of the stills that show it, and on at least three, comes to the pictures of the rest, but only where the framing shows it
  and nothing hides it: a skirt is never added to a picture of a face.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum

from animeset_lib.words.cleaning import COLOURS, CONSTANT_GROUPS, Cleaned, Group, one_figure
from animeset_lib.words.overlap import more_exact
from animeset_lib.words.visibility import on_face, visible
from animeset_lib.words.vocabulary import TRAIT_CATEGORIES, category_of

__all__ = ["Sighted", "vote"]

_CLEAR = 2 / 3
_STILLS = 3
_LONELY_STILLS = 5
_LONELY = 1 / 7
_SHOWN = 0.7
"""From this visibility on a trait that is not named may be added."""
_DECIMALS = 4

_PASSING = re.compile(
    r"(wet|floating|open|torn|unbuttoned|unzipped|glowing|shiny|messy|flipped|covered|unworn|see-through|sleeves|undone|blood|bandaged?)_.+|unbuttoned|"
    r"unzipped|.+_(lift|pull|up|down|aside|slip|removed|visible)|hair_(over|spread|behind|between|down|up|flaps|slicked).*|eyes_visible.*|"
    r".*eyebrows_hidden.*|empty_eyes|.*pupils|cleavage|midriff|bare_.+|off_shoulder|.*nude|topless.*|bottomless|barefoot|claws|"
    r".+_(on_head|around_neck|on_shoulders)"
)
"""Traits by category that one moment has and the next has not."""
_HIDES_EYES = frozenset({"closed_eyes", "covered_eyes", "blindfold", "hair_over_eyes", "sunglasses"})
_HIDES_FACE = frozenset({"from_behind", "facing_away"})
_NO_HEAD = "head_out_of_frame"


@dataclass(frozen=True)
class Sighted:
    """One picture of the figure: its cleaned tags with scores, its framing (face, upper_body, full, frame), the number of detected faces in it, and
    the still it was cut from."""

    tags: Mapping[str, float]
    framing: str
    faces: int
    still: str


def vote(pictures: Sequence[Sighted]) -> list[Cleaned]:
    """What the pictures of one track agree on, row-aligned; `removed` and `added` say what the vote changed and why.

    Pictures with a second figure neither vote nor change: nobody knows whose hair is meant there.
    """
    results = [Cleaned(dict(picture.tags)) for picture in pictures]
    voters = [i for i, picture in enumerate(pictures) if picture.faces <= 1 and one_figure(picture.tags)]
    if len({pictures[i].still for i in voters}) < _STILLS:
        return results
    poll = _Poll(pictures, voters)
    groups = (*CONSTANT_GROUPS, *_garments({tag for i in voters for tag in pictures[i].tags}))
    for group in groups:
        _settle(group, poll, results)
    # Rounds of their own, from what each picture said itself: a trait that is added must not help another one to a majority.
    traits = sorted({tag for i in voters for tag in pictures[i].tags if _votable(tag)})
    clear = [tag for tag in traits if poll.clear(tag)]
    for tag in traits:
        # a single `black_skirt` among skirts is no slip, only more exact
        if poll.lonely(tag) and not any(more_exact(tag, general) for general in clear):
            for i in poll.voters:
                results[i].drop([tag], f"only {poll.words(tag)} say so")
    for tag in clear:
        _add(tag, poll, groups, results)
    for picture, result in zip(pictures, results, strict=True):
        for tag in result.removed.keys() - picture.tags:
            del result.removed[tag]  # only the vote itself had brought it
    return results


class _Poll:
    def __init__(self, pictures: Sequence[Sighted], voters: Sequence[int]) -> None:
        self.pictures = pictures
        self.voters = voters
        per_still = Counter(pictures[i].still for i in voters)
        self._part = {i: 1.0 / per_still[pictures[i].still] for i in voters}

    def weight(self, i: int, tag: str) -> float:
        """Of picture `i` in a vote about `tag`: 0 where it cannot show it."""
        picture = self.pictures[i]
        return 0.0 if _hidden(tag, picture.tags) else self._part[i] * visible(tag, picture.framing)

    def shows(self, i: int, tag: str) -> bool:
        """Whether picture `i` shows such a trait well enough for it to be added."""
        return self.weight(i, tag) > 0 and visible(tag, self.pictures[i].framing) >= _SHOWN

    def says(self, i: int, tag: str) -> float:
        """The score of `tag`, or of a more exact one, in picture `i`; 0 where there is none."""
        return max(
            (score for own, score in self.pictures[i].tags.items() if own == tag or more_exact(own, tag)), default=0.0
        )

    def able(self, tag: str) -> list[int]:
        return [i for i in self.voters if self.weight(i, tag) > 0]

    def stills(self, indexes: Iterable[int]) -> int:
        return len({self.pictures[i].still for i in indexes})

    def share(self, tag: str, *, certain: bool) -> float:
        """Share of the possible votes for `tag`; with `certain` a vote is as heavy as its score."""
        able = self.able(tag)
        # exact sums, here and below: pictures in another order must not tip a vote by the last bit
        whole = fsum(self.weight(i, tag) for i in able)
        votes = fsum(self.weight(i, tag) * (said if certain else 1.0) for i in able if (said := self.says(i, tag)) > 0)
        return votes / whole if whole else 0.0

    def lonely(self, tag: str) -> bool:
        able = self.able(tag)
        return (
            self.stills(i for i in self.voters if self.says(i, tag)) == 1
            and self.stills(able) >= _LONELY_STILLS
            and self.share(tag, certain=True) < _LONELY
        )

    def clear(self, tag: str) -> bool:
        return (
            self.stills(i for i in self.able(tag) if self.says(i, tag)) >= _STILLS
            and self.share(tag, certain=False) >= _CLEAR
        )

    def score(self, tag: str) -> float:
        own = [self.pictures[i].tags[tag] for i in self.voters if tag in self.pictures[i].tags]
        return round(fsum(own) / len(own), _DECIMALS)

    def words(self, tag: str) -> str:
        able = self.able(tag)
        return f"{self.stills(i for i in able if self.says(i, tag))} of {self.stills(able)} stills of this shot"


def _settle(group: Group, poll: _Poll, results: Sequence[Cleaned]) -> None:
    said = {i: group.sides(poll.pictures[i].tags) for i in poll.voters}
    several = [i for i in poll.voters if len(said[i]) > 1 or group.open(poll.pictures[i].tags)]
    if len(several) * _LONELY_STILLS >= len(poll.voters):
        return
    ballots: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for i, sides in said.items():
        for side, tags in sides.items():
            ballots[side] += [(i, tag) for tag in tags]
    if len(ballots) < 2:
        return
    votes = {
        side: fsum(poll.weight(i, tag) * poll.pictures[i].tags[tag] for i, tag in own) for side, own in ballots.items()
    }
    winner = min(votes, key=lambda side: (-votes[side], side))
    stills = poll.stills(i for i, _ in ballots[winner])
    if stills < _STILLS or votes[winner] < _CLEAR * fsum(votes.values()):
        return
    named = Counter(tag for _, tag in ballots[winner])
    word = min(named, key=lambda tag: (-named[tag], tag))
    why = f"{stills} stills of this shot say {word} ({group.of})"
    for i in poll.voters:
        wrong = [tag for tag in results[i].tags if group.side(tag) not in (None, winner)]
        results[i].drop(wrong, why)
        if wrong and word not in results[i].tags and poll.shows(i, word):
            _put(results[i], word, poll.score(word), f"{why}, instead of {wrong[0]}")


def _garments(tags: Iterable[str]) -> list[Group]:
    """The colour of each piece of clothing that comes in more than one."""
    coloured = (re.fullmatch(rf"{COLOURS}_(?P<thing>.+)", tag) for tag in tags if category_of(tag) == "outfit")
    things = Counter(match["thing"] for match in coloured if match)
    return [
        Group(f"colour of the {thing.replace('_', ' ')}", (rf"{COLOURS}_{re.escape(thing)}",))
        for thing, colours in sorted(things.items())
        if colours > 1
    ]


def _add(tag: str, poll: _Poll, groups: Sequence[Group], results: Sequence[Cleaned]) -> None:
    for i in poll.able(tag):
        here = results[i].tags
        if poll.says(i, tag) or not poll.shows(i, tag):
            continue
        if any(own == tag or more_exact(own, tag) or _against(own, tag, groups) for own in here):
            continue
        _put(results[i], tag, poll.score(tag), f"{poll.words(tag)} say so")


def _put(result: Cleaned, tag: str, score: float, why: str) -> None:
    result.drop((own for own in result.tags if more_exact(tag, own)), f"{tag} says it more exactly")
    result.put(tag, score, why)


def _against(one: str, other: str, groups: Iterable[Group]) -> bool:
    sides = ((group.side(one), group.side(other)) for group in groups)
    return any(mine is not None and yours is not None and mine != yours for mine, yours in sides)


def _votable(tag: str) -> bool:
    return category_of(tag) in TRAIT_CATEGORIES and not _PASSING.fullmatch(tag)


def _hidden(tag: str, tags: Mapping[str, float]) -> bool:
    """Whether another tag of the picture says that this trait is out of sight."""
    return (
        (category_of(tag) == "eyes" and not _HIDES_EYES.isdisjoint(tags))
        or (on_face(tag) and not _HIDES_FACE.isdisjoint(tags))
        or (_NO_HEAD in tags and visible(tag, "face") > 0)
    )
