// Figures open their explanation beside the page. The open drawer is part of the address (`explain=`), so a link to it
// can be shared and Back closes it.
const drawer = document.getElementById("drawer");
const body = document.getElementById("drawer-body");
let opener = null;

export function startDrawer() {
  document.addEventListener("click", (event) => {
    const figure = event.target.closest("a[data-explain]");
    if (!figure || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
    event.preventDefault();
    opener = figure;
    remember(figure.getAttribute("href"));
    show(figure.getAttribute("href"));
  });
  document.getElementById("drawer-close").addEventListener("click", closeDrawer);
  drawer.addEventListener("click", (event) => {
    const next = event.target.closest('a[rel="next"]');
    if (!next) return;
    event.preventDefault();
    show(next.getAttribute("href"));
  });
  addEventListener("popstate", follow);
  if (wanted()) follow();
}

export function openDrawer(href) {
  remember(href);
  show(href);
}

export function closeDrawer() {
  if (drawer.hidden) return false;
  hide();
  const address = new URL(location.href);
  address.searchParams.delete("explain");
  history.pushState({}, "", address);
  opener?.focus();
  return true;
}

function follow() {
  const query = wanted();
  if (query) show(`/explain?${query}`);
  else hide();
}

function wanted() {
  return new URL(location.href).searchParams.get("explain");
}

function remember(href) {
  const address = new URL(location.href);
  address.searchParams.set("explain", href.split("?")[1] ?? "");
  history.pushState({}, "", address);
}

function hide() {
  drawer.hidden = true;
  document.body.classList.remove("with-drawer");
}

async function show(href) {
  drawer.hidden = false;
  document.body.classList.add("with-drawer");
  document.getElementById("drawer-full").setAttribute("href", href);
  body.setAttribute("aria-busy", "true");
  const answer = await fetch(href, { headers: { "HX-Request": "true", Accept: "text/html" } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.querySelector(".explain") ?? page.querySelector("main");
  body.replaceChildren(...(found ? [document.importNode(found, true)] : []));
  window.htmx?.process(body);
  body.removeAttribute("aria-busy");
  body.scrollTop = 0;
  body.focus({ preventScroll: true });
}
