// The measure: how wide a text is in a drawing, where nothing breaks lines or cuts them by itself.

const pen = document.createElement("canvas").getContext("2d");
const fonts = new Map();

/** Width in pixels of a text of a class. */
export function measure(text, kind) {
  if (!fonts.has(kind)) fonts.set(kind, fontOf(kind));
  pen.font = fonts.get(kind);
  return pen.measureText(text).width;
}

/** The text, or its beginning and an ellipsis if it is wider than *room*. */
export function fitted(text, room, kind) {
  if (measure(text, kind) <= room) return text;
  let end = text.length;
  while (end > 1 && measure(`${text.slice(0, end)}…`, kind) > room) end--;
  return `${text.slice(0, end)}…`;
}

function fontOf(kind) {
  const SVG = "http://www.w3.org/2000/svg";
  const drawing = document.createElementNS(SVG, "svg");
  const text = document.createElementNS(SVG, "text");
  drawing.setAttribute("class", "probe drawing");
  text.setAttribute("class", kind);
  drawing.append(text);
  document.body.append(drawing);
  const { fontWeight, fontSize, fontFamily } = getComputedStyle(text);
  drawing.remove();
  return `${fontWeight} ${fontSize} ${fontFamily}`;
}
