"""How the page looks: one quiet accent, the reader's own fonts, nothing fetched from anywhere."""

from __future__ import annotations

from gradio import themes

FONT = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Ubuntu", "sans-serif")
MONO = ("ui-monospace", "SFMono-Regular", "Menlo", "Consolas", "monospace")
# A slate blue from pale to deep; the steps are what the toolkit's palettes have.
ACCENT = themes.Color(
    name="fourreal",
    c50="#f1f7fa",
    c100="#dcebf2",
    c200="#bcd8e5",
    c300="#92bfd3",
    c400="#5f9fba",
    c500="#3d829f",
    c600="#2f6f8f",
    c700="#285b76",
    c800="#244c62",
    c900="#213f52",
    c950="#152a38",
)


def calm_theme() -> themes.Base:
    """The page's theme, light and dark."""
    theme = themes.Base(
        primary_hue=ACCENT,
        secondary_hue=ACCENT,
        neutral_hue=themes.colors.slate,
        radius_size=themes.sizes.radius_md,
        spacing_size=themes.sizes.spacing_md,
        text_size=themes.sizes.text_md,
        font=[themes.Font(name) for name in FONT],
        font_mono=[themes.Font(name) for name in MONO],
    )
    return theme.set(
        body_text_color_subdued="*neutral_500",
        body_background_fill="#fbfcfd",
        body_background_fill_dark="#12161b",
        block_background_fill="#ffffff",
        block_background_fill_dark="#191f26",
        block_border_width="1px",
        block_shadow="none",
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_text_color="#ffffff",
        slider_color="*primary_600",
    )
