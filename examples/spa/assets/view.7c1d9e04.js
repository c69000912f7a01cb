export function paragraph(text) {
  const element = document.createElement("p");
  element.textContent = text;
  return element;
}

export function link(order) {
  const anchor = document.createElement("a");
  anchor.href = `/orders/${order.id}`;
  anchor.textContent = order.text;
  const element = document.createElement("p");
  element.append(anchor);
  return element;
}
