from parcel.text.humanize import plural, size


def test_sizes() -> None:
    assert size(999) == "999 B"
    assert size(1_500_000) == "1.5 MB"


def test_plural() -> None:
    assert plural(1, "install") == "1 install"
