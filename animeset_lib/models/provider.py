"""Hands out the models of the table by name: `auto`, a name, `family:argument`, or several joined by `+`. Loads each once, on first use."""

from __future__ import annotations

import difflib
import functools
import gc
import hashlib
import importlib.util
import itertools
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from animeset_lib import shipped
from animeset_lib.errors import ModelError
from animeset_lib.models.api import Detector, Embedder, ModelInfo, Tagger, Task, Upscaler
from animeset_lib.models.combined import CombinedDetector, CombinedTagger
from animeset_lib.models.engines.device import Device, free_memory, onnx_uses, torch_uses
from animeset_lib.models.engines.onnx import engine_of, in_16_bits
from animeset_lib.models.families import FAMILIES
from animeset_lib.models.spec import Family, Inference, ModelSpec, Parts
from animeset_lib.models.weights import FileState, Weights
from animeset_lib.models.zoo import EXTRAS, MODELS
from animeset_lib.system import sha256_of

__all__ = ["Shown", "Zoo", "extra_command"]

_JOINED: dict[Task, Callable[[ModelInfo, list[Any]], Any]] = {"detector": CombinedDetector, "tagger": CombinedTagger}
"""Tasks whose answers can be put together."""
_TASKS: tuple[Task, ...] = get_args(Task)


@dataclass(frozen=True)
class Shown:
    """A row for `doctor` and `models list`. `why_not` is empty when the model is present; `auto`: the one that `auto` takes."""

    spec: ModelSpec
    why_not: str
    auto: bool

    @property
    def present(self) -> bool:
        return not self.why_not


class Zoo:
    """A `ModelProvider` over a table of specs."""

    def __init__(
        self,
        models: Sequence[ModelSpec] = MODELS,
        families: Sequence[Family] = FAMILIES,
        *,
        device: Device | None = None,
        weights: Weights | None = None,
    ) -> None:
        self.device = device or Device()
        self.weights = weights or Weights()
        self._specs = {task: {spec.name: spec for spec in models if spec.task == task} for task in _TASKS}
        self._families = {task: {own.prefix: own for own in families if own.task == task} for task in _TASKS}
        self._loaded: dict[tuple[str, str], Any] = {}

    def info(self, task: Task, name: str) -> ModelInfo:
        """Who would answer, without loading it. Raises `ModelError` for a name that is unknown, not present or has changed files."""
        return self._info(self._chosen(task, name))

    def detector(self, name: str) -> Detector:
        return cast(Detector, self._model("detector", name))

    def embedder(self, name: str) -> Embedder:
        return cast(Embedder, self._model("embedder", name))

    def upscaler(self, name: str) -> Upscaler:
        return cast(Upscaler, self._model("upscaler", name))

    def tagger(self, name: str) -> Tagger:
        return cast(Tagger, self._model("tagger", name))

    @property
    def where(self) -> str:
        """The device in words, and what leaves it idle."""
        if self.device.kind != "cuda":
            return self.device.words
        idle = [name for name, uses in (("onnxruntime", onnx_uses), ("torch", torch_uses)) if not uses(self.device)]
        return ", ".join([self.device.words, *(f"{name} on the processor" for name in idle)])

    def release(self) -> None:
        """Forget what is loaded, and give its memory back."""
        if self._loaded:
            self._loaded.clear()
            gc.collect()
            free_memory()

    def specs(self, task: Task, name: str) -> tuple[ModelSpec, ...]:
        """The entries that `name` stands for, present or not; for `auto` the task's ladder, best first. Raises `ModelError` for an unknown name."""
        if name == "auto":
            return tuple(self._specs[task].values())
        return tuple(self._named(task, piece) for piece in self._pieces(task, name))

    def named(self, name: str) -> tuple[ModelSpec, ...]:
        """The same for a name of whatever task, as `models fetch` gets it."""
        for task in _TASKS:
            if self._is_known(task, self._pieces(task, name)[0]):
                return self.specs(task, name)
        names = [known for specs in self._specs.values() for known in specs]
        raise ModelError(f"unknown model `{name}`: {_meant(name, names)}see `animeset models list`")

    def overview(self) -> list[Shown]:
        """All entries of the table, task by task, in its order."""
        return [row for task in _TASKS for row in self._ladder(task)]

    def _ladder(self, task: Task) -> Iterator[Shown]:
        taken = False
        for spec in self._specs[task].values():
            why_not = self._absent(spec)
            auto = not (taken or why_not or self._too_slow(spec))
            taken |= auto
            yield Shown(spec, why_not, auto)

    def better(self, task: Task) -> list[Shown]:
        """Entries above the one that `auto` takes which would run well here if they were present."""
        above = itertools.takewhile(lambda row: not row.auto, self._ladder(task))
        return [row for row in above if not self._too_slow(row.spec)]

    def recommended(self) -> list[ModelSpec]:
        """What to download so that `auto` has the best rung of each task that runs well here with what is installed."""
        found = []
        for task in _TASKS:
            ready = [row.spec for row in self.better(task) if row.spec.files and not _missing_modules(row.spec)]
            found += ready[:1]
        return found

    def engine(self, spec: ModelSpec) -> str:
        """What its ONNX networks run in and how precisely, such as `OpenVINO bf16`; empty where it has none."""
        return "" if spec.inference is None else engine_of(self.device, spec.inference)

    def states(self, spec: ModelSpec) -> list[FileState]:
        """What is known about each of its downloads."""
        return [self.weights.state(spec.folder, file) for file in spec.files]

    def fetch(
        self, specs: Sequence[ModelSpec], progress: Callable[[str, int, int | None], None], again: bool = False
    ) -> None:
        """Download what is missing. Raises `OfflineError` without network, `ModelError` for a file that is not what it should be."""
        for spec in specs:
            self.weights.fetch(spec.folder, spec.files, progress, again=again)

    def fetch_best(self, task: Task, name: str, progress: Callable[[str, int, int | None], None]) -> None:
        """Make the models that `name` stands for present; for `auto` the best one of which only files are missing.

        Raises `OfflineError` without network; the ladder still has what was there before.
        """
        wanted = self.specs(task, name) if name != "auto" else self.recommended()
        self.fetch([spec for spec in wanted if spec.files and spec.task == task], progress)

    def _model(self, task: Task, name: str) -> Any:
        specs = self._chosen(task, name)
        key = (task, "+".join(spec.name for spec in specs))
        if key not in self._loaded:
            if len(specs) == 1:
                self._loaded[key] = specs[0].load(self._parts(specs[0]))
            else:
                self._loaded[key] = _JOINED[task](self._info(specs), [self._model(task, spec.name) for spec in specs])
        return self._loaded[key]

    def _parts(self, spec: ModelSpec) -> Parts:
        files = tuple(self.weights.path(spec.folder, file) for file in spec.files)
        remedy = f"install it again ({spec.get})"
        if spec.files:
            remedy = f"get it again with `{spec.get} --again`"
        elif spec.get.startswith("name"):
            remedy = spec.get
        inference = spec.inference or Inference()
        return Parts(self._info((spec,)), files + tuple(spec.packaged()), self.device, remedy, inference)

    def _chosen(self, task: Task, name: str) -> tuple[ModelSpec, ...]:
        """The present entries behind a name."""
        if name == "auto":
            reasons = []
            for row in self._ladder(task):
                if row.auto:
                    return (row.spec,)
                reasons.append(f"{row.spec.name}: {row.why_not or 'too slow without a graphics card'} ({row.spec.get})")
            raise ModelError(f"no {task} is present: {'; '.join(reasons)}")
        specs = self.specs(task, name)
        for spec in specs:
            if reason := self._absent(spec):
                raise ModelError(f"the {task} {spec.name} is not present: {reason}. Get it with: {self.remedy(spec)}")
        return specs

    def remedy(self, spec: ModelSpec) -> str:
        """The commands that make the model present."""
        steps = list(dict.fromkeys(EXTRAS.get(module, f"pip install {module}") for module in _missing_modules(spec)))
        if not steps or (spec.get.startswith("animeset") and spec.get not in steps):
            steps.append(spec.get)
        return "; then ".join(_here(step) for step in steps)

    def _pieces(self, task: Task, name: str) -> list[str]:
        """`a+b` taken apart; a plus sign inside a file's name or a program's command stays where it is."""
        if task not in _JOINED:
            return [name]
        pieces: list[str] = []
        for piece in name.split("+"):
            if pieces and self._family(task, pieces[-1]) and not self._is_known(task, piece):
                pieces[-1] += f"+{piece}"
            else:
                pieces.append(piece)
        return list(dict.fromkeys(piece.strip() for piece in pieces))

    def _family(self, task: Task, name: str) -> Family | None:
        prefix, colon, _ = name.partition(":")
        return self._families[task].get(prefix) if colon else None

    def _is_known(self, task: Task, name: str) -> bool:
        return name in self._specs[task] or self._family(task, name) is not None

    def _named(self, task: Task, name: str) -> ModelSpec:
        if spec := self._specs[task].get(name):
            return spec
        if name == "auto":
            raise ModelError(f"`auto` cannot be joined with + to another {task}; name each one")
        if family := self._family(task, name):
            return family.spec(name.partition(":")[2])
        names = ["auto", *self._specs[task]]
        forms = "".join(f", {family.prefix}:{family.argument}" for family in self._families[task].values())
        joined = " or several joined by +" if task in _JOINED else ""
        raise ModelError(f"unknown {task} `{name}`: {_meant(name, names)}There are {', '.join(names)}{forms}{joined}.")

    def _absent(self, spec: ModelSpec) -> str:
        """Why the model cannot be used here; empty when it can."""
        if missing := _missing_modules(spec):
            return f"{' and '.join(missing)} not installed"
        try:
            for file in spec.files:
                self.weights.path(spec.folder, file)
            spec.packaged()
        except ModelError as error:
            return _by_name(spec, error)
        return ""

    def _too_slow(self, spec: ModelSpec) -> bool:
        """Whether `auto` passes it by: made for a card, and none can be used."""
        if not spec.card_only:
            return False
        return not (torch_uses(self.device) if "torch" in spec.needs else onnx_uses(self.device))

    def _info(self, specs: tuple[ModelSpec, ...]) -> ModelInfo:
        content = hashlib.sha256()
        engines = []
        for spec in specs:
            content.update(f"{spec.task} {spec.name} {spec.version}".encode())
            if spec.inference is not None:
                engines.append(self.engine(spec))
                # engines agree to the last digits, 16 bits do not
                content.update(b" bf16" if in_16_bits(self.device, spec.inference) else b"")
            try:
                for file in spec.files:
                    content.update(self.weights.digest(spec.folder, file).encode())
            except ModelError as error:
                raise ModelError(_by_name(spec, error)) from error
            for path in spec.packaged():
                content.update(_sha256(path, path.stat().st_mtime_ns).encode())
        return ModelInfo(
            name="+".join(spec.name for spec in specs),
            task=specs[0].task,
            digest=content.hexdigest()[:16],
            rung=" ".join(dict.fromkeys(spec.rung for spec in specs)),
            licence="; ".join(dict.fromkeys(spec.licence for spec in specs)),
            source="; ".join(dict.fromkeys(spec.source for spec in specs)),
            engine="; ".join(dict.fromkeys(engines)),
        )


@functools.cache
def _sha256(path: Path, mtime_ns: int) -> str:
    """Content hash of a file that came with a package or that the user named."""
    return sha256_of(path)


def extra_command(extra: str) -> str:
    """What installs an extra of this package."""
    return _here(shipped.extra_command(extra))


def _here(command: str) -> str:
    """A `pip` command for this very Python: the one on the path is another's where the environment is not activated."""
    python = Path(sys.executable)
    if python.is_relative_to(Path.cwd()):
        python = python.relative_to(Path.cwd())
    return re.sub(r"^pip ", lambda _: f"{python} -m pip ", command)


def _by_name(spec: ModelSpec, error: ModelError) -> str:
    """The message with the model's name where it names the folder: only the name can be fetched."""
    return str(error).replace(f"fetch {spec.folder}", f"fetch {spec.name}")


def _missing_modules(spec: ModelSpec) -> list[str]:
    return [module for module in spec.needs if importlib.util.find_spec(module) is None]


def _meant(name: str, names: Sequence[str]) -> str:
    near = (
        difflib.get_close_matches(name, names, n=1)
        or [known for known in names if re.sub(r"\W", "", name) in re.sub(r"\W", "", known)][:1]
    )
    return f"did you mean {near[0]}? " if near and name else ""
