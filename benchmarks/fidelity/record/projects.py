"""The open source projects that the agents work on, each with a bug that is put in for them to find."""

from __future__ import annotations

import shutil
from pathlib import Path

from msgspec import Struct

from benchmarks.fidelity.conversations import Split
from benchmarks.fidelity.record.workspace import Workspace


class Project(Struct, frozen=True, kw_only=True):
    """A released source package.

    Attributes:
        archive: name and version, as the folder of its source archive is called.
        code: folder of its modules.
        tests: arguments for pytest.
        file: where the bug is; `good` becomes `bad`.
        symbol: what to search for.
        report: how a person tells of the bug.
        notes: its list of changes.
    """

    archive: str
    split: Split
    code: str
    tests: str
    file: str
    good: str
    bad: str
    symbol: str
    report: str
    notes: str = "README.md"

    @property
    def name(self) -> str:
        """The package's name."""
        return self.archive.rsplit("-", 1)[0]


PROJECTS = (
    Project(
        archive="click-8.5.1",
        split="tune",
        code="src/click",
        tests="tests/test_options.py tests/test_arguments.py",
        file="src/click/types.py",
        good='return (rv or "").split(self.envvar_list_splitter)',
        bad='return (rv or "").split(",")',
        symbol="envvar_list_splitter",
        report="Options with multiple=True that get their value from an environment variable stopped splitting on "
        "blanks since the last merge. Find out why, fix it, and show me that the tests pass.",
        notes="CHANGES.md",
    ),
    Project(
        archive="packaging-26.3",
        split="tune",
        code="src/packaging",
        tests="tests/test_utils.py",
        file="src/packaging/utils.py",
        good='value = name.lower().replace("_", "-").replace(".", "-")',
        bad='value = name.lower().replace("_", "-")',
        symbol="canonicalize_name",
        report="`zope.interface` and `zope-interface` are two different names since the last merge; pip installs "
        "both. It used to work. Please fix.",
        notes="CHANGELOG.rst",
    ),
    Project(
        archive="pluggy-1.7.0",
        split="tune",
        code="src/pluggy",
        tests="testing",
        file="src/pluggy/_manager.py",
        good="plugin_name = name or self.get_canonical_name(plugin)",
        bad="plugin_name = self.get_canonical_name(plugin)",
        symbol="get_canonical_name",
        report="register(plugin, name='x') ignores the name. Something in the manager is wrong; have a look, repair "
        "it, run everything.",
        notes="CHANGELOG.rst",
    ),
    Project(
        archive="h11-0.16.0",
        split="tune",
        code="h11",
        tests="h11/tests",
        file="h11/_headers.py",
        good="elif seen_content_length != value:",
        bad="elif seen_content_length == value:",
        symbol="Content-Length",
        report="Requests that repeat the same Content-Length are now rejected with LocalProtocolError, and conflicting "
        "ones get through. That is a security problem, fix it today.",
        notes="README.rst",
    ),
    Project(
        archive="itsdangerous-2.2.0",
        split="tune",
        code="src/itsdangerous",
        tests="tests",
        file="src/itsdangerous/timed.py",
        good="if age > max_age:",
        bad="if age < max_age:",
        symbol="max_age",
        report="Fresh tokens are reported as expired, old ones pass. What happened in the timed signer?",
        notes="CHANGES.rst",
    ),
    Project(
        archive="werkzeug-3.1.9",
        split="test",
        code="src/werkzeug",
        tests="tests/test_http.py tests/test_datastructures.py",
        file="src/werkzeug/http.py",
        good="end = _plain_int(end_str) + 1",
        bad="end = _plain_int(end_str)",
        symbol="parse_range_header",
        report="Range responses are one byte too short since Friday. I think it is the parsing of the header, "
        "but check. Fix it and run the tests of that area.",
        notes="CHANGES.rst",
    ),
    Project(
        archive="jinja2-3.1.6",
        split="test",
        code="src/jinja2",
        tests="tests/test_filters.py tests/test_ext.py tests/test_lexnparse.py",
        file="src/jinja2/filters.py",
        good="for line in s.splitlines()",
        bad="for line in [s]",
        symbol="wordwrap",
        report="The wordwrap filter mixes up paragraphs: lines that were short before are joined. Track it down please.",
        notes="README.md",
    ),
    Project(
        archive="more_itertools-11.2.1",
        split="test",
        code="more_itertools",
        tests="tests/test_more.py -k 'windowed or chunked or Peekable or Bucket or Stagger or Zip'",
        file="more_itertools/more.py",
        good="yield tuple(window) + ((fillvalue,) * (n - len(window)))",
        bad="yield tuple(window)",
        symbol="windowed",
        report="windowed() no longer pads short input with the fill value. Find it, fix it, and tell me whether other "
        "functions rely on it.",
        notes="README.rst",
    ),
    Project(
        archive="idna-3.20",
        split="test",
        code="idna",
        tests="tests/test_idna.py tests/test_idna_codec.py tests/test_idna_cli.py",
        file="idna/core.py",
        good="if not bidi_label and not check_ltr:",
        bad="if not check_ltr:",
        symbol="check_bidi",
        report="Labels that break the bidi rule are accepted. There should be an IDNABidiError. Find the cause.",
        notes="README.md",
    ),
)


def workspace_of(project: Project, sources: Path, scratch: Path, tools: Path, copy: str) -> Workspace:
    """A fresh copy of a project with a history of two commits, the second of which brought the bug."""
    root = scratch / copy / project.name
    shutil.copytree(sources / project.archive, root)
    workspace = Workspace(root, f"/home/dev/{project.name}", tools)
    workspace.run("git init -q -b main && git add -A && git commit -q -m 'Import the release'")
    file = root / project.file
    text = file.read_text("utf-8")
    if project.good not in text:
        raise ValueError(f"{project.file} does not hold {project.good!r}")
    file.write_text(text.replace(project.good, project.bad, 1), "utf-8")
    workspace.run("git commit -q -a -m 'Simplify'")
    return workspace
