"""What a person needs to point a first client at the proxy: printed by `lynkr serve` and by the tray."""

from __future__ import annotations

import json


def banner(openai_url: str, anthropic_url: str, token: str) -> str:
    """The endpoint, the token, and one command that works as pasted into a POSIX shell.

    The body has no single quote, so that it needs no escaping there.
    """
    body = {
        "model": "auto-route",
        "max_tokens": 300,
        "messages": [
            {"role": "user", "content": "Write a Python function is_prime(n). Answer with the code only."}
        ],
    }
    return "\n".join(
        (
            f"  OpenAI clients     {openai_url}",
            f"  Anthropic clients  {anthropic_url}",
            f"  Token              {token}",
            "",
            "Try it:",
            "",
            f"  curl -sS {openai_url}/chat/completions \\",
            f"    -H 'Authorization: Bearer {token}' \\",
            "    -H 'Content-Type: application/json' \\",
            f"    -d '{json.dumps(body)}'",
        )
    )
