"""A tagger's words about one picture → words that can all be true: one spelling, no noise, nothing said twice, no contradictions.

Nothing goes without a reason. Of tags that exclude each other the most certain stays, of equally certain ones the first by name. The steps, in
order: `normalise`, blacklist, `_without_overlaps`, `_people`, `_repair`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from animeset_lib.words.overlap import more_exact
from animeset_lib.words.spelling import clean_tag, is_emoticon
from animeset_lib.words.vocabulary import SOLO, category_of, listed, meanings

__all__ = ["COLOURS", "CONSTANT_GROUPS", "GROUPS", "Cleaned", "Group", "clean", "normalise", "one_figure"]

COLOURS = r"(light_|dark_)?(aqua|black|blonde|blue|brown|green|grey|orange|pink|purple|red|white|yellow|amber|golden|gold|violet|teal|beige|tan)"
_SECOND_MIN = 0.5
"""A tagger that sees a second figure must be at least this sure of it, where only one face was found and it does not say `solo`."""


@dataclass(frozen=True)
class Cleaned:
    """`tags` with scores 0..1; `removed` and `added` say for each tag that went or came why, in words for a person."""

    tags: dict[str, float]
    removed: dict[str, str] = field(default_factory=dict)
    added: dict[str, str] = field(default_factory=dict)

    def put(self, tag: str, score: float, why: str) -> None:
        self.tags[tag] = score
        if self.removed.pop(tag, None) is None:
            self.added[tag] = why

    def drop(self, tags: Iterable[str], why: str) -> None:
        """Takes out those of `tags` that are there."""
        for tag in list(tags):
            if self.tags.pop(tag, None) is not None:
                self.removed[tag] = why
                self.added.pop(tag, None)


@dataclass(frozen=True)
class Group:
    """Words of which only one side can be true.

    of        what the sides are, for sentences
    patterns  one for each side, the first of equally certain ones first; of a single one every tag that matches is a side of its own
    unless    a tag matching this makes all sides possible
    figure    True when it is about one figure, so that two figures in a picture may differ
    """

    of: str
    patterns: tuple[str, ...]
    unless: str | None = None
    figure: bool = True

    def side(self, tag: str) -> str | None:
        """The side that a tag is on, None for a tag that is not in the group."""
        return _side(self.patterns, tag)

    def sides(self, tags: Iterable[str]) -> dict[str, list[str]]:
        """Those of `tags` that are in the group, by side."""
        found: dict[str, list[str]] = {}
        for tag in tags:
            if (side := self.side(tag)) is not None:
                found.setdefault(side, []).append(tag)
        return found

    def open(self, tags: Iterable[str]) -> bool:
        """Whether `tags` say themselves that several sides may be true."""
        return self.unless is not None and any(re.fullmatch(self.unless, tag) for tag in tags)


@lru_cache(maxsize=1 << 16)
def _side(patterns: tuple[str, ...], tag: str) -> str | None:
    place = next((place for place, pattern in enumerate(patterns) if re.fullmatch(pattern, tag)), None)
    return None if place is None else tag if len(patterns) == 1 else str(place)


def _moods(*emotions: str) -> str:
    return "|".join(re.escape(tag) for emotion in emotions for tag in listed("emotions")[emotion])


CONSTANT_GROUPS: tuple[Group, ...] = (
    Group(
        "hair colour",
        (rf"{COLOURS}_hair",),
        r"(multicolored|gradient|two-tone|split-color|streaked|rainbow|colored_inner)_hair|colored_tips|dyed_.*",
    ),
    Group(
        "eye colour",
        (rf"{COLOURS}_eyes",),
        r"heterochromia|(multicolored|gradient|two-tone|mismatched)_(eyes|pupils)",
    ),
    Group("hair length", (r"(very_short|short|medium|long|very_long|absurdly_long)_hair|bald",)),
    Group("hairdo", (r"(.+_)?ponytail", r"(.+_)?twintails")),
    Group("breast size", (r"flat_chest|(small|medium|large|huge|gigantic)_breasts",)),
    Group("skin", (r"dark_skin|dark-skinned_.+|very_dark_skin|tan", "pale_skin")),
    Group("age", (r"old(_.+)?|mature_.+", r"child|aged_down|.*toddler|baby")),
)
"""What one figure keeps through a shot."""

GROUPS: tuple[Group, ...] = (
    *CONSTANT_GROUPS,
    Group("eyelids", ("closed_eyes", rf"half-closed_eyes|one_eye_closed|wide-eyed|narrowed_eyes|{COLOURS}_eyes")),
    Group("eyelids", ("half-closed_eyes|narrowed_eyes", "wide-eyed")),
    Group("mouth", ("open_mouth|closed_mouth|parted_lips",)),
    Group(
        "mood",
        (
            _moods("smile", "grin", "laughing"),
            _moods("angry", "annoyed", "sad", "scared", "disgust", "serious", "expressionless", "strained", "pout"),
        ),
    ),
    Group(
        "gaze",
        (
            "closed_eyes",
            "looking_(away|ahead|afar|to_the_side|at_another|at_object)|sideways_glance",
            "looking_at_viewer",
        ),
    ),
    Group("gaze", ("looking_down", "looking_up")),
    Group(
        "posture",
        (
            "all_fours",
            r"kneeling(_.+)?",
            r"lying(_.+)?|on_(back|side|stomach)",
            r"(running|walking|jumping)(_.+)?",
            r"sitting(_.+)?|seiza|wariza|indian_style",
            r"(squatting|crouching)(_.+)?",
            r"standing(_.+)?",
        ),
    ),
    Group("side seen", ("from_behind|facing_away", "straight-on", "from_side|profile")),
    Group("camera height", ("from_above", "from_below"), figure=False),
    Group(
        "framing",
        ("cowboy_shot", "full_body|(very_)?wide_shot", "portrait|close-up", "lower_body", "upper_body"),
        figure=False,
    ),
    Group("place", ("indoors|outdoors",), figure=False),
    Group(
        "time of day",
        (
            "day|blue_sky|sunlight|morning",
            "sunset|sunrise|evening|dusk|twilight|orange_sky",
            "night|night_sky|starry_sky",
        ),
        figure=False,
    ),
)
"""Everything that is repaired."""

_SAME = meanings("spelling")

_NEVER = re.compile(
    # frames and padding that the cutting leaves, states of a file
    r"letterboxed|pillarboxed|(.+_)?border|outside_border|framed|(low|high|absurd)res|incredibly_absurdres|.+_resolution|"
    r"(jpeg|compression|scan|screening)_artifacts|scan(s|lines)?|upscaled|downscaled|resized|duplicate|revision|md5_mismatch|image_sample|"
    r"animated(_.+)?|video|sound|has_audio|screen(shot|cap|_capture)|anime_screen(shot|cap)|fake_screenshot|anime_coloring|"
    # what boorus note about their posts
    r".+_request|check_(translation|commentary|copyright|character|.+_id)|tagme|(.+_)?commentary|.+_commentary|(partially_|hard-)?translated|translation_.+|bad_.*id|bad_link|dated|"
    r"commission(ed)?|.+_commission|third-party_edit|non-web_source|paid_reward(_.+)?|(fanbox|patreon|fantia)_reward|official_art|fan_art|"
    r"one-hour_drawing_challenge|.+_challenge|photoshop_.+|.+_\((medium|artist|series|style|copyright|character|cosplay|company)\)|"
    # what is written over the picture
    r"(.+_)?(signature|watermark|logo|username|copyright_notice)|web_address|artist_.+|(.+_)?(artist|character|copyright|company|song|group)_name|"
    r"(.+_)?text|subtitled|page_number|qr_code|content_rating|"
    # about a canon, not about what is seen
    r"(official_)?alternate_.+|adapted_.+|virtual_youtuber|genderswap(_.+)?|crossover|parody|.+_parody|meme|.+_meme|"
    r"borrowed_.+|contemporary|.+_connection|look-alike|original|copyright|character|artist|series|"
    r"(character|artist|copyright|series|meta|rating|source|general|parent|fav):.*|"
    # ratings and praise
    r"safe|sfw|nsfw|sensitive|questionable|explicit|suggestive|general|masterpiece|.+_quality|score_.+|highly_detailed|8k|4k"
)


@lru_cache(maxsize=1 << 16)
def normalise(raw: str) -> str:
    r"""A tag as Danbooru writes it: lower case, NFKC, underscores (emoticons keep theirs), `\(` as `(`, and of words that mean the same always one.

    May be empty.
    """
    tag = _written(raw)
    return _SAME.get(tag, tag)


def _written(raw: str) -> str:
    text = raw
    for _ in range(3):  # lowering may undo the composition, and composing the lower case
        text = unicodedata.normalize("NFKC", text).lower()
    tag = re.sub(r"\\+([()\[\]{}])", r"\1", clean_tag(text))
    plain = re.sub(r"_{2,}", "_", tag).strip("_")
    return tag if plain and is_emoticon(tag) else plain


def clean(general: Mapping[str, float], faces: int, blacklist: str = "") -> Cleaned:
    """Tags of one picture with `faces` detected faces in it, in the order in which they came; see the module.

    `blacklist` is the setting attributes.blacklist: patterns by commas, in which `*` stands for any letters.

    People: with one face, `solo` is written, beside at most one of `1girl`, `1boy`, `1other`. Only a tagger that says more figures (`2girls`, or
    `1girl` and `1boy`) with more certainty than `solo`, and at least 0.5, is believed: it may see one from behind, which a face count cannot.
    With more faces there is no `solo`, and counts that are too small for them go (`2girls` with three faces is `multiple_girls`). With no face
    what the tagger says stands.
    """
    found = Cleaned({})
    for raw, score in general.items():
        written, tag = _written(raw), normalise(raw)
        if not tag:
            found.removed[raw.encode("unicode_escape").decode()] = "there is nothing in it that can be written"
            continue
        if tag != written:
            found.removed[written] = f"another word for {tag}"
        found.tags[tag] = max(score, found.tags.get(tag, 0.0))
    for tag in list(found.tags):
        if _NEVER.fullmatch(tag):
            found.drop([tag], "says nothing about what is seen")
        else:
            _drop_unwanted(found, tag, blacklist)
    strength = _without_overlaps(found)
    several = _people(found, faces)
    for tag in list(found.added):
        _drop_unwanted(found, tag, blacklist)
    for group in GROUPS:
        if not (group.figure and several):
            _repair(found, group, strength)
    return found


def _without_overlaps(found: Cleaned) -> dict[str, float]:
    """Drops each tag beside a more exact one. Returns what speaks for each remaining tag: the best score of all that it stands for."""
    scores = dict(found.tags)
    strength = dict(scores)
    for general in scores:
        if exact := {tag: scores[tag] for tag in scores if more_exact(tag, general)}:
            strength |= {tag: max(strength[tag], scores[general]) for tag in exact}
            found.drop([general], f"{_first(exact)} says it more exactly")
    return strength


def _repair(found: Cleaned, group: Group, strength: Mapping[str, float]) -> None:
    if len(sides := group.sides(found.tags)) < 2 or group.open(found.tags):
        return
    best, *others = sorted(sides, key=lambda side: (-max(strength[tag] for tag in sides[side]), side))
    winner = _first({tag: strength[tag] for tag in sides[best]})
    for side in others:
        found.drop(sides[side], f"contradicts {winner} ({group.of}), which is more certain")


_COUNT = re.compile(r"(\d+)\+?(girl|boy|other)s?")
_MANY = re.compile(r"multiple_(girls|boys|others|people|faces)|crowd|group|\d+\+?(people|faces)")
_OPEN_ENDED = re.compile(r"\d+\+(girls|boys|others)|multiple_(girls|boys|others)")


def one_figure(tags: Collection[str]) -> bool:
    """Whether cleaned tags say nothing of a second figure."""
    return sum(number for number, _ in _counts(tags).values()) < 2 and not any(map(_MANY.fullmatch, tags))


def _counts(tags: Iterable[str]) -> dict[str, tuple[int, str]]:
    """Of the tags that count somebody: `2girls` → 2, `girl`."""
    return {tag: (int(match[1]), match[2]) for tag in tags if (match := _COUNT.fullmatch(tag))}


def _people(found: Cleaned, faces: int) -> bool:
    """Makes the people tags agree with the number of faces. Returns whether there is more than one figure."""
    tags = found.tags
    if "no_humans" in tags and _nobody(found, faces):
        return False
    for kind in ("girl", "boy", "other"):
        _one_count(found, kind)
    counts = _counts(tags)
    plural = {tag: tags[tag] for tag in tags if _MANY.fullmatch(tag) or counts.get(tag, (0, ""))[0] > 1}
    singles = sorted((tag for tag, (number, _) in counts.items() if number == 1), key=lambda tag: (-tags[tag], tag))
    # `1girl, 1boy` are two figures, as certain as the less certain of them.
    plural |= {tag: tags[tag] for tag in singles[1:]}
    more, alone = max(plural.values(), default=0.0), tags.get(SOLO, 0.0)
    if faces >= 2:
        found.drop([SOLO], f"{faces} faces were found")
        if sum(number for number, _ in counts.values()) < faces and not any(map(_OPEN_ENDED.fullmatch, tags)):
            _too_few(found, counts, faces)
        return True
    if plural and more > alone and (faces == 0 or more >= _SECOND_MIN):
        behind = ", perhaps from behind" if faces else ""
        found.drop([SOLO], f"the tagger is more certain of {_first(plural)}{behind}")
        return True
    if faces or alone:
        _only_one(found, plural, "only one face was found" if faces else f"contradicts {SOLO}, which is more certain")
    if faces and SOLO not in tags:
        found.put(SOLO, 1.0, "one face was found")
    return False


def _nobody(found: Cleaned, faces: int) -> bool:
    """Settles `no_humans` against what else is said about people; whether it stands."""
    claims = {tag: score for tag, score in found.tags.items() if category_of(tag) == "people" and tag != "no_humans"}
    if faces:
        found.drop(["no_humans"], "a face was found")
    elif claims and max(claims.values()) > found.tags["no_humans"]:
        found.drop(["no_humans"], f"the tagger is more certain of {_first(claims)}")
    else:
        found.drop(claims, "contradicts no_humans, which is more certain")
    return "no_humans" in found.tags


def _one_count(found: Cleaned, kind: str) -> None:
    """One number of girls, of boys and of others; `multiple_girls` only where no number is named."""
    own = {tag: found.tags[tag] for tag, count in _counts(found.tags).items() if count[1] == kind}
    if not own:
        return
    best, whole = _first(own), f"multiple_{kind}s"
    found.drop((tag for tag in own if tag != best), f"contradicts {best}, which is more certain")
    if not best.startswith("1"):
        found.drop([whole], f"{best} says it more exactly")
    elif found.tags.get(whole, 0.0) > own[best]:
        found.drop([best], f"contradicts {whole}, which is more certain")
    else:
        found.drop([whole], f"contradicts {best}, which is more certain")


def _only_one(found: Cleaned, plural: Mapping[str, float], why: str) -> None:
    """Leaves one figure: the most certain of `1girl`, `1boy`, `1other`; where there were only `2girls`, one of them."""
    found.drop([*plural, "solo_focus"], why)
    several = {tag: plural[tag] for tag in _counts(plural)}
    if several and not _counts(found.tags):
        tag = _first(several)
        found.put(_COUNT.sub(r"1\g<2>", tag), several[tag], f"{tag}, but {why}")


def _too_few(found: Cleaned, counts: Mapping[str, tuple[int, str]], faces: int) -> None:
    for tag, (number, kind) in counts.items():
        score = found.tags[tag]
        found.drop([tag], f"{faces} faces were found")
        if number > 1:
            found.put(f"multiple_{kind}s", score, f"{tag}, but {faces} faces were found")


def _first(scores: Mapping[str, float]) -> str:
    """The best one, of equal ones the first by name."""
    return min(scores, key=lambda tag: (-scores[tag], tag))


def _drop_unwanted(found: Cleaned, tag: str, blacklist: str) -> None:
    pattern = next((one for one, matches in _patterns(blacklist).items() if matches(tag)), None)
    if pattern is not None:
        found.drop([tag], f"on your list of tags that are never used ({pattern})")


@lru_cache(maxsize=16)
def _patterns(blacklist: str) -> dict[str, Callable[[str], object]]:
    """Each pattern of the list, as it is written there, with what matches it; one also names what is another word for it."""
    found: dict[str, Callable[[str], object]] = {}
    for pattern in filter(None, map(str.strip, blacklist.split(","))):
        parts = (re.sub(r"\s", "_", unicodedata.normalize("NFKC", part).lower()) for part in pattern.split("*"))
        expression = ".*".join(map(re.escape, parts))
        found[pattern] = re.compile(f"{expression}|{re.escape(normalise(pattern))}", re.DOTALL).fullmatch
    return found
