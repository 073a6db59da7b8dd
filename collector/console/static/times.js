// Keeps "12 s ago" true between updates, counted from the collector's clock and not from this computer's.
const zh = document.documentElement.lang.startsWith("zh");
const SIZES = [["d", 86400, "天"], ["h", 3600, "小时"], ["min", 60, "分钟"], ["s", 1, "秒"]];
let timer = 0;

function span(seconds) {
  for (const [unit, size, chinese] of SIZES) {
    if (seconds >= 2 * size || (unit === "s") || (unit !== "min" && seconds >= size)) {
      return `${Math.floor(seconds / size)} ${zh ? chinese : unit}`;
    }
  }
  return "";
}

export function tick() {
  const now = Number(document.body.dataset.now) + performance.now() - Number(document.body.dataset.read ?? 0);
  for (const element of document.querySelectorAll("time[data-relative]")) {
    const seconds = (now - Date.parse(element.dateTime)) / 1000;
    if (seconds >= 0) element.textContent = zh ? `${span(seconds)}前` : `${span(seconds)} ago`;
  }
  clearTimeout(timer);
  timer = setTimeout(tick, 5000);
}
