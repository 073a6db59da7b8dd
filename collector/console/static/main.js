// What a page does beyond being read. Everything works without it but the live updates.
import { follow } from "./live.js";
import { drawers } from "./drawer.js";
import { tick } from "./times.js";

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, [contenteditable]");
  if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const field = document.querySelector("#q") ?? document.querySelector(".find input");
    if (field) {
      event.preventDefault();
      field.focus();
      field.select();
    }
  }
  if (event.key === "Escape") for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
});
document.addEventListener("click", (event) => {
  for (const menu of document.querySelectorAll("details.menu[open]")) if (!menu.contains(event.target)) menu.open = false;
});

document.querySelector(".side [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" });

drawers();
tick();
follow();
