"""HTML: the main text without menus, as Markdown, through trafilatura."""

from assistant.documents import Parsed, decode
from assistant.errors import DocumentError
from assistant.loaders.markdown import markdown_headings


def load_html(data: bytes) -> Parsed:
    """Read the main text of a page; the title is the page's own.

    Raises `DocumentError` when no text is found.
    """
    import trafilatura
    from lxml import html as lxml_html
    from lxml.etree import LxmlError

    source = decode(data)
    try:
        tree = lxml_html.document_fromstring(source.encode(), parser=lxml_html.HTMLParser(encoding="utf-8"))
    except (LxmlError, ValueError) as error:
        raise DocumentError(f"it can't be read as HTML ({error})") from None
    text = trafilatura.extract(tree, output_format="markdown", include_tables=True, include_comments=False, favor_recall=True)
    if not text:
        # Pages that are no article: all text but scripts and styles.
        for element in tree.xpath("//script|//style|//noscript|//template"):
            element.drop_tree()
        text = "\n\n".join(line.strip() for line in tree.text_content().split("\n") if line.strip())
    headings = markdown_headings(text)
    named = next((heading.text for heading in headings if heading.level == 1), "")
    return Parsed(text, named or (tree.findtext(".//title") or "").strip(), headings)
