"""A mask painted on the first frame of a film, by mouse, finger or keyboard: HTML and JavaScript.

The value of the component is an object: `picture` is the frame as a data: address, `mask` what was painted,
white on black in the size of the frame, as one of PNG.
"""

from base64 import b64decode
from binascii import Error
from typing import Any

_PNG = "data:image/png;base64,"
_MOST_LETTERS = 2**23

HTML = """
<div class="painter">
  <p id="painter-help">Paint what is to be made anew. By keyboard: arrow keys move the brush, space paints,
  shift and space erases.</p>
  <canvas tabindex="0" role="application" aria-label="mask to paint" aria-describedby="painter-help"></canvas>
  <div class="painter-row">
    <label>brush <input type="range" min="2" max="50" value="16" aria-label="size of the brush"></label>
    <button type="button" data-does="erase" aria-pressed="false">erase</button>
    <button type="button" data-does="invert">invert</button>
    <button type="button" data-does="clear">clear</button>
    <a download="mask.png" href="#" hidden>save the mask</a>
  </div>
</div>
"""

SCRIPT = r"""
const mask = document.createElement('canvas'), paint = mask.getContext('2d', {willReadFrequently: true});
let picture = null, erasing = false, pressed = false, brush = null, shown = '', told = '';
const part = name => element.querySelector(name);
const radius = () => Math.max(mask.width, mask.height) * part('input').value / 200;
function draw() {
  const canvas = part('canvas');
  if (!canvas || !mask.width) return;
  const scale = Math.max(1, Math.round(384 / mask.width));
  canvas.width = mask.width * scale; canvas.height = mask.height * scale;
  const onto = canvas.getContext('2d');
  onto.imageSmoothingEnabled = false;
  if (picture) onto.drawImage(picture, 0, 0, canvas.width, canvas.height);
  const over = document.createElement('canvas'); over.width = mask.width; over.height = mask.height;
  const tint = over.getContext('2d'), seen = paint.getImageData(0, 0, mask.width, mask.height);
  for (let at = 0; at < seen.data.length; at += 4) {
    const white = seen.data[at] > 127;
    seen.data[at] = 255; seen.data[at + 1] = 90; seen.data[at + 2] = 0; seen.data[at + 3] = white ? 165 : 0;
  }
  tint.putImageData(seen, 0, 0);
  onto.drawImage(over, 0, 0, canvas.width, canvas.height);
  if (brush) {
    onto.beginPath(); onto.lineWidth = 2; onto.strokeStyle = 'white';
    onto.arc(brush.x * scale, brush.y * scale, radius() * scale, 0, 7); onto.stroke();
    onto.beginPath(); onto.lineWidth = 1; onto.strokeStyle = 'black';
    onto.arc(brush.x * scale, brush.y * scale, radius() * scale + 1.5, 0, 7); onto.stroke();
  }
}
function fill(colour) { paint.fillStyle = colour; paint.fillRect(0, 0, mask.width, mask.height); }
function dab(from, to, erases) {
  const steps = Math.max(1, Math.ceil(2 * Math.hypot(to.x - from.x, to.y - from.y) / radius()));
  paint.fillStyle = erases ? 'black' : 'white';
  for (let step = 0; step <= steps; step++) {
    paint.beginPath();
    const share = step / steps;
    paint.arc(from.x + (to.x - from.x) * share, from.y + (to.y - from.y) * share, radius(), 0, 7);
    paint.fill();
  }
  draw();
}
function tell() {
  told = mask.toDataURL('image/png');
  props.value = {picture: shown, mask: told};
  link();
}
function link() {
  const save = part('a');
  if (save) { save.hidden = !told; save.href = told || '#'; }
}
function place(event) {
  const box = part('canvas').getBoundingClientRect();
  return {x: (event.clientX - box.left) / box.width * mask.width,
          y: (event.clientY - box.top) / box.height * mask.height};
}
function take() {
  const value = props.value || {};
  link();
  if (!value.picture || value.picture === shown) { draw(); return; }
  shown = value.picture; told = '';
  const loaded = new Image();
  loaded.onload = () => {
    picture = loaded; mask.width = loaded.naturalWidth; mask.height = loaded.naturalHeight;
    fill('black'); brush = {x: mask.width / 2, y: mask.height / 2}; draw();
  };
  loaded.src = shown;
}
element.addEventListener('pointerdown', event => {
  if (event.target.tagName !== 'CANVAS' || !mask.width) return;
  event.preventDefault(); event.target.focus(); event.target.setPointerCapture(event.pointerId);
  pressed = true; brush = place(event); dab(brush, brush, erasing);
});
element.addEventListener('pointermove', event => {
  if (event.target.tagName !== 'CANVAS' || !mask.width) return;
  const before = brush, now = place(event); brush = now;
  if (pressed) dab(before || now, now, erasing); else draw();
});
element.addEventListener('pointerup', () => { if (pressed) { pressed = false; tell(); } });
element.addEventListener('pointercancel', () => { pressed = false; });
element.addEventListener('input', event => { event.stopPropagation(); draw(); });
element.addEventListener('keydown', event => {
  if (event.target.tagName !== 'CANVAS' || !mask.width) return;
  const step = Math.max(1, radius() / 2), moves = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1],
                                                   ArrowDown: [0, 1]};
  if (event.key in moves) {
    const [x, y] = moves[event.key];
    brush = {x: Math.min(mask.width, Math.max(0, brush.x + x * step)),
             y: Math.min(mask.height, Math.max(0, brush.y + y * step))};
    event.preventDefault(); draw();
  } else if (event.key === ' ') {
    event.preventDefault(); dab(brush, brush, event.shiftKey || erasing); tell();
  }
});
element.addEventListener('click', event => {
  const button = event.target.closest('button');
  if (!button || !mask.width) return;
  if (button.dataset.does === 'erase') {
    erasing = !erasing; button.setAttribute('aria-pressed', erasing); return;
  }
  if (button.dataset.does === 'clear') fill('black');
  else {
    const seen = paint.getImageData(0, 0, mask.width, mask.height);
    for (let at = 0; at < seen.data.length; at++) if (at % 4 < 3) seen.data[at] = 255 - seen.data[at];
    paint.putImageData(seen, 0, 0);
  }
  draw(); tell();
});
watch('value', take);
take();
"""


def painted_mask(value: Any) -> bytes | None:
    """The file of what was painted; None if nothing was.

    Raises:
        ValueError: if it is no such file.
    """
    mask = value.get("mask") if isinstance(value, dict) else None
    if mask is None:
        return None
    if not isinstance(mask, str) or not mask.startswith(_PNG) or len(mask) > _MOST_LETTERS:
        raise ValueError("the painted mask cannot be read")
    try:
        return b64decode(mask[len(_PNG) :], validate=True)
    except Error:
        raise ValueError("the painted mask cannot be read") from None
