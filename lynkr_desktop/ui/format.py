"""Numbers, sizes and times as people read them."""

from __future__ import annotations

from datetime import datetime

from PySide6.QtCore import QCoreApplication

_KB = 1000


def _tr(text: str) -> str:
    return QCoreApplication.translate("Format", text)


def money(dollars: float) -> str:
    """US dollars with two decimals; what is less than a cent says so, zero is zero."""
    if 0 < dollars < 0.01:
        return "<$0.01"
    return f"${dollars:,.2f}"


def count(number: int) -> str:
    """A whole number, short from 10,000 on: 612, 9,830, 12.4 k, 2.61 M."""
    if number < 10_000:
        return f"{number:,}"
    for factor, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        # 999,960 reads 1.00 M, not 1000 k.
        if number >= factor * 0.9995:
            scaled = number / factor
            return f"{scaled:.2f} {unit}" if scaled < 10 else f"{scaled:.1f} {unit}"
    return str(number)


def percent(part: float) -> str:
    """A part of 0..1 in whole percent; what is there but rounds to nothing says so."""
    if 0 < part < 0.005:
        return "<1 %"
    return f"{part * 100:.0f} %"


def size(number: float) -> str:
    """Bytes in decimal units, as download pages count: 682 MB, 1.1 GB."""
    for factor, unit, digits in ((_KB**3, "GB", 1), (_KB**2, "MB", 0), (_KB, "kB", 0)):
        if number >= factor:
            return f"{number / factor:.{digits}f} {unit}"
    return f"{number:.0f} B"


def duration(seconds: float) -> str:
    """A time span by its largest unit: 12 s, 3 min, 2 h, 5 d."""
    whole = max(0, int(seconds))
    if whole < 60:
        return _tr("{n} s").format(n=whole)
    if whole < 3600:
        return _tr("{n} min").format(n=whole // 60)
    if whole < 86_400:
        return _tr("{n} h").format(n=whole // 3600)
    return _tr("{n} d").format(n=whole // 86_400)


def age(at: float, now: float) -> str:
    """How long ago a Unix time was."""
    return _tr("now") if now - at < 1 else duration(now - at)


def exact(at: float) -> str:
    """A Unix time in local time, to the second."""
    return datetime.fromtimestamp(at).strftime("%Y-%m-%d %H:%M:%S")


def clock(at: float) -> str:
    """A Unix time as local hours and minutes."""
    return datetime.fromtimestamp(at).strftime("%H:%M")


def masked(token: str) -> str:
    """A token to recognise, not to read: its first and last characters."""
    if len(token) < 12:
        return "•" * 8 if token else ""
    return f"{token[:3]}••••••••{token[-4:]}"
