"""A character's sub-sets as a sheet and as JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from animeset_lib.dataset.sheet import Section, section_sheet
from animeset_lib.media import Picture
from animeset_lib.wording import counted
from animeset_lib.words.subsets import Subsets
from animeset_lib.words.vocabulary import UNKNOWN

__all__ = ["subset_sheet", "subsets_json"]


def subsets_json(groupings: Sequence[Subsets], files: Mapping[str, str]) -> list[dict[str, Any]]:
    """What `subsets.json` holds: the sub-sets that have published pictures, with their names, numbers, telling tags, colours and files.

    files  crop id → path of the published picture; crops that are not in it were not chosen.
    """
    rows = []
    for subset in (subset for grouping in groupings for subset in grouping.subsets):
        own = [files[id] for id in subset.ids if id in files]
        if own:
            rows.append(
                {
                    "kind": subset.kind,
                    "name": subset.name,
                    "pictures": len(own),
                    "figures_in_film": subset.figures,
                    "tracks_in_film": subset.tracks,
                    "share_of_film": subset.share,
                    "tags": [{"tag": word.tag, "share": word.share, "lift": word.lift} for word in subset.words],
                    "colours": [{"name": name, "share": share} for name, share in subset.colours],
                    "files": sorted(own),
                }
            )
    return rows


def subset_sheet(
    character: str, groupings: Sequence[Subsets], pictures: Mapping[str, Picture], published: int
) -> Picture:
    """One section per sub-set with its pictures, and those of which nothing is known at the end: `subsets.png` of a character.

    pictures   crop id → `(H, W, 3)` uint8 RGB; sub-sets without any are left out.
    published  how many pictures the set has; the heading says when fewer are shown.
    """
    sections = []
    named = 0
    for grouping in groupings:
        for subset in grouping.subsets:
            own = [pictures[id] for id in subset.ids if id in pictures]
            said = ", ".join(
                [*(f"{name} {share:.0%}" for name, share in subset.colours), *(w.tag for w in subset.words)]
            )
            if own:
                named += 1
                figures = f"{subset.share:.0%} of the character's figures, in {counted(subset.tracks, 'scene')}"
                line = f"{subset.kind} · {counted(len(own), 'picture')} · {figures}"
                sections.append(Section(subset.name, f"{line} · {said}" if said else line, own))
        kinds = {subset.kind for subset in grouping.subsets}
        rest = [pictures[id] for id, name in sorted(grouping.name_of.items()) if name == UNKNOWN and id in pictures]
        if kinds and rest:
            sections.append(Section(UNKNOWN, f"{min(kinds)} · {counted(len(rest), 'picture')}", rest))
    fewer = f", the first {len(pictures)} are shown" if len(pictures) < published else ""
    subtitle = f"{counted(published, 'picture')}, {counted(named, 'sub-set')}{fewer}"
    return section_sheet(f"{character}: sub-sets", subtitle, sections)
