'use strict';
// The page of `videolm play`. What goes over the WebSocket is described in wire.py.

const get = id => document.getElementById(id);
const SIDES = ['dream', 'real'];
const NAMES = {ArrowLeft: '←', ArrowRight: '→', ArrowUp: '↑', ArrowDown: '↓', ' ': 'Space'};
const LEAST_RATE = 10; // pictures a second while a key is held
const REPEAT_AFTER = 300; // milliseconds that a key is held before it counts again

let hello = null; // what the server says of itself
let isWaiting = false; // for the answer to the last action or reset
let isGoingOn = false; // an episode is
let replay = null; // actions that are still to be played again
let tapped = null; // an action whose key was pressed since the last step
let heldSince = 0;
let due = 0; // time of the next step
const held = new Set(); // keys
const pressed = new Set(); // numbers of controls whose button is pressed
const queues = {dream: [], real: []}; // frames that are still to be shown
const shownAt = []; // times of the dream's frames in the last second

const address = new URL('play', location.href);
address.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
const socket = new WebSocket(address);
socket.binaryType = 'arraybuffer';
socket.onmessage = message => typeof message.data === 'string'
  ? onText(JSON.parse(message.data)) : onPictures(message.data);
socket.onclose = event => {
  isGoingOn = false;
  tell(`The connection has ended${event.reason ? `: ${event.reason}` : ''}. Load the page again to go on.`);
};

function send(wish) {
  if (socket.readyState === WebSocket.OPEN) socket.send(JSON.stringify(wish));
}

function onText(told) {
  if (told.event === 'hello') begin(told);
  else if (told.event === 'saved') {
    addSaved(told.name);
    tell(`Saved as ${told.name}.`);
  } else if (told.event === 'opened') {
    replay = told.actions;
    get('seed').value = told.seed;
    reset();
    tell(`${told.name}: ${told.actions.length} actions are played again.`);
  } else if (told.event === 'refused') {
    isWaiting = false;
    replay = null;
    tell(told.message[0].toUpperCase() + told.message.slice(1) + '.');
  }
}

function begin(told) {
  hello = told;
  const rate = told.rate.toFixed(told.rate % 1 ? 1 : 0);
  get('about').textContent = `${told.model}, ${told.size[1]}x${told.size[0]} pixels, ${rate} steps a second` +
    (told.environment ? `, beside ${told.environment}` : '') +
    (told.stride > 1 ? `; the dream takes ${told.stride} actions together` : '');
  get('real').hidden = !told.environment;
  for (const side of SIDES) {
    const canvas = get(side).querySelector('canvas');
    [canvas.height, canvas.width] = told.size;
  }
  const mayRest = told.rest.every(code => code !== null);
  get('pace').querySelector('[value=clock]').disabled = !mayRest;
  get('keys').replaceChildren(...told.controls.map(keyButton));
  told.saved.forEach(addSaved);
  get('replay').disabled = !told.saved.length;
  reset();
}

function keyButton(control, number) {
  const item = document.createElement('li'), button = document.createElement('button');
  const keys = document.createElement('kbd');
  keys.textContent = control.keys.map(key => NAMES[key] || key.toUpperCase()).join('+');
  button.append(keys, ` ${control.label}`);
  button.dataset.number = number;
  button.onpointerdown = event => {
    if (event.button) return;
    pressed.add(number);
    push();
  };
  for (const end of ['pointerup', 'pointerleave', 'pointercancel']) {
    button.addEventListener(end, () => { pressed.delete(number); showHeld(); });
  }
  button.onclick = event => { // by the keyboard: there was no pointer
    if (event.detail === 0) {
      pressed.add(number);
      push();
      pressed.delete(number);
      showHeld();
    }
  };
  item.append(button);
  return item;
}

function addSaved(name) {
  get('saved').add(new Option(name, name, false, true));
  get('replay').disabled = false;
}

function reset() {
  const seed = Number(get('seed').value);
  isWaiting = true;
  tapped = null;
  for (const side of SIDES) queues[side] = [];
  send({do: 'reset', seed: Number.isInteger(seed) ? seed : 0});
  get('stage').focus({preventScroll: true});
}

// What the held keys mean: a code for each dimension, or null.
function wanted() {
  const codes = hello.rest.slice(), most = hello.rest.map(() => 0);
  let isAny = false;
  hello.controls.forEach((control, number) => {
    const keys = control.keys.length && control.keys.every(key => held.has(key)) ? control.keys.length : 0;
    const weight = pressed.has(number) ? 99 : keys;
    if (weight > most[control.dimension]) {
      most[control.dimension] = weight;
      codes[control.dimension] = control.code;
      isAny = true;
    }
  });
  return isAny && codes.every(code => code !== null) ? codes : null;
}

function push() {
  heldSince = performance.now();
  tapped = wanted() || tapped;
  showHeld();
}

function showHeld() {
  get('keys').querySelectorAll('button').forEach((button, number) => {
    const keys = hello.controls[number].keys, areHeld = keys.length && keys.every(key => held.has(key));
    button.classList.toggle('held', Boolean(pressed.has(number) || areHeld));
  });
}

function nextAction(now) {
  if (replay) {
    const action = replay.shift();
    if (!action) {
      replay = null;
      tell('The saved game is at its end.');
    }
    return action || null;
  }
  const byClock = get('pace').value === 'clock';
  const isRepeated = byClock || now - heldSince > REPEAT_AFTER;
  const action = tapped || (isRepeated ? wanted() : null) || (byClock ? hello.rest : null);
  tapped = null;
  return action;
}

function tick() {
  if (!hello) return;
  const isByKey = replay || get('pace').value === 'key';
  const now = performance.now(), period = 1000 / Math.max(hello.rate, isByKey ? LEAST_RATE : 0);
  showFrames(now, period);
  if (isWaiting || !isGoingOn || now < due) return;
  const action = nextAction(now);
  if (!action) return;
  due = Math.max(due + period, now);
  isWaiting = true;
  send({do: 'act', action});
}

function onPictures(data) {
  const view = new DataView(data), length = view.getUint32(0, true);
  const told = JSON.parse(new TextDecoder().decode(new Uint8Array(data, 4, length)));
  const [height, width] = told.size;
  let place = 4 + length;
  for (const side of SIDES.filter(each => told[each])) {
    for (let frame = 0; frame < told[side].frames; frame++, place += height * width * 3) {
      queues[side].push(new Uint8Array(data, place, height * width * 3));
    }
    showNumbers(side, told[side]);
  }
  isWaiting = false;
  const sides = SIDES.map(side => told[side]).filter(Boolean);
  isGoingOn = sides.some(side => !side.end);
  announce(told);
  if (!isGoingOn) replay = null;
}

// One frame a period where several came together; at once where it is one.
const shownLast = {dream: 0, real: 0};
function showFrames(now, period) {
  for (const side of SIDES) {
    const queue = queues[side];
    if (!queue.length || queue.length > 1 && now - shownLast[side] < period * 0.9) continue;
    shownLast[side] = now;
    draw(side, queue.shift());
    if (side === 'dream') shownAt.push(now);
  }
  while (shownAt.length && now - shownAt[0] > 1000) shownAt.shift();
  get('speed').textContent = shownAt.length > 1 ? `${shownAt.length} pictures in the last second` : '';
}

function draw(side, bytes) {
  const [height, width] = hello.size;
  const image = new ImageData(width, height);
  for (let pixel = 0; pixel < height * width; pixel++) {
    image.data.set(bytes.subarray(3 * pixel, 3 * pixel + 3), 4 * pixel);
    image.data[4 * pixel + 3] = 255;
  }
  get(side).querySelector('canvas').getContext('2d').putImageData(image, 0, 0);
}

const ENDS = {terminated: 'ended', truncated: 'cut off', '': ''};
const shown = value => Number.isInteger(value) ? String(value) : value.toFixed(2);

function showNumbers(side, told) {
  const waiting = told.pending ? `, ${told.pending} actions wait` : '';
  const end = told.end ? `, ${ENDS[told.end]}` : '';
  get(side).querySelector('.numbers').textContent =
    `step ${told.steps}, reward ${shown(told.reward)}, return ${shown(told.total)}${waiting}${end}`;
}

// Rewards and ends in words; a step without either says nothing.
function announce(told) {
  if (told.event === 'begun') {
    if (!replay) tell(`Seed ${told.seed}.`);
    return;
  }
  const parts = [];
  for (const [side, who] of [['dream', 'The model'], ['real', 'The environment']]) {
    const own = told[side];
    if (!own || !own.frames) continue;
    const what = [];
    if (own.reward) what.push(`a reward of ${shown(own.reward)}`);
    if (own.end) what.push(own.end === 'terminated' ? 'the end' : 'that time is up');
    if (what.length) parts.push(`${who} announces ${what.join(' and ')} at step ${own.steps}.`);
  }
  if (parts.length) tell(parts.join(' '));
}

function tell(text) {
  get('told').textContent = text;
}

const isField = element => ['INPUT', 'SELECT', 'TEXTAREA'].includes(element.tagName);
const keyOf = event => event.key.length === 1 ? event.key.toLowerCase() : event.key;

document.addEventListener('keydown', event => {
  if (!hello || event.ctrlKey || event.metaKey || event.altKey || isField(event.target)) return;
  const key = keyOf(event);
  if (key === ' ' && event.target.tagName === 'BUTTON') return;
  const isKnown = hello.controls.some(control => control.keys.includes(key));
  if (isKnown || key === 'r') event.preventDefault();
  if (event.repeat) return;
  if (key === 'r') {
    replay = null;
    reset();
  } else if (isKnown) {
    replay = null;
    held.add(key);
    push();
  }
});
document.addEventListener('keyup', event => {
  held.delete(keyOf(event));
  if (hello) showHeld();
});
window.addEventListener('blur', () => {
  held.clear();
  pressed.clear();
});

get('reset').onclick = () => {
  replay = null;
  reset();
};
get('next').onclick = () => {
  replay = null;
  get('seed').value = Number(get('seed').value) + 1;
  reset();
};
get('save').onclick = () => send({do: 'save'});
get('replay').onclick = () => send({do: 'open', name: get('saved').value});
get('pace').onchange = () => get('stage').focus({preventScroll: true});

setInterval(tick, 5);
