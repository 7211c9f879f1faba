from pathlib import Path

import pytest

from parcel.engine import Engine, TransactionFailed
from parcel.settings import Options


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "root/var/lib/parcel").mkdir(parents=True)
    return Engine(Options(root=tmp_path / "root", cache=tmp_path / "cache", sources=[str(tmp_path / "pool")]))


def test_nothing_to_do(engine: Engine) -> None:
    assert engine.plan_install([]).summary() == "nothing to do"


def test_removing_what_others_need_is_refused(engine: Engine) -> None:
    assert engine.plan_remove([]).steps == []
    with pytest.raises(TransactionFailed):
        Engine(Options(root=engine.options.root, strict=True)).plan_remove(["busybox"])
