// Buttons that copy a text. They are hidden where scripts do not run.
export function startCopy() {
  const show = (root) => root.querySelectorAll?.("[data-copy]").forEach((button) => (button.hidden = false));
  show(document);
  document.addEventListener("htmx:after:swap", () => show(document));
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("[data-copy]");
    if (!button) return;
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Press Ctrl+C";
      select(button);
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
}

function select(button) {
  const text = button.parentElement.querySelector("code, .id");
  if (text) getSelection().selectAllChildren(text);
}
