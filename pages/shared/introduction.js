// The introduction of a page: three steps and two ways to be done with them.
//
// data: { room, steps: [{ title, text }], again }
//   again   how often Python was asked to show introductions again; a higher number than before forgets what was read
const SEEN = "headlight-introductions-read"; // rooms, as a JSON list; "*" stands for all of them
const asked = new WeakMap(); // the last "again" of each place in the page

function read() {
  try {
    return JSON.parse(localStorage.getItem(SEEN)) ?? [];
  } catch {
    return []; // storage is closed to us or holds something else: then the introduction shows
  }
}

function write(rooms) {
  try {
    localStorage.setItem(SEEN, JSON.stringify(rooms));
  } catch {
    // it shows again on the next visit
  }
}

function draw(place, room, steps) {
  const section = place.querySelector("section");
  const rooms = read();
  const hidden = rooms.includes(room) || rooms.includes("*");
  section.replaceChildren();
  // Without the element itself its gap would stay on the page.
  const element = (place.host ?? place).closest('[data-testid="stElementContainer"]');
  if (element) element.style.display = hidden ? "none" : "";
  if (hidden) return;
  const list = section.appendChild(document.createElement("ol"));
  for (const { title, text } of steps) {
    const item = list.appendChild(document.createElement("li"));
    item.appendChild(document.createElement("b")).textContent = title;
    item.appendChild(document.createElement("span")).textContent = text;
  }
  const foot = section.appendChild(document.createElement("footer"));
  for (const [label, kept] of [["Got it", room], ["Hide on all pages", "*"]]) {
    const button = foot.appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = label;
    button.onclick = () => {
      write([...read(), kept]);
      draw(place, room, steps);
    };
  }
}

export default function ({ data, parentElement }) {
  const before = asked.get(parentElement);
  if (before !== undefined && data.again > before) write([]);
  asked.set(parentElement, data.again);
  draw(parentElement, data.room, data.steps);
}
