// Keys: `/` search, `j` and `k` rows, Enter opens the row, `e` explains its cost, `g` and a letter goes to a page.
let waitsForPage = false;

export function startKeys({ openDrawer, closeDrawer }) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && closeDrawer()) return event.preventDefault();
    if (event.target.closest("input, textarea, select, [contenteditable]")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    if (waitsForPage) {
      waitsForPage = false;
      const page = document.querySelector(`[data-go="${CSS.escape(event.key)}"]`);
      if (page) page.click();
      return;
    }
    const action = { "/": search, g: goto, j: () => move(1), k: () => move(-1), Enter: open, e: () => explain(openDrawer), "?": help }[event.key];
    if (action && action(event) !== false) event.preventDefault();
  });
}

function search() {
  const box = document.querySelector('input[name="q"]');
  box.focus();
  box.select();
}

function goto() {
  waitsForPage = true;
  setTimeout(() => (waitsForPage = false), 1500);
}

function help() {
  location.assign("/keys");
}

const rows = () => [...document.querySelectorAll("main [data-id]")].filter((row) => row.getClientRects().length);

function move(step) {
  const all = rows();
  if (!all.length) return false;
  const at = all.findIndex((row) => row.classList.contains("here"));
  const next = all[Math.max(0, Math.min(all.length - 1, at + step))] ?? all[0];
  all.forEach((row) => row.classList.toggle("here", row === next));
  const target = next.querySelector("a:not(.fold)") ?? next;
  target.focus({ preventScroll: true });
  next.scrollIntoView({ block: "nearest" });
}

function open(event) {
  if (event.target.closest("a, button, summary")) return false;
  const link = document.querySelector(".here a:not(.fig):not(.fold)");
  if (!link) return false;
  link.click();
}

function explain(openDrawer) {
  const figure = document.querySelector('.here a[data-explain] [data-figure="cost_usd"]') ?? document.querySelector("main a[data-explain]");
  if (!figure) return false;
  openDrawer(figure.closest("a").getAttribute("href"));
}
