"""Source code and settings: the text as written; what is defined at the top becomes a heading."""

import re

from assistant.decoding import decode_text
from assistant.documents import Heading, Parsed

_NAME = r"[\w$]+"
_MODIFIERS = (
    r"(?:(?:export|default|declare|public|private|protected|internal|static|final|abstract|sealed|open|override|virtual"
    r"|async|unsafe|inline|data|suspend|partial|readonly|extern|pub(?:\([^)]*\))?|const|fileprivate|mutating|native"
    r"|synchronized|extern\s+\"C\")\s+)*+"
)
_PYTHON = re.compile(rf"^(?P<indent>[ \t]*)(?:async\s+)?(?:def|class)\s+(?P<name>{_NAME})")
# Languages with braces: types, functions by a word, and methods by their form `type name(...) {`.
_BRACES = re.compile(
    rf"^(?P<indent>[ \t]*){_MODIFIERS}(?:class|interface|enum|struct|trait|impl(?:<[^>]*>)?|union|record|namespace|module|mod|object"
    rf"|extension|protocol|actor|func(?:\s*\([^)]*\))?|fun|fn|function\*?|type)\s+(?P<name>{_NAME}(?:\s+for\s+{_NAME})?)"
)
_METHOD = re.compile(
    r"^(?P<indent>[ \t]*)(?!(?:return|else|new|throw|if|for|while|switch|catch|using|lock|do|await|case|typedef)\b)"
    r"(?:[\w$<>\[\],.:?~]+[ \t*&]+(?!\())++(?P<name>[\w$:~]+)\s*\([^;=]*$"
)
_ARROW = re.compile(
    rf"^(?P<indent>)(?:export\s+)?(?:const|let|var)\s+(?P<name>{_NAME})\s*=\s*(?:async\s*)?(?:function\b|\([^)]*\)[^=]*=>|{_NAME}\s*=>)"
)
_RUBY = re.compile(r"^(?P<indent>[ \t]*)(?:def|class|module)\s+(?P<name>[\w.:?!=]+)")
_SHELL = re.compile(r"^(?P<indent>)(?:function\s+)?(?P<name>(?<=function )[\w-]+|[\w-]+(?=\s*\(\)))")
_SQL = re.compile(
    r"^(?P<indent>)\s*create\s+(?:or\s+replace\s+)?(?:temp(?:orary)?\s+|unique\s+|materialized\s+)*"
    r"(?:table|view|function|procedure|trigger|index|type|schema)\s+(?:if\s+not\s+exists\s+)?(?P<name>[\w.\"`\[\]]+)",
    re.IGNORECASE,
)
_SECTION = re.compile(r"^(?P<indent>)\[{1,2}(?P<name>[^\]\n]{1,100})\]{1,2}\s*(?:[#;].*)?$")
_KEY = re.compile(r"^(?P<indent>)(?P<name>[\w.\"'/-][^:#\n]{0,80}?):(?:\s|$)")
_TEX = re.compile(
    r"^(?P<indent>)\s*\\(?P<depth>part|chapter|section|subsection|subsubsection)\*?\s*(?:\[[^\]]*\])?\{(?P<name>[^{}\n]*(?:\{[^{}\n]*\}[^{}\n]*)*)\}"
)
_R = re.compile(r"^(?P<indent>)(?P<name>[\w.]+)\s*(?:<-|=)\s*function\b")
_ORG = re.compile(r"^(?P<indent>)(?P<depth>\*+|=+)\s+(?P<name>\S.*?)(?:\s+:[\w@:]+:)?$")
_TEX_DEPTHS = {"part": 1, "chapter": 1, "section": 2, "subsection": 3, "subsubsection": 4}

RULES: dict[str, tuple[re.Pattern[str], ...]] = {
    ".py": (_PYTHON,),
    ".pyi": (_PYTHON,),
    ".rb": (_RUBY,),
    ".r": (_R,),
    ".sql": (_SQL,),
    ".tex": (_TEX,),
    ".org": (_ORG,),
    ".adoc": (_ORG,),
    ".asciidoc": (_ORG,),
    **dict.fromkeys((".sh", ".bash", ".zsh"), (_SHELL,)),
    **dict.fromkeys((".js", ".mjs", ".jsx", ".ts", ".tsx", ".vue"), (_BRACES, _ARROW)),
    **dict.fromkeys((".java", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".php", ".scala", ".dart", ".m"), (_BRACES, _METHOD)),
    **dict.fromkeys((".go", ".rs", ".kt", ".swift"), (_BRACES,)),
    **dict.fromkeys((".toml", ".ini", ".cfg", ".conf", ".properties"), (_SECTION,)),
    **dict.fromkeys((".yaml", ".yml"), (_KEY,)),
    **dict.fromkeys((".log", ".css", ".scss", ".lua", ".pl", ".ps1", ".bat", ".proto", ".graphql", ".diff", ".patch"), ()),
}
_MAX_HEADINGS = 5000
_LONG_LINE = 300  # characters; longer lines are data


def load_source(data: bytes, suffix: str) -> Parsed:
    """Read a text file of the language that `suffix` names, one of `RULES`.

    A heading's level follows its indentation, two steps deep at most, so that a method stands under its class.
    """
    decoded = decode_text(data)
    text = decoded.text
    headings: list[Heading] = []
    offset = 0
    comment = False  # inside of /* and */
    for line in text.split("\n"):
        if _BRACES in RULES[suffix] and (comment or line.lstrip().startswith("/*")):
            comment = "*/" not in line
        elif len(line) <= _LONG_LINE and line.strip() and len(headings) < _MAX_HEADINGS:
            for rule in RULES[suffix]:
                match = rule.match(line)
                level = _level(match) if match else 0
                if match and 0 < level <= 5:
                    headings.append(Heading(offset, level, match.group("name").strip().strip("\"'`")))
                    break
        offset += len(line) + 1
    title = headings[0].text if suffix in (".tex", ".org", ".adoc", ".asciidoc") and headings else ""
    if suffix == ".tex":
        named = re.search(r"\\title\{([^{}]*)\}", text)
        title = named.group(1) if named else title
    return Parsed(text, title, tuple(headings), warnings=decoded.warnings)


def _level(match: re.Match[str]) -> int:
    depth = match.groupdict().get("depth")
    if depth:
        return _TEX_DEPTHS.get(depth, len(depth))
    indent = match.group("indent").expandtabs(4)
    # Deeper than a method of a class are helpers inside of functions.
    return 1 if not indent else 2 if len(indent) <= 4 else 0
