"""Every colour and every size of the interface. Nothing else in the UI holds a literal of either."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from lynkr_desktop.protocol.tiers import Tier


@dataclass(frozen=True, kw_only=True)
class Colors:
    """One theme. Values are #RRGGBB.

    Attributes:
        control: outline of check boxes, switches and inputs.
        border: outline of buttons.
        track: ground of bars; `code` that of code and logs.
        tier_edges: 1 px outline of a mark; it, not the fill, carries the contrast.
        warning / risk: fills of medium and high risk, alike in both themes.
        ramp: five steps from nothing to everything; `on_ramp` is the text on each.
    """

    dark: bool
    window: str
    surface: str
    line: str
    text: str
    muted: str
    accent: str
    on_accent: str
    selected: str
    hover: str
    control: str
    border: str
    track: str
    code: str
    ok: str
    danger: str
    diff_add: str
    diff_delete: str
    diff_add_sign: str
    diff_delete_sign: str
    ramp: tuple[str, str, str, str, str]
    on_ramp: tuple[str, str, str, str, str]
    tier_edges: Mapping[Tier, str]
    warning: str = "#E69F00"
    risk: str = "#D55E00"
    on_risk: str = "#111315"


TIER_FILLS: Mapping[Tier, str] = MappingProxyType(
    {
        Tier.SIMPLE: "#009E73",
        Tier.MEDIUM: "#0072B2",
        Tier.COMPLEX: "#CC79A7",
        Tier.REASONING: "#E69F00",
    }
)

LIGHT = Colors(
    dark=False,
    window="#F7F8FA",
    surface="#FFFFFF",
    line="#DDE1E7",
    text="#1B1F24",
    muted="#59636E",
    accent="#0F766E",
    on_accent="#FFFFFF",
    selected="#E8EEEF",
    hover="#EFF2F4",
    control="#7B848E",
    border="#C5CBD3",
    track="#E3E7EC",
    code="#F3F5F7",
    ok="#008F68",
    danger="#A34200",
    diff_add="#DFF3EB",
    diff_delete="#FBE6DA",
    diff_add_sign="#006B4E",
    diff_delete_sign="#A34200",
    ramp=("#EEF1F4", "#D3E6E3", "#A3CEC8", "#559E96", "#0F766E"),
    on_ramp=("#1B1F24", "#1B1F24", "#1B1F24", "#1B1F24", "#FFFFFF"),
    tier_edges=MappingProxyType(
        {
            Tier.SIMPLE: "#007A59",
            Tier.MEDIUM: "#005A8E",
            Tier.COMPLEX: "#A3517F",
            Tier.REASONING: "#9A6A00",
        }
    ),
)

DARK = Colors(
    dark=True,
    window="#15181C",
    surface="#1D2126",
    line="#323941",
    text="#E6EAEE",
    muted="#9AA5B1",
    accent="#2DD4BF",
    on_accent="#0B1F1C",
    selected="#273034",
    hover="#22272D",
    control="#6E7985",
    border="#434C56",
    track="#2C333B",
    code="#171A1F",
    ok="#1FBF92",
    danger="#FF9159",
    diff_add="#16342B",
    diff_delete="#3D2519",
    diff_add_sign="#5FD3AE",
    diff_delete_sign="#FF9E66",
    ramp=("#262C33", "#1F4541", "#1C6660", "#1F958A", "#2DD4BF"),
    on_ramp=("#E6EAEE", "#E6EAEE", "#E6EAEE", "#0B1F1C", "#0B1F1C"),
    tier_edges=MappingProxyType(
        {
            Tier.SIMPLE: "#1FBF92",
            Tier.MEDIUM: "#3F9FDC",
            Tier.COMPLEX: "#E0A3C6",
            Tier.REASONING: "#F5BC4A",
        }
    ),
)


class Space:
    """Gaps on the 4 px grid."""

    XS = 4
    S = 8
    M = 12
    L = 16
    PAGE_TOP = 20
    XL = 24


class Size:
    """Heights, widths and radii in device-independent pixels."""

    HAIRLINE = 1
    RADIUS = 6
    CONTROL = 32
    DENSE = 28
    WINDOW = (980, 680)
    WINDOW_MIN = (720, 480)
    COLLAPSE_BELOW = 860
    SINGLE_COLUMN_BELOW = 660
    TIGHT_TABLE_BELOW = 880
    NAV = 183
    NAV_COLLAPSED = 56
    NAV_ITEM = 32
    NAV_FOOT = 60
    NAV_ICON_LEFT = 8
    NAV_TEXT_LEFT = 40
    ICON = 20
    ICON_SMALL = 16
    MARK = 12
    EMPTY_ICON = 24
    EMPTY_TEXT = 280
    EMPTY_CARD = 200
    STATE_DOT = 12
    ENDPOINT_ROW = 52
    CARD_HEAD = 41
    TIER_ROW = 44
    TIER_LINE = 18
    TIER_SHARE_GAP = 3
    EVENT_ROW = 24
    TABLE_ROW = 32
    MENU_ROW = 28
    SWITCH = (28, 16)
    SWITCH_KNOB = 10
    SHARE_BAR = 4
    PROGRESS = 4
    CHART_BAR = 48
    CHART_GAP = 3
    CHART_EMPTY = 1
    FOCUS = 2
    MENU_CHECK = 12
    MENU_ICON = 38
    MENU_TEXT = 64
    TRAY = 22
    APP_ICON = 128
    TRAY_SIZES = (16, 22, 24, 32, 44, 48, 64)
    LOG_ROW = 18
    SCROLL_BAR = 10
    SCORE_BAR = 8
    SCORE_CUT = 2
    SCORE_LEGEND = 16
    REASON_ROW = 24
    MAP = 208
    MAP_TILE = 8
    MAP_GAP = 1
    MAP_DOT = 10
    MAP_CAPTION = 16
    MAP_GROUP = (48, 40)
    MAP_FOLDER = (20, 20)
    MAP_TEXT = (44, 24)
    MAP_OUTLINES = (1.0, 1.0, 2.0, 3.0)
    LEGEND = (14, 12)
    PROMPT_LINES = 6
    DECISION_ROWS = 6
    FILE_ROWS = 10


class Column:
    """Column widths of tables and of the event list."""

    TIER = 108
    HEALTH = 86
    SHARE = 64
    TIME = 46
    AGE = 68
    SCORE = 116
    SCORE_VALUE = 40
    TIER_NAME = 102
    TIER_MARK = 46
    MODEL = 150
    MODEL_TIGHT = 120
    FIGURE = 88
    POINTS = 44
    BARS = 84
    CHOICE = 160
    FIND = 200
    SIDE = 267
    MAIN = 468


@dataclass(frozen=True)
class TypeStyle:
    """A text style: pixel size, line height in pixels, weight (CSS scale), and the kind of figures.

    Figures that stand under each other are tabular; large ones on their own are not.
    """

    size: int
    line: int
    weight: int = 400
    mono: bool = False
    tabular: bool = True


class Type:
    """The type scale."""

    CAPTION = TypeStyle(11, 16)
    BODY = TypeStyle(13, 20)
    STRONG = TypeStyle(13, 20, 500)
    HEAVY = TypeStyle(13, 20, 600)
    SECTION = TypeStyle(15, 20, 600)
    TITLE = TypeStyle(20, 28, 600, tabular=False)
    FIGURE = TypeStyle(28, 32, 600, tabular=False)
    MONO = TypeStyle(12, 20, mono=True)
    MONO_SMALL = TypeStyle(11, 16, mono=True)


class Motion:
    """Durations in milliseconds."""

    PANEL = 150
    COPIED = 1500
    COALESCE = 100
    LIVE = 1000
    LIVE_CODE = 3000
    NOTICE = 20_000
