"""`animeset models`: the networks, what there is, getting, checking and carrying them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from animeset_lib.cli.common import DeviceOption, DownloadBars, JsonOption, console, say
from animeset_lib.errors import ModelError

__all__ = ["model_row", "models_app"]

models_app = typer.Typer(
    name="models", help="The networks: what there is, getting, checking and carrying them.", no_args_is_help=True
)
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="[MODEL]...", help="Names from `animeset models list`.")
]


@models_app.command("list")
def models_list(
    as_json: JsonOption = False,
    device: DeviceOption = "auto",
    long: Annotated[bool, typer.Option("--long", help="Also files with hashes, signatures and thresholds.")] = False,
) -> None:
    """Every model, best rung first: whether it is here, its size, its licence, and how its files are trusted."""
    from animeset_lib.models.engines.device import choose
    from animeset_lib.models.families import FAMILIES
    from animeset_lib.models.provider import Zoo

    zoo = Zoo(device=choose(device))
    rows = [model_row(zoo, row) for row in zoo.overview()]
    if as_json:
        print(json.dumps(rows, ensure_ascii=False))
        return
    if long:
        for row in rows:
            _print_model(row)
        return
    for task in dict.fromkeys(row["task"] for row in rows):
        console.print(f"\n[bold]{task}[/]  (best first)")
        for row in (row for row in rows if row["task"] == task):
            state = "present" if row["present"] else "not here"
            state = "ALTERED" if row["fault"] else "used by auto" if row["auto"] else state
            say(f"  {row['name']:<27} {state:<12} {row['size']:>11}  {row['trust']}".rstrip())
            say(f"      {row['rung']}")
            say(f"      licence: {row['licence']}")
            if row["fault"]:
                say(f"      {row['fault']}")
        for family in (family for family in FAMILIES if family.task == task):
            say(f"  {family.prefix}:{family.argument}")
            say(f"      Your own: {family.about}.")
    say("")
    say(f"Downloads lie in {zoo.weights.folder} (ANIMESET_MODELS names another folder).")
    say(
        "pinned: the hash is known beforehand. first use: the first download's hash is recorded, and the file must stay so."
    )
    say("Get one: animeset models fetch NAME; without names: the best that run well here.")


@models_app.command("fetch")
def models_fetch(
    names: NamesArgument = None,
    device: DeviceOption = "auto",
    again: Annotated[bool, typer.Option("--again", help="Download even what is here.")] = False,
) -> None:
    """Download models. Interrupted downloads go on where they were; every file is checked before it is used."""
    from animeset_lib.models.engines.device import choose
    from animeset_lib.models.provider import Zoo
    from animeset_lib.models.weights import OfflineError

    zoo = Zoo(device=choose(device))
    specs = [spec for name in names for spec in zoo.named(name)] if names else zoo.recommended()
    for spec in specs:
        if not spec.files:
            say(f"{spec.name}: nothing to download ({zoo.remedy(spec)})")
    wanted = [spec for spec in specs if spec.files]
    faults: list[str] = []
    with DownloadBars() as bars:
        for spec in wanted:
            try:
                zoo.fetch([spec], bars, again=again)
            except OfflineError:
                raise
            except ModelError as error:
                if len(wanted) == 1:
                    raise
                faults.append(spec.name)
                say(f"{spec.name}: {error}")
                continue
            say(f"{spec.name}: here, {_size_words(zoo, spec)}, licence: {spec.licence}")
    for spec in wanted:
        if (remedy := zoo.remedy(spec)) != spec.get:
            say(f"{spec.name} also needs: {remedy}")
    if not specs:
        say("The best models that run well here are all present.")
    if faults:
        raise ModelError(f"could not be had: {', '.join(faults)}; the reasons are above")


@models_app.command("verify")
def models_verify(names: NamesArgument = None) -> None:
    """Hash the downloaded files anew and compare. Without names: everything that is here."""
    from animeset_lib.models.provider import Zoo

    zoo = Zoo()
    specs = _asked(zoo, names, lambda states: any(state.present for state in states))
    count = 0
    for spec in specs:
        faults = zoo.weights.verify(spec.folder, spec.files)
        count += len(faults)
        say(f"{spec.name}: {'' if faults else 'all well'}")
        for fault in faults:
            say(f"  {fault}")
    if not specs:
        say(f"No downloaded model in {zoo.weights.folder}.")
    if count:
        raise ModelError(
            f"{count} files are not what they should be; get them again with `animeset models fetch MODEL --again`"
        )


@models_app.command("export-bundle")
def models_export(
    target: Annotated[Path, typer.Argument(help="The file to write, such as models.zip.")], names: NamesArgument = None
) -> None:
    """Put downloaded models into one file, to carry them to a machine without network. Without names: everything that is here."""
    from animeset_lib.models.bundle import export_bundle
    from animeset_lib.models.provider import Zoo

    zoo = Zoo()
    specs = _asked(zoo, names, lambda states: bool(states) and not any(state.why_not for state in states))
    chosen = {spec.folder: spec.files for spec in specs if spec.files}
    if not chosen:
        raise ModelError(
            f"there is nothing to export: no downloaded model in {zoo.weights.folder}; get some with `animeset models fetch`"
        )
    with DownloadBars() as bars:
        export_bundle(zoo.weights, chosen, target, bars)
    say(f"{target}: {', '.join(chosen)} ({_megabytes(target.stat().st_size)})")


@models_app.command("import-bundle")
def models_import(
    source: Annotated[Path, typer.Argument(help="A file that `animeset models export-bundle` wrote.")],
) -> None:
    """Take models over from a bundle. Every file is checked before it is used."""
    from animeset_lib.models.bundle import import_bundle
    from animeset_lib.models.provider import Zoo

    zoo = Zoo()
    with DownloadBars() as bars:
        taken = import_bundle(zoo.weights, source, bars, {row.spec.folder: row.spec.files for row in zoo.overview()})
    say(f"{', '.join(taken) or 'nothing'} now in {zoo.weights.folder}")


def _asked(zoo: Any, names: Sequence[str] | None, otherwise: Callable[[Sequence[Any]], bool]) -> list[Any]:
    """The models of these names; without names those of the table whose files are as `otherwise` asks."""
    if names:
        return [spec for name in names for spec in zoo.named(name)]
    return [row.spec for row in zoo.overview() if otherwise(zoo.states(row.spec))]


def model_row(zoo: Any, row: Any) -> dict[str, Any]:
    """What a program or a person may want to know about one model."""
    spec, states = row.spec, zoo.states(row.spec)
    files = [
        {
            "name": file.name,
            "source": file.source,
            "revision": state.entry and state.entry.revision,
            "bytes": state.entry.bytes if state.entry else file.size,
            "sha256": state.entry.sha256 if state.entry else file.sha256,
            "trust": "" if state.present and state.why_not else "pinned" if file.sha256 else "first use",
            "path": str(state.path),
            "present": state.present,
        }
        for file, state in zip(spec.files, states, strict=True)
    ]
    return {
        "task": spec.task,
        "name": spec.name,
        "present": row.present,
        "auto": row.auto,
        "why_not": row.why_not,
        "get": zoo.remedy(spec) if not row.present else "",
        "size": _size_words(zoo, spec),
        "trust": " + ".join(dict.fromkeys(file["trust"] for file in files if file["trust"]))
        if files
        else "in a package",
        "fault": next((state.why_not for state in states if state.present and state.why_not), ""),
        "licence": spec.licence,
        "source": spec.source,
        "signature": spec.signature,
        "engine": zoo.engine(spec),
        "thresholds": dict(spec.thresholds),
        "needs": list(spec.needs),
        "rung": spec.rung,
        "files": files,
    }


def _print_model(row: dict[str, Any]) -> None:
    say(f"{row['task']} {row['name']}{' (used by auto)' if row['auto'] else ''}")
    limits = ", ".join(f"{name} {value:g}" for name, value in row["thresholds"].items())
    for title in ("rung", "licence", "source", "signature"):
        say(f"  {title:<10} {row[title]}")
    if limits:
        say(f"  {'thresholds':<10} {limits}")
    if row["get"]:
        say(f"  {'get':<10} {row['get']}")
    for file in row["files"]:
        size = _megabytes(file["bytes"]) or "size unknown"
        say(
            f"  {file['name']}: {size}, {file['trust']}, {file['sha256'] or 'no hash yet'}, {'here' if file['present'] else 'not here'}"
        )
        say(f"    {file['source']}")


def _size_words(zoo: Any, spec: Any) -> str:
    known = [
        state.entry.bytes if state.entry else file.size
        for state, file in zip(zoo.states(spec), spec.files, strict=True)
    ]
    if not any(known):
        return ""
    return f"{'' if all(known) else '> '}{_megabytes(sum(size or 0 for size in known))}"


def _megabytes(size: int | None) -> str:
    return "" if size is None else f"{size / 1e6:,.1f} MB"
