// Opens a record beside the list instead of instead of it. A middle click or a missing script follows the link.
export function drawers() {
  const dialog = document.getElementById("drawer");
  const body = document.getElementById("drawer-body");
  if (!dialog?.showModal) return;
  document.addEventListener("click", async (event) => {
    const link = event.target.closest("a[data-drawer]");
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    try {
      const answer = await fetch(link.href, { credentials: "same-origin" });
      if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
      const record = new DOMParser().parseFromString(await answer.text(), "text/html").getElementById("record");
      body.replaceChildren(document.importNode(record, true));
      dialog.showModal();
      dialog.scrollTop = 0;
    } catch {
      location.assign(link.href);
    }
  });
  dialog.addEventListener("click", (event) => event.target === dialog && dialog.close());
}
