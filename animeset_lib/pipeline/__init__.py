"""One production from files to zip: what the page, the notebooks and the command line call."""

from animeset_lib.pipeline.clean import removable, remove_unused
from animeset_lib.pipeline.fetch import fetch_models, models_of
from animeset_lib.pipeline.find import find_dataset, find_film
from animeset_lib.pipeline.folders import FilmFiles, Folders, film_folders, last_keys, last_plan
from animeset_lib.pipeline.plan import film_states, live_runs, plan_film
from animeset_lib.pipeline.run import RunResult, Series, film_stages, run_film, to_repeat
from animeset_lib.pipeline.stages import PIPELINE, AnyStage, build_pipeline

__all__ = [
    "PIPELINE",
    "AnyStage",
    "FilmFiles",
    "Folders",
    "RunResult",
    "Series",
    "build_pipeline",
    "fetch_models",
    "film_folders",
    "film_stages",
    "film_states",
    "find_dataset",
    "find_film",
    "last_keys",
    "last_plan",
    "live_runs",
    "models_of",
    "plan_film",
    "removable",
    "remove_unused",
    "run_film",
    "to_repeat",
]
