// Listens for what changed and fetches the page anew; only the parts marked data-live are put in place, so scroll,
// what is typed, and open details stay as they are.
import { morph } from "./morph.js";
import { tick } from "./times.js";

const PAUSE_MS = 3000;
const RETRY_MS = 1500;

let busy = false;
let wanted = false;
let last = 0;

async function refresh() {
  if (busy || document.hidden) {
    wanted = true;
    return;
  }
  busy = true;
  wanted = false;
  try {
    const answer = await fetch(location.href, { headers: { "X-Live": "1" }, credentials: "same-origin" });
    if (answer.redirected) return location.reload(); // logged out
    if (!answer.ok) return;
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      if (other) morph(part, other);
    }
    document.body.dataset.now = fresh.body.dataset.now;
    document.body.dataset.read = String(performance.now());
    tick();
    beat();
  } catch {
    // the collector is away; the stream connects again by itself and says so
  } finally {
    busy = false;
    last = performance.now();
    if (wanted || document.querySelector("[data-retry]")) setTimeout(refresh, wanted ? PAUSE_MS : RETRY_MS);
  }
}

function soon() {
  if (wanted) return;
  wanted = true;
  setTimeout(refresh, Math.max(0, PAUSE_MS - (performance.now() - last)));
}

function pulse(on) {
  const sign = document.getElementById("pulse");
  if (!sign) return;
  sign.classList.toggle("on", on);
  sign.lastElementChild.textContent = on ? sign.dataset.liveText : sign.dataset.offText;
}

function beat() {
  const sign = document.getElementById("pulse");
  sign?.classList.remove("beat");
  requestAnimationFrame(() => sign?.classList.add("beat"));
}

export function follow() {
  const topics = (document.body.dataset.topics ?? "").split(" ").filter(Boolean);
  if (document.querySelector("[data-retry]")) setTimeout(refresh, RETRY_MS);
  if (!topics.length) return;
  const stream = new EventSource("/live");
  stream.onopen = () => pulse(true);
  stream.onerror = () => pulse(false);
  stream.onmessage = (event) => topics.includes(event.data) && soon();
  document.addEventListener("visibilitychange", () => !document.hidden && wanted && refresh());
  addEventListener("pagehide", () => stream.close());
}
