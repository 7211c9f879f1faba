"""Icons from SVG: `currentColor` replaced before loading, rendered for the screen's own pixels, cached."""

from __future__ import annotations

import re
from functools import lru_cache

from PySide6.QtCore import QByteArray, QPointF, QRectF, Qt
from PySide6.QtGui import QIcon, QPainter, QPixmap
from PySide6.QtSvg import QSvgRenderer

from lynkr_desktop.protocol.tiers import Tier
from lynkr_desktop.ui.resources import icon_svg
from lynkr_desktop.ui.theme.tokens import TIER_FILLS, Colors, Size

_VIEW_BOX = 20


@lru_cache(maxsize=512)
def _render(svg: str, size: int, ratio: float) -> QPixmap:
    pixels = round(size * ratio)
    pixmap = QPixmap(pixels, pixels)
    pixmap.fill(Qt.GlobalColor.transparent)
    renderer = QSvgRenderer(QByteArray(svg.encode()))
    painter = QPainter(pixmap)
    renderer.render(painter, QRectF(0, 0, pixels, pixels))
    painter.end()
    pixmap.setDevicePixelRatio(ratio)
    return pixmap


def pixmap(name: str, color: str, size: int = Size.ICON, ratio: float = 1.0) -> QPixmap:
    """An icon in one colour. `size` in device-independent pixels, `ratio` device pixels per such pixel."""
    return _render(icon_svg(name).replace("currentColor", color), size, ratio)


def tier_pixmap(tier: Tier, colors: Colors, size: int = Size.MARK, ratio: float = 1.0) -> QPixmap:
    """The mark of a tier: its shape filled, with an edge of 1 px that carries the contrast."""
    edge = _VIEW_BOX / size
    outline = f'stroke="{colors.tier_edges[tier]}" stroke-width="{edge:.2f}"'
    svg = re.sub(r' stroke="currentColor" stroke-width="[\d.]+"', "", icon_svg(f"tier-{tier.value}"))
    svg = svg.replace('fill="currentColor"', f'fill="{TIER_FILLS[tier]}" {outline}')
    return _render(svg, size, ratio)


def icon(name: str, color: str, size: int = Size.ICON) -> QIcon:
    """A `QIcon` with pixmaps for screens of one, one and a half, and two device pixels per pixel."""
    result = QIcon()
    for ratio in (1.0, 1.5, 2.0):
        result.addPixmap(pixmap(name, color, size, ratio))
    return result


def tier_icon(tier: Tier, colors: Colors) -> QIcon:
    """A tier's mark as a `QIcon` for menus: as large as a mark is, with air round it up to an icon's size."""
    result = QIcon()
    air = (Size.ICON_SMALL - Size.MARK) / 2
    for ratio in (1.0, 1.5, 2.0):
        canvas = QPixmap(round(Size.ICON_SMALL * ratio), round(Size.ICON_SMALL * ratio))
        canvas.setDevicePixelRatio(ratio)
        canvas.fill(Qt.GlobalColor.transparent)
        painter = QPainter(canvas)
        painter.drawPixmap(QPointF(air, air), tier_pixmap(tier, colors, Size.MARK, ratio))
        painter.end()
        result.addPixmap(canvas)
    return result
