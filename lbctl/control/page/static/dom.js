// The elements: make them, and change only what is different.
//
// Text is always text: nothing here reads markup, so that no name can smuggle any in.

const SVG = "http://www.w3.org/2000/svg";

export const byId = (id) => document.getElementById(id);

/** Make an element: attributes by name, `vars` for custom properties, children as nodes or text. */
export function element(tag, attributes = {}, ...children) {
  return dressed(document.createElement(tag), attributes, children);
}

/** The same for drawings. */
export function svg(tag, attributes = {}, ...children) {
  return dressed(document.createElementNS(SVG, tag), attributes, children);
}

function dressed(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "vars") setVars(node, value);
    else if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** Set custom properties; the policy forbids style attributes, and these are none. */
export function setVars(node, values) {
  for (const [name, value] of Object.entries(values)) node.style.setProperty(`--${name}`, value);
}

export function setText(node, text) {
  if (node.textContent !== String(text)) node.textContent = text;
}

/** Text in which `commands` stand between backticks. */
export function setProse(node, text) {
  if (node.textContent === text.replaceAll("`", "")) return;
  node.replaceChildren(...text.split("`").map((part, i) => (i % 2 ? element("code", {}, part) : part)));
}

export function setClass(node, text) {
  if (node.getAttribute("class") !== text) node.setAttribute("class", text);
}

/**
 * Have *parent* hold one node for each item, in order.
 *
 * A node stays as long as its item's key does, and keeps focus and selection.
 */
export function keyed(parent, items, key, make, update) {
  const kept = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  let before = null;
  for (const item of items) {
    const name = String(key(item));
    let node = kept.get(name);
    kept.delete(name);
    if (!node) {
      node = make(item);
      node.dataset.key = name;
    }
    update(node, item);
    const place = before ? before.nextSibling : parent.firstChild;
    if (place !== node) parent.insertBefore(node, place);
    before = node;
  }
  for (const node of kept.values()) node.remove();
}

/** A state as a sign and a word: never by its colour alone. */
export function fillState(node, state, word = state) {
  setClass(node, `state ${state}`);
  setText(node, word);
}
