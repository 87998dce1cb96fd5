// The mask: painted over the picture with brush and eraser, by pointer or keyboard.
export function mask(canvas, controls) {
  const context = canvas.getContext("2d", { willReadFrequently: true });
  let erasing = false, at = null, painted = false;
  const past = [];

  const size = () => (Number(controls.brush.value) * canvas.width) / 512;
  const remember = () => {
    past.push(context.getImageData(0, 0, canvas.width, canvas.height));
    if (past.length > 20) past.shift();
  };

  function stroke(from, to) {
    context.globalCompositeOperation = erasing ? "destination-out" : "source-over";
    context.strokeStyle = "#ff2d7a";
    context.lineWidth = size();
    context.lineCap = "round";
    context.beginPath();
    context.moveTo(...from);
    context.lineTo(to[0] + 0.01, to[1]);
    context.stroke();
    context.globalCompositeOperation = "source-over";
    painted = true;
  }

  function place(event) {
    const box = canvas.getBoundingClientRect();
    return [((event.clientX - box.left) * canvas.width) / box.width,
      ((event.clientY - box.top) * canvas.height) / box.height];
  }

  canvas.addEventListener("blur", () => { controls.cursor.hidden = true; });
  canvas.addEventListener("pointerdown", (event) => {
    controls.cursor.hidden = true;
    canvas.setPointerCapture(event.pointerId);
    remember();
    at = place(event);
    stroke(at, at);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (!canvas.hasPointerCapture(event.pointerId)) return;
    const to = place(event);
    stroke(at, to);
    at = to;
  });

  const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  canvas.addEventListener("keydown", (event) => {
    at ??= [canvas.width / 2, canvas.height / 2];
    const step = size() / 2, arrow = ARROWS[event.key];
    if (arrow) {
      const to = [Math.min(canvas.width, Math.max(0, at[0] + arrow[0] * step)),
        Math.min(canvas.height, Math.max(0, at[1] + arrow[1] * step))];
      if (event.shiftKey) { remember(); stroke(at, to); }
      at = to;
      point();
    } else if (event.key === " ") {
      remember();
      stroke(at, at);
    } else if (event.key.toLowerCase() === "e") {
      erase(!erasing);
    } else if (event.key === "+" || event.key === "-") {
      controls.brush.value = Number(controls.brush.value) + (event.key === "+" ? 8 : -8);
      point();
    } else return;
    event.preventDefault();
  });

  // Where the keyboard's brush is, for eyes and for ears.
  function point() {
    const ring = controls.cursor.style, across = (100 * size()) / canvas.width;
    controls.cursor.hidden = false;
    ring.left = `${(100 * at[0]) / canvas.width - across / 2}%`;
    ring.top = `calc(${(100 * at[1]) / canvas.height}% - ${across / 2}cqw)`;
    ring.width = `${across}%`;
    controls.said(`Brush at ${Math.round((100 * at[0]) / canvas.width)} % across, `
      + `${Math.round((100 * at[1]) / canvas.height)} % down`);
  }

  function erase(on) {
    erasing = on;
    controls.eraser.setAttribute("aria-pressed", on);
  }

  function fill(invert) {
    remember();
    context.globalCompositeOperation = invert ? "source-out" : "source-over";
    context.fillStyle = "#ff2d7a";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.globalCompositeOperation = "source-over";
    painted = true;
  }

  controls.eraser.addEventListener("click", () => erase(!erasing));
  controls.undo.addEventListener("click", () => past.length && context.putImageData(past.pop(), 0, 0));
  controls.invert.addEventListener("click", () => fill(true));
  controls.all.addEventListener("click", () => fill(false));
  controls.clear.addEventListener("click", () => {
    remember();
    context.clearRect(0, 0, canvas.width, canvas.height);
    painted = false;
  });

  return {
    fit(width, height) {
      canvas.width = width;
      canvas.height = height;
      past.length = 0;
      painted = false;
      at = null;
    },
    // White on black, as a PNG; null where nothing is painted.
    async file() {
      if (!painted) return null;
      const made = new OffscreenCanvas(canvas.width, canvas.height), flat = made.getContext("2d");
      const data = context.getImageData(0, 0, canvas.width, canvas.height);
      let any = false;
      for (let index = 0; index < data.data.length; index += 4) {
        const shade = data.data[index + 3];
        any ||= shade > 0;
        data.data.fill(shade, index, index + 3);
        data.data[index + 3] = 255;
      }
      if (!any) return null;
      flat.putImageData(data, 0, 0);
      return made.convertToBlob({ type: "image/png" });
    },
  };
}
