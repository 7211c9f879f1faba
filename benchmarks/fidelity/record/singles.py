"""Short conversations, each about one kind of output."""

from __future__ import annotations

import json
import random
from collections.abc import Callable

from benchmarks.fidelity.record import fixtures
from benchmarks.fidelity.record.projects import Project
from benchmarks.fidelity.record.recorder import Recorder, python_files

Single = Callable[[Recorder, Project, random.Random], None]


def searches(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Wide searches."""
    recorder.ask(
        "Where do we build error messages by hand? I want one helper for that; find every place first."
    )
    for pattern in ("raise ", "return ", "def ", 'f"'):
        recorder.do("", recorder.grep(pattern, project.code))


def listings(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Folders."""
    recorder.ask(
        "Give me an overview of this repository: what is where, what is large, what looks misplaced?"
    )
    recorder.do("", recorder.sh("ls -laR . --ignore=.git | head -400", "listing"))
    recorder.do("", recorder.sh("find . -type f -not -path './.git/*' | sort", "listing"))
    recorder.do(
        "",
        recorder.sh(
            "find . -type f -not -path './.git/*' -printf '%s %TY-%Tm-%Td %p\\n' | sort -nr | head -200",
            "listing",
        ),
    )
    recorder.do("", recorder.sh("git ls-files -s | head -200", "listing"))


def rereads(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Files that change between readings."""
    recorder.ask(
        "Rename the private helpers of the smaller modules so that their names say what they do. One file at a time."
    )
    files = [file for file in python_files(recorder.workspace.root, project.code) if file != project.file]
    for file in files[2:6] if len(files) > 5 else files[:3]:
        recorder.do("", recorder.read(file))
        text = (recorder.workspace.root / file).read_text("utf-8").splitlines()
        lines = [line for line in text if line.strip().startswith(("return ", "def ", "import "))]
        for line in chance.sample(lines, min(2, len(lines))):
            mark = f"{line}  # renamed in step {chance.randrange(1000, 9999)}"
            recorder.do("", recorder.edit(file, line, mark))
            recorder.do("Check.", recorder.read(file))
            recorder.hand(f"Which step marked this line of {file}?", mark.strip(), asked=False)
    recorder.ask("Stop here. What did you change so far?")


def parallel_reads(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Many files in one turn."""
    recorder.ask("Read all you need about how input is checked, then tell me where to add a limit.")
    files = python_files(recorder.workspace.root, project.code)[1:8]
    recorder.do("", *(recorder.read(file, 1, 260) for file in files))
    recorder.do(
        "", *(recorder.grep(file.rsplit("/", 1)[-1].removesuffix(".py"), project.code) for file in files[:4])
    )
    recorder.do("", *(recorder.read(file, 1, 120) for file in files))


def failing_tests(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """pytest in several manners."""
    recorder.ask("CI is red. Which tests fail, and do they fail for one reason?")
    recorder.do("", recorder.sh(f"python -m pytest --tb=long --color=yes {project.tests} 2>&1", "tests"))
    recorder.do("", recorder.sh(f"python -m pytest -v --tb=short {project.tests} 2>&1", "tests"))
    recorder.do(
        "", recorder.sh(f"python -m pytest -rA -q --tb=line {project.tests} 2>&1 | tail -300", "tests")
    )


def standard_tests(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """unittest on Python's own tests."""
    chosen = {
        "tune": ("test_json", "test_bisect", "test_shlex"),
        "test": ("test_csv", "test_textwrap", "test_heapq"),
    }
    recorder.ask(
        "Run the interpreter's own tests for these modules, verbosely, I want to compare them with our port."
    )
    for name in chosen[recorder.split]:
        recorder.do("", recorder.sh(f"python -m unittest -v test.{name} 2>&1", "tests"))


def rust_project(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """cargo."""
    wrong = fixtures.rust(recorder.workspace.root, chance)
    recorder.ask("cargo test fails on main. Find out which function is off and by how much.")
    recorder.do("", recorder.sh("cargo build --color always 2>&1", "build"))
    recorder.do("", recorder.sh("cargo test 2>&1", "tests"))
    said = recorder.workspace.run("cargo test 2>&1")[0]
    left = next(line.strip() for line in said.splitlines() if line.strip().startswith("left:"))
    recorder.hand("Which test failed, and what was on the left?", f"{wrong}_works", left)
    recorder.do("", recorder.sh("RUST_BACKTRACE=1 cargo test -- --nocapture --test-threads 1 2>&1", "tests"))
    recorder.do("", recorder.read("src/lib.rs"))
    recorder.do("", recorder.sh("cargo metadata --format-version 1 --no-deps", "json"))


def node_project(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """node --test, npm."""
    wrong = fixtures.node(recorder.workspace.root, chance)
    recorder.ask("npm test is red; what is expected, and what comes out?")
    recorder.do("", recorder.sh("npm test 2>&1", "tests"))
    recorder.hand("Which test is not ok?", f"{wrong} of four")
    recorder.do("", recorder.sh("node --test --test-reporter=tap 2>&1", "tests"))
    recorder.do("", recorder.read("shop.js"))
    recorder.do("", recorder.sh("npm test --silent 2>&1 | tail -60", "tests"))


def packages(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Package managers and lock files."""
    recorder.workspace.root.mkdir(parents=True)
    wanted = {"tune": "express@4 chalk@5 mocha@10", "test": "koa@2 eslint@8 yargs@17"}[recorder.split]
    recorder.ask(
        "Set up the JavaScript side: install what we need, then tell me which packages are deprecated."
    )
    recorder.do(
        "", recorder.sh(f"npm init -y && npm install --no-audit --no-fund {wanted} 2>&1", "install", 200)
    )
    recorder.do("", recorder.sh("cat package-lock.json | head -500", "lock"))
    recorder.do("", recorder.sh("npm ls --all 2>&1 | head -300", "listing"))
    recorder.do("", recorder.sh("npm ls --json --all 2>&1 | head -400", "json"))


def terminals(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """What programs say to a terminal: colours, progress, carriage returns."""
    recorder.workspace.root.mkdir(parents=True)
    wanted = {"tune": "rich jinja2 pyyaml", "test": "requests tomlkit networkx"}[recorder.split]
    recorder.ask("Make me an environment with these packages and show that they import.")
    recorder.do(
        "",
        recorder.sh(
            f"script -qec 'python -m venv env && env/bin/pip install --no-cache-dir {wanted}' /dev/null",
            "install",
            200,
        ),
    )
    recorder.do(
        "",
        recorder.sh(
            f"script -qec 'env/bin/pip install -v --force-reinstall --no-deps {wanted.split()[0]}' /dev/null",
            "install",
            200,
        ),
    )
    recorder.do("", recorder.sh("env/bin/pip inspect | head -500", "json"))
    recorder.do("", recorder.sh("env/bin/pip list --format json", "json"))


def c_build(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """make and gcc."""
    broken = fixtures.c_program(recorder.workspace.root, chance)
    recorder.ask("The build broke. What is an error, what is only a warning?")
    recorder.do("", recorder.sh("make -k 2>&1", "build"))
    recorder.hand("Which name is not declared?", f"total_of_{broken}")
    recorder.do("", recorder.read(f"{broken}.c"))
    recorder.do("", recorder.edit(f"{broken}.c", f"total_of_{broken}", "total"))
    recorder.do("", recorder.sh("make -k 2>&1", "build"))
    recorder.do("", recorder.read(f"{broken}.c"))


def java_build(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """javac and a chained stack trace."""
    reference = fixtures.java(recorder.workspace.root, chance)
    recorder.ask("The nightly job dies. Build it, run it, and tell me the reference that accounting needs.")
    recorder.do("", recorder.sh("javac -Xlint:all *.java 2>&1", "build"))
    recorder.do("", recorder.sh("java -cp . Main 2>&1", "trace"))
    recorder.hand("Which reference stands in the innermost cause?", reference)
    recorder.do("", recorder.sh("cat Main.java; for i in 1 2 3; do java -cp . Main 2>&1; done", "trace"))


def tracebacks(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Python's tracebacks."""
    key = fixtures.broken_python(recorder.workspace.root, chance)
    recorder.ask("The jobs fail at night. Run them and tell me why; is it one cause or several?")
    recorder.do("", recorder.sh("python jobs.py 2>&1", "trace"))
    recorder.hand("Which key is missing?", key)
    recorder.do("", recorder.read("jobs.py"))
    recorder.do("", recorder.sh("python -X dev jobs.py 2>&1", "trace"))


def logs(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Logs of servers with one odd line."""
    path, host = fixtures.access_log(recorder.workspace.root, chance)
    transaction, table = fixtures.service_log(recorder.workspace.root, chance)
    recorder.ask("Somebody reported a slow export this morning around nine. Look through the logs.")
    recorder.do("", recorder.sh("cat access.log", "log"))
    recorder.hand("Who asked for the export that failed, and which job was it?", path, host)
    recorder.do("", recorder.sh("cat service.jsonl", "log"))
    recorder.hand("Which transaction was rolled back, on which table?", transaction, table)
    recorder.do("", recorder.sh("tail -150 access.log", "log"))


def table(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """CSV."""
    odd = fixtures.orders_csv(recorder.workspace.root / "export", chance)
    recorder.ask(
        "Check the export of orders for anything that would stop the import, then the complexity report."
    )
    recorder.do("", recorder.sh("cat export/orders.csv", "csv"))
    recorder.hand("Which order is held back, and why?", str(odd["id"]), str(odd["notes"]))
    recorder.do("", recorder.sh(f"lizard --csv {project.code} | head -250", "csv"))
    recorder.do("", recorder.sh(f"lizard --csv {project.code} | sort -t, -k1 -nr | head -80", "csv"))


def lint_json(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """JSON of tools."""
    recorder.ask("Get the linter's findings as data, and sum up what matters.")
    recorder.do(
        "",
        recorder.sh(
            f"ruff check --select E,F,B,SIM,UP {project.code} --output-format json | head -700", "json"
        ),
    )
    recorder.do("", recorder.sh(f"radon cc -j {project.code}", "json"))
    recorder.do("", recorder.sh("pip list --format json", "json"))


def issues(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """What MCP servers of GitHub and a database answer."""
    recorder.ask("Which open issues are about what the query of held orders shows? Link them.")
    listed = fixtures.issues(chance, 40)
    place = json.loads(listed)[23]
    recorder.do(
        "",
        recorder.mcp(
            "mcp__github__list_issues", {"owner": "example", "repo": "shop", "state": "open"}, listed
        ),
    )
    recorder.hand(
        "Which error does this issue tell of?",
        str(place["number"]),
        str(place["body"].split(".")[0].split()[-1]),
    )
    rows = fixtures.rows(chance, 120)
    odd = next(row for row in json.loads(rows)["rows"] if row["status"] != "paid")
    recorder.do("", recorder.mcp("mcp__postgres__query", {"sql": "select * from orders order by id"}, rows))
    recorder.hand(
        "Which order is held, and which ticket is named?", str(odd["id"]), str(odd["notes"]).split()[-1]
    )
    recorder.do(
        "",
        recorder.mcp(
            "mcp__github__list_issues",
            {"owner": "example", "repo": "shop", "state": "open", "page": 2},
            fixtures.issues(chance, 30),
        ),
    )
    recorder.tool_needle("With what is an issue searched by JQL?", "mcp__jira__search_issues", "jql")
    recorder.tool_needle(
        "How is an error of Sentry marked as resolved in a release?",
        "mcp__sentry__resolve_error",
        "in_release",
    )


def pages(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """A browser."""
    recorder.ask("On the staging page one refund button is dead. Which one?")
    tree, ref = fixtures.page(chance, 70)
    recorder.do(
        "",
        recorder.mcp("mcp__browser__navigate", {"url": "https://staging.example.com/orders"}, tree, "page"),
    )
    recorder.hand("Which button is disabled?", ref)
    recorder.do("", recorder.mcp("mcp__browser__snapshot", {}, tree.replace("Home", "Start"), "page"))
    requests = "\n".join(
        f"[GET] https://staging.example.com/api/orders/{480_000 + n * 7} => [{500 if n == 41 else 200}] {'' if n != 41 else 'Internal Server Error'}"
        for n in range(70)
    )
    recorder.do("", recorder.mcp("mcp__browser__network_requests", {}, requests, "log"))
    recorder.hand("Which request failed?", f"{480_000 + 41 * 7}", "Internal Server Error")
    recorder.tool_needle(
        "How can a list be waited for until a text is gone?", "mcp__browser__wait_for", "text_gone"
    )


def tickets(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """A small ask among 60 tools: hardly anything to shorten but the tools."""
    recorder.ask("What does the ledger module do? Two sentences.")
    recorder.do("", recorder.read(project.file, 1, 60))
    recorder.say("It holds the rules by which the package decides what is valid.")
    recorder.ask("And who calls it?")
    recorder.do("", recorder.grep(project.symbol, project.code))
    recorder.tool_needle(
        "Which transitions can be asked for with a ticket?", "mcp__jira__get_ticket", "transitions"
    )
    recorder.tool_needle(
        "How is a message answered in its thread?", "mcp__slack__reply_to_thread", "thread_ts"
    )
    recorder.tool_needle("Which tool shows waits for locks?", "mcp__postgres__list_locks", "min_wait_ms")


def little(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Short answers alone: nothing can be saved, so nothing may cost more."""
    recorder.ask("Bump the year in the licence and commit.")
    recorder.do("", recorder.sh("ls", "listing"))
    recorder.do("", recorder.sh("git status --short", "git"))
    recorder.do(
        "", recorder.sh("grep -rn Copyright . --include='*.txt' --include='LICENSE*' | head -5", "grep")
    )
    recorder.say("There is one place. Shall I set it to 2026?")
    recorder.ask("Yes.")
    recorder.do("", recorder.sh("git log --oneline | head -3", "git"))
    recorder.do("", recorder.sh("wc -l *.toml", "command"))
    recorder.say("Done.")
    recorder.ask("Thanks. Which branch are we on?")
    recorder.do("", recorder.sh("git branch --show-current", "git"))


def history(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Diffs."""
    recorder.ask("I renamed things across the package. Review the commit: is anything but names changed?")
    root = recorder.workspace.root
    recorder.workspace.run(
        f"grep -rl self {project.code} --include='*.py' | head -6 | xargs sed -i 's/\\bresult\\b/outcome/g; s/\\bvalue\\b/amount/g'"
    )
    recorder.do("", recorder.sh("git diff --stat", "diff"))
    recorder.do("", recorder.sh("git diff", "diff"))
    mark = f"LIMIT = {chance.randrange(10**4, 10**5)}"
    file = root / project.file
    file.write_text(file.read_text("utf-8") + f"\n\n{mark}\n", "utf-8")
    recorder.workspace.run("git commit -q -a -m 'Rename'")
    recorder.do("", recorder.sh("git show HEAD", "diff"))
    recorder.do("", recorder.sh("git diff HEAD~2 --word-diff | head -400", "diff"))
    recorder.do("", recorder.sh(f"git blame {project.file} | head -200", "git"))
    recorder.ask("And is it safe to merge?")


def manifests(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """YAML and TOML."""
    limit = fixtures.manifests(recorder.workspace.root / "deploy", chance)
    recorder.ask("One deployment gets killed for memory. Look at the manifests and the project file.")
    recorder.do("", recorder.read("deploy/deploy.yaml"))
    recorder.hand("Which memory limit differs from the others?", limit)
    recorder.do("", recorder.read("pyproject.toml"))
    recorder.do(
        "", recorder.sh("grep -n 'memory' deploy/deploy.yaml; cat deploy/deploy.yaml | head -200", "file")
    )


def documents(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Prose."""
    recorder.ask("Read the documentation and tell me what a newcomer would miss.")
    names = recorder.workspace.run(
        "find . -name '*.rst' -o -name '*.md' | grep -v '^./.git/' | xargs ls -S | head -5"
    )[0].split()
    for name in names:
        recorder.do("", recorder.read(name.removeprefix("./"), 1, 320))


def types(recorder: Recorder, project: Project, chance: random.Random) -> None:
    """Type checkers and linters."""
    recorder.ask("How far are we from strict types and from pydocstyle?")
    recorder.do(
        "", recorder.sh(f"mypy --strict --disallow-any-expr {project.code} 2>&1 | tail -250", "types", 300)
    )
    recorder.do(
        "",
        recorder.sh(f"ruff check --select D,ANN {project.code} --output-format concise | head -400", "lint"),
    )
    recorder.do("", recorder.sh(f"ruff check --select D,ANN {project.code} --statistics", "lint"))
    recorder.do(
        "",
        recorder.sh(f"ruff check --select ANN,PLR {project.code} --output-format full | head -400", "lint"),
    )


SINGLES: dict[str, tuple[Single, tuple[str, ...]]] = {
    "searches": (searches, ("github",)),
    "listings": (listings, ()),
    "rereads": (rereads, ("github",)),
    "parallel": (parallel_reads, ("jira",)),
    "pytest": (failing_tests, ()),
    "unittest": (standard_tests, ("sentry",)),
    "rust": (rust_project, ("github",)),
    "node": (node_project, ("browser",)),
    "packages": (packages, ()),
    "terminals": (terminals, ("slack",)),
    "c": (c_build, ()),
    "java": (java_build, ("jira",)),
    "tracebacks": (tracebacks, ("sentry",)),
    "logs": (logs, ("postgres", "sentry")),
    "csv": (table, ("postgres",)),
    "lint_json": (lint_json, ()),
    "issues": (issues, ("github", "jira", "postgres", "browser", "slack", "sentry")),
    "pages": (pages, ("browser", "github", "sentry")),
    "tickets": (tickets, ("github", "jira", "postgres", "browser", "slack", "sentry")),
    "little": (little, ()),
    "history": (history, ("github",)),
    "manifests": (manifests, ("postgres",)),
    "documents": (documents, ("browser",)),
    "types": (types, ()),
}
"""What each kind does, and the MCP servers that are connected."""

OWN_FOLDER = frozenset({"rust", "node", "packages", "terminals", "c", "java", "tracebacks"})
"""Kinds that make a project of their own; all others work on an open source project."""
