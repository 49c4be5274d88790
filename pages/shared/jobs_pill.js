// A pill that says how many jobs are at work while the sidebar with their list is closed; a press opens it.
// data: { text }
export default function ({ parentElement, data }) {
  const pill = parentElement.querySelector("button");
  pill.textContent = data.text;
  pill.onclick = () => document.querySelector('[data-testid="stExpandSidebarButton"]')?.click();
}
