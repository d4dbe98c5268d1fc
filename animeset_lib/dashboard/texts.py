"""Every text of the page in its two languages. Settings, stages and reasons have tables of their own in `english.py` and `german.py`."""

from __future__ import annotations

from functools import cache
from typing import Literal

from animeset_lib.dashboard import english, german
from animeset_lib.settings import describe

__all__ = ["LANGUAGES", "Language", "texts"]

Language = Literal["en", "de"]
LANGUAGES: tuple[Language, ...] = ("en", "de")

# key → English, German
_PAGE: dict[str, tuple[str, str]] = {
    "time.seconds": ("{n} s", "{n} s"),
    "time.minutes": ("{n} min", "{n} min"),
    "time.hours": ("{n} h", "{n} h"),
    "header.claim": (
        "From an anime film to captioned picture sets, one per character",
        "Vom Anime-Film zu beschrifteten Bildersätzen, einer je Figur",
    ),
    "header.language": ("Language", "Sprache"),
    "header.lost": (
        "The program behind this page does not answer any more. Reload the page; a run that is going on is not touched by this.",
        "Das Programm hinter dieser Seite antwortet nicht mehr. Bitte neu laden; ein Durchlauf ist davon nicht betroffen.",
    ),
    "header.reload": ("Reload", "Neu laden"),
    "header.light": ("Light", "Hell"),
    "header.dark": ("Dark", "Dunkel"),
    "film.title": ("Film", "Film"),
    "film.drop": ("Drop a film here", "Film hierher ziehen"),
    "film.drop_more": (
        "up to {most}; an upload that breaks off goes on where it was",
        "bis {most}; ein abgebrochenes Hochladen geht weiter, wo es war",
    ),
    "film.choose": ("Choose files …", "Dateien wählen …"),
    "film.waiting": ("{n} more waiting", "noch {n} in der Schlange"),
    "film.progress": ("Upload", "Hochladen"),
    "film.stop": ("Stop upload", "Hochladen anhalten"),
    "film.present": ("In input/", "In input/"),
    "film.refresh": ("Look again", "Neu einlesen"),
    "film.none": ("No film is there yet.", "Noch ist kein Film da."),
    "film.pictures": ("folder of pictures", "Ordner mit Bildern"),
    "film.running": ("running", "in Arbeit"),
    "film.series": (
        "{n} films are worked on one after the other, as a series with one cast.",
        "{n} Filme werden nacheinander bearbeitet, als Serie mit gemeinsamen Figuren.",
    ),
    "film.partial": (
        "{name}: {percent} % are here; choose the same file again to go on",
        "{name}: {percent} % sind da; dieselbe Datei noch einmal wählen, um weiterzumachen",
    ),
    "film.forget": ("Discard", "Verwerfen"),
    "film.unreadable": (
        "The browser could not read {name} any further; is it still there?",
        "Der Browser konnte {name} nicht weiterlesen; ist die Datei noch da?",
    ),
    "film.arrived": ("{name} is here.", "{name} ist da."),
    "film.already": ("{name} was here already, with the same content.", "{name} war schon da, mit gleichem Inhalt."),
    "settings.title": ("Settings", "Einstellungen"),
    "settings.changed": ("{n} changed", "{n} geändert"),
    "settings.preset": ("Preset", "Voreinstellung"),
    "preset.full": ("Full", "Vollständig"),
    "preset.draft": ("Draft", "Entwurf"),
    "preset_help.full": (
        "enlarges small pictures with a network; without a graphics card that takes most of the time",
        "vergrößert kleine Bilder mit einem Netz; ohne Grafikkarte braucht das die meiste Zeit",
    ),
    "preset_help.draft": (
        "a quick look: smaller pictures, nothing enlarged by a network",
        "ein schneller Blick: kleinere Bilder, kein Netz zum Vergrößern",
    ),
    "settings.all": ("All settings", "Alle Einstellungen"),
    "settings.find": ("Find a setting", "Einstellung suchen"),
    "settings.no_hit": ("No setting has this word.", "Keine Einstellung enthält dieses Wort."),
    "settings.save": ("Save as TOML", "Als TOML speichern"),
    "settings.load": ("Load TOML …", "TOML laden …"),
    "settings.reset_all": ("Reset all", "Alle zurücksetzen"),
    "settings.reset": ("Reset to {value}", "Zurück auf {value}"),
    "settings.unset": ("the model's own", "wie das Modell es vorgibt"),
    "settings.on": ("on", "an"),
    "settings.off": ("off", "aus"),
    "settings.explore": ("What would it do?", "Was würde es ändern?"),
    "settings.no_rows": (
        "No kept run of this film has come as far as this stage. Run it with “keep intermediate pictures” to see the film's values here.",
        "Kein aufgehobener Durchlauf dieses Films ist bis zu dieser Stufe gekommen. Mit „Zwischenbilder behalten“ stehen hier seine Werte.",
    ),
    "settings.would": (
        "At {value} this would reject {n} of {all}.",
        "Bei {value} würden {n} von {all} aussortiert.",
    ),
    "settings.histogram": (
        "How often each value occurs in this film; the line is the limit",
        "Wie oft welcher Wert in diesem Film vorkommt; die Linie ist die Grenze",
    ),
    "settings.try": ("Try", "Probieren"),
    "settings.just_out": ("would just go", "fielen gerade heraus"),
    "settings.just_in": ("would just stay", "blieben gerade drin"),
    "settings.take": ("Use {value}", "{value} nehmen"),
    "run.title": ("Run", "Durchlauf"),
    "run.start": ("Start", "Start"),
    "run.continue": ("Continue", "Weiter"),
    "run.resume": ("Resume", "Fortsetzen"),
    "run.cancel": ("Cancel", "Abbrechen"),
    "run.pause": ("pause after sorting, to look at the cast", "nach dem Sortieren anhalten, um die Figuren anzusehen"),
    "run.cast": ("names from", "Namen aus"),
    "run.cast_none": ("no earlier film", "keinem früheren Film"),
    "run.cast_help": (
        "Characters of an earlier film of the series are named again.",
        "Figuren eines früheren Films der Serie bekommen wieder ihre Namen.",
    ),
    "run.keep": ("keep intermediate pictures", "Zwischenbilder behalten"),
    "run.plan": ("What would run, and how long?", "Was würde laufen, und wie lange?"),
    "run.plan_title": ("About {time} in all", "Zusammen etwa {time}"),
    "run.reused": ("reused", "übernommen"),
    "run.goes_on": ("goes on", "geht weiter"),
    "run.runs": ("to run", "läuft"),
    "run.choose_first": ("Choose a film above first.", "Oben zuerst einen Film wählen."),
    "run.other": ("Runs", "Durchläufe"),
    "run.failed": ("It did not work:", "Das hat nicht geklappt:"),
    "run.stopped": (
        "The run ended without a word: killed, out of memory, or the machine was switched off. Nothing finished is lost; Resume goes on there.",
        "Der Durchlauf endete ohne ein Wort: beendet, Speicher voll oder Rechner aus. Nichts Fertiges ist verloren; „Fortsetzen“ macht dort weiter.",
    ),
    "run.cancelled": (
        "Cancelled. What was finished is kept; Resume goes on where it was.",
        "Abgebrochen. Fertiges ist aufgehoben; „Fortsetzen“ macht dort weiter.",
    ),
    "run.paused": (
        "Sorting is done. Look at the cast below: names, mix-ups, faces that are nobody. Then continue; you can come back to the cast "
        "afterwards.",
        "Das Sortieren ist fertig. Unten die Figuren ansehen: Namen, Verwechslungen, Gesichter ohne Figur. Dann weiter; zu den Figuren "
        "kann man auch danach zurückkehren.",
    ),
    "run.log_all": ("Download log (process.log)", "Protokoll herunterladen (process.log)"),
    "run.log_own": ("Download this run's log", "Protokoll dieses Durchlaufs"),
    "run.log": ("Log", "Protokoll"),
    "run.series": ("film {n} of {all}", "Film {n} von {all}"),
    "run.left": ("about {time} left", "noch etwa {time}"),
    "run.total": ("Whole run", "Ganzer Durchlauf"),
    "run.of": ("of {n}", "von {n}"),
    "run.previews": ("What is being made right now", "Was gerade entsteht"),
    "run.models": ("Models in use", "Verwendete Modelle"),
    "run.better": (
        "better: {name}, with animeset models fetch",
        "besser: {name}, mit animeset models fetch",
    ),
    "run.warnings": ("Notes", "Hinweise"),
    "run.probing": ("Reading the film …", "Film wird gelesen …"),
    "run.planning": ("Working out what would run …", "Was laufen würde, wird bestimmt …"),
    "phase.starting": ("starting", "startet"),
    "phase.running": ("running", "läuft"),
    "phase.cancelling": ("stopping at the next safe point", "hält am nächsten sicheren Punkt"),
    "phase.paused": ("waiting for you", "wartet auf Sie"),
    "phase.finished": ("finished", "fertig"),
    "phase.failed": ("failed", "fehlgeschlagen"),
    "phase.cancelled": ("cancelled", "abgebrochen"),
    "phase.stopped": ("stopped", "stehen geblieben"),
    "stage_state.waiting": ("waiting", "wartet"),
    "stage_state.running": ("running", "läuft"),
    "stage_state.done": ("done", "fertig"),
    "stage_state.reused": ("reused", "übernommen"),
    "stage_state.interrupted": ("interrupted", "unterbrochen"),
    "task.detector": ("finds faces", "findet Gesichter"),
    "task.embedder": ("tells characters apart", "unterscheidet Figuren"),
    "task.upscaler": ("enlarges", "vergrößert"),
    "task.tagger": ("tags", "vergibt Tags"),
}


@cache
def texts(language: Language) -> dict[str, str]:
    """All texts of one language by key; `language` is among them."""
    from animeset_lib.dashboard import texts_cast, texts_result

    at = LANGUAGES.index(language)
    tables = (_PAGE, texts_cast.TEXTS, texts_result.TEXTS)
    found = {key: both[at] for table in tables for key, both in table.items()}
    table = german if language == "de" else english
    found |= {f"section.{key}": text for key, text in table.SECTIONS.items()}
    found |= {f"reason.{key}": text for key, text in table.REASONS.items()}
    found |= {f"choice.{key}": text for key, text in table.CHOICES.items()}
    for stage, (title, doing) in table.STAGES.items():
        found[f"stage.{stage}"], found[f"doing.{stage}"] = title, doing
    for row in describe():
        key = f"{row['section']}.{row['name']}"
        if language == "de":
            found[f"setting.{key}"], found[f"help.{key}"] = german.SETTINGS[key]
        else:
            found[f"setting.{key}"], found[f"help.{key}"] = english.SETTINGS[key], row["description"]
    return {"language": language, **found}
