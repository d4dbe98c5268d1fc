"""Several published films as one: who of the one film is whom of the other, by names that people gave and by the vectors in their casts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from animeset_lib.cast.likeness import ONE_PERSON, likeness
from animeset_lib.cast.names import is_automatic
from animeset_lib.errors import InputError
from animeset_lib.published.reader import CharacterSet, ExportPicture, PublishedFilm
from animeset_lib.words.line import with_trigger

__all__ = ["join_films"]


def join_films(films: Sequence[PublishedFilm]) -> PublishedFilm:
    """The films of a series as one, one character for each person, in the order of the films.

    Characters of one name that people gave are one, unless their vectors have nothing in common. An automatic name (`character_01`) says nothing: it
    joins, whatever its number, whom the vectors say it is. Others of one name are kept apart with their film's name in front. Each such thing is
    a note. Who is one person has one trigger, which the captions get where they had another.
    Stems get the film's name in front (its id too where two films bear one name), so nothing collides. One film is given back as it is.
    Raises `InputError` when a film is given twice, or none.
    """
    if not films:
        raise InputError("no film was given; name at least one published film")
    if len(films) == 1:
        return films[0]
    ids = [film_id for film in films for film_id in film.film_ids]
    twice = sorted(film_id for film_id, count in Counter(ids).items() if count > 1)
    if twice:
        names = ", ".join(str(film.folder) for film in films if set(film.film_ids) & set(twice))
        raise InputError(f"the film {twice[0]} was given more than once ({names}); name each film once")
    same_name = Counter(film.name for film in films)
    prefixes = [film.name if same_name[film.name] == 1 else f"{film.name}_{film.film_ids[0]}" for film in films]
    everyone = [_Seen(number, film, one) for number, film in enumerate(films) for one in film.characters]
    notes = [f"{film.name}: {note}" for film in films for note in film.notes]
    people = _people(everyone, prefixes, notes)
    taken = Counter(_name(person) for person in people)
    characters = []
    for person in people:
        name = own = _name(person)
        if taken[own] > 1:
            name = f"{prefixes[person[0].number]}_{own}"
            while name in taken:
                name += "_2"
            notes.append(f"{own} of {_films(person, prefixes)} is kept apart as {name}{_why_apart(person, people)}")
        characters.append(_character(name, person, prefixes, notes))
    return PublishedFilm(
        folder=films[0].folder.parent,
        name="series",
        film_ids=tuple(ids),
        sources=tuple(source for film in films for source in film.sources),
        settings=films[0].settings,
        characters=tuple(sorted(characters, key=lambda one: one.name)),
        regularisation=tuple(
            picture
            for film, prefix in zip(films, prefixes, strict=True)
            for picture in _prefixed(film.regularisation, prefix)
        ),
        notes=tuple(notes),
    )


@dataclass(frozen=True)
class _Seen:
    """A character of one film."""

    number: int
    film: PublishedFilm
    set: CharacterSet

    @property
    def by_people(self) -> bool:
        return not is_automatic(self.set.name)


def _alike(one: _Seen, other: _Seen) -> float | None:
    """Their likeness by the threshold of the embedder; None where their vectors cannot be compared or are not there."""
    casts = [seen.film.cast for seen in (one, other)]
    if casts[0] is None or casts[1] is None or casts[0].embedder != casts[1].embedder:
        return None
    same = casts[0].embedder.same_distance
    known = [
        next((c.array for c in cast.characters if c.name == seen.set.name), None)
        for cast, seen in zip(casts, (one, other), strict=True)
        if cast is not None
    ]
    if same is None or known[0] is None or known[1] is None:
        return None
    return likeness(known[0], known[1], same)


def _people(everyone: Sequence[_Seen], prefixes: Sequence[str], notes: list[str]) -> list[list[_Seen]]:
    """Who is one person, each in the order of the films; never two of one film, never two names that people gave."""
    people: list[list[_Seen]] = []
    for seen in everyone:
        for person in people if seen.by_people else ():
            if person[0].set.name == seen.set.name:
                known = [value for other in person if (value := _alike(seen, other)) is not None]
                if not known:
                    notes.append(
                        f"{seen.set.name} of {prefixes[seen.number]} is joined with that of {_films(person, prefixes)} by the name alone: "
                        "there are no vectors of one embedder to compare"
                    )
                if not known or max(known) > 0:
                    person.append(seen)
                    break
        else:
            people.append([seen])
    pairs = [
        (-alike, i, j)
        for i, one in enumerate(everyone)
        for j, other in enumerate(everyone[:i])
        if not (one.by_people and other.by_people)
        and one.number != other.number
        and (alike := _alike(one, other) or 0.0) >= ONE_PERSON
    ]
    for _, i, j in sorted(pairs):
        first, second = (next(p for p in people if any(seen is everyone[k] for seen in p)) for k in (j, i))
        both = [*first, *second]
        named = {seen.set.name for seen in both if seen.by_people}
        if first is not second and len(named) < 2 and len({seen.number for seen in both}) == len(both):
            people = [p for p in people if p is not first and p is not second]
            people.append(sorted(both, key=lambda seen: seen.number))
    return sorted(people, key=lambda person: everyone.index(person[0]))


def _name(person: Sequence[_Seen]) -> str:
    """The name that people gave, else that of the first film."""
    return next((seen for seen in person if seen.by_people), person[0]).set.name


def _films(person: Sequence[_Seen], prefixes: Sequence[str]) -> str:
    return ", ".join(prefixes[seen.number] for seen in person)


def _why_apart(person: Sequence[_Seen], people: Sequence[Sequence[_Seen]]) -> str:
    name = _name(person)
    others = [seen for other in people if other is not person and _name(other) == name for seen in other]
    if all(_alike(one, other) is None for one in person for other in others):
        return ": there are no vectors of one embedder to say whether it is one person; name them to join them"
    return ": by their vectors they are not one person"


def _character(name: str, person: Sequence[_Seen], prefixes: Sequence[str], notes: list[str]) -> CharacterSet:
    """One person's pictures of all films, with one trigger: the most frequent of those who bear its name, with the new name in it."""
    own = _name(person)
    triggers: Counter[str] = Counter()
    for seen in person:
        if seen.set.name == own:
            triggers[seen.set.trigger] += len(seen.set.pictures)
    trigger = min(triggers, key=lambda word: (-triggers[word], word))
    trigger = trigger if name == own else trigger.replace(own, name)
    pictures: list[ExportPicture] = []
    for seen in person:
        if seen.set.name != own:
            notes.append(f"{seen.set.name} of {prefixes[seen.number]} is {name} by its vectors and is joined with it")
        elif seen.set.trigger != trigger and name == own:
            notes.append(
                f"{name}: {prefixes[seen.number]} has the trigger {seen.set.trigger}; its captions get {trigger}, the most frequent"
            )
        pictures += (
            replace(picture, caption=with_trigger(picture.caption, seen.set.trigger, trigger))
            for picture in _prefixed(seen.set.pictures, prefixes[seen.number])
        )
    return CharacterSet(name=name, trigger=trigger, pictures=tuple(pictures))


def _prefixed(pictures: Iterable[ExportPicture], prefix: str) -> tuple[ExportPicture, ...]:
    return tuple(replace(picture, stem=f"{prefix}_{picture.stem}") for picture in pictures)
