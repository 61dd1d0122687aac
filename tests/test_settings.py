import json
import re

import pytest

from assistant.errors import UserError
from assistant.settings import SETTINGS, load_settings
from eval.bench import RESULT, table
from tests.conftest import ROOT


def test_the_readme_has_the_settings_table_of_the_code() -> None:
    rows = [f"| `{row.variable}` | {f'`{row.default}`' if row.default else ''} | {row.help} |" for row in SETTINGS]
    assert "\n".join(rows) in (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_readme_names_every_file_of_the_tree() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("assistant", "assistant/loaders", "ui", "eval"):
        for path in sorted((ROOT / folder).glob("*.py")):
            if path.name != "__init__.py":
                assert re.search(rf"\b{re.escape(path.name)}\b", readme), f"{path.name} is not in the README's file tree"


def test_the_readme_shows_the_stored_figures() -> None:
    assert table(json.loads(RESULT.read_text(encoding="utf-8"))) in (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("variable", "value"),
    [("ASSISTANT_PORT", "many"), ("ASSISTANT_PORT", "70000"), ("ASSISTANT_PASSAGES", "0"), ("ASSISTANT_CONTEXT_TOKENS", "-5")],
)
def test_a_wrong_number_is_named_in_one_line(variable: str, value: str) -> None:
    with pytest.raises(UserError, match=variable) as caught:
        load_settings({variable: value})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value"), [("ASSISTANT_PRICE_IN", "cheap"), ("ASSISTANT_PRICE_OUT", "-1"), ("ASSISTANT_PRICE_IN", "nan")]
)
def test_a_wrong_price_is_named_in_one_line(variable: str, value: str) -> None:
    with pytest.raises(UserError, match=variable) as caught:
        load_settings({variable: value})
    assert "\n" not in str(caught.value)


def test_extractive_asks_no_endpoint_whatever_the_environment_holds() -> None:
    settings = load_settings({"ASSISTANT_CHAT_MODEL": "extractive", "OPENAI_BASE_URL": "http://h/v1"})
    assert settings.extractive and not settings.embedded and settings.base_url == ""


def test_the_key_is_not_shown_when_settings_are_printed() -> None:
    assert "s3cret" not in repr(load_settings({"OPENAI_API_KEY": "s3cret"}))


def test_passwords_are_separated_by_commas_and_not_shown() -> None:
    settings = load_settings({"ASSISTANT_PASSWORDS": "s3cret, two words,,"})
    assert settings.passwords == ("s3cret", "two words")
    assert load_settings({}).passwords == ()
    assert "s3cret" not in repr(settings) and "two words" not in repr(settings)


@pytest.mark.parametrize(
    ("env", "model", "embedded"),
    [
        ({}, "embedded", True),
        ({"ASSISTANT_CHAT_MODEL": "hf:a/b/c.gguf"}, "hf:a/b/c.gguf", True),
        ({"ASSISTANT_CHAT_MODEL": "/x/y.gguf"}, "/x/y.gguf", True),
        ({"ASSISTANT_CHAT_MODEL": "deepseek:deepseek-reasoner"}, "deepseek:deepseek-reasoner", False),
        ({"OPENAI_BASE_URL": "http://h/v1"}, "", False),
        ({"OPENAI_API_BASE": "http://h/v1", "ASSISTANT_CHAT_MODEL": "m"}, "m", False),
        ({"OPENAI_BASE_URL": "http://h/v1", "ASSISTANT_CHAT_MODEL": "big.gguf"}, "big.gguf", False),
    ],
)
def test_which_model_the_settings_name(env: dict[str, str], model: str, embedded: bool) -> None:
    settings = load_settings(env)
    assert (settings.chat_model, settings.embedded) == (model, embedded)
