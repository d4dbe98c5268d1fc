"""One production from files to zip: what the page, the notebooks and the command line call."""

from animeset_lib.pipeline.clean import removable, remove_unused
from animeset_lib.pipeline.fetch import fetch_models
from animeset_lib.pipeline.find import find_dataset, find_film
from animeset_lib.pipeline.folders import (
    PLAN_FILE,
    Folders,
    captions_path,
    cast_pack_path,
    decisions_path,
    film_folder,
    last_keys,
    names_path,
    published_folder,
    traits_path,
)
from animeset_lib.pipeline.plan import film_states, live_runs, plan_film
from animeset_lib.pipeline.run import RunResult, Series, film_stages, run_film
from animeset_lib.pipeline.stages import PIPELINE, build_pipeline

__all__ = [
    "PIPELINE",
    "PLAN_FILE",
    "Folders",
    "RunResult",
    "Series",
    "build_pipeline",
    "captions_path",
    "cast_pack_path",
    "decisions_path",
    "fetch_models",
    "film_folder",
    "film_stages",
    "film_states",
    "find_dataset",
    "find_film",
    "last_keys",
    "live_runs",
    "names_path",
    "plan_film",
    "published_folder",
    "removable",
    "remove_unused",
    "run_film",
    "traits_path",
]
