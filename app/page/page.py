"""The page: tabs of one gradio application, mounted on the server whose queue it asks."""

from pathlib import Path

import gradio as gr
from fastapi import FastAPI

from .clip_tab import ClipTab
from .desk import Desk
from .earlier_tab import EarlierTab
from .style import CSS, FONTS, MONO_FONTS
from .workflow_tabs import ChainTab, LongTab

_KEPT_SECONDS = (3600, 24 * 3600)  # uploads: how often is looked, and how old they become


def page(desk: Desk, name: str) -> gr.Blocks:
    """All tabs.

    Args:
        name: of the model.
    """
    clips = desk.model.clips
    size = f"{clips.width}x{clips.height} pixels, {clips.num_frames / clips.fps:.1f} s"
    options = {"analytics_enabled": False, "delete_cache": _KEPT_SECONDS, "fill_width": True}
    with gr.Blocks(title=f"videolm: {name}", **options) as blocks:
        gr.Markdown(f"# videolm\n{name}: {len(desk.model.config.tasks)} tasks, {size}", elem_id="heading")
        with gr.Tab("Clip", elem_id="tab-clip"):
            ClipTab(desk)
        if can_go_on(desk):
            with gr.Tab("Long video", elem_id="tab-long"):
                LongTab(desk)
        with gr.Tab("Chain", elem_id="tab-chain"):
            ChainTab(desk)
        with gr.Tab("Made before", elem_id="tab-earlier") as tab:
            EarlierTab(desk).load_when(tab)
    return blocks


def can_go_on(desk: Desk) -> bool:
    """Whether the model can go on with a video, of which longer ones are made."""
    return bool({"frame_prediction", "audio_video_continuation"} & set(desk.model.config.tasks))


def mount(app: FastAPI, blocks: gr.Blocks, allowed: Path, most_bytes: int) -> FastAPI:
    """The application with the page at its root.

    Args:
        allowed: the only folder beside uploads whose files the page may show.
        most_bytes: of an upload.
    """
    blocks.queue(api_open=False, default_concurrency_limit=8)
    # Without it gradio takes any path of this machine for an upload: it checks paths of launched pages only.
    blocks.has_launched = True
    return gr.mount_gradio_app(
        app,
        blocks,
        path="/",
        allowed_paths=[str(allowed)],
        max_file_size=most_bytes,
        footer_links=[],
        run_history=False,
        show_error=False,
        ssr_mode=False,
        mcp_server=False,
        enable_monitoring=False,
        pwa=False,
        theme=_theme(),
        css=CSS,
    )


def _theme() -> gr.themes.Base:
    """Gradio's own with fonts of the system, and colours that stand out from their ground by 4.5 to 1."""
    fonts = [[gr.themes.Font(each) for each in names] for names in (FONTS, MONO_FONTS)]
    theme = gr.themes.Default(primary_hue="blue", font=fonts[0], font_mono=fonts[1])
    return theme.set(
        button_primary_background_fill="*primary_600",
        button_primary_background_fill_hover="*primary_700",
        button_primary_background_fill_dark="*primary_600",
        button_primary_background_fill_hover_dark="*primary_700",
        body_text_color_subdued="*neutral_600",
        body_text_color_subdued_dark="*neutral_300",
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        block_label_text_color="*neutral_700",
        block_label_text_color_dark="*neutral_200",
        block_title_text_color="*neutral_700",
        block_title_text_color_dark="*neutral_200",
        input_placeholder_color="*neutral_500",
        input_placeholder_color_dark="*neutral_400",
    )
