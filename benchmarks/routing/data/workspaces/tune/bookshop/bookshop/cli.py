"""Commands for staff."""

import argparse
import sys

from .models import OrderState
from .orders import OrderEngine, label
from .reports import best_sellers, write_daily


def main(engine: OrderEngine, arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="bookshop")
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show")
    show.add_argument("order", type=int)
    ship = commands.add_parser("ship")
    ship.add_argument("order", type=int)
    commands.add_parser("best")
    commands.add_parser("daily")
    options = parser.parse_args(arguments)
    if options.command == "show":
        order = engine.get(options.order)
        print(label(order), order.state.value, *order.history, sep="\n")
    elif options.command == "ship":
        engine.advance(engine.get(options.order), OrderState.SHIPPED, actor="staff")
    elif options.command == "best":
        for title, count in best_sellers(engine):
            print(f"{count:5} {title}")
    else:
        write_daily(engine, sys.stdout)
    return 0
