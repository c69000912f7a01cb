import { link, paragraph } from "./view.7c1d9e04.js";

const main = document.querySelector("main");

async function show() {
  const id = location.pathname.match(/^\/orders\/([^/]+)$/)?.[1];
  const answer = await fetch(id ? `/api/orders/${id}` : "/api/orders");
  const data = await answer.json();
  if (!answer.ok) return main.replaceChildren(paragraph(data.detail ?? data.title));
  main.replaceChildren(...(id ? [paragraph(`Order ${data.id}: ${data.text}`)] : data.map(link)));
}

document.addEventListener("click", (event) => {
  const anchor = event.target.closest("a");
  if (!anchor) return;
  event.preventDefault();
  history.pushState(null, "", anchor.href);
  show();
});
addEventListener("popstate", show);
show();
