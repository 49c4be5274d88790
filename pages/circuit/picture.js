// Saves a chart of the page as a picture with a background: the chart as it stands, or a figure sent for another one.
//
// data: { chart, name, background, figure }
//   chart       Streamlit key of the chart on the page
//   name        of the file, without its ending
//   background  a CSS colour, or null for none
//   figure      JSON of the same figure drawn for that background, or null if the one on the page is
function save(format, { chart, name, background, figure }) {
  const shown = document.querySelector(`.st-key-${CSS.escape(chart)} .js-plotly-plot`);
  if (!shown?.layout || !window.Plotly) return;
  const { data, layout } = figure ? JSON.parse(figure) : shown;
  const { width, height } = shown.getBoundingClientRect();
  const painted = { ...layout, paper_bgcolor: background ?? "rgba(0,0,0,0)" };
  const own = layout.height ?? height;
  window.Plotly.downloadImage(
    { data, layout: painted },
    { format, filename: name, width: Math.round(Math.max(width, 760)), height: Math.round(own), scale: 2 },
  );
}

export default function (component) {
  for (const button of component.parentElement.querySelectorAll("button")) {
    button.dataset.background = component.data.background ?? "none";
    button.onclick = () => save(button.dataset.format, component.data);
  }
}
