"""How large a context window to ask Ollama for.

Ollama's default window is small and what exceeds it is cut without a word; yet every change of the window
makes it load the model anew. So the window is sized from the prompt, in coarse steps, and never shrinks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from lynkr_desktop.engine.wire.canonical import Image, Request, ToolResult
from lynkr_desktop.engine.wire.errors import Unsupported, WireError

_IMAGE_TOKENS = 768
"""Tokens that Ollama reckons for an image."""

_BYTES_PER_TOKEN = 3.5
"""For a model that has not answered yet. Gemma 3's tokens hold 4.1 bytes of Python, 3.4 to 4.1 of Markdown;
rather too few, since a window too small loses the head of the prompt."""

_RATIO_RANGE = (1.5, 8.0)
_MEASURABLE = 200
"""Prompts below this many tokens say little about the ratio: the template outweighs the text."""

_SMALLEST = 4096
_OUTPUT_ROOM = 8192
_DEFAULT_OUTPUT_ROOM = 2048


@dataclass(frozen=True, slots=True)
class Window:
    """The window for one request.

    Attributes:
        num_ctx: tokens to ask for.
        estimate: tokens that the prompt is thought to have.
        size: bytes of the prompt's text, from which it was estimated.
        images: how many images it holds.
        measured: whether the estimate rests on an earlier answer of this model.
    """

    num_ctx: int
    estimate: int
    size: int
    images: int
    measured: bool


@dataclass(frozen=True, slots=True)
class Truncation:
    """Ollama read only `evaluated` of about `expected` tokens; the window was `num_ctx`."""

    expected: int
    evaluated: int
    num_ctx: int

    def __str__(self) -> str:
        return (
            f"Ollama cut the prompt: it read {self.evaluated:,} of about {self.expected:,} tokens "
            f"(num_ctx {self.num_ctx:,})."
        )


class ContextWindows:
    """The windows of one server's models.

    Args:
        max_context: tokens that no window may exceed (`providers.<name>.max_context`).
        provider: the provider's name, for messages.
    """

    def __init__(self, max_context: int, provider: str) -> None:
        self._max_context = max_context
        self._provider = provider
        self._asked: dict[str, int] = {}
        self._bytes_per_token: dict[str, float] = {}

    def limit(self, context_length: int | None) -> int:
        """Tokens that a model made for `context_length` may be given here."""
        return min(self._max_context, context_length or self._max_context)

    def plan(
        self,
        model: str,
        request: Request,
        body_size: int,
        *,
        context_length: int | None,
        loaded: int = 0,
    ) -> Window:
        """Sizes the window of a request.

        Args:
            model: the model's full name.
            request: the request.
            body_size: bytes of its encoded body.
            context_length: tokens that the model was made for; None when unknown.
            loaded: the window that the model is loaded with now; 0 when it is not.

        Raises:
            WireError: 400, the prompt is longer than the model's context or than `max_context`.
        """
        ratio = self._bytes_per_token.get(model)
        sizes = _image_sizes(request)
        text = max(0, body_size - sum(sizes))
        estimate = round(text / (ratio or _BYTES_PER_TOKEN)) + _IMAGE_TOKENS * len(sizes)
        limit = self.limit(context_length)
        # Without a measurement the estimate may be a quarter too high: refuse only what is surely too long.
        if estimate * (1.0 if ratio else 0.8) > limit:
            raise self._too_long(model, estimate, context_length)
        output = min(request.max_tokens or _DEFAULT_OUTPUT_ROOM, _OUTPUT_ROOM)
        needed = max(round(estimate * 1.1) + output, self._asked.get(model, 0), loaded)
        num_ctx = min(_step(needed), limit)
        self._asked[model] = max(num_ctx, self._asked.get(model, 0))
        return Window(num_ctx, estimate, text, len(sizes), measured=ratio is not None)

    def given(self, model: str, request: Request, body_size: int, num_ctx: int) -> Window:
        """The window that the client itself has chosen; it is neither checked nor remembered."""
        ratio = self._bytes_per_token.get(model)
        sizes = _image_sizes(request)
        text = max(0, body_size - sum(sizes))
        estimate = round(text / (ratio or _BYTES_PER_TOKEN)) + _IMAGE_TOKENS * len(sizes)
        return Window(num_ctx, estimate, text, len(sizes), measured=ratio is not None)

    def largest(self, model: str, context_length: int | None) -> int:
        """The window to load a model with before its prompts are known: one that none of them outgrows."""
        limit = self.limit(context_length)
        self._asked[model] = max(limit, self._asked.get(model, 0))
        return limit

    def larger(self, model: str, window: Window, refusal: WireError, *, context_length: int | None) -> Window:
        """The next step, for a prompt that the server found too long; at the top there is none: 400."""
        limit = self.limit(context_length)
        num_ctx = min(_step(window.num_ctx + 1), limit)
        if num_ctx <= window.num_ctx:
            # The server counted exactly: it is more than the window, whatever was estimated.
            raise self._too_long(model, max(window.estimate, num_ctx + 1), context_length) from refusal
        self._asked[model] = max(num_ctx, self._asked.get(model, 0))
        return replace(window, num_ctx=num_ctx)

    def observe(self, model: str, window: Window, evaluated: int | None) -> Truncation | None:
        """Learns from the tokens that the server says it read; tells when it did not read them all."""
        if not evaluated or evaluated < 0:
            return None
        if evaluated >= window.num_ctx:
            # The prompt filled the window: it was longer than thought, by an unknown amount.
            self._learn(model, window.size / max(window.estimate, window.num_ctx * 1.25))
            return Truncation(max(window.estimate, evaluated), evaluated, window.num_ctx)
        if evaluated < window.estimate * (0.8 if window.measured else 0.5) and window.estimate > _MEASURABLE:
            return Truncation(window.estimate, evaluated, window.num_ctx)
        if evaluated >= _MEASURABLE and not window.images:
            self._learn(model, window.size / evaluated)
        return None

    def _learn(self, model: str, ratio: float) -> None:
        low, high = _RATIO_RANGE
        self._bytes_per_token[model] = min(high, max(low, ratio))

    def _too_long(self, model: str, estimate: int, context_length: int | None) -> WireError:
        if context_length is not None and context_length <= self._max_context:
            message = (
                f"The request has about {estimate:,} tokens, and {model} takes {context_length:,}. "
                "Shorten the conversation, or use a model with a larger context."
            )
        else:
            message = (
                f"The request has about {estimate:,} tokens, and the limit for {self._provider} is "
                f"{self._max_context:,}. Raise providers.{self._provider}.max_context, or shorten the "
                "conversation."
            )
        return Unsupported(message, "messages")


def _step(tokens: int) -> int:
    """The smallest of 4096, 6144, 8192, 12288, 16384 ... that holds `tokens`."""
    size = _SMALLEST
    while size < tokens:
        if size * 3 // 2 >= tokens:
            return size * 3 // 2
        size *= 2
    return size


def _image_sizes(request: Request) -> list[int]:
    """Bytes of each image as it stands in the body."""
    images: list[Image] = []
    for message in request.messages:
        for block in message.content:
            if isinstance(block, Image):
                images.append(block)
            elif isinstance(block, ToolResult):
                images += [part for part in block.content if isinstance(part, Image)]
    return [len(image.data or image.url) for image in images]
