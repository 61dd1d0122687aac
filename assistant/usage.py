"""What an answer cost: tokens, seconds, money."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from tokenizers import Tokenizer

    from assistant.settings import Settings


@dataclass(frozen=True)
class Usage:
    """What the language model read and wrote for one answer.

    `prompt_tokens` were read, of them `cached_tokens` without any work, `answer_tokens` were written, reasoning
    included. `seconds_reading` passed from the request to the first token, `seconds_writing` from there to the end.
    `estimated` says that the server told no numbers of tokens. `money` is their price in `currency`, None without prices.
    """

    model: str
    prompt_tokens: int = 0
    answer_tokens: int = 0
    cached_tokens: int = 0
    seconds_reading: float = 0.0
    seconds_writing: float = 0.0
    estimated: bool = True
    money: float | None = None
    currency: str = ""

    @property
    def tokens_a_second(self) -> float | None:
        """The speed of writing; None when too little was written to tell."""
        return (self.answer_tokens - 1) / self.seconds_writing if self.answer_tokens > 2 and self.seconds_writing > 0.05 else None

    def told(self, numbers: Mapping[str, Any]) -> "Usage":
        """Return this with LangChain's `usage_metadata` of a message, when the numbers make sense."""
        details = numbers.get("input_token_details")
        cached = details.get("cache_read") if isinstance(details, Mapping) else None
        read, written = _count(numbers.get("input_tokens")), _count(numbers.get("output_tokens"))
        if not read or written is None:
            return self
        return replace(
            self, prompt_tokens=read, answer_tokens=written, cached_tokens=min(_count(cached) or 0, read), estimated=False
        )

    def counted(self, messages: Sequence["BaseMessage"], written: str, tokenizer: "Tokenizer") -> "Usage":
        """Return this with our own estimate of the tokens, unless the server told them."""
        from assistant.prompt import count_tokens

        if not self.estimated:
            return self
        read = sum(count_tokens(str(message.content), tokenizer) for message in messages)
        return replace(self, prompt_tokens=read, answer_tokens=count_tokens(written, tokenizer))

    def plus(self, other: "Usage") -> "Usage":
        """Return what this and a later request for the same answer cost together; without a price."""
        return replace(
            self,
            prompt_tokens=self.prompt_tokens + other.prompt_tokens,
            answer_tokens=self.answer_tokens + other.answer_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            seconds_reading=self.seconds_reading + other.seconds_reading,
            seconds_writing=self.seconds_writing + other.seconds_writing,
            estimated=self.estimated or other.estimated,
        )

    def priced(self, settings: "Settings") -> "Usage":
        """Return this with the price of the tokens, when the settings hold prices."""
        if settings.price_in is None and settings.price_out is None:
            return self
        money = (self.prompt_tokens * (settings.price_in or 0) + self.answer_tokens * (settings.price_out or 0)) / 1e6
        return replace(self, money=money, currency=settings.currency)


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def cost_line(usage: Usage | None, found: int, read: int, seconds: float | None) -> str:
    """Return one line about what an answer cost; parts that are not known are left out.

    `found` and `read` count passages, `seconds` is the time of the whole answer.
    """
    parts = []
    if found:
        passages = f"{found} passage{'' if found == 1 else 's'} found"
        parts.append(f"{passages}, {read} read" if usage else passages)
    if usage:
        parts.append(f"{'about ' if usage.estimated else ''}{usage.prompt_tokens:,} tokens in, {usage.answer_tokens:,} out")
    if seconds is not None:
        speed = usage.tokens_a_second if usage else None
        parts.append(f"{seconds:.1f} s" + (f", {speed:.0f} tokens/s" if speed else ""))
    if usage and usage.model:
        parts.append(usage.model)
    if usage and usage.money is not None:
        parts.append(_amount(usage.money, usage.currency))
    return " · ".join(parts)


def _amount(money: float, currency: str) -> str:
    digits = 2
    while digits < 8 and 0 < money < 10 ** (1 - digits):  # two digits that count, also of a fraction of a cent
        digits += 1
    sign = {"USD": "$", "EUR": "€", "GBP": "£", "JPY": "¥"}.get(currency.upper())
    return f"{sign}{money:.{digits}f}" if sign else f"{money:.{digits}f} {currency}"
