"""Models in one file, for a machine without network: a zip of weight files, stored, with `bundle.json`, which says what each is."""

from __future__ import annotations

import hashlib
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from animeset_lib.errors import ModelError
from animeset_lib.models.download import Paced, Progress, need
from animeset_lib.models.spec import WeightFile
from animeset_lib.models.weights import Facts, Weights, is_plain, new_entry, words, writing
from animeset_lib.system import replace_path, sync

__all__ = ["export_bundle", "import_bundle"]

_MANIFEST = "bundle.json"
_BUNDLE_FORMAT = 1
_MANIFEST_MAX = 16 << 20
"""Bytes. A bundle names a few dozen files; more is not a bundle of ours, and would be read into memory."""


class _Manifest(BaseModel):
    """`bundle.json`: models, their files, and what these are."""

    format: int
    models: dict[str, dict[str, Facts]]


def export_bundle(
    weights: Weights, models: Mapping[str, Sequence[WeightFile]], target: Path, progress: Progress
) -> None:
    """Write the files of these models into one zip for a machine without network. `target` appears only when it is whole.

    Raises `ModelError` when a file is absent or not what it should be, `SpaceError` when the bundle does not fit.
    """
    listed = {
        model: {
            file.name: Facts(**weights.checked(model, file).model_dump(exclude={"mtime_ns", "when"})) for file in files
        }
        for model, files in models.items()
    }
    partial = target.with_name(f"{target.name}.partial")
    with writing(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        need(target.parent, sum(facts.bytes for files in listed.values() for facts in files.values()))
        try:
            # stored: weights do not compress
            with zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as bundle:
                manifest = _Manifest(format=_BUNDLE_FORMAT, models=listed)
                bundle.writestr(_MANIFEST, manifest.model_dump_json(indent=1))
                for model, files in manifest.models.items():
                    for name, facts in files.items():
                        _pack(weights, bundle, model, name, facts, progress)
            sync(partial)
            replace_path(partial, target)
        finally:
            partial.unlink(missing_ok=True)


def _pack(weights: Weights, bundle: zipfile.ZipFile, model: str, name: str, facts: Facts, progress: Progress) -> None:
    source, inside = weights.place(model, name), zipfile.ZipInfo(f"{model}/{name}")
    with source.open("rb") as content, bundle.open(inside, "w", force_zip64=True) as member:
        if _copy(content, member, Paced(progress, name, facts.bytes)) != facts.sha256:
            raise ModelError(
                f"{source} changed while the bundle was written; check it with `animeset models verify`, then write the bundle again"
            )


def import_bundle(
    weights: Weights,
    source: Path,
    progress: Progress,
    known: Mapping[str, Sequence[WeightFile]] | None = None,
) -> list[str]:
    """Take over the models of a bundle; their names. Files that are already there are replaced.

    known  the files of the table of models: a bundle that holds another content under a pinned name is refused

    All names and sizes are checked before the first byte is copied, every hash before anything of its model is put in place: a bundle with
    a wrong or truncated file changes nothing of that model; models before it stay taken over. Raises `ModelError` for that, and
    `SpaceError` when it does not fit.
    """
    taken: list[str] = []
    try:
        with zipfile.ZipFile(source) as bundle:
            listed = _manifest(bundle, source, known or {})
            with writing(weights.folder):
                weights.folder.mkdir(parents=True, exist_ok=True)
                need(weights.folder, sum(entry.bytes for files in listed.values() for entry in files.values()))
            for model, files in listed.items():
                _take_over(weights, bundle, source, model, files, progress)
                taken.append(model)
    # RuntimeError is what zipfile raises for an encrypted member
    except (OSError, zipfile.BadZipFile, zlib.error, EOFError, RuntimeError) as error:
        so_far = f" (taken over before that: {', '.join(taken)})" if taken else ""
        raise ModelError(
            f"{source}: expected a bundle written by `animeset models export-bundle`, got a file that cannot be read as one "
            f"({words(error)}){so_far}; copy it here once more"
        ) from error
    return taken


def _take_over(
    weights: Weights,
    bundle: zipfile.ZipFile,
    source: Path,
    model: str,
    files: Mapping[str, Facts],
    progress: Progress,
) -> None:
    with weights.filling(model) as incoming:
        arrived = {name: incoming / f"{name}.bundle" for name in files}
        try:
            entries = {}
            for name, expected in files.items():
                try:
                    with bundle.open(f"{model}/{name}") as member, arrived[name].open("wb") as file:
                        got = _copy(member, file, Paced(progress, name, expected.bytes))
                except (zipfile.BadZipFile, EOFError, NotImplementedError) as error:
                    got = f"unreadable bytes ({error})"
                if got != expected.sha256:
                    raise ModelError(
                        f"{source}: {model}/{name} is damaged: expected SHA-256 {expected.sha256}, got {got}; nothing of {model} was "
                        "changed; copy the bundle here once more, or write it again"
                    )
                sync(arrived[name])
                entries[name] = new_entry(arrived[name].stat(), **expected.model_dump(exclude={"bytes"}))
            weights.settle(model, arrived, entries)
        finally:
            for path in arrived.values():
                path.unlink(missing_ok=True)


def _manifest(
    bundle: zipfile.ZipFile, source: Path, known: Mapping[str, Sequence[WeightFile]]
) -> dict[str, dict[str, Facts]]:
    """The models and files that a bundle lists, all names, sizes, members and pinned hashes checked. Raises `ModelError`."""

    def wrong(what: str) -> ModelError:
        return ModelError(
            f"{source}: expected a bundle written by `animeset models export-bundle` (format {_BUNDLE_FORMAT}), got {what}; "
            "nothing was taken over; copy it here once more, or write it again with this version of animeset"
        )

    members = {info.filename: info for info in bundle.infolist()}
    if len(members) != len(bundle.infolist()):
        raise wrong("a zip that holds a name twice")
    if _MANIFEST not in members or members[_MANIFEST].file_size > _MANIFEST_MAX:
        raise wrong(f"a zip without a {_MANIFEST}")
    try:
        manifest = _Manifest.model_validate_json(bundle.read(_MANIFEST))
    except ValidationError as error:
        raise wrong(f"a {_MANIFEST} of another form ({words(error)})") from error
    if manifest.format != _BUNDLE_FORMAT:
        raise wrong(f"format {manifest.format}")
    expected = {_MANIFEST}
    for model, files in manifest.models.items():
        pinned = {file.name: file.sha256 for file in known.get(model, ()) if file.sha256}
        for name, facts in files.items():
            inside = f"{model}/{name}"
            if not is_plain(model) or not is_plain(name):
                raise wrong(f"the name {inside!r}, which could lead out of the models folder")
            got = members[inside].file_size if inside in members else "no"
            if got != facts.bytes:
                raise wrong(f"{inside} with {got} bytes instead of {facts.bytes}")
            if pinned.get(name, facts.sha256) != facts.sha256:
                raise ModelError(
                    f"{source}: {inside} is not the file it should be: expected SHA-256 {pinned[name]} (in the table of models), "
                    f"got {facts.sha256}; nothing was taken over; write the bundle again where `animeset models verify` finds all well"
                )
            expected.add(inside)
    if any(member.compress_type != zipfile.ZIP_STORED or member.flag_bits & 1 for member in members.values()):
        # what is packed tightly may unpack to more than the disk holds
        raise wrong("a zip with compressed or encrypted files")
    if more := sorted(members.keys() - expected):
        raise wrong(f"{more[0]!r}, which its {_MANIFEST} does not list")
    return manifest.models


def _copy(source: IO[bytes], target: IO[bytes], tell: Paced) -> str:
    """Copy to the end and give the SHA-256 of what was copied."""
    digest, done = hashlib.sha256(), 0
    while block := source.read(1 << 20):
        target.write(block)
        digest.update(block)
        done += len(block)
        tell(done)
    return digest.hexdigest()
