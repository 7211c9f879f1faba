"""Small projects and data files that the tools are run on, and answers of servers that cannot be had here."""

from __future__ import annotations

import csv
import io
import json
import random
from pathlib import Path

_THINGS = [
    "invoice",
    "order",
    "customer",
    "parcel",
    "refund",
    "voucher",
    "account",
    "ledger",
    "session",
    "token",
    "basket",
    "shipment",
]
_DEEDS = ["parse", "merge", "split", "rank", "round", "encode", "decode", "expire", "lookup", "settle"]
_PEOPLE = ["amara", "bjorn", "chloe", "dmitri", "elif", "farid", "greta", "hana", "igor", "jonas"]


def names(chance: random.Random, number: int) -> list[str]:
    """Distinct names of functions."""
    every = [f"{deed}_{thing}" for deed in _DEEDS for thing in _THINGS]
    return chance.sample(every, number)


def rust(root: Path, chance: random.Random) -> str:
    """A crate with modules, tests and some that fail; gives the name of one that does."""
    (root / "src").mkdir(parents=True)
    (root / "Cargo.toml").write_text('[package]\nname = "shop"\nversion = "0.4.1"\nedition = "2021"\n')
    functions = names(chance, 60)
    body, tests = [], []
    wrong = chance.choice(functions)
    for place, name in enumerate(functions):
        value = chance.randrange(3, 900)
        unused = "    let unused_rate = 7;\n" if place % 7 == 0 else ""
        body.append(f"pub fn {name}(value: u64) -> u64 {{\n{unused}    value * {value} + {place}\n}}\n")
        want = value * 3 + place + (1 if name == wrong else 0)
        tests.append(
            f'    #[test]\n    fn {name}_works() {{\n        assert_eq!({name}(3), {want}, "for {name}");\n    }}\n'
        )
    (root / "src" / "lib.rs").write_text(
        "\n".join(body) + "\n#[cfg(test)]\nmod tests {\n    use super::*;\n\n" + "\n".join(tests) + "}\n"
    )
    return wrong


def node(root: Path, chance: random.Random) -> str:
    """A package with tests for Node's own runner; gives the name of a function whose test fails."""
    root.mkdir(parents=True)
    functions = names(chance, 50)
    wrong = chance.choice(functions)
    (root / "package.json").write_text(
        json.dumps(
            {"name": "shop", "version": "2.3.0", "type": "module", "scripts": {"test": "node --test"}},
            indent=2,
        )
    )
    (root / "shop.js").write_text(
        "\n".join(
            f"export function {name}(value) {{\n  return value * {place + 2};\n}}"
            for place, name in enumerate(functions)
        )
    )
    for part in range(5):
        lines = [
            'import { test } from "node:test";',
            'import assert from "node:assert/strict";',
            'import * as shop from "./shop.js";',
            "",
        ]
        for place, name in list(enumerate(functions))[part::5]:
            want = (place + 2) * 4 + (3 if name == wrong else 0)
            lines.append(f'test("{name} of four", () => {{\n  assert.equal(shop.{name}(4), {want});\n}});')
        (root / f"part{part}.test.js").write_text("\n".join(lines))
    return wrong


def c_program(root: Path, chance: random.Random) -> str:
    """C sources with a Makefile, warnings, and one that does not compile; gives its name."""
    root.mkdir(parents=True)
    functions = names(chance, 24)
    broken = chance.choice(functions)
    for name in functions:
        returned = "total" if name != broken else f"total_of_{name}"
        (root / f"{name}.c").write_text(
            f"#include <stdio.h>\n#include <string.h>\n\nint {name}(const char *text, unsigned size) {{\n    int unused_{name};\n    int total = 0;\n"
            f'    for (int i = 0; i < size; i++) {{\n        total += text[i] * {chance.randrange(2, 99)};\n    }}\n    printf("%s\\n", size);\n    return {returned};\n}}\n'
        )
    objects = " ".join(f"{name}.o" for name in functions)
    (root / "Makefile").write_text(
        f"CFLAGS = -O2 -Wall -Wextra -std=c11\n\nall: {objects}\n\n%.o: %.c\n\t$(CC) $(CFLAGS) -c -o $@ $<\n"
    )
    return broken


def java(root: Path, chance: random.Random) -> str:
    """Java classes that fail deep inside when they run; gives the reference in the message."""
    root.mkdir(parents=True)
    classes = [name.title().replace("_", "") for name in names(chance, 18)]
    reference = f"REF-{chance.randrange(10**6, 10**7)}"
    for place, name in enumerate(classes):
        inner = f"{classes[place + 1]}.run(depth + 1)" if place + 1 < len(classes) else f'fail("{reference}")'
        fail = (
            '    static int fail(String reference) {\n        throw new IllegalStateException("ledger out of balance: " + reference);\n    }\n'
            if place + 1 == len(classes)
            else ""
        )
        wrap = place in (5, 11)
        body = f"        return {inner};\n"
        if wrap:
            body = f'        try {{\n    {body}        }} catch (RuntimeException error) {{\n            throw new RuntimeException("step {place} of {name} failed", error);\n        }}\n'
        (root / f"{name}.java").write_text(
            f"public class {name} {{\n{fail}    static int run(int depth) {{\n{body}    }}\n}}\n"
        )
    (root / "Main.java").write_text(
        f"import java.util.*;\n\npublic class Main {{\n    public static void main(String[] arguments) {{\n        List raw = new ArrayList();\n        raw.add(1);\n        {classes[0]}.run(0);\n    }}\n}}\n"
    )
    return reference


def broken_python(root: Path, chance: random.Random) -> str:
    """A program that dies with chained tracebacks, retries and recursion; gives the key that is missing."""
    root.mkdir(parents=True)
    key = f"rate_{chance.choice(_THINGS)}_{chance.randrange(100, 999)}"
    functions = names(chance, 12)
    lines = [
        "import asyncio",
        "import json",
        "import logging",
        "",
        "log = logging.getLogger('shop.jobs')",
        "RATES = {}",
        "",
    ]
    for place, name in enumerate(functions):
        call = (
            f"{functions[place + 1]}(value, depth + 1)"
            if place + 1 < len(functions)
            else f"RATES['{key}'] * value"
        )
        if place == 6:
            lines.append(
                f"def {name}(value, depth=0):\n    try:\n        return {call}\n    except KeyError as error:\n        raise RuntimeError('no rate for this job') from error\n"
            )
        else:
            lines.append(f"def {name}(value, depth=0):\n    return {call}\n")
    lines.append(
        "def countdown(number):\n    return countdown(number - 1)\n\n"
        "async def job(number):\n    await asyncio.sleep(0)\n"
        f"    return {functions[0]}(number)\n\n"
        "async def main():\n    logging.basicConfig(level=logging.DEBUG, format='%(levelname)s %(name)s %(message)s')\n"
        "    found = await asyncio.gather(*(job(n) for n in range(6)), return_exceptions=True)\n"
        "    for number, error in enumerate(found):\n        log.error('job %d failed, attempt 1 of 1', number, exc_info=error)\n"
        "    try:\n        countdown(9)\n    except RecursionError:\n        log.exception('countdown')\n"
        "    json.loads('{\"a\": 1,}')\n\nasyncio.run(main())\n"
    )
    (root / "jobs.py").write_text("\n".join(lines))
    return key


def access_log(root: Path, chance: random.Random, lines: int = 260) -> tuple[str, str]:
    """A web server's log; one line in it is unlike the others. Gives its path and its address."""
    root.mkdir(parents=True, exist_ok=True)
    odd = chance.randrange(lines // 4, lines - 20)
    path = f"/internal/export?job={chance.randrange(10**5, 10**6)}"
    host = f"198.51.100.{chance.randrange(2, 250)}"
    said = []
    for number in range(lines):
        second = number * 2
        when = f"14/Mar/2026:09:{second // 60:02}:{second % 60:02} +0000"
        if number == odd:
            said.append(
                f'{host} - - [{when}] "GET {path} HTTP/1.1" 502 {chance.randrange(100, 999)} "-" "curl/8.5.0" rt=30.004'
            )
        else:
            page = chance.choice(("/health", "/api/v2/orders", "/api/v2/basket", "/static/app.js", "/login"))
            said.append(
                f'10.4.{chance.randrange(4)}.{chance.randrange(2, 40)} - - [{when}] "GET {page} HTTP/1.1" 200 {chance.randrange(200, 9000)} "-" "Mozilla/5.0 (X11; Linux x86_64)" rt=0.0{chance.randrange(10, 99)}'
            )
    (root / "access.log").write_text("\n".join(said) + "\n")
    return path, host


def service_log(root: Path, chance: random.Random, lines: int = 220) -> tuple[str, str]:
    """A service's log as JSON lines; one of them tells of a deadlock. Gives transaction and table."""
    root.mkdir(parents=True, exist_ok=True)
    odd = chance.randrange(30, lines - 10)
    transaction, table = (
        f"tx-{chance.randrange(10**7, 10**8)}",
        f"{chance.choice(_THINGS)}_archive_{chance.randrange(10, 99)}",
    )
    said = []
    for number in range(lines):
        entry = {
            "ts": f"2026-03-14T09:{number // 60:02}:{number % 60:02}.{chance.randrange(1000):03}Z",
            "level": "info",
            "service": "payments",
            "pod": f"payments-7d9f-{chance.choice('abcdef')}{chance.randrange(10)}x",
            "msg": chance.choice(("request served", "cache hit", "heartbeat", "request served")),
            "duration_ms": chance.randrange(1, 60),
            "trace": f"{chance.randrange(16**12):012x}",
        }
        if number == odd:
            entry |= {
                "level": "error",
                "msg": f"deadlock on {table}, {transaction} rolled back",
                "duration_ms": 10_004,
            }
        said.append(json.dumps(entry))
    (root / "service.jsonl").write_text("\n".join(said) + "\n")
    return transaction, table


def orders(chance: random.Random, number: int) -> list[dict[str, object]]:
    """Records as a shop's service would list them; one is held back."""
    odd = chance.randrange(number // 3, number)
    return [
        {
            "id": 480_000 + chance.randrange(10) + place * 10,
            "customer": chance.choice(_PEOPLE),
            "status": "paid" if place != odd else "held_for_review",
            "total_cents": chance.randrange(500, 90_000),
            "currency": "EUR",
            "created_at": f"2026-02-{1 + place % 27:02}T{place % 24:02}:15:00Z",
            "warehouse": chance.choice(("north", "south")),
            "notes": None if place != odd else f"address differs, ticket PAY-{chance.randrange(1000, 9999)}",
        }
        for place in range(number)
    ]


def orders_csv(root: Path, chance: random.Random, number: int = 240) -> dict[str, object]:
    """The same as a CSV file; gives the record that is held back."""
    root.mkdir(parents=True, exist_ok=True)
    rows = orders(chance, number)
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    (root / "orders.csv").write_text(text.getvalue())
    return next(row for row in rows if row["status"] != "paid")


def issues(chance: random.Random, number: int) -> str:
    """What GitHub's server lists, as it comes: indented, with many fields that nobody asked for."""
    listed = []
    for place in range(number):
        thing, deed, who = chance.choice(_THINGS), chance.choice(_DEEDS), chance.choice(_PEOPLE)
        at = 2_400 - place * 3 - chance.randrange(3)
        base = f"https://api.github.com/repos/example/shop/issues/{at}"
        listed.append(
            {
                "url": base,
                "comments_url": f"{base}/comments",
                "events_url": f"{base}/events",
                "html_url": f"https://github.com/example/shop/issues/{at}",
                "id": 2_100_000_000 + chance.randrange(10**7),
                "number": at,
                "title": f"Cannot {deed} {thing} with {chance.randrange(2, 400)} lines",
                "user": {"login": who, "id": 9_000 + _PEOPLE.index(who), "type": "User", "site_admin": False},
                "labels": [
                    {"id": 77, "name": chance.choice(("bug", "question", "feature")), "color": "d73a4a"}
                ],
                "state": "open",
                "locked": False,
                "assignee": None,
                "milestone": None,
                "comments": chance.randrange(12),
                "created_at": f"2026-0{1 + place % 9}-1{place % 9}T0{place % 9}:00:00Z",
                "closed_at": None,
                "author_association": "NONE",
                "body": f"When I {deed} a {thing} I get error E{chance.randrange(1000, 9999)}.\n\nVersion 4.{place}.",
                "reactions": {"total_count": 0, "+1": 0, "-1": 0, "laugh": 0, "hooray": 0},
            }
        )
    return json.dumps(listed, indent=2)


def rows(chance: random.Random, number: int) -> str:
    """What the database's server answers to a query."""
    return json.dumps({"rows": orders(chance, number), "row_count": number, "took_ms": 18})


def page(chance: random.Random, number: int) -> tuple[str, str]:
    """The accessibility tree of a page; gives it, and the reference of the only disabled button."""
    lines = ["- document:", "  - banner:", '    - link "Home" [ref=e2]', "  - main:"]
    odd = chance.randrange(5, number)
    for place in range(number):
        ref = 10 + place * 4
        off = " [disabled]" if place == odd else ""
        lines += [
            f'    - row "Order {480_000 + place * 7}" [ref=e{ref}]:',
            f'      - cell "{chance.choice(_PEOPLE)}" [ref=e{ref + 1}]',
            f'      - cell "{chance.randrange(5, 900)}.{chance.randrange(10, 99)} EUR" [ref=e{ref + 2}]',
            f'      - button "Refund"{off} [ref=e{ref + 3}] [cursor=pointer]',
        ]
    return "\n".join(lines), f"e{10 + odd * 4 + 3}"


def manifests(root: Path, chance: random.Random) -> str:
    """Kubernetes manifests in one file; gives the memory limit of the one that differs."""
    root.mkdir(parents=True, exist_ok=True)
    odd, limit = chance.randrange(4, 18), f"{chance.randrange(300, 999)}Mi"
    parts = []
    for place, thing in enumerate(names(chance, 20)):
        memory = limit if place == odd else "256Mi"
        name = thing.replace("_", "-")
        parts.append(
            f"apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: {name}\n  labels:\n    app: {name}\nspec:\n  replicas: {1 + place % 3}\n  selector:\n    matchLabels:\n      app: {name}\n"
            f"  template:\n    metadata:\n      labels:\n        app: {name}\n    spec:\n      containers:\n        - name: {name}\n          image: registry.example.com/{name}:1.{place}.{chance.randrange(40)}\n"
            f"          resources:\n            limits:\n              memory: {memory}\n              cpu: 500m\n          ports:\n            - containerPort: {8000 + place}\n"
        )
    (root / "deploy.yaml").write_text("---\n".join(parts))
    return limit
