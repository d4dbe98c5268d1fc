"""Every plot has a title, named axes and units, shows what the rows say, and says so where there is nothing to show."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from animeset_lib import Run, open_run
from animeset_lib.errors import InputError
from animeset_lib.notebook import plots
from tests.film_maker import drawing, write_film

PLOTS: dict[str, Callable[[Run], Any]] = {
    "funnel": plots.funnel,
    "losses": plots.losses,
    "timeline": plots.timeline,
    "contact_sheet": lambda run: plots.contact_sheet(run.stage("extract"), limit=6),
    "histogram": lambda run: plots.histogram(run, "quality.blur_percent"),
    "duplicates": plots.duplicates,
    "boxes": plots.boxes,
    "face_map": lambda run: plots.face_map(run, faces=5),
    "distances": plots.distances,
    "enlarged": lambda run: plots.enlarged(run, limit=1),
    "framings": plots.framings,
    "tag_scores": plots.tag_scores,
    "tag_counts": plots.tag_counts,
    "captions": lambda run: plots.captions(run, limit=2),
    "coverage": plots.coverage,
    "traits": plots.traits,
    "sheet": lambda run: plots.sheet(run, "subsets"),
}


def _titled(figure: Any) -> bool:
    return bool(figure.get_suptitle()) or any(axes.get_title(loc="left") for axes in figure.axes)


def test_every_plot_is_tested() -> None:
    assert sorted(PLOTS) == sorted(plots.__all__)


@pytest.mark.parametrize("name", PLOTS)
def test_plots_have_titles_and_named_axes(run: Run, name: str) -> None:
    figure = PLOTS[name](run)
    assert _titled(figure)
    for axes in figure.axes:
        if not axes.axison:
            continue
        counts = [spine.get_visible() for spine in axes.spines.values()]
        assert axes.get_xlabel() or axes.get_title(loc="left"), f"{name}: an axis without a name"
        # where numbers stand on an axis, it says what they are
        if len(axes.get_xticks()) and any(counts):
            assert axes.get_xlabel(), f"{name}: numbers without a name"
    picture = figure._repr_png_()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 1_500_000
    data, about = figure._repr_mimebundle_(include=None, exclude=None)
    assert base64.b64decode(data["image/png"]).startswith(b"\x89PNG")
    assert about["image/png"]["alt"], "who cannot see it is told what it is"


@pytest.mark.parametrize(
    "section", ["extract", "dedupe", "detect", "cluster", "cast", "quality", "upscale", "crop", "tag", "dataset"]
)
def test_contact_sheets_of_every_kind_of_row(run: Run, section: str) -> None:
    figure = plots.contact_sheet(run.stage(section), limit=3)
    assert figure.axes[0].get_title(loc="left").startswith(f"{run.stage(section).name}: 3 of ")


def test_a_histogram_counts_what_the_limit_drops(run: Run) -> None:
    values = [row.measured["luma_p95"] for row in run.stage("quality").rows]
    dark = sum(value < 56 for value in values)
    assert f": {dark} of {len(values)} go" in plots.histogram(run, "quality.dark_luma").axes[0].get_title(loc="left")
    tried = plots.histogram(run, "quality.dark_luma", 200)
    assert f": {sum(v < 200 for v in values)} of {len(values)} go" in tried.axes[0].get_title(loc="left")
    assert "tried" in tried.axes[0].get_title(loc="left")
    line = tried.axes[0].lines[0].get_xdata()
    assert list(line) == [200, 200]
    assert sum(bar.get_height() for bar in tried.axes[0].patches) == len(values)


def test_the_detectors_own_limit_is_drawn(run: Run) -> None:
    title = plots.histogram(run, "detect.score_min").axes[0].get_title(loc="left")
    low = sum(row.dropped == "low_score" for row in run.stage("detect").rows)
    assert f": {low} of " in title


def test_the_timeline_has_every_still(many: Run) -> None:
    axes = plots.timeline(many).axes[0]
    words = [text.get_text() for text in axes.get_legend().get_texts()]
    dedupe = many.stage("dedupe")
    assert words == [f"stills kept: {len(dedupe.kept)}", f"stills dropped: {len(dedupe.dropped)}"]


def test_duplicates_stand_beside_what_they_repeat(many: Run) -> None:
    figure = plots.duplicates(many, groups=2, each=3)
    shown = [axes for axes in figure.axes if axes.axison]
    assert "stays" in shown[0].get_title(loc="left")
    assert "bits differ" in shown[1].get_xlabel()
    assert f"{len(many.stage('dedupe').dropped)} duplicates" in figure.get_suptitle()


def test_before_and_after_are_the_files(run: Run) -> None:
    row = next(row for row in run.stage("upscale").kept if row.file is not None)
    figure = plots.enlarged(run, part=row.id)
    before, after = (axes.images[0].get_array() for axes in figure.axes[:2])
    assert after.shape[:2] == tuple(row.factor * side for side in before.shape[:2])


def test_framings_of_the_figure_that_is_asked_for(run: Run) -> None:
    row = run.stage("upscale").kept[-1]
    assert row.region_id in plots.framings(run, row.region_id).axes[0].get_title(loc="left")
    assert plots.framings(run, crowded=True).axes


def test_coverage_of_a_character_that_is_asked_for(run: Run) -> None:
    names = {row.character for row in run.stage("dataset").rows if row.rank is not None}
    for name in names:
        assert plots.coverage(run, name).get_suptitle().startswith(f"{name}: ")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda run: plots.histogram(run, "dedupe.hamming_max"), "expected one of dedupe.ssim_min"),
        (lambda run: plots.coverage(run, "nobody"), "expected one of character_01"),
        (lambda run: plots.captions(run, character="nobody"), "expected one of character_01"),
        (lambda run: plots.boxes(run, "nothing"), "no id holds 'nothing'"),
        (lambda run: plots.contact_sheet(run.stage("crop"), which="some"), "expected all, kept or dropped"),
        (lambda run: plots.duplicates(run.change("dedupe.ssim_min=0.72")), 'run.upto("dedupe")'),
        (lambda run: plots.funnel(run.change("extract.skip=0:00-0:01")), "nothing was run"),
    ],
)
def test_what_is_wrong_is_said_in_a_sentence(run: Run, call: Callable[[Run], object], words: str) -> None:
    with pytest.raises(InputError) as caught:
        call(run)
    assert words in str(caught.value)


def test_a_film_without_anybody_is_shown_as_such(tmp_path: Path) -> None:
    """A notebook goes on: every plot is a figure that says there is nothing, never an error."""
    pictures = [np.roll(drawing(seed), 3 * shift, axis=1) for seed in (1, 2) for shift in range(6)]
    run = open_run(write_film(tmp_path / "empty.mp4", pictures, fps=4), root=tmp_path).upto("dataset")
    assert not run.stage("detect").kept
    for name, plot in PLOTS.items():
        figure = plot(run)
        assert _titled(figure), name
        assert figure._repr_png_()
    for section in ("extract", "detect", "cast", "crop", "dataset"):
        assert run.stage(section).table()._repr_html_()


def test_traits_show_shares_beside_the_rest_of_the_cast(run: Run) -> None:
    tables = run.stage("caption").notes["traits"]
    name = next(iter(tables))
    axes = plots.traits(run, name).axes[0]
    rows = tables[name]["traits"]
    assert [label.get_text().split("  ")[0] for label in axes.get_yticklabels()] == [row["tag"] for row in rows]
    assert [bar.get_width() for bar in axes.patches][: len(rows)] == [row["share"] for row in rows]
    with pytest.raises(InputError, match="expected one of"):
        plots.traits(run, "nobody")
    with pytest.raises(InputError, match="expected one of"):
        plots.sheet(run, "coverage", "nobody")
