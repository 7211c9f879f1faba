"""Sessions on real projects: an agent finds a bug, repairs it, and goes on to other work."""

from __future__ import annotations

import re

from benchmarks.fidelity.conversations import Shape
from benchmarks.fidelity.record.projects import Project
from benchmarks.fidelity.record.recorder import Recorder, python_files
from benchmarks.fidelity.record.workspace import Workspace


def repair(recorder: Recorder, project: Project) -> None:
    """From the report to the repaired bug: about a dozen turns."""
    file, tests = project.file, project.tests
    recorder.ask(project.report)
    recorder.do(
        "I'll look at the project first.",
        recorder.sh("ls -la", "listing"),
        recorder.sh("git log --stat -2 | head -60", "git"),
    )
    recorder.do("", recorder.grep(project.symbol, project.code))
    recorder.do("Now the module itself.", recorder.read(file))
    recorder.do("Let me see the tests fail.", recorder.sh(f"python -m pytest {tests} 2>&1", "tests"))
    failed = recorder.messages[-1].content[-1].text  # type: ignore[union-attr]
    names = re.findall(r"^FAILED (\S+)", failed, re.MULTILINE)
    if not names:
        raise ValueError(f"{project.name}: the bug breaks no test")
    if (short := re.search(r"(\d+) failed", failed)) is not None:
        recorder.hand("Which test failed first, and how many failed?", names[0], short[0])
    number = recorder.workspace.run(f"grep -nF '{project.bad}' {file}")[0].split(":")[0]
    at = int(number)
    recorder.do(
        "This looks wrong; the lines around it once more.", recorder.read(file, max(1, at - 40), at + 40)
    )
    recorder.do("The change that brought it:", recorder.sh("git show HEAD", "diff"))
    recorder.do("I'll put the condition right.", recorder.edit(file, project.bad, project.good))
    recorder.do("", recorder.read(file))
    line = () if recorder.shape == "codex" else (number,)
    recorder.hand("Where does the repaired statement stand now?", project.good, *line, asked=False)
    recorder.do("Now the tests, with names.", recorder.sh(f"python -m pytest -v {tests} 2>&1", "tests"))
    passed = re.search(r"(\d+ passed)", recorder.messages[-1].content[-1].text)  # type: ignore[union-attr]
    if passed is not None:
        recorder.hand("How many tests passed after the repair?", passed[0])
    recorder.do("", recorder.sh("git diff", "diff"), recorder.sh("git status", "git"))
    recorder.say(f"Fixed in {file}, line {number}: the tests pass again.")


def survey(recorder: Recorder, project: Project, files: int) -> None:
    """Reads itself into a project: each file once, some twice, with searches between."""
    recorder.ask(
        "Before I merge this: how are errors handled across the package? Go through the modules and list every place "
        "where one is raised without a message, or swallowed."
    )
    recorder.do("", recorder.sh(f"find {project.code} -name '*.py' | xargs wc -l | sort -n", "listing"))
    recorder.do("", recorder.grep("raise ", project.code), recorder.grep("except", project.code))
    chosen = [file for file in python_files(recorder.workspace.root, project.code) if file != project.file]
    for place, file in enumerate(chosen[:files]):
        lines = (recorder.workspace.root / file).read_text("utf-8").count("\n")
        if lines > 700:
            recorder.do("", recorder.read(file, 1, 350))
            recorder.do("It goes on.", recorder.read(file, 351, 700))
        else:
            recorder.do("", recorder.read(file))
        if place % 4 == 1:
            name = file.rsplit("/", 1)[-1].removesuffix(".py")
            recorder.do("Who uses it?", recorder.grep(name, "."))
        if place % 5 == 3:
            recorder.do("I need that once more beside the one before.", recorder.read(chosen[place - 1]))
    recorder.say("Errors carry a message almost everywhere; the list is above.")


def polish(recorder: Recorder, project: Project) -> None:
    """Lints, types, notes, the whole suite and a commit."""
    recorder.ask(
        "Good. Now run the linters and the type checker, add a line to the list of changes, run everything once more and "
        "commit."
    )
    recorder.do(
        "", recorder.sh(f"ruff check --select ALL {project.code} --output-format concise | head -300", "lint")
    )
    recorder.do("", recorder.sh(f"ruff check --select E,F,B,SIM {project.code} | head -250", "lint"))
    recorder.do("", recorder.sh(f"mypy --strict {project.code} 2>&1 | tail -120", "types", 300))
    recorder.do("The list of changes:", recorder.read(project.notes, 1, 260))
    text = (recorder.workspace.root / project.notes).read_text("utf-8")
    first = next(line for line in text.splitlines() if len(line) > 12)
    recorder.do(
        "",
        recorder.edit(
            project.notes, first, f"{first}\n\n-   Repair `{project.symbol}` after a simplification."
        ),
    )
    recorder.do("", recorder.read(project.notes, 1, 260))
    file = project.file
    recorder.do(
        "I also leave a note where it went wrong.",
        recorder.edit(file, project.good, f"{project.good}  # keep: see the list of changes"),
    )
    recorder.do("", recorder.read(file))
    recorder.do("", recorder.sh(f"python -m pytest -v --durations=10 {project.tests} 2>&1", "tests"))
    recorder.do("", recorder.sh("git diff", "diff"))
    recorder.do("", recorder.sh("git commit -a -m 'Repair a simplification' && git log -p -1", "diff"))
    recorder.do("", recorder.sh(f"lizard -C 12 {project.code} | head -260", "report"))
    recorder.say("Committed. The linters have only old findings.")


def session(recorder: Recorder, project: Project, turns: int) -> None:
    """A session of about so many turns of the model."""
    repair(recorder, project)
    if turns > 20:
        survey(recorder, project, 6 if turns < 50 else 22)
    if turns > 14:
        polish(recorder, project)
    if turns > 50:
        recorder.ask("One more thing: which functions are the most complex, and are they tested?")
        recorder.do("", recorder.sh(f"radon cc -s -n C {project.code}", "report"))
        recorder.do("", recorder.sh(f"lizard --csv {project.code} | sort -t, -k2 -nr | head -150", "csv"))
        tests = [one for one in python_files(recorder.workspace.root, ".") if "test" in one][:9]
        for file in tests:
            recorder.do("", recorder.read(file, 1, 220))
        while sum(message.role == "assistant" for message in recorder.messages) < turns:
            number = sum(message.role == "assistant" for message in recorder.messages)
            files = python_files(recorder.workspace.root, project.code)
            file = files[number % len(files)]
            recorder.do("", recorder.read(file, 1, 160))
        recorder.ask("Thanks. Summarize what you changed today, with line numbers.")


def begin(
    name: str, kind: str, project: Project, shape: Shape, workspace: Workspace, tools: tuple[str, ...]
) -> Recorder:
    """A recorder for a project."""
    return Recorder(name, project.split, kind, shape, workspace, tools)
