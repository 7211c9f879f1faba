"""What is printed at the start, and how words are coloured."""

CODES = {"red": 31, "green": 32, "yellow": 33, "bold": 1}


def paint(text: str, color: str, enabled: bool = True) -> str:
    if not enabled or color not in CODES:
        return text
    return f"\x1b[{CODES[color]}m{text}\x1b[0m"


def banner(version: str) -> str:
    return f"parcel {version} - small packages for small machines"
