"""What an empty conversation shows: how to begin, and questions about the documents that are there."""

from assistant.answer import Assistant
from ui.render import button_html, one_block, shown

_MOST, _OWN = 4, 3  # questions, and how many of them may be about documents other than the starter set
_LONGEST = 60  # characters of a title
_STARTER = (
    ("company-and-founder.txt", "Who founded DeepSeek, and when?"),
    ("market-reaction.md", "How much market value did Nvidia lose?"),
    ("export-controls-briefing.pdf", "How did Chinese developers respond to US export restrictions?"),
    ("user-guide.md", "How do I add my own documents?"),
)


def examples(assistant: Assistant) -> list[str]:
    """Return at most four questions that the documents answer: about the newest ones, then about the starter set."""
    known = {"r1-and-v3.html", *(id for id, _ in _STARTER)}
    newest = assistant.corpus.catalog.newest(_OWN + len(_STARTER))
    titles = [title for id, title in newest if id not in known and len(title) <= _LONGEST]
    own = [f"What is “{title}” about?" for title in dict.fromkeys(titles)][:_OWN]
    there = {id for id, _ in _STARTER if assistant.chunks(id, 0, 1)}
    return [*own, *(question for id, question in _STARTER if id in there)][:_MOST]


def welcome_html(assistant: Assistant, title: str) -> str:
    """Return the greeting, with a way to add documents and the examples as buttons."""
    settings = assistant.settings
    place = "" if settings.embedded or settings.extractive else settings.base_url or settings.chat_model
    where = f"Questions and the passages found for them are sent to {shown(place)}." if place else "Nothing leaves this computer."
    add = button_html("documents", "Add documents")
    questions = examples(assistant)
    if not questions and not assistant.document_count():
        line = f"There are no documents yet. Add some, or copy files into the folder {shown(str(settings.corpus))}. {where}"
        return one_block(f'<div class="welcome"><h2>{shown(title)}</h2><p>{line}</p><p>{add}</p></div>')
    line = (
        f"A number after a statement leads to the sentence it rests on. What the documents don't say is marked “not found”. {where}"
    )
    listed = "".join(f'<li dir="auto">{button_html("example", shown(question))}</li>' for question in questions)
    return one_block(f'<div class="welcome"><h2>{shown(title)}</h2><p>{line}</p><ul>{listed}</ul><p>{add}</p></div>')
