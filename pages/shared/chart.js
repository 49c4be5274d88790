// Links a Plotly chart of the page with Python: clicks and slider drags go up, what changes comes down.
//
// Streamlit mounts a chart anew whenever its figure differs, which loses zoom and slider and flickers. So Python
// sends it the first figure only, and every later one through here, where it is drawn in place. The chart is
// found by its Streamlit key, and looked at again and again: it loads late, and may be mounted anew.
//
// data: { chart, dark, version, figure, slider, selected }
//   dark             whether the figure is drawn for a dark page
//   figure, version  the figure to show, as JSON, and its name, which stands in layout.meta.version
//   slider           the step the slider should stand at, or null
//   selected         { x, y } of the mark in the trace "selected", null for none, false for where the figure has it
// up:   clicked   customdata of the point clicked
//       dragged   value of the step at which a drag ended
//       retheme   "dark" or "light" if the page is not what the figure is drawn for
//       unable    true if this page's Plotly cannot be reached: Python then sends every figure whole
// In its own place it has one button, which saves the chart as SVG (the chart's camera saves PNG).
const LOOK_AGAIN_MS = 200;
const ASK_AGAIN_MS = 4000;
const links = new WeakMap(); // one for each place in the page, however often it is rendered

class Link {
  constructor() {
    this.chart = null;
    this.dragging = false;
    this.busy = false;
    this.asked = 0;
    this.step = null; // where the slider should stand: where the reader left it, or where Python last put it
    this.onClick = (event) => {
      const point = event.points.find((candidate) => candidate.customdata != null);
      if (point) this.send("clicked", point.customdata);
    };
    this.onDragStart = () => (this.dragging = true);
    this.onDrag = (event) => this.preview(event.step);
    this.onDragEnd = async (event) => {
      await this.settleSlider(event.step);
      this.dragging = false;
      this.step = this.chart.layout.sliders[0].active;
      this.send("dragged", event.step.value);
    };
    this.timer = setInterval(() => this.settle(), LOOK_AGAIN_MS);
  }

  update({ data, setTriggerValue }) {
    if (data.slider !== this.data?.slider && !this.dragging) this.step = data.slider;
    this.data = data;
    this.send = setTriggerValue;
    this.settle();
  }

  async settle() {
    this.find();
    if (!this.chart || this.dragging || this.busy) return;
    this.checkTheme();
    if (!window.Plotly) {
      if (!this.told) this.send("unable", true);
      this.told = true;
      return;
    }
    this.busy = true;
    try {
      await this.showFigure();
      await this.moveSlider();
      await this.markSelected();
    } finally {
      this.busy = false;
    }
  }

  find() {
    const found = document.querySelector(`.st-key-${CSS.escape(this.data.chart)} .js-plotly-plot`);
    if (!found?.on || !found.layout || found === this.chart) return;
    this.release();
    this.chart = found;
    found.on("plotly_click", this.onClick);
    found.on("plotly_sliderstart", this.onDragStart);
    found.on("plotly_sliderchange", this.onDrag);
    found.on("plotly_sliderend", this.onDragEnd);
  }

  checkTheme() {
    const app = document.querySelector(".stApp");
    const dark = app !== null && getComputedStyle(app).colorScheme === "dark";
    if (dark === this.data.dark || Date.now() - this.asked < ASK_AGAIN_MS) return;
    this.asked = Date.now();
    this.send("retheme", dark ? "dark" : "light");
  }

  async showFigure() {
    if (this.chart.layout.meta?.version === this.data.version) return;
    const { data, layout } = JSON.parse(this.data.figure);
    const { width, height } = this.chart.layout; // the page decides the size
    await window.Plotly.react(this.chart, data, { ...layout, width, height: height ?? layout.height });
  }

  async moveSlider() {
    const slider = this.chart.layout.sliders?.[0];
    if (this.step === null || !slider || slider.active === this.step || !slider.steps[this.step]) return;
    const [changes, traces] = slider.steps[this.step].args;
    await window.Plotly.update(this.chart, changes, { "sliders[0].active": this.step }, traces);
  }

  // Plotly would compute the whole figure anew at every step; while the slider moves only colours change, so they
  // are set on the marks themselves. Its own word (settleSlider) comes once, when the slider is left.
  preview(step) {
    const [changes, traces] = step.args;
    for (const number of traces) {
      const { uid, marker } = this.chart._fullData[number];
      const paint = marker.symbol.includes("open") ? "stroke" : "fill";
      for (const mark of this.chart.querySelectorAll(`.trace${uid} .points path`)) {
        const value = marker.color[mark.__data__.i];
        const share = (value - changes["marker.cmin"]) / (changes["marker.cmax"] - changes["marker.cmin"]);
        mark.style[paint] = colourAt(marker.colorscale, share);
        mark.style[`${paint}-opacity`] = 1; // the colour has its own
      }
    }
  }

  async settleSlider(step) {
    const [changes, traces] = step.args;
    await window.Plotly?.restyle(this.chart, changes, traces);
  }

  async markSelected() {
    const number = this.chart.data.findIndex((trace) => trace.name === "selected");
    const { selected } = this.data;
    if (number < 0 || selected === false) return;
    const [x, y] = selected === null ? [[], []] : [[selected.x], [selected.y]];
    const shown = this.chart.data[number];
    if (shown.x?.[0] === x[0] && shown.y?.[0] === y[0]) return;
    await window.Plotly.restyle(this.chart, { x: [x], y: [y] }, [number]);
  }

  save() {
    if (this.chart && window.Plotly) {
      window.Plotly.downloadImage(this.chart, { format: "svg", filename: `headlight-${this.data.chart}` });
    }
  }

  release() {
    this.chart?.removeListener?.("plotly_click", this.onClick);
    this.chart?.removeListener?.("plotly_sliderstart", this.onDragStart);
    this.chart?.removeListener?.("plotly_sliderchange", this.onDrag);
    this.chart?.removeListener?.("plotly_sliderend", this.onDragEnd);
    this.chart = null;
    this.dragging = false;
  }

  end() {
    clearInterval(this.timer);
    this.release();
  }
}

// Of a scale of plain steps: the colour of the last stop at or below the share.
function colourAt(scale, share) {
  let colour = scale[0][1];
  for (const [stop, next] of scale) if (stop <= share) colour = next;
  return colour;
}

export default function (component) {
  const place = component.parentElement;
  if (!links.has(place)) links.set(place, new Link());
  links.get(place).update(component);
  place.querySelector("button").onclick = () => links.get(place).save();
  return () => {
    links.get(place)?.end();
    links.delete(place);
  };
}
