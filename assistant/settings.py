"""Every setting, read once from the environment into one frozen object."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, cast, get_args

from assistant.errors import UserError

Level = Literal["strict", "balanced", "off"]  # how soon the assistant says that the documents don't answer


class Setting(NamedTuple):
    """One row of the settings table in the README (a test compares the two)."""

    variable: str
    default: str
    help: str


SETTINGS = (
    Setting("ASSISTANT_CORPUS", "corpus", "folder with the documents"),
    Setting(
        "ASSISTANT_DATA",
        "data",
        "folder for the index and the model files, which are made again when deleted, the conversations and your questions",
    ),
    Setting(
        "ASSISTANT_HOST", "127.0.0.1", "address to listen on; anything but loopback is refused, put a proxy with a login in front"
    ),
    Setting("ASSISTANT_PORT", "7860", "port to listen on"),
    Setting(
        "ASSISTANT_CHAT_MODEL",
        "embedded",
        "`embedded`, `extractive` (no model: sentences of the documents are the answer), a path to a GGUF file, `hf:REPO/FILE`, a model's name at OPENAI_BASE_URL, or `provider:model` for LangChain",
    ),
    Setting("OPENAI_BASE_URL", "", "an OpenAI-compatible endpoint to use instead of the embedded model (also OPENAI_API_BASE)"),
    Setting("OPENAI_API_KEY", "", "its key, if it wants one"),
    Setting("ASSISTANT_EMBEDDING_MODEL", "all-MiniLM-L6-v2", "any other sentence-transformers model by name or path"),
    Setting(
        "ASSISTANT_RERANKER", "", "a cross-encoder of sentence-transformers, by name or path, to order the best passages again"
    ),
    Setting("ASSISTANT_CONTEXT_TOKENS", "4096", "window of the language model, in tokens"),
    Setting("ASSISTANT_ANSWER_TOKENS", "400", "longest answer, in tokens"),
    Setting("ASSISTANT_PASSAGES", "8", "passages shown beside an answer"),
    Setting(
        "ASSISTANT_PROMPT_TOKENS", "250", "tokens of passage text the embedded model reads; other endpoints read ten times as many"
    ),
    Setting(
        "ASSISTANT_ABSTAIN",
        "balanced",
        "when to say that the documents don't answer: `strict` more often, `off` only when the model does",
    ),
    Setting("ASSISTANT_PRICE_IN", "", "what the endpoint charges for a million tokens read; shown under each answer"),
    Setting("ASSISTANT_PRICE_OUT", "", "the same for a million tokens written"),
    Setting("ASSISTANT_CURRENCY", "USD", "the currency of these prices"),
    Setting("ASSISTANT_THREADS", "0", "threads for the models; 0 means one for each core"),
    Setting("ASSISTANT_UPLOAD_MB", "50", "largest file accepted, in megabytes"),
    Setting(
        "ASSISTANT_USER_HEADER",
        "",
        "header in which a login proxy in front names who asks, such as `X-Forwarded-User`; each then has conversations of their own",
    ),
    Setting("ASSISTANT_PASSWORDS", "", "passwords to try on encrypted documents, separated by commas"),
)

SETTINGS_DEFAULTS = {row.variable: row.default for row in SETTINGS}


@dataclass(frozen=True)
class Settings:
    """The settings of one process. Sizes in tokens or megabytes as named; paths are absolute."""

    corpus: Path
    data: Path
    host: str
    port: int
    chat_model: str
    base_url: str
    api_key: str = field(repr=False)
    embedding_model: str
    reranker: str
    context_tokens: int
    answer_tokens: int
    passages: int
    prompt_tokens: int
    abstain: Level
    threads: int
    upload_mb: int
    price_in: float | None = None  # for a million tokens, None when not set
    price_out: float | None = None
    currency: str = SETTINGS_DEFAULTS["ASSISTANT_CURRENCY"]
    passwords: tuple[str, ...] = field(default=(), repr=False)
    user_header: str = ""

    @property
    def uploads(self) -> Path:
        """Where uploaded files lie until they are in the corpus folder."""
        return self.data / "uploads"

    @property
    def embedded(self) -> bool:
        """Whether the language model is a GGUF file run in this process."""
        name = self.chat_model
        return not self.base_url and (name == "embedded" or name.startswith("hf:") or name.endswith(".gguf"))

    @property
    def extractive(self) -> bool:
        """Whether answers are made without a language model."""
        return self.chat_model == "extractive"


def _whole(env: Mapping[str, str], variable: str, default: str, low: int, high: int) -> int:
    raw = env.get(variable, "").strip() or default
    try:
        value = int(raw)
    except ValueError:
        raise UserError(f"{variable} is {raw!r}: it must be a whole number.") from None
    if not low <= value <= high:
        raise UserError(f"{variable} is {value}: it must be between {low} and {high}.")
    return value


def _level(name: str) -> Level:
    for level in get_args(Level):
        if name.lower() == level:
            return cast(Level, level)
    raise UserError(f"ASSISTANT_ABSTAIN is {name!r}: it must be {', '.join(get_args(Level)[:-1])} or {get_args(Level)[-1]}.")


def _price(env: Mapping[str, str], variable: str) -> float | None:
    raw = env.get(variable, "").strip()
    if not raw:
        return None
    try:
        value = float(raw)
    except ValueError:
        raise UserError(f"{variable} is {raw!r}: it must be a number, such as 0.28.") from None
    if not 0 <= value <= 1_000_000:
        raise UserError(f"{variable} is {raw}: it must be between 0 and 1,000,000.")
    return value


def load_settings(env: Mapping[str, str] | None = None) -> Settings:
    """Read the settings from `env` (the process environment by default).

    Raises `UserError` for a number that is none or out of range, and a word that isn't one of those to choose from.
    """
    env = os.environ if env is None else env

    def text(variable: str) -> str:
        return env.get(variable, "").strip() or SETTINGS_DEFAULTS[variable]

    def whole(variable: str, low: int, high: int) -> int:
        return _whole(env, variable, SETTINGS_DEFAULTS[variable], low, high)

    base_url = text("OPENAI_BASE_URL") or env.get("OPENAI_API_BASE", "").strip()
    chat_model = text("ASSISTANT_CHAT_MODEL")
    if base_url and not env.get("ASSISTANT_CHAT_MODEL", "").strip():
        chat_model = ""  # the endpoint is asked which model it serves
    if chat_model in ("embedded", "extractive"):
        base_url = ""  # asked for by name, whatever address the environment holds for other programs
    return Settings(
        corpus=Path(text("ASSISTANT_CORPUS")).expanduser().absolute(),
        data=Path(text("ASSISTANT_DATA")).expanduser().absolute(),
        host=text("ASSISTANT_HOST"),
        port=whole("ASSISTANT_PORT", 0, 65535),
        chat_model=chat_model,
        base_url=base_url,
        api_key=text("OPENAI_API_KEY"),
        embedding_model=text("ASSISTANT_EMBEDDING_MODEL"),
        reranker=text("ASSISTANT_RERANKER"),
        context_tokens=whole("ASSISTANT_CONTEXT_TOKENS", 2048, 1_000_000),
        answer_tokens=whole("ASSISTANT_ANSWER_TOKENS", 16, 32_000),
        passages=whole("ASSISTANT_PASSAGES", 1, 50),
        prompt_tokens=whole("ASSISTANT_PROMPT_TOKENS", 64, 100_000),
        abstain=_level(text("ASSISTANT_ABSTAIN")),
        threads=whole("ASSISTANT_THREADS", 0, 1024),
        upload_mb=whole("ASSISTANT_UPLOAD_MB", 1, 10_000),
        price_in=_price(env, "ASSISTANT_PRICE_IN"),
        price_out=_price(env, "ASSISTANT_PRICE_OUT"),
        currency=text("ASSISTANT_CURRENCY")[:12],
        user_header=text("ASSISTANT_USER_HEADER").strip(),
        passwords=tuple(filter(None, map(str.strip, text("ASSISTANT_PASSWORDS").split(",")))),
    )


def stay_offline(settings: Settings) -> None:
    """Tell every library that would call home not to; call it before any of them is imported.

    Only a model that the user names on the Hugging Face Hub opens the hub.
    """
    named = {settings.embedding_model, settings.reranker} - {SETTINGS_DEFAULTS["ASSISTANT_EMBEDDING_MODEL"], ""}
    offline = "1" if all(Path(name).expanduser().exists() for name in named) else "0"
    os.environ.update(
        GRADIO_ANALYTICS_ENABLED="False",
        HF_HUB_OFFLINE=offline,
        TRANSFORMERS_OFFLINE=offline,
        HF_HUB_DISABLE_TELEMETRY="1",
        HF_HUB_DISABLE_PROGRESS_BARS=offline,
        ANONYMIZED_TELEMETRY="False",
        LANGSMITH_TRACING="false",
        LANGCHAIN_TRACING_V2="false",
        DO_NOT_TRACK="1",
        TOKENIZERS_PARALLELISM="false",
    )
