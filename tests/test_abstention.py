"""When the assistant says that the documents don't answer, and what it says then."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from assistant.abstention import FITTED, TOLD, WEIGHED, Fitted, decide, features, load_fitted, unknown_words
from assistant.answer import Assistant
from assistant.chat_model import ChatModel
from assistant.errors import UserError
from assistant.filters import EVERYTHING, Filter
from assistant.lexical import terms
from assistant.settings import Level, Settings, load_settings
from assistant.snapshots import REFUSAL, Answer
from tests.conftest import settings_in, write_documents
from tests.scripted_server import ScriptedServer, answer

FITTED_HERE = Fitted({"support": 4.0}, -2.0, {"strict": 0.6, "balanced": 0.4})  # the probability is 0.5 at a support of 0.5


def evidence(support: float, refused: float = 0.0) -> Mapping[str, float]:
    return {"support": support, "refused": refused}


@pytest.mark.parametrize(
    ("level", "support", "refuses"),
    [
        ("strict", 0.5, True),
        ("balanced", 0.5, False),
        ("off", 0.5, False),
        ("strict", 0.7, False),
        ("balanced", 0.3, True),
        ("off", 0.0, False),
    ],
)
def test_a_stricter_level_refuses_more(level: Level, support: float, refuses: bool) -> None:
    assert decide(evidence(support), level, FITTED_HERE) is refuses


def test_a_draft_that_the_model_had_rather_refused_is_refused() -> None:
    told = Fitted({"refusing": -6.0}, 0.0, {"strict": 0.6, "balanced": 0.4})
    sure, unsure = (features([1.0], False, likely) for likely in (0.01, 0.9))
    assert not decide(sure, "balanced", told) and decide(unsure, "balanced", told)
    assert features([], refused=False).keys() == {*WEIGHED, "refused"}
    assert features([], False, 0.0)["refusing"] == -1.0 and features([], False, 1.0)["refusing"] == 1.0


@pytest.mark.parametrize("level", ["strict", "balanced", "off"])
def test_the_models_own_refusal_counts_at_every_level(level: Level) -> None:
    assert decide(evidence(1.0, refused=1.0), level, FITTED_HERE)


@pytest.mark.parametrize(("told", "names"), [(True, TOLD), (False, WEIGHED)])
def test_the_stored_weights_are_whole_and_strict_is_stricter(told: bool, names: tuple[str, ...]) -> None:
    fitted = load_fitted(told)
    assert tuple(fitted.weights) == names and 0 <= fitted.thresholds["balanced"] <= fitted.thresholds["strict"] <= 1
    rates = json.loads(FITTED.read_text(encoding="utf-8"))["told" if told else "untold"]["error_rates"]
    assert {"squad_v2_dev", "mtrag_clapnq", "corpus"} <= rates.keys()
    for levels in rates.values():
        assert {"strict", "balanced", "off"} <= levels.keys()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"weights": {}}', '{"weights": {"score": "x"}, "bias": 0}'])
def test_a_damaged_file_of_weights_is_named_with_the_way_out(tmp_path: Path, content: str) -> None:
    path = tmp_path / "abstention.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"abstention\.json is missing or damaged: .*ASSISTANT_ABSTAIN=off"):
        load_fitted(False, path)


def test_an_unknown_level_is_named_with_those_there_are() -> None:
    with pytest.raises(UserError, match="ASSISTANT_ABSTAIN is 'lax': it must be strict, balanced or off"):
        load_settings({"ASSISTANT_ABSTAIN": "lax"})
    assert load_settings({"ASSISTANT_ABSTAIN": " Strict"}).abstain == "strict"


def lacking(text: str) -> Callable[[Sequence[str]], list[str]]:
    """Return what `unknown_words` asks, for documents that hold `text`."""
    return lambda wanted: [term for term in wanted if term not in terms(text)]


@pytest.mark.parametrize(
    ("question", "words"),
    [
        ("how do i switch the assistant to dark mode", ("dark mode",)),
        ("Are Switches DARK?", ("DARK",)),
        ("dark dark Dark switching of the assistants", ("dark dark Dark",)),
        ("Please tell me about the assistant", ()),
        ("Does the assistant run on Solaris, or on Plan-9?", ("run", "Solaris", "Plan-9")),
        ("the of and", ()),
        ("switch the snake_case of __init__", ("snake", "case", "init")),
        ("a1 b1 or c1 assistant d1 switch e1 assistant f1 assistant g1", ("a1 b1", "c1", "d1", "e1", "f1")),
        ("Sind Hunde im Garten erlaubt?", ()),
        ("Please tell me: penguins, walruses?", ("penguins", "walruses")),
        ("Who tamed walruses quickly?", ()),
        ("", ()),
    ],
)
def test_words_that_stand_nowhere_are_given_as_typed(question: str, words: tuple[str, ...]) -> None:
    assert unknown_words(question, lacking("Switch the assistant on.")) == words


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory, models: Path) -> Iterator[Assistant]:
    settings = settings_in(tmp_path_factory.mktemp("abstention"), models, {})
    write_documents(
        settings.corpus,
        {
            "observatory.md": "Ada Quill founded the Lumen Observatory in 1911. It stands on Mount Corran.",
            "bakery.md": "The Harbour Bakery sells rye bread on Tuesdays. Its oven burns beech wood.",
        },
    )
    with closing(Assistant(settings)) as assistant:
        assert assistant.sync().failed == []
        yield assistant


def ask(
    opened: Assistant, scripted: ScriptedServer, question: str, level: Level = "balanced", filter: Filter = EVERYTHING
) -> Answer:
    settings: Settings = replace(opened.settings, base_url=scripted.url, chat_model="scripted-1", abstain=level)
    model = ChatModel(settings)
    opened.settings, opened.chat_model = settings, model
    try:
        return list(opened.ask(question, filter=filter))[-1]
    finally:
        model.close()


def test_a_refusal_names_the_words_that_stand_nowhere_and_keeps_the_passages(opened: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(answer("NOT IN THE DOCUMENTS"))
    last = ask(opened, scripted, "Which telescope did Ada Quill buy for the observatory?")
    assert last.refused and last.unknown_words == ("telescope", "buy") and last.passages
    assert last.text == f'{REFUSAL} Nowhere in them: "telescope", "buy".'
    assert ask(opened, scripted, "When did Ada Quill sell bread?").text == REFUSAL


def test_only_the_documents_that_the_filter_allows_count(opened: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(answer("NOT IN THE DOCUMENTS"))
    last = ask(opened, scripted, "Who founded the bakery?", filter=Filter(documents=("bakery.md",)))
    assert last.unknown_words == ("founded",)


def test_a_word_of_a_document_that_was_removed_stands_nowhere(tmp_path: Path, models: Path, scripted: ScriptedServer) -> None:
    settings = settings_in(tmp_path, models, {})
    write_documents(settings.corpus, {"a.md": "Glaciers move slowly.", "b.md": "Rivers move fast."})
    scripted.play(answer("NOT IN THE DOCUMENTS"))
    with closing(Assistant(settings)) as assistant:
        assistant.sync()
        assert ask(assistant, scripted, "How do glaciers move?").unknown_words == ()
        assistant.remove("a.md")
        assert ask(assistant, scripted, "How do glaciers move?").unknown_words == ("glaciers",)


def test_off_shows_a_draft_that_nothing_supports_and_balanced_refuses_it(opened: Assistant, scripted: ScriptedServer) -> None:
    scripted.play(answer("Penguins breed on the southern ice."))
    assert ask(opened, scripted, "Who founded the Lumen Observatory?").refused
    shown = ask(opened, scripted, "Who founded the Lumen Observatory?", "off")
    assert not shown.refused and shown.text.startswith("Penguins breed on the southern ice") and shown.unknown_words == ()
    scripted.play(answer("NOT IN THE DOCUMENTS"))
    assert ask(opened, scripted, "Who founded the Lumen Observatory?", "off").refused


def test_the_support_of_a_draft_is_that_of_its_best_statement() -> None:
    assert features([0.8, 0.9], False) == {"support": 0.9, "refused": 0.0}
    assert features([], True) == {"support": 0.0, "refused": 1.0}
