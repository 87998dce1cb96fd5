// The dial: a range input for keyboards and screen readers, drawn as an arc that can be turned.
const FROM = 225, SWEEP = 270, MIDDLE = [150, 140], RADIUS = 112;
const BANDS = [[0, "returns it"], [0.3, "subtle"], [0.6, "restyle"], [0.9, "loose"]];
const MEANINGS = [
  [0, "Your picture, untouched."],
  [0.3, "A subtle change: texture and light, everything stays in its place."],
  [0.55, "A restyle: composition and pose stay, texture and light are new."],
  [0.7, "A bold restyle: the large shapes stay."],
  [0.9, "Loose: only the rough structure stays."],
  [0.99, "Hardly anything of your picture is left."],
  [1, "Your picture is ignored: this is text to image."],
];

export const meaning = (strength) => MEANINGS.find(([most]) => strength <= most)[1];

function point(share, radius = RADIUS) {
  const angle = ((FROM - share * SWEEP) * Math.PI) / 180;
  return [MIDDLE[0] + radius * Math.cos(angle), MIDDLE[1] - radius * Math.sin(angle)];
}

function arc(share) {
  const [x0, y0] = point(0), [x1, y1] = point(share);
  return `M${x0} ${y0}A${RADIUS} ${RADIUS} 0 ${share * SWEEP > 180 ? 1 : 0} 1 ${x1} ${y1}`;
}

function drawn(kind, attributes, text) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text) made.textContent = text;
  return made;
}

export function dial(face, input, number, changed) {
  const filled = drawn("path", { class: "filled" }), knob = drawn("circle", { class: "knob", r: 15 });
  face.append(drawn("path", { class: "track", d: arc(1) }), filled);
  for (const [at] of BANDS.slice(1)) {
    const [x0, y0] = point(at, RADIUS - 11), [x1, y1] = point(at, RADIUS + 11);
    face.append(drawn("line", { class: "mark", x1: x0, y1: y0, x2: x1, y2: y1 }));
  }
  for (const [at, text] of [[0, "0 keeps it"], [1, "1 ignores it"]]) {
    const [x, y] = point(at);
    face.append(drawn("text", { x, y: y + 18 }, text));
  }
  face.append(knob);

  function show() {
    const share = Number(input.value), [x, y] = point(share);
    filled.setAttribute("d", arc(share || 0.0001));
    knob.setAttribute("cx", x);
    knob.setAttribute("cy", y);
    number.value = share.toFixed(2);
    changed(share);
  }

  function turn(event) {
    const box = face.getBoundingClientRect(), scale = 300 / box.width;
    const x = (event.clientX - box.left) * scale - MIDDLE[0], y = MIDDLE[1] - (event.clientY - box.top) * scale;
    const angle = (Math.atan2(y, x) * 180) / Math.PI;
    let share = (((FROM - angle) % 360) + 360) % 360 / SWEEP;
    if (share > 1) share = share > 1.165 ? 0 : 1;
    set(share);
  }

  function set(share) {
    input.value = Math.round(share * 100) / 100;
    show();
  }

  face.addEventListener("pointerdown", (event) => { face.setPointerCapture(event.pointerId); turn(event); });
  face.addEventListener("pointermove", (event) => face.hasPointerCapture(event.pointerId) && turn(event));
  input.addEventListener("input", show);
  show();
  return { set, show };
}
