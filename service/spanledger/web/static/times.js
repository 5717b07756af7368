// Times as the reader's clock has them, in place of UTC. The choice is kept by the browser; the foot says which it is.
const KEPT = "spanledger.times";
const button = document.getElementById("times");
const said = document.getElementById("times-said");
const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
const utc = new WeakMap();

export function startTimes() {
  button.hidden = false;
  button.addEventListener("click", () => {
    localStorage.setItem(KEPT, isLocal() ? "utc" : "local");
    tell();
    show(document);
  });
  tell();
  if (isLocal()) show(document);
  new MutationObserver((changes) => {
    if (isLocal()) changes.flatMap((change) => [...change.addedNodes]).forEach((node) => node.querySelectorAll && show(node));
  }).observe(document.body, { childList: true, subtree: true });
}

const isLocal = () => localStorage.getItem(KEPT) === "local";

function tell() {
  said.textContent = isLocal() ? `Times are those of ${zone}; charts and days are UTC.` : "Times are UTC.";
  button.textContent = isLocal() ? "UTC times" : "Local times";
}

function show(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    if (!utc.has(time)) utc.set(time, time.textContent);
    const text = isLocal() ? local(new Date(time.dateTime)) : utc.get(time);
    if (time.textContent !== text) time.textContent = text;
  }
}

// As short as its distance from now allows, like the service writes UTC.
function local(at) {
  const now = new Date();
  const clock = at.toLocaleTimeString("en-GB");
  if (at.toDateString() === now.toDateString()) return clock;
  const year = at.getFullYear() === now.getFullYear() ? "" : ` ${at.getFullYear()}`;
  return `${at.getDate()} ${at.toLocaleString("en-GB", { month: "short" })}${year} ${clock.slice(0, 5)}`;
}
