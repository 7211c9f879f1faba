"""Which files a workspace's index looks at, and why not others."""

from __future__ import annotations

import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from lynkr_desktop.engine.analysis.limits import Limits
from lynkr_desktop.engine.analysis.walk import Reason, Stamp, Walker, git_folder, is_link, judge, read
from tests.support.workspace import git, write

posix = pytest.mark.skipif(sys.platform == "win32", reason="POSIX only")


def sources(root: Path, limits: Limits | None = None) -> set[str]:
    return set(Walker(root, limits or Limits()).walk().sources)


def test_only_source_files_outside_of_other_peoples_folders_are_found(tmp_path: Path) -> None:
    kept = (
        "a.py",
        "web/app.tsx",
        "src/lib.rs",
        "cmd/main.go",
        "src/main/java/A.java",
        "Core/B.cs",
        "x/b.mjs",
    )
    left = (
        *("README.md", "node_modules/x/index.js", ".venv/lib/a.py", "target/debug/x.rs", "dist/a.js"),
        *("build/b.py", "vendor/x/x.go", ".git/hooks/a.py", "__pycache__/a.py", ".mypy_cache/x.py"),
        "env/lib/a.py",
    )
    root = write(tmp_path, dict.fromkeys((*kept, *left), "") | {"env/pyvenv.cfg": ""})
    assert sources(root) == set(kept)


def test_a_package_that_is_called_build_is_source(tmp_path: Path) -> None:
    files = dict.fromkeys(
        ("build/__init__.py", "build/a.py", "src/main/java/x/build/B.java", "dist/a.py"), ""
    )
    assert sources(write(tmp_path, files)) == set(files) - {"dist/a.py"}


def test_output_of_dotnet_is_left_out_beside_its_project_only(tmp_path: Path) -> None:
    files = dict.fromkeys(("App/App.csproj", "App/obj/A.cs", "App/B.cs", "tools/bin/run.py"), "")
    assert sources(write(tmp_path, files)) == {"App/B.cs", "tools/bin/run.py"}


def test_what_git_ignores_is_left_out_as_git_does(tmp_path: Path) -> None:
    paths = [
        f"{folder}{name}.py"
        for folder in ("", "pkg/", "pkg/deep/", "gen/", "pkg/gen/", "keep/")
        for name in ("a", "b_auto", "c.local", "secret", "wanted_auto")
    ]
    root = write(tmp_path, dict.fromkeys(paths, "") | {
        ".gitignore": "# comment\n*_auto.py\n!wanted_auto.py\n/gen/\n*.local.py\n",
        "pkg/.gitignore": "deep/a.py\n!b_auto.py\n",
        "keep/.gitignore": "*\n!a.py\n",
    })  # fmt: skip
    git(root, "init")
    (root / ".git/info/exclude").write_text("secret.py\n")
    listed = git(root, "ls-files", "--others", "--exclude-standard").splitlines()
    tree = Walker(root, Limits()).walk()
    assert set(tree.sources) == {path for path in listed if path.endswith(".py")}
    assert Reason.IGNORED in tree.skipped.values()


def test_a_folder_within_a_repository_obeys_the_rules_above_it(tmp_path: Path) -> None:
    root = write(
        tmp_path,
        {".gitignore": "*_auto.py\n/sub/x.py\n", "sub/a_auto.py": "", "sub/x.py": "", "sub/y.py": ""},
    )
    git(root, "init")
    assert sources(root / "sub") == {"y.py"}


def test_a_folder_that_is_ignored_itself_is_indexed_when_asked_for(tmp_path: Path) -> None:
    root = write(tmp_path, {".gitignore": "scratch/\n", "scratch/a.py": ""})
    git(root, "init")
    assert sources(root / "scratch") == {"a.py"}


def test_a_work_tree_knows_its_own_head_and_the_common_rules(tmp_path: Path) -> None:
    root = write(tmp_path / "main", {"a.py": "", "b.py": ""})
    git(root, "init")
    git(root, "add", ".")
    git(root, "commit", "-m", "one")
    git(root, "worktree", "add", str(tmp_path / "other"))
    (root / ".git/info/exclude").write_text("b.py\n")
    places = git_folder(str(tmp_path / "other"))
    assert places is not None
    assert Path(places[1], "HEAD").read_text() == "ref: refs/heads/other\n"
    assert sources(tmp_path / "other") == {"a.py"}


def test_each_file_that_is_left_out_has_a_reason(tmp_path: Path) -> None:
    root = write(
        tmp_path, {"a.py": "", "big.py": "#" * 2000, "x.min.js": "", "api_pb2.py": "", "View.g.cs": ""}
    )
    skipped = Walker(root, Limits(file_bytes=1000)).walk().skipped
    assert skipped == {
        "big.py": Reason.LARGE,
        "x.min.js": Reason.GENERATED,
        "api_pb2.py": Reason.GENERATED,
        "View.g.cs": Reason.GENERATED,
    }


@posix
@pytest.mark.parametrize(
    ("tag", "link"),
    [(0, False), (0xA000_000C, True), (0xA000_0003, True), (0x9000_601A, False), (0x8000_0013, False)],
    ids=["plain", "symbolic link", "junction", "in the cloud", "deduplicated"],
)
def test_on_windows_a_file_kept_in_the_cloud_is_no_link(tag: int, link: bool) -> None:
    status = SimpleNamespace(st_mode=stat.S_IFREG | 0o666, st_reparse_tag=tag)
    assert is_link(status) is link


def test_links_are_never_followed_and_pipes_never_waited_for(tmp_path: Path) -> None:
    outside = write(tmp_path / "outside", {"secret.py": ""})
    root = write(tmp_path / "root", {"a/b.py": ""})
    (root / "loop").symlink_to(root)
    (root / "a" / "up").symlink_to("..")
    (root / "out").symlink_to(outside)
    (root / "out.py").symlink_to(outside / "secret.py")
    (root / "dangling.py").symlink_to(root / "nothing.py")
    os.mkfifo(root / "pipe.py")
    tree = Walker(root, Limits()).walk()
    assert set(tree.sources) == {"a/b.py"}
    assert tree.skipped == {"out.py": Reason.LINK, "dangling.py": Reason.LINK, "pipe.py": Reason.NOT_A_FILE}
    assert read(str(root / "out.py"), 100) is Reason.UNREADABLE
    assert read(str(root / "pipe.py"), 100) is Reason.NOT_A_FILE


@posix
def test_names_that_are_no_unicode_are_left_out(tmp_path: Path) -> None:
    with open(os.path.join(os.fsencode(tmp_path), b"caf\xe9.py"), "w"):
        pass
    tree = Walker(tmp_path, Limits()).walk()
    assert not tree.sources
    assert list(tree.skipped.values()) == [Reason.UNREADABLE]


def test_limits_cut_the_walk_short_at_the_deepest_files(tmp_path: Path) -> None:
    root = write(tmp_path, {f"{'d/' * depth}f{n}.py": "" for depth in range(6) for n in range(3)})
    tree = Walker(root, Limits(files=7)).walk()
    assert len(tree.sources) == 7
    assert (tree.beyond, tree.skipped) == (11, {})
    assert not tree.complete
    assert all(path.count("/") <= 2 for path in tree.sources)
    shallow = Walker(root, Limits(depth=2)).walk()
    assert {path.count("/") for path in shallow.sources} == {0, 1, 2}
    assert shallow.skipped == {"d/d/d": Reason.DEEP}
    assert not Walker(root, Limits(entries=5)).walk().complete


def test_a_malformed_gitignore_stops_nothing(tmp_path: Path) -> None:
    root = write(tmp_path, {"a.py": "", ".gitignore": "!\n[\n**a**\\\n\x00\n///\n!!x\n"})
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / ".gitignore").write_bytes(b"\xff\xfe\x00*\n")
    (tmp_path / "sub" / "b.py").write_text("")
    assert "a.py" in sources(root)


def test_one_path_is_judged_as_the_whole_walk_judges_it(tmp_path: Path) -> None:
    root = write(
        tmp_path, {".gitignore": "no.py\n", "a.py": "", "no.py": "", "p/q/b.py": "", "node_modules/c.js": ""}
    )
    walker = Walker(root, Limits())
    tree = walker.walk()
    for path in (
        "a.py",
        "no.py",
        "p/q/b.py",
        "p",
        "node_modules",
        "node_modules/c.js",
        "gone.py",
        "a.py/x.py",
    ):
        seen = walker.look(path)
        below = {one for one in tree.sources if one == path or one.startswith(path + "/")}
        assert set(seen.sources) == below


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"def f(): pass\n", None),
        (b"", None),
        (b"a\0b", Reason.BINARY),
        (b"// Code generated by protoc-gen-go. DO NOT EDIT.\npackage x\n", Reason.GENERATED),
        (b"/**\n * @generated by a tool\n */\nlet x\n", Reason.GENERATED),
        (b"// <auto-generated>\n//   This code ...\n", Reason.GENERATED),
        (b"MARK = 'DO NOT EDIT'\n", None),
        (b"#\n" * 2000 + b"# DO NOT EDIT\n", None),
        (b"!function(){" + b"a();" * 5000 + b"}()\n", Reason.GENERATED),
        (b"x = 1\r" * 5000, None),
    ],
)
def test_content_is_judged(content: bytes, reason: Reason | None) -> None:
    assert judge(content) is reason


def test_a_file_is_read_with_its_stamp(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_bytes(b"x = 1\n")
    status = (tmp_path / "a.py").stat()
    assert read(str(tmp_path / "a.py"), 6) == (b"x = 1\n", Stamp(status.st_mtime_ns, 6))
    assert read(str(tmp_path / "a.py"), 5) is Reason.LARGE
    assert read(str(tmp_path), 5) in (Reason.NOT_A_FILE, Reason.UNREADABLE)
    assert read(str(tmp_path / "b.py"), 5) is Reason.UNREADABLE
    assert read("a\0b", 5) is Reason.UNREADABLE
