"""How the page looks: nothing is fetched from elsewhere, and colours follow the theme, light or dark."""

CSS = """
.gradio-container { width: 100% !important; max-width: 1200px !important;
  margin: 0 auto !important; --color-accent: #2563eb; }
.dark .gradio-container, .dark.gradio-container { --color-accent: #60a5fa; }
.told { margin: 0 0 .6rem 0; color: var(--body-text-color); }
.problem { margin: 0 0 .6rem 0; padding: .6rem .8rem; border-left: 4px solid #c2410c;
  color: var(--body-text-color); background: var(--background-fill-secondary); }
.notes { margin: .6rem 0 0 1.2rem; list-style: disc; color: var(--body-text-color-subdued); }
.cards { display: flex; flex-wrap: wrap; gap: 12px; }
.cards figure { margin: 0; max-width: 100%; }
.cards video, .cards img { display: block; max-width: 100%; image-rendering: pixelated; border-radius: 6px;
  background: var(--background-fill-secondary); }
.cards progress { display: block; width: 184px; margin-top: 6px; accent-color: var(--color-accent); }
.cards figcaption { display: flex; flex-direction: column; font-size: .85rem; color: var(--body-text-color);
  margin-top: 4px; max-width: 220px; overflow-wrap: anywhere; }
.cards figcaption a, .cards figcaption a:visited { color: var(--link-text-color); text-decoration: underline;
  width: fit-content; padding: 0; margin: 0; }
.cards .words { color: var(--body-text-color-subdued); }
.painter canvas { width: min(100%, 384px); height: auto; display: block; touch-action: none;
  cursor: crosshair;
  image-rendering: pixelated; border-radius: 6px; background: var(--background-fill-secondary); }
.painter canvas:focus-visible { outline: 3px solid var(--color-accent); outline-offset: 2px; }
.painter p { margin: 0 0 .4rem 0; font-size: .85rem; color: var(--body-text-color); }
.painter-row { display: flex; flex-wrap: wrap; gap: 8px; align-items: center; margin-top: 8px; }
.painter-row label { display: flex; gap: 6px; align-items: center; color: var(--body-text-color); }
.painter-row button { padding: 2px 10px; border: 1px solid var(--border-color-primary); border-radius: 6px;
  background: var(--button-secondary-background-fill); color: var(--button-secondary-text-color); }
.painter-row button[aria-pressed=true] { background: var(--color-accent); color: white; }
.painter-row button:focus-visible { outline: 3px solid var(--color-accent); }
"""
FONTS = ("system-ui", "sans-serif")
MONO_FONTS = ("ui-monospace", "monospace")
