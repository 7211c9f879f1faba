import pytest

from parcel.version import BadVersion, Constraint, Version


@pytest.mark.parametrize("older, newer", [("1.0", "1.0.1"), ("1.0~rc1", "1.0"), ("9.9", "1:0.1"), ("1.2", "1.2-r1")])
def test_order(older: str, newer: str) -> None:
    assert Version.parse(older) < Version.parse(newer)


def test_tilde_keeps_all_but_the_last() -> None:
    assert Constraint("~", Version.parse("1.4.2")).allows(Version.parse("1.4.9"))
    assert not Constraint("~", Version.parse("1.4.2")).allows(Version.parse("1.5"))


def test_nonsense_is_refused() -> None:
    with pytest.raises(BadVersion):
        Version.parse("latest")
