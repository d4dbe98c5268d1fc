"""6a_tag: crops → booru tag scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from animeset_lib.errors import InputError
from animeset_lib.media import read_image
from animeset_lib.models.api import ModelProvider, TaggerInput
from animeset_lib.records import Crop, Record, TagRow
from animeset_lib.run.stage import Context, Output, Stage
from animeset_lib.settings import TagSettings

__all__ = ["TagItem", "TagStage"]

_DECIMALS = 4


@dataclass(frozen=True)
class TagItem:
    """One crop and its picture file."""

    id: str
    crop: Crop
    path: Path


@dataclass(frozen=True)
class TagStage(Stage):
    """Asks the tagger about every crop. A crop that cannot be read is a row dropped as `unreadable`."""

    settings: TagSettings

    name: ClassVar[str] = "6a_tag"
    version: ClassVar[str] = "1"
    needs: ClassVar[tuple[str, ...]] = ("5_crop",)
    row: ClassVar[type[Record]] = TagRow

    def fingerprint(self, models: ModelProvider) -> Mapping[str, str]:
        return {"tagger": models.info("tagger", self.settings.tagger).digest}

    def plan(self, given: Mapping[str, Output]) -> Sequence[TagItem]:
        crops = given["5_crop"]
        return [TagItem(crop.id, crop, crops.path / crop.file) for crop in crops.kept]

    def process(self, batch: Sequence[Any], out: Path, ctx: Context) -> Iterable[TagRow]:
        tagger = ctx.models.tagger(self.settings.tagger)
        inputs: list[TaggerInput] = []
        unreadable: dict[str, str] = {}
        for item in batch:
            try:
                picture = read_image(item.path)
            except InputError as error:
                unreadable[item.id] = str(error)
                continue
            inputs.append(TaggerInput(picture, item.crop.framing, item.crop.face, item.crop.faces))
        answers = iter(tagger.tag(inputs))
        for item in batch:
            if item.id in unreadable:
                yield TagRow(
                    id=item.id,
                    dropped="unreadable",
                    why=f"{item.path.name} cannot be read: {unreadable[item.id]}",
                    general={},
                    tagger=tagger.info.name,
                )
                continue
            tags = next(answers)
            yield TagRow(
                id=item.id,
                general=_rounded(tags.general, self.settings.general_min),
                character=_rounded(tags.character, 0.0),
                rating=_rounded(tags.rating, 0.0),
                tagger=tagger.info.name,
            )

    def finish(
        self, rows: list[Any], items: Sequence[Any], given: Mapping[str, Output], out: Path, ctx: Context
    ) -> Sequence[Record]:
        frequencies = Counter(tag for row in rows for tag in row.general)
        ranked = sorted(frequencies.items(), key=lambda pair: (-pair[1], pair[0]))
        ctx.note("model", asdict(ctx.models.info("tagger", self.settings.tagger)))
        ctx.note("tag_frequencies", dict(ranked))
        untagged = sum(1 for row in rows if row.dropped is None and not row.general)
        ctx.note("crops_without_tags", untagged)
        ctx.log.info(
            "6a_tag: %d different tags, most frequent: %s; %d crops without any tag",
            len(ranked),
            ", ".join(f"{tag} {count}" for tag, count in ranked[:8]) or "none",
            untagged,
        )
        return rows


def _rounded(scores: Mapping[str, float], least: float) -> dict[str, float]:
    """Scores of at least `least`, best first, rounded so that equal pictures give equal bytes on different processors."""
    chosen = {tag: round(float(score), _DECIMALS) for tag, score in scores.items() if score >= least}
    return dict(sorted(chosen.items(), key=lambda pair: (-pair[1], pair[0])))
