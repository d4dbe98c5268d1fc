"""The dashboard's German words for settings, stages and reasons.

The field's own terms stay as they are: Frame, Still, Crop, Trigger, Caption, Tag, LoRA. A shot is a Kameraeinstellung, for an Einstellung is a
setting; a character is a Figur. Labels that a description refers to stand in „…“.
"""

from __future__ import annotations

__all__ = ["CHOICES", "REASONS", "SECTIONS", "SETTINGS", "STAGES"]

SETTINGS: dict[str, tuple[str, str]] = {
    "extract.mode": (
        "Auswahl der Stills",
        "Anpassend: jede Kameraeinstellung, und mehr, wo sich das Bild ändert; feste Bildrate: wie `ffmpeg -vf fps=N`; "
        "Schlüsselbilder: die des Codecs.",
    ),
    "extract.fps": ("Frames je Sekunde", "Frames je Sekunde bei fester Bildrate."),
    "extract.min_gap_ms": (
        "Kleinster Abstand der Stills (ms)",
        "Anpassend: kürzeste Zeit in ms zwischen zwei Stills einer Kameraeinstellung.",
    ),
    "extract.max_gap_ms": (
        "Größter Abstand der Stills (ms)",
        "Anpassend: spätestens nach dieser Zeit in ms das nächste Still, solange sich im Bild überhaupt etwas bewegt.",
    ),
    "extract.change": (
        "Änderung für ein neues Still",
        "Anpassend: Anteil der kleinen Bildblöcke, der sich von den Stills der Kameraeinstellung unterscheiden muss; "
        "kleinere Werte behalten mehr.",
    ),
    "extract.cut": (
        "Unterschied an einem Schnitt",
        "Grenze zwischen Kameraeinstellungen: wie stark sich Farben und Inhalt zweier Frames unterscheiden müssen, 0 bis 1; "
        "kleinere Werte ergeben mehr Schnitte.",
    ),
    "extract.crop_black_bars": (
        "Schwarze Balken abschneiden",
        "Die schwarzen Balken des Films von den Stills abschneiden (in stage.json festgehalten, umkehrbar).",
    ),
    "extract.start_ms": ("Anfang im Film (ms)", "Was im Film vor dieser Zeit in ms liegt, bleibt unbeachtet."),
    "extract.end_ms": (
        "Ende im Film (ms)",
        "Was im Film ab dieser Zeit in ms liegt, bleibt unbeachtet; ohne Angabe: bis zum Ende.",
    ),
    "extract.image_format": (
        "Dateiformat der Stills",
        "Stills auf der Festplatte; beide Formate verlustfrei, WebP kleiner und langsamer.",
    ),
    "dedupe.method": ("Verfahren für die Vorauswahl", "Verfahren aus ImageHash, das Paare vorschlägt, 64 Bit."),
    "dedupe.hamming_max": (
        "Höchstzahl abweichender Bits",
        "So viele von 64 Bit dürfen abweichen, damit ein Paar vorgeschlagen wird; Nachbarn in einer Kameraeinstellung "
        "werden es immer.",
    ),
    "dedupe.ssim_min": (
        "Geringste Strukturähnlichkeit",
        "Ein vorgeschlagenes Paar gilt als doppelt, wenn seine Strukturähnlichkeit diesen Wert erreicht, 0 bis 1; "
        "kleinere Werte entfernen mehr.",
    ),
    "dedupe.local_ssim_min": (
        "Geringste Ähnlichkeit eines Bildteils",
        "… und wenn kein Teil des Bildes (etwa ein Gesicht mit anderem Ausdruck) weniger ähnlich ist als dieser Wert, 0 bis 1.",
    ),
    "dedupe.window_ms": (
        "Größter Abstand von Doppelten (ms)",
        "Nur Stills vergleichen, die höchstens so viele ms auseinanderliegen; ohne Angabe: im ganzen Film.",
    ),
    "detect.detector": (
        "Netz für Gesichter",
        "Netz nach Name (`animeset models list`), mehrere mit + verbunden ergänzen sich, yolo:DATEI für ein eigenes; "
        "auto: das beste vorhandene.",
    ),
    "detect.score_min": (
        "Geringster Erkennungswert",
        "Geringster Wert, mit dem ein Gesicht als erkannt gilt; ohne Angabe: der eigene Wert des Netzes.",
    ),
    "detect.min_face_px": (
        "Kleinstes Gesicht (px)",
        "Gesichter, die weniger Pixel hoch sind, werden festgehalten, aber nicht verwendet.",
    ),
    "embed.embedder": (
        "Netz zum Wiedererkennen",
        "Netz nach Name (`animeset models list`) oder open_clip:MODELL/GEWICHTE; auto: das beste vorhandene.",
    ),
    "cluster.track_gap_ms": (
        "Größte Lücke in einer Spur (ms)",
        "Längste Zeit in ms, die jemand innerhalb einer Spur nicht zu sehen sein darf.",
    ),
    "cluster.min_regions": (
        "Mindestzahl Gesichter je Figur",
        "Kleinste Zahl von Gesichtern einer Figur; ohne Angabe: wächst mit dem Film (3 bis 15).",
    ),
    "cluster.same_distance": (
        "Größter Abstand innerhalb einer Figur",
        "Abstand, bis zu dem zwei Köpfe eine Figur sind; ohne Angabe: der eigene Wert des Netzes zum Wiedererkennen.",
    ),
    "cluster.adapt": (
        "Aus diesem Film lernen",
        "Aus den Spuren des Films selbst lernen, welche Unterschiede keine Rolle spielen (bei jedem Netz).",
    ),
    "cluster.map": (
        "Karte der Gesichter",
        "Flache Karte der Gesichter, nur zum Ansehen; UMAP braucht bis zu einer Minute zum Anlaufen, PCA gar keine Zeit.",
    ),
    "cluster.seed": ("Startwert der Karte", "Startwert für den Zufall der UMAP-Karte."),
    "cast.reference_confidence": (
        "Mindestanteil passender Gesichter",
        "Anteil der Gesichter einer Gruppe, der einem Referenzbild am nächsten sein muss, damit die Gruppe dessen Namen bekommt.",
    ),
    "quality.dark_luma": (
        "Zu dunkel unter (Luma)",
        "Helligkeit (Luma, 0 bis 255), die die hellsten 5 % des Gesichts erreichen müssen; 0: nie zu dunkel.",
    ),
    "quality.bright_luma": (
        "Zu hell über (Luma)",
        "Helligkeit (Luma, 0 bis 255), die die dunkelsten 5 % des Gesichts erreichen dürfen; 255: nie zu hell.",
    ),
    "quality.flat_contrast": (
        "Geringster Kontrast (Luma)",
        "Kleinster Unterschied zwischen dem 98. und dem 2. Perzentil der Luma im Gesicht; 0: nie zu kontrastarm.",
    ),
    "quality.blur_percent": (
        "Größte Unschärfe (% der Gesichtshöhe)",
        "Größte Breite (Sigma) der gezeichneten Linien in Prozent der Gesichtshöhe; 50: nie unscharf.",
    ),
    "quality.noise_sigma": (
        "Stärkstes Rauschen (Stufen)",
        "Stärkstes Rauschen (robustes Sigma der flachen Bildteile, 0 bis 255); 128: nie verrauscht.",
    ),
    "quality.blockiness": (
        "Stärkste Blockbildung (Stufen)",
        "Um so viele Luma-Stufen dürfen Sprünge auf dem 8-px-Raster des Codecs höchstens herausragen; 50: nie blockig.",
    ),
    "quality.blend_share": (
        "Größter überblendeter Anteil",
        "Größter Anteil der nächsten Kameraeinstellung in einer Überblendung oder einer reinen Farbe in einer Auf- oder Abblende; "
        "1: nie eine Blende.",
    ),
    "quality.min_face_px": (
        "Kleinstes Gesicht fürs Training (px)",
        "Geringste Höhe des Gesichts in px bei einem Bild, mit dem zu trainieren sich lohnt.",
    ),
    "upscale.upscaler": (
        "Verfahren zum Vergrößern",
        "Verfahren nach Name (`animeset models list`), spandrel:DATEI oder command:PROGRAMM {input} {output} für ein eigenes; "
        "auto: das beste vorhandene; lanczos: ohne Netz; none: nie vergrößern.",
    ),
    "upscale.training_px": (
        "Trainingsgröße (px)",
        "Seite in px des Quadrats, mit dem das Trainingsprogramm arbeitet: 512 für SD 1.5, 1024 für SDXL.",
    ),
    "upscale.tolerance": (
        "Vergrößern erst ab Faktor",
        "Nur vergrößern, wenn dem Crop mehr als dieser Faktor zur Trainingsgröße fehlt.",
    ),
    "upscale.max_factor": (
        "Größter Vergrößerungsfaktor",
        "Größter Faktor; was auch dann noch zu klein ist, bleibt, wie es ist.",
    ),
    "upscale.candidates": (
        "Fertige je gewünschtem Bild",
        "So viele Bilder werden je Figur fertiggestellt, als Vielfaches von „Höchstzahl Bilder je Figur“ (`dataset.max_pictures`).",
    ),
    "upscale.mix_face": ("Anteil Gesichter", "Anteil der Crops mit Gesicht an der geplanten Mischung."),
    "upscale.mix_upper_body": ("Anteil Oberkörper", "Anteil der Crops mit Oberkörper."),
    "upscale.mix_full": ("Anteil ganzer Körper", "Anteil der Crops mit dem ganzen Körper."),
    "upscale.mix_frame": ("Anteil ganzer Frames", "Anteil der Bilder, die den ganzen Frame zeigen."),
    "crop.bucket_step_px": (
        "Seiten sind Vielfache von (px)",
        "Die Seiten werden Vielfache dieses Werts, wie in den Größenklassen (Buckets) des Trainingsprogramms.",
    ),
    "crop.shrink_to_training": (
        "Auf Trainingsgröße verkleinern",
        "Crops, die größer sind als die Trainingsgröße (nach Fläche), auf diese verkleinern; aus: jedes Pixel behalten.",
    ),
    "tag.tagger": (
        "Netz für Tags",
        "Netz nach Name (`animeset models list`), mehrere mit + verbunden stimmen ab; auto: das beste vorhandene.",
    ),
    "tag.choice": (
        "Welche Werte zählen",
        "Welche Werte zählen: die über festen Schwellen oder die über der größten Lücke in jedem Bild.",
    ),
    "tag.general_min": (
        "Geringster Wert von Tags",
        "Geringster Wert eines allgemeinen Tags; ohne Angabe: der eigene Wert des Netzes.",
    ),
    "tag.character_min": (
        "Geringster Wert von Figurennamen",
        "Geringster Wert für den Namen einer Figur; ohne Angabe: der eigene Wert des Netzes.",
    ),
    "attributes.blacklist": (
        "Nie benutzte Tags",
        "Tags, die nie benutzt werden, durch Kommas getrennt; * steht für beliebige Buchstaben: `*_request, dated`.",
    ),
    "attributes.subset_min": (
        "Wenigste Bilder je Untergruppe",
        "So oft muss die Figur mit einer Kleidung oder einem Ausdruck mindestens zu sehen sein; Selteneres kommt zum Ähnlichsten.",
    ),
    "attributes.outfit_distance": (
        "Wie verschieden Kleidung sein muss",
        "Wie verschieden Kleidung sein muss, um als eine andere zu gelten, 1 wie gemessen; mehr findet weniger Kleidungen.",
    ),
    "attributes.vote": (
        "Bilder einer Einstellung einigen sich",
        "Die Bilder einer Figur aus einer Einstellung einigen sich auf das, was sich dort nicht ändern kann: Haare, Augen, Körper, Kleidung.",
    ),
    "caption.template": (
        "Reihenfolge der Caption",
        "Reihenfolge der Caption, durch Kommas getrennt: {trigger}, {people}, {charname}, {hair}, {eyes}, {body}, {outfit}, {emotion}, {pose}, "
        "{framing}, {background}, {other}, {style}; ein Wort ohne Klammern wird geschrieben, wie es dasteht.",
    ),
    "caption.trigger": (
        "Trigger",
        "Trigger, einer für jede Figur: `{charname}` darin steht für den Namen der Figur, wie in `ohwx {charname}`; leer: nur der Name.",
    ),
    "caption.style": ("Letztes Tag", "Letztes Tag jeder Caption; leer: keines."),
    "caption.underscores": ("Unterstriche in Tags", "long_hair statt `long hair`."),
    "caption.max_tags": (
        "Höchstzahl von Tags je Caption",
        "Höchstzahl von Tags in einer Caption, die unsichersten fallen zuerst weg, für Trainer, die nach 75 oder 225 Token abschneiden; 0: alle. "
        "Der Trigger zählt nie mit.",
    ),
    "caption.core_traits": (
        "Feste Merkmale in Captions",
        "Feste Merkmale (Haare, Augen): in den Captions behalten, oder weglassen, damit der Trigger sie lernt; drop_all: jedes Merkmal, ob fest "
        "oder nicht.",
    ),
    "caption.core_share": (
        "Mindestanteil fester Merkmale",
        "Ein Merkmal ist fest, wenn es auf mindestens diesem Anteil der Bilder der Figur steht, die ein solches Merkmal "
        "(Haare, Augen) überhaupt zeigen.",
    ),
    "caption.core_lift": (
        "Wie bezeichnend feste Zutaten sind",
        "Getragenes (Brille, Ohrringe) ist fest, wenn es fast immer da ist, und so viele Male so oft wie bei den übrigen Figuren.",
    ),
    "regularisation.pictures": (
        "Höchstzahl Bilder ohne Figuren",
        "So viele Bilder ohne Figuren höchstens, für Trainer, die einen Regularisierungssatz nehmen; braucht ein Tagging-Netz; 0: keine.",
    ),
    "dataset.names": (
        "Namen der Bilder",
        "Namen der Bilder und Captions: `hana_0001`, oder was darauf ist: `hana_school_uniform_smile_classroom_0001`.",
    ),
    "dataset.min_pictures": (
        "Mindestzahl Bilder je Figur",
        "Sind es weniger, wird das offen gesagt, mit dem Grund; aufgefüllt wird nichts.",
    ),
    "dataset.max_pictures": ("Höchstzahl Bilder je Figur", "So viele Bilder bekommt eine Figur höchstens."),
    "dataset.per_shot": (
        "Bilder je Kameraeinstellung",
        "So viele Bilder höchstens aus einer Kameraeinstellung; mehr nur, um „Mindestzahl Bilder je Figur“ zu erreichen.",
    ),
    "dataset.same_picture": (
        "Größter Unterschied gleicher Bilder",
        "Zwei Crops sind ein Bild, wenn kein Teil ihrer kleinen Vorschaubilder um mehr als diesen Wert abweicht, 0 bis 1; "
        "0 behält alle.",
    ),
    "dataset.novelty_min": (
        "Geringste Neuheit",
        "Ab „Mindestzahl Bilder je Figur“ nur noch Crops, die sich von allen gewählten um mindestens diesen Wert unterscheiden, "
        "0 bis 1; 0 geht immer weiter bis „Höchstzahl Bilder je Figur“.",
    ),
    "dataset.per_outfit": (
        "Mindestzahl Bilder je Outfit",
        "So viele Bilder mindestens von jedem Outfit, soweit es so viele verschiedene gibt; 0 verlangt keine.",
    ),
    "dataset.per_emotion": (
        "Mindestzahl Bilder je Emotion",
        "So viele Bilder mindestens von jeder Emotion, soweit es so viele verschiedene gibt; 0 verlangt keine.",
    ),
}
"""`section.name` → label, with the unit where there is one, and what the setting means."""

CHOICES: dict[str, str] = {
    "extract.mode.adaptive": "anpassend (empfohlen)",
    "extract.mode.fps": "feste Bildrate (fps)",
    "extract.mode.keyframes": "Schlüsselbilder des Codecs",
    "extract.image_format.png": "PNG (schneller)",
    "extract.image_format.webp": "WebP (kleiner)",
    "dedupe.method.phash": "Wahrnehmungs-Hash (phash, empfohlen)",
    "dedupe.method.dhash": "Differenz-Hash (dhash)",
    "dedupe.method.ahash": "Mittelwert-Hash (ahash)",
    "dedupe.method.whash": "Wavelet-Hash (whash)",
    "cluster.map.umap": "UMAP (läuft langsam an)",
    "cluster.map.pca": "PCA (läuft sofort an)",
    "tag.choice.fixed": "über festen Schwellen",
    "tag.choice.mcut": "über der größten Lücke (mcut)",
    "caption.core_traits.keep": "behalten",
    "caption.core_traits.drop": "weglassen, der Trigger lernt sie",
    "caption.core_traits.drop_all": "jedes Merkmal weglassen",
    "dataset.names.numbered": "Name und Nummer",
    "dataset.names.descriptive": "was auf dem Bild ist",
}
"""`section.name.choice` → words for it, for every setting with a fixed list of choices."""

SECTIONS: dict[str, str] = {
    "extract": "Bilder aus dem Film",
    "dedupe": "Doppelte entfernen",
    "detect": "Gesichter finden",
    "embed": "Köpfe unterscheiden",
    "cluster": "Nach Figuren ordnen",
    "cast": "Figuren benennen",
    "quality": "Bildqualität",
    "upscale": "Auswählen und vergrößern",
    "crop": "Zuschneiden",
    "tag": "Tags vergeben",
    "attributes": "Tags säubern, Kleidung finden",
    "caption": "Captions schreiben",
    "regularisation": "Bilder ohne Figuren",
    "dataset": "Endgültige Auswahl",
}
"""Section of the settings → title."""

STAGES: dict[str, tuple[str, str]] = {
    "1_extract": ("Filmbilder", "Sucht die Kameraeinstellungen und nimmt Stills aus dem Film."),
    "2_dedupe": ("Doppelte", "Entfernt Stills, die dasselbe Bild zeigen."),
    "3a_detect": ("Gesichter", "Sucht Gesichter und Körper in den Stills."),
    "3b_embed": ("Merkmale", "Misst, was einen Kopf vom anderen unterscheidet."),
    "3c_cluster": ("Figuren", "Ordnet die Köpfe nach Figuren."),
    "3d_cast": ("Namen", "Gibt den Figuren ihre Namen."),
    "4a_quality": ("Qualität", "Entfernt, was zum Trainieren zu schlecht ist."),
    "4b_upscale": ("Vergrößern", "Plant die Crops und vergrößert die zu kleinen."),
    "5_crop": ("Zuschneiden", "Schneidet die fertigen Bilder zu."),
    "6a_tag": ("Tags vergeben", "Beschreibt jedes Bild mit Tags."),
    "6b_attributes": ("Kleidung", "Säubert die Tags und findet Kleidung, Ausdruck und Hintergrund."),
    "6c_caption": ("Captions schreiben", "Macht aus den Tags Captions."),
    "6d_regularisation": ("Orte", "Sucht Bilder ohne Figuren, wo sie gewünscht sind."),
    "7_dataset": ("Datensatz", "Trifft die endgültige Auswahl und schreibt den Datensatz."),
}
"""Stage → title of one or two words, and a sentence of what is going on."""

REASONS: dict[str, str] = {
    "unreadable": "Nicht lesbar",
    "repeat": "Kein neueres Bild",
    "duplicate": "Doppelt",
    "double": "Gesicht doppelt gefunden",
    "no_face": "Kein Gesicht zu sehen",
    "low_score": "Zu unsicher erkannt",
    "small_face": "Gesicht zu klein",
    "overlay": "Einblendung oder Logo",
    "noise": "Gehört zu keiner Figur",
    "not_a_character": "Keine Figur",
    "same_frame": "Figur zweimal in einem Still",
    "too_small": "Zu klein fürs Training",
    "too_dark": "Zu dunkel",
    "too_bright": "Zu hell",
    "flat": "Zu wenig Kontrast",
    "blend": "Blende",
    "blurred": "Unscharf",
    "noisy": "Verrauscht",
    "blocky": "Kompressionsblöcke",
    "other_face": "Fremdes Gesicht im Bild",
    "not_planned": "Genug andere geplant",
    "not_preselected": "Nicht vorausgewählt",
    "no_framing": "Kein gewünschter Ausschnitt",
    "not_enlarged": "Vergrößern misslungen",
    "missing": "Bild fehlt",
    "somebody_in_it": "Jemand im Bild",
    "nothing_to_see": "Nichts zu sehen",
    "not_checked": "Nicht auf Personen geprüft",
    "no_words": "Kein Wort dafür",
    "not_selected": "Nicht ausgewählt",
    "by_hand": "Von Hand entfernt",
    "no_crop_used": "Kein Crop davon verwendet",
    "no_figure_used": "Niemand daraus verwendet",
    "chosen": "Im Datensatz",
}
"""Reason code of a row, or of a fate in `explain.jsonl`, → a few words."""
