"""Texts of the page's section `cast`, by key: English, German."""

from __future__ import annotations

__all__ = ["TEXTS"]

TEXTS: dict[str, tuple[str, str]] = {
    "cast.title": ("Cast", "Figuren"),
    "cast.characters": ("{n} characters", "{n} Figuren"),
    "cast.one_character": ("1 character", "1 Figur"),
    "cast.faces": ("{n} faces", "{n} Gesichter"),
    "cast.one_face": ("1 face", "1 Gesicht"),
    "cast.why.no_run": (
        "Nothing has been sorted yet. Once a run has sorted the faces, its characters appear here to be named and put right.",
        "Noch ist nichts sortiert. Sobald ein Durchlauf die Gesichter sortiert hat, lassen sich die Figuren hier benennen und berichtigen.",
    ),
    "cast.why.removed": (
        "The sorted faces do not lie beside this result: an older version made it, or they were removed. Start the film again with the same "
        "settings; it is sorted anew, and the result stays as it is.",
        "Neben diesem Ergebnis liegen keine sortierten Gesichter: Eine ältere Version hat es gemacht, oder sie wurden entfernt. Den Film mit "
        "denselben Einstellungen noch einmal starten; er wird neu sortiert, das Ergebnis bleibt, wie es ist.",
    ),
    "cast.why.running": (
        "The run has not reached the sorting yet. The characters appear here when it has.",
        "Der Durchlauf ist noch nicht beim Sortieren. Danach erscheinen hier die Figuren.",
    ),
    "cast.busy": (
        "A run is going. You can look, but changes have to wait until it has ended or paused.",
        "Ein Durchlauf läuft. Ansehen geht; ändern erst, wenn er fertig ist oder anhält.",
    ),
    "cast.changed": (
        "Your latest decisions are not applied yet.",
        "Die letzten Entscheidungen sind noch nicht angewendet.",
    ),
    "cast.apply": ("Run with these decisions", "Mit diesen Entscheidungen starten"),
    "cast.none": (
        "No characters were found. Too few faces look alike, or none was found at all; unsorted faces, if there are any, can be selected "
        "and made into a new character.",
        "Es wurden keine Figuren gefunden: Zu wenige Gesichter ähneln sich, oder es gibt gar keine. Unsortierte Gesichter lassen sich "
        "auswählen und zu einer neuen Figur machen.",
    ),
    "cast.how": (
        "The name is also the trigger word in the captions. Click faces to select them, drag them to another character, or use the bar that "
        "appears below; tick characters to merge them. Keyboard: arrow keys move, Space selects, I enlarges, Escape clears.",
        "Der Name ist zugleich das Trigger-Wort in den Captions. Gesichter anklicken, um sie auszuwählen, zu einer anderen Figur ziehen "
        "oder die Leiste benutzen, die unten erscheint; Figuren ankreuzen, um sie zusammenzulegen. Tastatur: Pfeiltasten bewegen, Leertaste "
        "wählt aus, I vergrößert, Escape hebt die Auswahl auf.",
    ),
    "cast.undo": ("Undo", "Rückgängig"),
    "cast.undo_what": ("Undo: {what}", "Rückgängig: {what}"),
    "cast.redo": ("Redo", "Wiederholen"),
    "cast.redo_what": ("Redo: {what}", "Wiederholen: {what}"),
    "cast.at_once": ("Every change is saved at once, in {file}.", "Jede Änderung wird sofort gespeichert, in {file}."),
    "cast.saved": ("Saved: {what}", "Gespeichert: {what}"),
    "cast.saved_plain": ("Saved.", "Gespeichert."),
    "cast.told": ("What became of the decisions", "Was aus den Entscheidungen wurde"),
    "cast.name": ("Name and trigger word of {name}", "Name und Trigger-Wort von {name}"),
    "cast.noise": ("Unsorted", "Unsortiert"),
    "cast.noise_help": (
        "too few like them, or too unlike anyone: not used unless moved to a character",
        "zu wenige ähnliche oder niemandem ähnlich genug: nur verwendet, wenn sie zu einer Figur kommen",
    ),
    "cast.rejected": ("No character", "Keine Figur"),
    "cast.rejected_help": ("you said so: not used", "so entschieden: nicht verwendet"),
    "cast.sure": ("Certainty: {percent} % on average", "Sicherheit: im Mittel {percent} %"),
    "cast.by_reference": ("by reference pictures", "nach Referenzbildern"),
    "cast.by_cast": ("known from the series", "aus der Serie bekannt"),
    "cast.by_you": ("by you", "von Hand"),
    "cast.least_sure": ("Least sure first", "Unsicherste zuerst"),
    "cast.select_all": ("Select all", "Alle auswählen"),
    "cast.select_all_of": ("Select all of {name}", "Alle auswählen: {name}"),
    "cast.all": ("Show all {n}", "Alle {n} zeigen"),
    "cast.fewer": ("Show fewer", "Weniger zeigen"),
    "cast.faces_of": ("Faces of {name}", "Gesichter von {name}"),
    "cast.face": ("Face at {time}, certainty {percent} %", "Gesicht bei {time}, Sicherheit {percent} %"),
    "cast.face_low": ("unsure", "unsicher"),
    "cast.face_dropped": ("not used", "nicht verwendet"),
    "cast.enlarge": ("Enlarge", "Vergrößern"),
    "cast.enlarge_face": ("Enlarge the face at {time}", "Gesicht bei {time} vergrößern"),
    "cast.reject_group": ("Not a character", "Keine Figur"),
    "cast.reject_group_of": ("Not a character: {name}", "Keine Figur: {name}"),
    "cast.choose_group": ("Choose {name} for merging", "{name} zum Zusammenlegen auswählen"),
    "cast.selection": ("Selected faces", "Ausgewählte Gesichter"),
    "cast.selected": ("{n} selected", "{n} ausgewählt"),
    "cast.more": ("+{n}", "+{n}"),
    "cast.deselect": ("Take out of the selection", "Aus der Auswahl nehmen"),
    "cast.move_to": ("Move to", "Verschieben zu"),
    "cast.choose": ("choose …", "wählen …"),
    "cast.new": ("new character …", "neue Figur …"),
    "cast.new_name": ("Name of the new character", "Name der neuen Figur"),
    "cast.move": ("Move", "Verschieben"),
    "cast.split": ("New character", "Neue Figur"),
    "cast.split_help": (
        "Split off as a new character, to be named later",
        "Als neue Figur abtrennen; der Name kann später kommen",
    ),
    "cast.reject": ("Not a character", "Keine Figur"),
    "cast.drop": ("Do not use", "Nicht verwenden"),
    "cast.drop_help": (
        "These pictures stay with their character but go into no set",
        "Die Bilder bleiben bei ihrer Figur, kommen aber in keinen Bildersatz",
    ),
    "cast.restore": ("As sorted", "Wie sortiert"),
    "cast.restore_help": (
        "Forget what was decided about these faces: as the program sorted them",
        "Entscheidungen über diese Gesichter vergessen: wie das Programm sie sortiert hat",
    ),
    "cast.clear": ("Clear", "Aufheben"),
    "cast.clear_help": ("Clear the selection", "Auswahl aufheben"),
    "cast.merging": ("Characters to merge", "Figuren zum Zusammenlegen"),
    "cast.merge_more": (
        "{name}: choose at least one more character to merge it with",
        "{name}: zum Zusammenlegen mindestens eine weitere Figur auswählen",
    ),
    "cast.merge_chosen": ("{n} characters chosen", "{n} Figuren ausgewählt"),
    "cast.merge_into": ("Merge into", "Zusammenlegen zu"),
    "cast.merge": ("Merge", "Zusammenlegen"),
    "cast.drop_new": ("Drop here: new character", "Hier ablegen: neue Figur"),
    "cast.drop_reject": ("Drop here: not a character", "Hier ablegen: keine Figur"),
    "cast.map": ("Map", "Karte"),
    "cast.map_label": (
        "Map of {faces} in {groups} groups; faces that look alike lie close together",
        "Karte mit {faces} in {groups} Gruppen; ähnliche Gesichter liegen nah beieinander",
    ),
    "cast.map_help": (
        "Faces that look alike lie close together. Draw around faces to select them, Shift adds. The wheel zooms after a click on the map. "
        "Everything can be done in the rows as well.",
        "Ähnliche Gesichter liegen nah beieinander. Gesichter umfahren, um sie auszuwählen; mit Umschalt kommen weitere dazu. Das Mausrad "
        "vergrößert nach einem Klick auf die Karte. Alles geht auch in den Reihen.",
    ),
    "cast.lasso": ("Lasso", "Lasso"),
    "cast.pan": ("Move the map", "Karte verschieben"),
    "cast.zoom_in": ("Zoom in", "Näher heran"),
    "cast.zoom_out": ("Zoom out", "Weiter weg"),
    "cast.whole": ("Whole map", "Ganze Karte"),
    "cast.larger": ("Large map", "Große Karte"),
    "cast.legend": ("Groups on the map", "Gruppen auf der Karte"),
    "cast.big": ("Face in its picture", "Gesicht im Bild"),
    "cast.big_place": ("{n} of {all}", "{n} von {all}"),
    "cast.big_time": ("Time", "Zeit"),
    "cast.big_sure": ("Certainty", "Sicherheit"),
    "cast.big_why": ("Why", "Warum"),
    "cast.big_head": (
        "The whole still is not kept; after a run with “keep intermediate pictures” it is shown here.",
        "Das ganze Standbild ist nicht aufgehoben; nach einem Durchlauf mit „Zwischenbilder behalten“ steht es hier.",
    ),
    "cast.big_missing": ("This picture cannot be read.", "Dieses Bild ist nicht lesbar."),
    "cast.previous": ("Previous", "Zurück"),
    "cast.next": ("Next", "Weiter"),
    "cast.close": ("Close", "Schließen"),
    "cast.select": ("Select", "Auswählen"),
    "cast.loading": ("Loading …", "Wird geladen …"),
    "cast.references": ("Reference pictures", "Referenzbilder"),
    "cast.references_help": (
        "Pictures of a character's face (PNG, JPEG, WebP). The next run names the group that looks like them.",
        "Bilder vom Gesicht einer Figur (PNG, JPEG, WebP). Der nächste Durchlauf benennt die Gruppe, die ihnen gleicht.",
    ),
    "cast.add_references": ("Add reference pictures …", "Referenzbilder hinzufügen …"),
    "cast.add_references_of": ("Add reference pictures of {name} …", "Referenzbilder hinzufügen: {name} …"),
    "cast.references_short": ("References", "Referenzen"),
    "cast.references_n": ("References ({n})", "Referenzen ({n})"),
    "cast.reference_name": ("Character", "Figur"),
    "cast.sending": ("Sending {name}", "{name} wird gesendet"),
    "cast.stop": ("Stop", "Anhalten"),
}
