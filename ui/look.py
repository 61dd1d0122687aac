"""The theme: the system's own fonts, few colours, light and dark."""

import gradio as gr

_SANS = ["system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "Helvetica Neue", "Arial", "sans-serif"]
_MONO = ["ui-monospace", "SF Mono", "Cascadia Mono", "DejaVu Sans Mono", "Menlo", "Consolas", "monospace"]


def theme() -> gr.Theme:
    """Return the theme. Font names are plain strings: anything else makes Gradio load font files."""
    quote = [f"'{name}'" if " " in name else name for name in _SANS], [f"'{name}'" if " " in name else name for name in _MONO]
    base = gr.themes.Base(
        primary_hue="indigo",
        neutral_hue="slate",
        font=quote[0],
        font_mono=quote[1],
        text_size="md",
        spacing_size="md",
        radius_size="md",
    )
    return base.set(
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_400",
        body_background_fill="*neutral_50",
        body_background_fill_dark="*neutral_950",
        block_background_fill="white",
        block_background_fill_dark="*neutral_900",
        block_border_width="1px",
        block_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_text_color="white",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_500",
    )
