"""Equations of office files (OMML) as one line of text: x = (-b ± sqrt(b^2 - 4ac))/(2a)."""

from typing import Any

M = "{http://schemas.openxmlformats.org/officeDocument/2006/math}"


def equation(element: Any) -> str:
    """Return an equation, or a part of one, in a line."""
    name = element.tag[len(M) :] if isinstance(element.tag, str) and element.tag.startswith(M) else ""
    if name == "t":
        return (element.text or "").replace("\u2061", " ")  # the invisible sign of a function
    if not name and not len(element):
        return ""
    if name.endswith("Pr"):
        return ""
    arguments = {child.tag[len(M) :]: child for child in element if isinstance(child.tag, str) and child.tag.startswith(M)}

    def part(key: str) -> str:
        return equation(arguments[key]) if key in arguments else ""

    match name:
        case "f":
            return f"{_grouped(part('num'))}/{_grouped(part('den'))}"
        case "sSup":
            return f"{_grouped(part('e'))}^{_grouped(part('sup'))}"
        case "sSub":
            return f"{_grouped(part('e'))}_{_grouped(part('sub'))}"
        case "sSubSup":
            return f"{_grouped(part('e'))}_{_grouped(part('sub'))}^{_grouped(part('sup'))}"
        case "rad":
            return f"root_{_grouped(part('deg'))}({part('e')})" if part("deg") else f"sqrt({part('e')})"
        case "d":
            opening, closing = _property(element, "dPr/begChr", "("), _property(element, "dPr/endChr", ")")
            return opening + ", ".join(equation(child) for child in element.findall(M + "e")) + closing
        case "nary":
            limits = "".join(f"{sign}{_grouped(part(key))}" for sign, key in (("_", "sub"), ("^", "sup")) if part(key))
            return f"{_property(element, 'naryPr/chr', '∫')}{limits} {part('e')}"
        case "func":
            return f"{part('fName').strip()} {part('e')}"
        case "limLow" | "limUpp":
            return f"{part('e')}_{_grouped(part('lim'))}"
        case "m":
            return "[" + "; ".join(", ".join(equation(cell) for cell in row) for row in element.findall(M + "mr")) + "]"
        case _:
            return "".join(equation(child) for child in element)


def _grouped(text: str) -> str:
    text = text.strip()
    return text if len(text) < 2 or text.isalnum() else f"({text})"


def _property(element: Any, path: str, default: str) -> str:
    found = element.find("/".join(M + step for step in path.split("/")))
    return default if found is None else str(found.get(M + "val") or "")
