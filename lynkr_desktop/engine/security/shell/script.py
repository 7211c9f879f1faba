"""A command line as it was read: the simple commands in it, whatever shell it was written for."""

from __future__ import annotations

from msgspec import Struct


class Word(Struct, frozen=True):
    """One word after quotes are taken off.

    Attributes:
        text: its value; where that is not known, as it was written.
        exact: whether the value is known: no variable, glob, or substitution in it.
    """

    text: str
    exact: bool = True


class Redirect(Struct, frozen=True):
    """A redirection: `>`, `>>`, `<`, `<<<` …, of a descriptor, to a target."""

    operator: str
    target: Word


class Command(Struct, frozen=True):
    """A simple command, wherever in the line it stands: in a pipe, a loop, a substitution, `bash -c '…'`.

    Attributes:
        words: the program and its arguments; empty where there are only assignments or redirections.
        redirects: in their order.
        assignments: those before the program, name and value.
        source: the place, in `Script.commands`, of the command whose output it reads; None for none.
        folder: where it runs as far as `cd`s before it tell, empty where the line begins; None where a `cd`
            goes somewhere that is not known.
        inner: it stands within another command: a substitution, or a script that is an argument.
    """

    words: tuple[Word, ...]
    redirects: tuple[Redirect, ...] = ()
    assignments: tuple[tuple[str, Word], ...] = ()
    source: int | None = None
    folder: str | None = ""
    inner: bool = False

    @property
    def program(self) -> str:
        """The name of the program without its folder; empty where it is not known."""
        if not self.words or not self.words[0].exact:
            return ""
        return self.words[0].text.replace("\\", "/").rsplit("/", 1)[-1]


class Script(Struct, frozen=True):
    """Everything that a command line runs.

    Attributes:
        commands: the simple commands, in the order in which they stand.
        whole: whether all of it was understood.
        functions: names that it defines itself.
    """

    commands: tuple[Command, ...]
    whole: bool = True
    functions: frozenset[str] = frozenset()


class Unparsable(Exception):
    """The text is no command line of its shell. The message says where it breaks off."""
