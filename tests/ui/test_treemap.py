"""The treemap: honest areas, bounded work, read by mouse, keyboard and screen reader."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PySide6.QtCore import QPoint, Qt
from PySide6.QtGui import QAccessible
from PySide6.QtTest import QTest
from PySide6.QtWidgets import QApplication
from pytestqt.qtbot import QtBot

from lynkr_desktop.protocol.code import FileMetrics
from lynkr_desktop.ui.routing.code_tree import CodeTree, code_tree, scale
from lynkr_desktop.ui.theme.theme import theme
from lynkr_desktop.ui.theme.tokens import DARK
from lynkr_desktop.ui.widgets.treemap import Treemap
from lynkr_desktop.ui.widgets.treemap_layout import Box, Node, Tile, lay_out, squarify
from tools import demo


def file(path: str, lines: int = 10, worst: int = 1, blast: int = 0) -> FileMetrics:
    return FileMetrics(path=path, language="python", lines=lines, cyclomatic_max=worst, blast=blast)


def leaves(tree: Node) -> Iterator[Node]:
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        waiting += node.children
        if not node.children:
            yield node


def overlap(one: Box, other: Box) -> float:
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    return width * height if width > 1e-6 and height > 1e-6 else 0.0


@given(
    st.lists(st.integers(1, 10_000), min_size=1, max_size=60),
    st.integers(1, 2_000),
    st.integers(1, 2_000),
)
def test_boxes_fill_the_place_in_proportion(sizes: list[int], width: int, height: int) -> None:
    sizes.sort(reverse=True)
    boxes = list(squarify(sizes, Box(0, 0, width, height)))
    scale = width * height / sum(sizes)
    assert len(boxes) == len(sizes)
    for size, box in zip(sizes, boxes, strict=True):
        assert box.area == pytest.approx(size * scale, rel=1e-6)
        assert box.x >= -1e-6
        assert box.y >= -1e-6
        assert box.x + box.width <= width + 1e-6
        assert box.y + box.height <= height + 1e-6


def test_no_two_tiles_cover_each_other_and_none_is_lost() -> None:
    tree = code_tree(demo.code().files).root
    for size in ((320, 208), (700, 400), (1600, 900)):
        layout = lay_out(tree, *size)
        boxes = [tile.box for tile in layout.tiles]
        for at, box in enumerate(boxes):
            assert all(overlap(box, other) == 0 for other in boxes[at + 1 :])
        assert sum(tile.node.leaves for tile in layout.tiles) == tree.leaves
        assert sum(tile.node.size for tile in layout.tiles) == tree.size


def test_boxes_are_nearly_square() -> None:
    boxes = list(squarify([6, 6, 4, 3, 2, 2, 1], Box(0, 0, 600, 400)))
    # The figures of the paper's own example.
    assert max(max(box.width / box.height, box.height / box.width) for box in boxes) < 3


def test_folders_that_hold_only_a_folder_are_one() -> None:
    tree = code_tree([file("src/main/java/app/A.java"), file("src/main/java/app/B.java"), file("build.py")])
    names = {child.name for child in tree.root.children}
    assert names == {"src/main/java/app", "build.py"}
    assert code_tree([file("src/a.py"), file("src/b.py")]).root.key == "src"


def test_a_scale_has_steps_of_the_same_factor() -> None:
    steps = scale(1024, 5, 10)
    assert steps.starts == (1, 4, 16, 64, 256)
    assert [steps.step(value) for value in (0, 1, 3, 4, 255, 256, 1024)] == [-1, 0, 0, 1, 3, 4, 4]
    assert [steps.words(step) for step in range(5)] == ["1–3", "4–15", "16–63", "64–255", "256+"]
    assert scale(0, 5, 1).starts == (1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    "paths",
    [
        [],
        [""],
        ["/", "//", "a//b"],
        ["a/" * 2000 + "x.py"],
        ["a/" * depth + "x.py" for depth in range(600)],
        [f"{number}.py" for number in range(2000)],
        ["\u202e<b>x</b>\n.py", "\ud800.py"],
    ],
    ids=["none", "empty", "slashes", "deep", "deep and wide", "flat", "hostile"],
)
def test_any_paths_can_be_drawn(qtbot: QtBot, dressed: QApplication, paths: list[str]) -> None:
    code = code_tree([file(path, lines=0) for path in paths])
    assert code.root.leaves == len(paths)
    view = treemap(qtbot, code)
    assert not view.grab().isNull()


def treemap(qtbot: QtBot, code: CodeTree, size: tuple[int, int] = (700, 400)) -> Treemap:
    def words(tile: Tile) -> str:
        return f"{tile.kind} {tile.node.key} {tile.node.size:.0f}"

    view = Treemap("Map", words, lambda tile: (tile.node.name, f"{tile.node.size:.0f}"))
    qtbot.addWidget(view)
    view.resize(*size)
    view.show()
    view.set_tree(code.root)
    return view


@pytest.fixture
def view(qtbot: QtBot, dressed: QApplication) -> Treemap:
    result = treemap(qtbot, code_tree(demo.code().files))
    result.activateWindow()
    result.setFocus()
    qtbot.waitUntil(result.hasFocus)
    return result


def row_of(view: Treemap, key: str) -> int:
    return next(at for at, tile in enumerate(view.layout_shown.tiles) if tile.node.key == key)


def current(view: Treemap) -> Tile:
    return view.layout_shown.tiles[view.currentIndex().row()]


def test_arrow_keys_reach_every_tile_and_read_it(view: Treemap) -> None:
    told: list[str] = []
    view.read.connect(told.append)
    QTest.keyClick(view, Qt.Key.Key_Home)
    seen = set()
    keys = (Qt.Key.Key_Right, Qt.Key.Key_Down, Qt.Key.Key_Left, Qt.Key.Key_Up)
    random.seed(4)
    for _ in range(3000):
        QTest.keyClick(view, random.choice(keys))
        seen.add(view.currentIndex().row())
    assert len(seen) > 0.9 * len(view.layout_shown.tiles)
    assert told[-1] == f"{current(view).kind} {current(view).node.key} {current(view).node.size:.0f}"


def test_an_arrow_leads_to_the_neighbour_on_that_side(view: Treemap) -> None:
    view.setCurrentIndex(view.model().index(row_of(view, "src/store/store.ts"), 0))
    before = current(view).box
    QTest.keyClick(view, Qt.Key.Key_Down)
    after = current(view).box
    assert after.y >= before.y + before.height - 1
    QTest.keyClick(view, Qt.Key.Key_Up)
    assert current(view).box.y < after.y


def test_enter_opens_a_folder_and_escape_leaves_it(view: Treemap) -> None:
    chosen: list[str] = []
    view.chosen.connect(chosen.append)
    view.setCurrentIndex(view.model().index(row_of(view, "src/store/store.ts"), 0))
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert chosen == ["src/store/store.ts"]
    assert [node.key for node in view.trail] == ["", "src"]
    view.setCurrentIndex(view.model().index(row_of(view, "src/store/store.ts"), 0))
    QTest.keyClick(view, Qt.Key.Key_Return)
    assert [node.key for node in view.trail] == ["", "src", "src/store"]
    assert all(tile.node.key.startswith("src/store/") for tile in view.layout_shown.tiles)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    QTest.keyClick(view, Qt.Key.Key_Escape)
    assert [node.key for node in view.trail] == [""]


def test_a_caption_and_a_double_click_open_a_folder(view: Treemap) -> None:
    group = next(group for group in view.layout_shown.groups if group.node.key == "src/store")
    at = QPoint(int(group.box.x) + 6, int(group.box.y) + 6)
    QTest.mouseClick(view.viewport(), Qt.MouseButton.LeftButton, pos=at)
    assert view.trail[-1].key == "src/store"
    view.back()
    middle = view.visualRect(view.model().index(row_of(view, "src/wire/stream.ts"), 0)).center()
    QTest.mouseDClick(view.viewport(), Qt.MouseButton.LeftButton, pos=middle)
    assert view.trail[-1].key == "src"


def test_the_mouse_reads_the_tile_beneath_it(view: Treemap) -> None:
    told: list[str] = []
    view.read.connect(told.append)
    middle = view.visualRect(view.model().index(row_of(view, "src/replay/fold.py"), 0)).center()
    QTest.mouseMove(view.viewport(), middle)
    assert told[-1] == "leaf src/replay/fold.py 720"


def test_small_files_are_drawn_as_one_that_can_be_opened(qtbot: QtBot, dressed: QApplication) -> None:
    code = code_tree([file("big.py", 100_000), *(file(f"small{number}.py", 3) for number in range(500))])
    view = treemap(qtbot, code)
    rest = next(tile for tile in view.layout_shown.tiles if tile.kind == "rest")
    assert rest.node.leaves == 500
    view.zoom(rest.node)
    assert len(view.layout_shown.tiles) == 500
    assert view.back()
    assert not view.back()


def test_it_is_a_list_with_words_to_a_screen_reader(view: Treemap) -> None:
    found = QAccessible.queryAccessibleInterface(view)
    assert found.role() == QAccessible.Role.List
    assert found.text(QAccessible.Text.Name) == "Map"
    assert found.childCount() == len(view.layout_shown.tiles)
    row = row_of(view, "src/store/store.ts")
    tile = found.child(row)
    assert tile.text(QAccessible.Text.Name) == "leaf src/store/store.ts 1240"
    assert tile.rect().size() == view.visualRect(view.model().index(row, 0)).size()


def test_a_fresh_tree_keeps_the_folder_that_is_shown(view: Treemap) -> None:
    view.zoom(next(group.node for group in view.layout_shown.groups if group.node.key == "src/store"))
    files = [one for one in demo.code().files if one.path != "src/store/lock.ts"]
    view.set_tree(code_tree(files).root)
    assert view.trail[-1].key in ("src", "src/store", "")
    view.set_tree(code_tree([file("other.py")]).root)
    assert [tile.node.key for tile in view.layout_shown.tiles] == ["other.py"]


def ten_thousand() -> list[FileMetrics]:
    random.seed(7)
    return [
        file(
            f"src/d{number % 41}/e{number % 7}/file{number}.py",
            int(random.paretovariate(1.1) * 40),
            int(random.paretovariate(1.2)),
            int(random.paretovariate(0.9)),
        )
        for number in range(10_000)
    ]


def test_ten_thousand_files_are_drawn_at_once(qtbot: QtBot, dressed: QApplication) -> None:
    code = code_tree(ten_thousand())
    assert code.root.leaves == 10_000
    view = treemap(qtbot, code)
    for size in ((340, 260), (1400, 800)):
        view.resize(*size)
        view.grab()
        since = time.thread_time()
        view.set_tree(code.root)
        view.grab()
        spent = time.thread_time() - since
        assert len(view.layout_shown.tiles) <= 2_000
        assert spent < 0.05, f"{spent * 1000:.0f} ms of processor time at {size}"


def test_both_themes_draw_other_shades(view: Treemap) -> None:
    light = view.grab().toImage()
    theme.force(DARK)
    dark = view.grab().toImage()
    middle = view.visualRect(view.model().index(row_of(view, "src/store/store.ts"), 0)).center()
    assert light.pixelColor(middle).name().upper() == "#0F766E"
    assert dark.pixelColor(middle).name().upper() == "#2DD4BF"
