// Makes one element look like another with as few changes as it can: elements that stay keep their focus, scroll and
// whether a person opened them.
export function morph(from, to) {
  attributes(from, to);
  const old = [...from.childNodes];
  const named = new Map(old.filter((node) => node.id).map((node) => [node.id, node]));
  let place = from.firstChild;
  for (const node of [...to.childNodes]) {
    const match = (node.id && named.get(node.id)) || (place && !place.id && !node.id && alike(place, node) ? place : null);
    if (!match) {
      from.insertBefore(document.importNode(node, true), place);
      continue;
    }
    if (match === place) place = place.nextSibling;
    else from.insertBefore(match, place);
    if (match.nodeType === Node.ELEMENT_NODE) morph(match, node);
    else if (match.data !== node.data) match.data = node.data;
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function alike(a, b) {
  return a.nodeType === b.nodeType && a.nodeName === b.nodeName;
}

function attributes(from, to) {
  for (const { name, value } of to.attributes) if (from.getAttribute(name) !== value) from.setAttribute(name, value);
  for (const { name } of [...from.attributes]) {
    const kept = name === "open" && from.nodeName === "DETAILS";
    if (!to.hasAttribute(name) && !kept) from.removeAttribute(name);
  }
}
